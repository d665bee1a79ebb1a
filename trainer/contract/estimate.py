"""What a run will need, before it allocates anything: bytes by part, and seconds from a measured rate (M1 to M7).

Letters as in the specification: N weights of the base, n numbers of one LoRA adapter, V vocabulary, D width, F width of
the MLP, k width of keys and values, L layers, r rank, T tokens of one forward pass, P prompt and R answer tokens.
"""

import json
from bisect import bisect
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from trainer.contract import rows
from trainer.contract.configs import SIZES, Config, LearningConfig, Size
from trainer.contract.errors import TrainerError
from trainer.contract.machine import Rate
from trainer.contract.reading import EvaluateConfig, GenerateConfig
from trainer.contract.rundir import Run
from trainer.contract.stages import Adapting, PpoConfig, PretrainConfig, RewardConfig, SftConfig

MARGIN = 1.03  # what an allocator wastes (M1)
FLOAT = 4  # bytes of a float32: adapters, moments, logits
FROZEN_RANK = 16  # of adapters that a run only reads, whose files are not opened for an estimate
LOOKING = 1.5  # layers' worth of numbers alive in a pass without gradients (M2)
WORKING = 5  # more layers' worth in one with them: gradients under way, and holes that the allocator leaves
WORKING_WHOLE = 2  # the same where the base itself learns
PREFILL_TOKENS = 4_096  # prompt tokens of one pass before decoding
SAVING = 12  # bytes a trained number while a checkpoint is written: both moments copied, one file's bytes
SCORING_ROLES = 4  # that PPO scores each answer with: policy, reference, value, reward (M7)
BYTES_PER_TOKEN = 3.5  # of a text, by a byte-level BPE
LOOKED_AT = 200  # rows whose lengths stand for all
LEAN = ("llama", "mistral", "qwen2", "qwen3")  # whose norm and gated product `layers` knows
STEP_TOKENS = 64  # a proposed microbatch_tokens is a multiple of it


@dataclass(frozen=True)
class Shape:
    """A decoder's shape, as its config.json tells it."""

    vocab: int
    width: int
    inner: int
    layers: int
    queries: int  # width of all query heads together
    keys: int  # k: width of all key heads together
    context: int
    tied: bool
    lean: bool = True  # norm and gated product keep only their inputs (X4)

    @property
    def block_weights(self) -> int:
        """N_l: the matrices of all blocks."""
        return self.layers * (2 * self.width * (self.queries + self.keys) + 3 * self.width * self.inner)

    @property
    def weights(self) -> int:
        """N: blocks, norms, the embedding, and the head where it is not the embedding."""
        norms = (2 * self.layers + 1) * self.width
        return self.block_weights + norms + (1 if self.tied else 2) * self.vocab * self.width

    def lora(self, rank: int) -> int:
        """n: the numbers of an adapter on all linear layers of the blocks (L1)."""
        attention = 2 * (self.width + self.queries) + 2 * (self.width + self.keys)
        return rank * self.layers * (attention + 3 * (self.width + self.inner))


def of_size(size: Size, *, vocab: int, context: int) -> Shape:
    """The shape of a base that `pretrain` makes."""
    return Shape(vocab, size.width, size.inner, size.layers, size.width, size.width, context, tied=True)


def of_run(run: Run, config: Config) -> Shape | None:
    """The shape of the base that a run makes or reads; None where its config.json tells none. Raises bad_config."""
    if isinstance(config, PretrainConfig):
        return of_size(SIZES[config.size], vocab=config.vocab_size, context=config.context_tokens)
    return of_folder(run.parent("base"))


def of_folder(path: Path) -> Shape | None:
    """The shape that a base's config.json tells, by any of the names in use; None where it tells none."""
    try:
        facts: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))  # Any: JSON
        facts = facts.get("text_config", facts)
        width, heads = _fact(facts, "hidden_size", "n_embd"), _fact(facts, "num_attention_heads", "n_head")
        head = int(facts.get("head_dim") or width // heads)
        return Shape(
            vocab=_fact(facts, "vocab_size"),
            width=width,
            inner=int(facts.get("intermediate_size") or facts.get("n_inner") or 4 * width),
            layers=_fact(facts, "num_hidden_layers", "n_layer"),
            queries=heads * head,
            keys=int(facts.get("num_key_value_heads") or heads) * head,
            context=_fact(facts, "max_position_embeddings", "n_positions"),
            tied=bool(facts.get("tie_word_embeddings", False)),
            lean=facts.get("model_type") in LEAN,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return None


def _fact(facts: dict[str, Any], *names: str) -> int:  # Any: JSON
    """The first of these that a config tells. Raises KeyError."""
    return int(next((facts[name] for name in names if facts.get(name)), None) or facts[names[0]])


@dataclass(frozen=True)
class Memory:
    """Bytes by part, and what they come to (M1). activations: of one forward and backward pass, or of scoring."""

    imports: int
    base: int
    adapters: int
    activations: int
    decode: int
    saving: int
    head: int

    def parts(self) -> dict[str, int]:
        """The bytes of each part by its name."""
        return asdict(self)

    @property
    def total(self) -> int:
        """What the run needs at its peak: of activations, decoding and saving only one lives at a time."""
        busiest = max(self.activations, self.decode, self.saving)
        return round(MARGIN * (self.imports + self.base + self.adapters + busiest + self.head))


def memory(shape: Shape, config: Config, imports: int, *, weight_bytes: int = FLOAT) -> Memory:
    """The bytes of a run (M1 to M3). imports: of the process before it loads a model; weight_bytes: of the base."""
    whole = isinstance(config, PretrainConfig)
    trained, frozen = adapter_numbers(shape, config)
    return Memory(
        imports=imports,
        base=0 if whole else weight_bytes * shape.weights,
        adapters=16 * trained + FLOAT * frozen,
        activations=_activations(shape, config, weight_bytes),
        decode=_decode(shape, config, weight_bytes),
        saving=SAVING * trained,
        head=_head(shape, config),
    )


def adapter_numbers(shape: Shape, config: Config) -> tuple[int, int]:
    """(trained, frozen) numbers of all roles; of `pretrain`, the base's own. SFT's best copy counts as frozen."""
    match config:
        case PretrainConfig():
            return shape.weights, 0
        case PpoConfig():
            own = shape.lora(config.rank)
            held = 1 + bool(config.parent_adapter) + bool(config.ema)
            return (2 * (own + shape.width) if config.learns_value else own), held * own
        case RewardConfig():
            return shape.lora(config.rank) + shape.width, 0
        case Adapting():
            own = shape.lora(config.rank)
            return own, own * (bool(config.parent_adapter) + isinstance(config, SftConfig))
        case GenerateConfig() | EvaluateConfig():
            held = len({*config.adapters, config.reward_adapter} - {""})
            return 0, held * shape.lora(FROZEN_RANK)
        case _:
            return 0, 0


def kept(shape: Shape, config: Config) -> int:
    """a: the numbers that a layer keeps of each token (M2).

    Two residuals, queries and attention's output, keys and values, gate and up; other modules than ours also keep two
    normalised inputs, the activation and the product.
    """
    own = 2 * (shape.width + shape.queries + shape.keys + shape.inner)
    plain = 0 if shape.lean else 2 * (shape.width + shape.inner)
    if isinstance(config, PretrainConfig):  # weights that learn keep their inputs too
        return own + (plain or 2 * shape.width + shape.inner)
    return own + plain + 7 * (config.rank if isinstance(config, Adapting) else 0)


def _activations(shape: Shape, config: Config, weight_bytes: int) -> int:
    """T·a·b·L, and what one pass needs while it works; without gradients only the latter (M2)."""
    if isinstance(config, GenerateConfig):
        return 0
    working = WORKING_WHOLE if isinstance(config, PretrainConfig) else WORKING
    layers = shape.layers + working if isinstance(config, LearningConfig) else LOOKING
    return round(config.microbatch_tokens * kept(shape, config) * weight_bytes * layers)


def _decode(shape: Shape, config: Config, weight_bytes: int) -> int:
    """The cache of keys and values, a pass over prompts, the logits of one step, merged weights and head (M3)."""
    if not isinstance(config, GenerateConfig | PpoConfig):
        return 0
    tokens = config.decode_rows * (config.context or shape.context)
    cache = tokens * 2 * shape.keys * weight_bytes * shape.layers
    prefill = round(min(tokens, PREFILL_TOKENS) * kept(shape, config) * weight_bytes * LOOKING)
    head = weight_bytes * shape.vocab * shape.width if weight_bytes == FLOAT else 0
    return cache + prefill + 12 * config.decode_rows * shape.vocab + weight_bytes * shape.block_weights + head


def _head(shape: Shape, config: Config) -> int:
    """A chunk's logits and their gradient; where the head learns, its gradient and the embedding's too."""
    if not isinstance(config, LearningConfig):
        return 0
    own = 2 * FLOAT * shape.vocab * shape.width if isinstance(config, PretrainConfig) else 0
    return 2 * FLOAT * config.head_chunk * shape.vocab + own


def require_room(shape: Shape, config: Config, needed: Memory, *, allowed: int, weight_bytes: int = FLOAT) -> None:
    """Refuse a run that needs more bytes than it may take, with what would fit (M5). Raises too_big."""
    if needed.total <= allowed:
        return
    name = "decode_rows" if isinstance(config, GenerateConfig) else "microbatch_tokens"
    fits = largest(shape, config, needed.imports, allowed=allowed, weight_bytes=weight_bytes)
    limit = "max_memory_bytes allows {}" if config.max_memory_bytes else "this machine has {} free"
    way = f"{fits} fits." if fits else f"No {name} fits; take a smaller base, or a machine with more memory."
    found = f"{limit.format(_gib(allowed))} and the run needs {_gib(needed.total)}"
    raise TrainerError("too_big", f"{name} is {getattr(config, name)}; {found}. {way}")


def largest(shape: Shape, config: Config, imports: int, *, allowed: int, weight_bytes: int = FLOAT) -> int:
    """The largest microbatch_tokens (of `generate`: decode_rows) with which the run fits; 0 where none does."""
    if isinstance(config, GenerateConfig):
        smaller: list[Config] = [replace(config, decode_rows=rows) for rows in range(1, config.decode_rows)]
        sizes = range(1, config.decode_rows)
    else:
        sizes = range(STEP_TOKENS, config.microbatch_tokens, STEP_TOKENS)
        smaller = [replace(config, microbatch_tokens=size) for size in sizes]

    def fits(place: int) -> bool:
        return memory(shape, smaller[place], imports, weight_bytes=weight_bytes).total <= allowed

    found = bisect(range(len(smaller)), 0, key=lambda place: not fits(place))
    return sizes[found - 1] if found else 0


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


# --- time (M6, M7)


@dataclass(frozen=True)
class Work:
    """What a run's rows ask for: how many, and the tokens of one, prompt and answers apart."""

    rows: int
    prompt: float
    answer: float

    @property
    def tokens(self) -> float:
        """Tokens of one row."""
        return self.prompt + self.answer


def work_of(run: Run, stage: str) -> Work:
    """The rows that a stage reads, by data/manifest.json, with lengths guessed from the first ones. Raises bad_data."""
    there = {file["type"] for file in run.data_files}
    type_ = next((type_ for type_ in rows.READS[stage] if type_ in there), rows.READS[stage][0])
    count = sum(file["rows"] for file in run.data_files if file["type"] == type_)
    found = [_bytes_of(row) for _, row in islice(run.rows(type_), LOOKED_AT)] or [(0, 0)]
    prompt, answer = (sum(part) / len(found) / BYTES_PER_TOKEN for part in zip(*found, strict=True))
    return Work(count, prompt, answer)


def _bytes_of(row: dict[str, Any]) -> tuple[int, int]:  # Any: a row of any type
    """(prompt, answers): the bytes of a row's texts, each answer with its own copy of the prompt."""
    said = row.get("messages", [])
    answers = [answer["text"] for answer in row.get("answers", [])]
    if said and said[-1]["role"] == "assistant":
        answers, said = [said[-1]["content"]], said[:-1]
    asked = sum(len(message["content"].encode()) for message in said)
    told = [*answers, row.get("text", ""), *row.get("sentence", [])]
    return asked * max(1, len(answers)), sum(len(text.encode()) for text in told)


def seconds(shape: Shape, config: Config, rate: Rate, work: Work, *, weight_bytes: int = FLOAT) -> float:
    """How long a run takes at this rate (M6, M7), without start and checkpoints."""
    context = config.context or shape.context
    if isinstance(config, PpoConfig | GenerateConfig):
        prompt = min(work.prompt, max(1, context - config.max_new_tokens))
        told = decode_seconds(
            shape,
            rate,
            prompt=prompt,
            answer=config.max_new_tokens,
            rows=config.decode_rows,
            weight_bytes=weight_bytes,
        )
        decoded = sum(told)
        if isinstance(config, GenerateConfig):
            return work.rows * config.samples_per_prompt * len(config.adapters) * decoded
        rollouts = min(filter(None, (config.rollouts, config.max_steps)))
        tokens = prompt + config.max_new_tokens
        score = SCORING_ROLES * 2 * shape.block_weights * tokens / rate.flops
        train = config.epochs * 2 * 4 * shape.block_weights * tokens / rate.flops
        return rollouts * config.answers * (decoded + score + train)
    tokens = _tokens(config, work, context)
    share = work.answer / work.tokens if work.tokens else 1.0
    return tokens * flops_per_token(shape, config, length=min(context, work.tokens), counted=share) / rate.flops


def flops_per_token(shape: Shape, config: Config, *, length: float, counted: float) -> float:
    """Of one token in a row of this length, forward and backward (M6). counted: share of tokens that reach the head."""
    matrices, attention = 2 * shape.block_weights, length * shape.width * shape.layers
    head = 2 * shape.vocab * shape.width * counted
    if isinstance(config, PretrainConfig):
        return 3 * (matrices + head) + 7 * attention
    if not isinstance(config, LearningConfig):
        return matrices + 2 * attention
    numbers = shape.lora(config.rank)
    return 2 * (matrices + head) + 6 * numbers + 7 * attention


def decode_seconds(
    shape: Shape, rate: Rate, *, prompt: float, answer: int, rows: int, weight_bytes: int
) -> tuple[float, float]:
    """(decode, prefill) seconds of one of `rows` answers written at once (M7): by memory or by products, the slower."""
    read = weight_bytes * (shape.weights + rows * (prompt + answer / 2) * 2 * shape.keys * shape.layers)
    step = max(read / rate.bandwidth, 2 * shape.weights * rows / rate.flops)
    return answer * step / rows, 2 * shape.block_weights * prompt / rate.flops


def _tokens(config: Config, work: Work, context: int) -> float:
    """Tokens that pass in the whole run."""
    row = min(work.tokens, float(context)) if not isinstance(config, PretrainConfig | RewardConfig) else work.tokens
    match config:
        case PretrainConfig():
            most, whole = float(config.max_steps * config.batch_tokens), config.epochs * work.rows * row
        case SftConfig():
            most, whole = config.max_steps * config.batch_rows * row, config.epochs * work.rows * row
        case RewardConfig():
            most, whole = config.max_steps * config.batch_prompts * row, config.epochs * work.rows * row
        case _:
            return work.rows * row
    return min(most, whole) if config.max_steps else whole
