"""Bases for the benches: random ones of the sizes that the speed bench names, and ones trained on the real data.

A base is a plain transformers folder; it is made once and kept below var/bench/.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bench.runs import DATA, HOME, OFF, SEED, Missing, Row, lay, lines, ours, questions

RANK = 16
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True)
class Shape:
    """A Llama with tied embeddings. Letters as in the specification: V words, D width, L layers, F MLP width."""

    vocab: int
    width: int
    layers: int
    heads: int
    inner: int

    @property
    def blocks(self) -> int:
        """N_l: weights of the blocks' linear layers."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.inner)

    @property
    def parameters(self) -> int:
        return self.vocab * self.width + self.blocks + (2 * self.layers + 1) * self.width

    @property
    def lora(self) -> int:
        """n: numbers of an adapter of RANK on all linear layers of the blocks."""
        return RANK * self.layers * (4 * 2 * self.width + 3 * (self.width + self.inner))

    def attention(self, prompt: int, answers: list[int]) -> int:
        """Σ s per token, the prompt once: what M6's sDL is multiplied by."""
        return prompt**2 + sum((prompt + answer) ** 2 - prompt**2 for answer in answers)

    def learning(self, prompt: int, answers: list[int], *, counted: int) -> float:
        """FLOPs of one forward and backward (dX only) of a prompt with its answers (M6)."""
        tokens = prompt + sum(answers)
        attended = 7 * self.attention(prompt, answers) * self.width * self.layers
        return tokens * (4 * self.blocks + 6 * self.lora) + attended + 4 * self.vocab * self.width * counted

    def reading(self, prompt: int, answers: list[int], *, counted: int) -> float:
        """FLOPs of one forward (M6)."""
        tokens = prompt + sum(answers)
        attended = 2 * self.attention(prompt, answers) * self.width * self.layers
        return tokens * (2 * self.blocks + 2 * self.lora) + attended + 2 * self.vocab * self.width * counted


SHAPES = {
    "10m": Shape(vocab=8_192, width=320, layers=6, heads=5, inner=864),
    "89m": Shape(vocab=32_768, width=768, layers=9, heads=12, inner=2_048),
}
CONTEXT = 512


def random_base(size: str, data: Path = DATA) -> Path:
    """A base of random weights, N(0, 0.02²) and less into the residual stream, with the bench's tokenizer."""
    folder, shape = HOME / "bases" / f"random-{size}", SHAPES[size]
    if (folder / "model.safetensors").exists():
        return folder
    words = tokenizer(data)
    config = LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            inward = name.endswith(("o_proj.weight", "down_proj.weight"))
            torch.nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * shape.layers) if inward else 0.02)
    if sum(parameter.numel() for parameter in model.parameters()) != shape.parameters:
        raise ValueError(f"{size} has other parameters than {shape.parameters:,}")
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (words / name).exists():
            shutil.copy(words / name, folder / name)
    return folder


def tokenizer(data: Path) -> Path:
    """A folder with a tokenizer of 8,192 words, as one step of our pretraining leaves it."""
    rows = [{"id": f"d{n}", "split": "train", "text": text} for n, text in enumerate(texts(data))]
    rows[0]["split"] = "heldout"
    config = {"stage": "pretrain", "size": "nano", "vocab": 8_192, "max_steps": 1, "batch_tokens": 256}
    return ours("pretrain", lay(HOME / "tokenizer", config, corpus=rows)).path / "model"


def texts(data: Path) -> list[str]:
    """All texts of the real data from which a base may learn to read."""
    play = data / "documents" / "tinyshakespeare.txt"
    if not play.is_file():
        raise Missing(f"{play} is not there; the real data is read from ../shared/data, or from --data")
    pages = [row["text"] for row in lines(data / "documents" / "open-assistant-docs.jsonl")]
    scenes = play.read_text(encoding="utf-8").split("\n\n")
    grouped = ["\n\n".join(scenes[start : start + 24]) for start in range(0, len(scenes), 24)]
    return [*grouped, *pages, *(f"{question}\n\n{answer}" for question, answer in questions(data))]


def trained_base(size: str, name: str, corpus: list[Row], **config: float) -> tuple[Path, float]:
    """(folder, seconds) of a base pretrained on a corpus; made once for equal settings, and then 0 seconds."""
    path = HOME / "bases" / f"trained-{name}"
    told = {"stage": "pretrain", "size": size, "eval_steps": OFF, "sample_steps": OFF, "threads": 0, **config}
    told |= {"microbatch_tokens": 2_048}
    stamp = path / "bench.json"
    digest = hashlib.sha256(json.dumps([told, corpus], sort_keys=True).encode()).hexdigest()
    if (path / "result.json").exists() and stamp.exists() and stamp.read_text() == digest:
        return path / "model", 0.0
    begun = time.monotonic()
    ours("pretrain", lay(path, told, corpus=corpus))
    stamp.write_text(digest)
    return path / "model", time.monotonic() - begun
