"""Base models: made small and new, or loaded from a folder; and the trunk that every stage reads.

Bases are transformers models. Attention, heads and adapters are elsewhere; nothing here trains.
Letters: T packed tokens, D width, V vocabulary.
"""

import json
import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import logging

from trainer import attention, layers
from trainer.contract.configs import SIZES, AdaptingConfig, BasedConfig, Config
from trainer.contract.errors import TrainerError
from trainer.contract.hashes import code_version
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.packing import Packed

Model = PreTrainedModel
PAD, BOS, EOS = 0, 1, 2  # of the bases that `make` makes
_DEVIATION = 0.02  # of fresh weights (Radford et al. 2019)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.msgpack", "*.h5")

logging.set_verbosity_error()
logging.disable_progress_bar()


def prepare(config: Config) -> torch.device:
    """The device of a run, after threads and determinism are set (G12). Raises no_device."""
    if config.threads:
        torch.set_num_threads(config.threads)
    there = torch.cuda.is_available()
    if config.device == "cuda" and not there:
        raise TrainerError("no_device", "device is cuda; this machine has none that torch can use. Set cpu or auto.")
    device = torch.device("cuda" if there and config.device != "cpu" else "cpu")
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set by a property
    return device


def dtype_of(config: Config, device: torch.device) -> torch.dtype:
    """The precision of the frozen base (G5): as told, else float32 on a CPU and bfloat16 on a GPU."""
    if config.dtype != "auto":
        return torch.float32 if config.dtype == "float32" else torch.bfloat16
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def environment(device: torch.device) -> dict[str, str | int]:
    """All that may make the same run end in other bits, for environment.json."""
    packages = ("torch", "transformers", "tokenizers", "safetensors", "peft", "numpy")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "device": device.type,
        "device_name": name,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "code_version": code_version(),
    }


def make(size: str, *, vocab: int, seed: int, context: int = 0) -> Model:
    """A fresh Llama of one of the sizes of B1, float32; embeddings are tied, context 0 is the size's.

    Weights are N(0, 0.02²), the outputs into the residual stream 0.02/√(2L) (B2; Radford et al. 2019).
    """
    shape = SIZES[size]
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=context or shape.context,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        attention_bias=False,
        mlp_bias=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model: Model = LlamaForCausalLM(config).float()
    model.generation_config = GenerationConfig(pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS)
    generator = torch.Generator().manual_seed(seed_for(seed, "init", "base"))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            inward = name.endswith(("o_proj.weight", "down_proj.weight"))
            deviation = _DEVIATION / math.sqrt(2 * shape.layers) if inward else _DEVIATION
            nn.init.normal_(parameter, std=deviation, generator=generator)
    layers.install(model)
    model.eval()
    return model


def refuse(path: Path, *, context: int = 0) -> None:
    """Refuse a base folder before any tensor is read (B3).

    Raises pickled_weights, no_safetensors, own_code, context_too_long.
    """
    if not any(path.glob("*.safetensors")):
        pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
        if pickles:
            sentence = f"{path.name}/ holds only {pickles[0]}, which can run code when read; convert it to safetensors."
            raise TrainerError("pickled_weights", sentence)
        raise TrainerError("no_safetensors", f"{path.name}/ holds no *.safetensors; put the model's weights there.")
    for name in ("config.json", "tokenizer_config.json"):
        if "auto_map" in _facts(path / name):
            sentence = f"{path.name}/{name} names code of its own (auto_map); only models that transformers knows load."
            raise TrainerError("own_code", sentence)
    longest = _facts(path / "config.json").get("max_position_embeddings", 0)
    if context and longest and context > longest:
        raise TrainerError("context_too_long", f"context is {context}; the base allows at most {longest}.")


def load(path: Path, *, dtype: torch.dtype, device: torch.device) -> Model:
    """The frozen model of a folder, on its device. Raises as `refuse`, and bad_config."""
    refuse(path)
    try:
        model: Model = AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        sentence = f"{path.name}/ is no causal language model that transformers can load: {error}"
        raise TrainerError("bad_config", sentence) from None
    layers.install(model)
    model.requires_grad_(requires_grad=False).eval().to(device)
    return model


def check_parent(run: Run, config: BasedConfig) -> Path:
    """The folder parents/base, refused where it is not the config's base (B3). Raises as `refuse`, and other_base."""
    path = run.parent("base")
    refuse(path, context=config.context)
    if (found := run.parents["base"]) != config.base_sha256:
        sentence = f"parents/base has the hash {found}, base_sha256 is {config.base_sha256}; link the base it names."
        raise TrainerError("other_base", sentence)
    return path


def resident(run: Run, config: BasedConfig, device: torch.device) -> Model:
    """The frozen base of a run, from parents/base. Raises as `check_parent`."""
    path = check_parent(run, config)
    if any(file for pattern in _PICKLES for file in path.glob(pattern)):
        run.event("warning", "pickled weights beside the safetensors are ignored", step=0)
    model = load(path, dtype=dtype_of(config, device), device=device)
    if isinstance(config, AdaptingConfig) and config.recompute_activations:
        recompute(model)
    return model


def recompute(model: Model) -> None:
    """Let each layer keep only its input, and compute again in the backward pass what that needs: memory for time."""

    def again(function: Callable[..., Tensor], *given: Tensor) -> Tensor:
        def run(*given: Tensor) -> Tensor:
            with attention.packed(model):
                return function(*given)

        states: Tensor = checkpoint(run, *given, use_reentrant=False)
        return states

    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.gradient_checkpointing = True
            vars(layer)["_gradient_checkpointing_func"] = again
            layer.training = True  # transformers asks for it; what is inside stays in evaluation: no dropout (G4)


def context_of(model: Model, config: BasedConfig) -> int:
    """The longest row of a run: the config's, or the base's where that is 0."""
    return config.context or int(model.config.max_position_embeddings)


def trunk(model: Model, packed: Packed) -> Tensor:
    """The last hidden states [T, D] of packed rows, without the head."""
    with attention.packed(model):
        states = model.get_decoder()(
            input_ids=packed.ids[None], position_ids=packed.positions[None], use_cache=False, layout=packed.layout
        ).last_hidden_state  # [1, T, D]
    hidden: Tensor = states[0]
    return hidden


def head_weight(model: Model) -> Tensor:
    """The head's weight [V, D]; tied to the embedding in the bases that `make` makes."""
    weight: Tensor = model.get_output_embeddings().weight
    return weight


def save(model: Model, path: Path, *, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write a model as a plain transformers folder: safetensors, config, generation config.

    weights: what to write instead of the model's own, by the names of a plain model.
    """
    own = model.state_dict() if weights is None else weights
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in own.items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    path.mkdir(parents=True, exist_ok=True)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(path)
    model.generation_config.save_pretrained(path)


def _facts(path: Path) -> dict[str, Any]:  # Any: a JSON object
    """A JSON file's object; empty where there is none."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise TrainerError("bad_config", f"{path.parent.name}/{path.name} is not JSON: {error}.") from None
    return facts if isinstance(facts, dict) else {}
