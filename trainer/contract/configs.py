"""What a run is told: one frozen dataclass a stage, whose fields carry unit, limits and a sentence for the launch form.

A value out of its limits never becomes a config: `__post_init__` refuses it with code `bad_config`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from trainer.contract.errors import TrainerError

SCHEMA = 1
MOST_CHECKPOINTS = 12  # as many as a run leaves
MOST_PROMPTS = 8
MOST_ANSWERS = 4
Value = bool | int | float | str | list[str] | list[float]
Kind = Literal["integer", "number", "flag", "choice", "text", "texts", "numbers"]

# C4: what may differ between attempts of one run without making it another run.
FREE = frozenset({"device", "threads", "microbatch_tokens", "head_chunk", "checkpoint_steps", "checkpoint_s"})


@dataclass(frozen=True)
class Size:
    """The shape of a base that `pretrain` makes, and the rate that suits it (B1, B2)."""

    vocab: int
    width: int
    layers: int
    heads: int
    inner: int
    context: int
    lr: float


SIZES = {
    "toy": Size(vocab=512, width=64, layers=2, heads=2, inner=176, context=128, lr=3e-3),
    "nano": Size(vocab=2_048, width=128, layers=4, heads=4, inner=352, context=256, lr=3e-3),
    "micro": Size(vocab=4_096, width=384, layers=6, heads=6, inner=1_024, context=512, lr=1e-3),
    "small": Size(vocab=8_192, width=768, layers=12, heads=12, inner=2_048, context=1_024, lr=6e-4),
}


@dataclass(frozen=True)
class FormField:
    """One field as a launch form shows it. `limits` is what a refusal says is allowed."""

    name: str
    kind: Kind
    required: bool
    default: Value | None
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    limits: str
    help: str
    advanced: bool


def _meta(
    kind: Kind,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    zero: str = "",
    choices: tuple[str, ...] = (),
    advanced: bool = False,
) -> dict[str, Any]:  # Any: dataclasses' metadata holds what we put in
    """above: an exclusive lower limit. zero: what 0 means, where 0 is allowed beside the limits."""
    return {
        "kind": kind,
        "help": help,
        "unit": unit,
        "low": low,
        "high": high,
        "above": above,
        "zero": zero,
        "choices": choices,
        "advanced": advanced,
    }


def _integer(default: int, unit: str, low: int, high: int, help: str, *, zero: str = "", advanced: bool = False) -> int:
    return field(
        default=default, metadata=_meta("integer", help, unit=unit, low=low, high=high, zero=zero, advanced=advanced)
    )


def _number(
    default: float,
    unit: str,
    low: float,
    high: float,
    help: str,
    *,
    exclusive: bool = False,
    zero: str = "",
    advanced: bool = False,
) -> float:
    limits: dict[str, float | None] = {"above": low, "low": None} if exclusive else {"above": None, "low": low}
    return field(
        default=default,
        metadata=_meta(
            "number",
            help,
            unit=unit,
            low=limits["low"],
            above=limits["above"],
            high=high,
            zero=zero,
            advanced=advanced,
        ),
    )


def _choice(default: str, choices: tuple[str, ...], help: str, *, advanced: bool = False) -> str:
    return field(default=default, metadata=_meta("choice", help, choices=choices, advanced=advanced))


def _rate(default: float, help: str = "Highest learning rate of the schedule.") -> float:
    return _number(default, "per step", 0.0, 1.0, help, exclusive=True)


_BASE = _meta("text", "SHA-256 of the base model's folder; another base is refused.")
_OVERLONG = ("drop", "cut_left")
_TEMPLATE = ("base", "touchstone")
_TIES = ("drop", "half")
_TIES_HELP = "Pairs of equal answers: left out, or drawn together."


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What every stage is told."""

    stage: ClassVar[str]
    seed: int = field(metadata=_meta("integer", "All randomness of the run follows from it.", low=0, high=2**63 - 1))
    device: str = _choice(
        "auto", ("auto", "cpu", "cuda"), "Where tensors live; auto takes a GPU if there is one.", advanced=True
    )
    dtype: str = _choice(
        "auto",
        ("auto", "float32", "bfloat16"),
        "Precision of the base; auto is float32 on a CPU and bfloat16 on a GPU.",
        advanced=True,
    )
    threads: int = _integer(0, "threads", 0, 1_024, "CPU threads.", zero="all", advanced=True)
    context: int = _integer(
        0, "tokens", 16, 131_072, "Longest row; at most the base's.", zero="the base's", advanced=True
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            _check(item, getattr(self, item.name))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse combinations that no single field's limits catch."""


@dataclass(frozen=True, kw_only=True)
class _Training(_Run):
    """What every stage that learns is told."""

    min_rows: int = _integer(8, "rows", 1, 1_000_000_000, "Fewer usable training rows are refused.", advanced=True)
    microbatch_tokens: int = _integer(
        4_096, "tokens", 64, 4_194_304, "Tokens of one forward pass: memory, never meaning.", advanced=True
    )
    head_chunk: int = _integer(
        1_024, "tokens", 16, 65_536, "Counted tokens of one product with the head: memory only.", advanced=True
    )
    max_steps: int = _integer(0, "steps", 1, 1_000_000_000, "Stop after so many steps.", zero="all", advanced=True)
    checkpoint_steps: int = _integer(50, "steps", 1, 1_000_000, "Steps between checkpoints.", advanced=True)
    checkpoint_s: int = _integer(300, "seconds", 1, 1_000_000, "Longest time between checkpoints.", advanced=True)
    eval_steps: int = _integer(50, "steps", 1, 1_000_000, "Steps between held-out evaluations.", advanced=True)
    sample_steps: int = _integer(50, "steps", 1, 1_000_000, "Steps between shown samples.", advanced=True)
    lr: float = _rate(2e-4)
    schedule: str = _choice(
        "cosine", ("cosine", "linear", "constant"), "How the rate falls after warm-up.", advanced=True
    )
    warmup_share: float = _number(
        0.03, "share of steps", 0.0, 0.5, "Share of steps in which the rate rises from 0.", advanced=True
    )
    final_lr_share: float = _number(
        0.1, "share of lr", 0.0, 1.0, "Share of the rate at which cosine ends.", advanced=True
    )
    clip_norm: float = _number(1.0, "norm", 0.0, 1e6, "Largest gradient norm of a step.", exclusive=True, advanced=True)


@dataclass(frozen=True, kw_only=True)
class _Adapting(_Training):
    """What every stage that trains an adapter on a frozen base is told."""

    base_sha256: str = field(metadata=_BASE)
    rank: int = _integer(16, "rank", 1, 256, "Rank of the LoRA adapter.", advanced=True)
    alpha: float = _number(
        32.0, "alpha", 0.0, 1e6, "LoRA's scale; alpha / rank multiplies.", exclusive=True, advanced=True
    )
    parent_adapter: str = field(
        default="", metadata=_meta("text", "Adapter in parents/ to start from; empty is the base alone.")
    )
    overlong: str = _choice(
        "drop", _OVERLONG, "Rows longer than the context: dropped, or prompts cut from the left.", advanced=True
    )
    template: str = _choice(
        "base", _TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        _check_sha256("base_sha256", self.base_sha256)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(_Training):
    """A tokenizer and a small base from a corpus."""

    stage: ClassVar[str] = "pretrain"
    size: str = _choice("nano", tuple(SIZES), "Shape of the model; toy is for tests.")
    vocab: int = _integer(0, "tokens", 512, 131_072, "Tokens of the tokenizer.", zero="by size")
    batch_tokens: int = _integer(16_384, "tokens", 16, 16_777_216, "Tokens of a step.")
    epochs: int = _integer(1, "epochs", 1, 100, "Passes over the corpus.")
    fim_share: float = _number(0.5, "share", 0.0, 1.0, "Share of documents turned into fill in the middle.")
    weight_decay: float = _number(0.1, "per step", 0.0, 1.0, "Decay of the weight matrices.", advanced=True)
    lr: float = _number(0.0, "per step", 0.0, 1.0, "Highest learning rate.", exclusive=True, zero="by size")
    warmup_share: float = _number(
        0.02, "share of steps", 0.0, 0.5, "Share of steps in which the rate rises from 0.", advanced=True
    )

    @property
    def vocab_size(self) -> int:
        """The tokenizer's size, by the model's where the field is 0."""
        return self.vocab or SIZES[self.size].vocab

    @property
    def peak_lr(self) -> float:
        """The highest rate, by the model's size where the field is 0."""
        return self.lr or SIZES[self.size].lr

    @property
    def context_tokens(self) -> int:
        """The longest piece, by the model's size where the field is 0."""
        return self.context or SIZES[self.size].context


@dataclass(frozen=True, kw_only=True)
class SftConfig(_Adapting):
    """An adapter that answers as people answered."""

    stage: ClassVar[str] = "sft"
    epochs: int = _integer(3, "epochs", 1, 50, "Passes over the rows.")
    batch_rows: int = _integer(16, "rows", 1, 4_096, "Rows of a step.")
    lr: float = _rate(2e-4)
    lora_dropout: float = _number(0.0, "share", 0.0, 0.5, "Dropout before the adapter.", advanced=True)
    select: str = _choice("best", ("best", "last"), "Which weights are the output: the best evaluation's, or the last.")


@dataclass(frozen=True, kw_only=True)
class RewardConfig(_Adapting):
    """An adapter with a head that scores answers as people ranked them."""

    stage: ClassVar[str] = "reward"
    epochs: int = _integer(1, "epochs", 1, 10, "Passes over the prompts; more than one overfits.")
    batch_prompts: int = _integer(16, "prompts", 1, 4_096, "Prompts of a step, with all their rankings.")
    lr: float = _rate(1e-4)
    head_lr: float = _rate(1e-4, "Highest learning rate of the heads.")
    loss: str = _choice(
        "pairs", ("pairs", "plackett_luce"), "What strict full rankings are learned as: all pairs, or one order."
    )
    ties: str = _choice("drop", _TIES, _TIES_HELP)
    margin: str = _choice("none", ("none", "strength"), "Whether a stronger preference asks for a wider gap.")
    line_weight: float = _number(
        0.25, "weight", 0.0, 10.0, "Weight of which answers people find acceptable.", advanced=True
    )
    center: float = _number(0.01, "weight", 0.0, 1.0, "Weight of the term that keeps scores around 0.", advanced=True)
    heads: int = _integer(
        5, "heads", 1, 64, "Heads that score each answer; where they disagree, people should rank.", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class DpoConfig(_Adapting):
    """An adapter that prefers the answers that people preferred, without a reward model."""

    stage: ClassVar[str] = "dpo"
    epochs: int = _integer(1, "epochs", 1, 50, "Passes over the prompts.")
    batch_prompts: int = _integer(16, "prompts", 1, 4_096, "Prompts of a step, with all their rankings.")
    lr: float = _rate(1e-5)
    beta: float = _number(0.1, "per nat", 1e-3, 10.0, "Price of moving away from the reference.")
    label_smoothing: float = _number(
        0.0, "probability", 0.0, 0.499, "Chance that a strict preference is a mistake.", advanced=True
    )
    ties: str = _choice("drop", _TIES, _TIES_HELP)
    below_line_pairs: str = _choice(
        "keep", ("keep", "drop"), "Pairs whose better answer is not acceptable: kept, or left out.", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class PpoConfig(_Adapting):
    """An adapter that writes what the reward adapter scores highly, near its start."""

    stage: ClassVar[str] = "ppo"
    reward_adapter: str = field(metadata=_meta("text", "Adapter in parents/ that scores the answers."))
    rollouts: int = _integer(100, "rollouts", 1, 1_000_000, "Rounds of writing, scoring and learning.")
    rollout_prompts: int = _integer(64, "prompts", 1, 65_536, "Prompts of a rollout.")
    samples_per_prompt: int = _integer(1, "answers", 1, 64, "Answers to each prompt of a rollout.")
    max_new_tokens: int = _integer(128, "tokens", 1, 32_768, "Longest answer.")
    temperature: float = _number(1.0, "temperature", 0.1, 2.0, "Of sampling and of every log-probability.")
    epochs: int = _integer(2, "epochs", 1, 16, "Passes over each rollout.")
    minibatches: int = _integer(4, "minibatches", 1, 65_536, "Steps of each pass.")
    lr: float = _rate(2e-5, "Highest learning rate of the policy.")
    value_lr: float = _rate(5e-5, "Highest learning rate of the value.")
    schedule: str = _choice(
        "linear", ("cosine", "linear", "constant"), "How the rates fall after warm-up.", advanced=True
    )
    warmup_share: float = _number(
        0.0, "share of steps", 0.0, 0.5, "Share of steps in which the rates rise from 0.", advanced=True
    )
    kl_coef: float = _number(0.05, "per nat", 0.0, 10.0, "Price of moving away from the reference.")
    kl_control: str = _choice("fixed", ("fixed", "adaptive"), "Whether the price follows a target KL.", advanced=True)
    kl_target: float = _number(
        6.0, "nats", 0.0, 1e6, "KL per answer that adaptive control holds.", exclusive=True, advanced=True
    )
    kl_horizon: int = _integer(10_000, "answers", 1, 1_000_000_000, "How slowly adaptive control moves.", advanced=True)
    kl_in: str = _choice(
        "reward", ("reward", "loss"), "Whether the KL is part of the reward or of the loss.", advanced=True
    )
    gamma: float = _number(1.0, "factor", 0.0, 1.0, "Discount per token.", advanced=True)
    lam: float = _number(0.95, "factor", 0.0, 1.0, "GAE's lambda.", advanced=True)
    clip: float = _number(0.2, "ratio", 0.0, 1.0, "How far the ratio may pay.", advanced=True)
    value_clip: float = _number(0.2, "reward", 0.0, 1.0, "How far a value may move in one rollout.", advanced=True)
    dual_clip: float = _number(
        0.0, "ratio", 1.0, 1e6, "Bound of the loss of bad answers.", exclusive=True, zero="off", advanced=True
    )
    entropy_coef: float = _number(0.0, "weight", 0.0, 10.0, "Weight of the policy's entropy.", advanced=True)
    ptx_coef: float = _number(0.0, "weight", 0.0, 100.0, "Weight of the loss on SFT rows in each step.", advanced=True)
    ema: float = _number(
        0.0, "decay", 0.0, 0.999999, "Decay of a shadow copy, which is then the output.", zero="off", advanced=True
    )
    missing_eos_penalty: float = _number(1.0, "reward", 0.0, 10.0, "Taken from answers that do not end.", advanced=True)
    score_clip: float = _number(5.0, "reward", 0.0, 1e6, "Largest size of a score.", exclusive=True, advanced=True)
    score_norm: str = _choice(
        "reference",
        ("reference", "saved", "none"),
        "Scores are scaled by reference answers, by the reward model's own numbers, or not.",
        advanced=True,
    )
    norm_samples: int = _integer(256, "answers", 16, 65_536, "Reference answers that scale the scores.", advanced=True)
    whiten_rewards: bool = field(
        default=False, metadata=_meta("flag", "Divide rewards by their deviation.", advanced=True)
    )
    value_from: str = _choice(
        "reward", ("reward", "zero"), "The value starts as the reward adapter, or at 0.", advanced=True
    )
    value_warmup_rollouts: int = _integer(
        5, "rollouts", 0, 1_000_000, "Rollouts at the start in which only the value learns.", advanced=True
    )
    approx_kl_stop: float = _number(
        0.03,
        "nats",
        0.0,
        100.0,
        "KL at which a rollout's remaining policy steps are skipped.",
        zero="off",
        advanced=True,
    )
    decode_rows: int = _integer(64, "rows", 1, 4_096, "Answers written at once.", advanced=True)

    @property
    def answers(self) -> int:
        """Answers of a rollout."""
        return self.rollout_prompts * self.samples_per_prompt

    def _check_together(self) -> None:
        super()._check_together()
        if not self.reward_adapter:
            raise _bad("reward_adapter", "empty", "the name of a folder in parents/")
        if self.minibatches > self.answers:
            raise _bad("minibatches", self.minibatches, f"at most the {self.answers} answers of a rollout")
        if self.whiten_rewards and self.answers < 8:
            raise _bad("whiten_rewards", "on", f"off, or at least 8 answers in a rollout; there are {self.answers}")


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(_Run):
    """Answers to prompts; nothing learns."""

    stage: ClassVar[str] = "generate"
    base_sha256: str = field(metadata=_BASE)
    adapters: list[str] = field(metadata=_meta("texts", "Adapters in parents/ that answer; an empty name is the base."))
    samples_per_prompt: int = _integer(4, "answers", 1, 64, "Answers of each adapter to each prompt.")
    temperatures: list[float] = field(
        default_factory=lambda: [1.0],
        metadata=_meta("numbers", "Sample j is drawn at temperature j, counted around.", low=0.0, high=2.0),
    )
    top_p: float = _number(
        1.0, "probability", 0.0, 1.0, "Only the likeliest tokens of so much mass.", exclusive=True, advanced=True
    )
    top_k: int = _integer(0, "tokens", 1, 131_072, "Only so many likeliest tokens.", zero="all", advanced=True)
    max_new_tokens: int = _integer(256, "tokens", 1, 32_768, "Longest answer.")
    stop_strings: list[str] = field(
        default_factory=list, metadata=_meta("texts", "Strings that end an answer.", advanced=True)
    )
    reward_adapter: str = field(default="", metadata=_meta("text", "Adapter in parents/ that scores; empty is none."))
    near_identical: float = _number(
        0.9, "Jaccard", 0.5, 1.0, "Likeness of three-word runs from which an answer is drawn again.", advanced=True
    )
    decode_rows: int = _integer(64, "rows", 1, 4_096, "Answers written at once.", advanced=True)
    overlong: str = _choice(
        "drop", _OVERLONG, "Prompts that leave no room: dropped, or cut from the left.", advanced=True
    )
    template: str = _choice(
        "base", _TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        _check_sha256("base_sha256", self.base_sha256)
        for name in ("adapters", "temperatures"):
            if not getattr(self, name):
                raise _bad(name, "empty", "a list with at least one entry")


@dataclass(frozen=True, kw_only=True)
class _Reading(_Run):
    """What every stage that looks into a base and its checkpoints is told."""

    base_sha256: str = field(metadata=_BASE)
    checkpoints: list[str] = field(
        default_factory=list,
        metadata=_meta("texts", "Earlier states beside the models, as parents/ names them: base.step-00000014."),
    )
    microbatch_tokens: int = _integer(
        4_096, "tokens", 64, 4_194_304, "Tokens of one forward pass: memory, never meaning.", advanced=True
    )

    def _check_together(self) -> None:
        _check_sha256("base_sha256", self.base_sha256)
        if len(self.checkpoints) > MOST_CHECKPOINTS:
            raise _bad("checkpoints", f"a list of {len(self.checkpoints)}", f"at most {MOST_CHECKPOINTS}")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(_Reading):
    """Models measured on cloze items, on rankings, and on prompts; nothing learns."""

    stage: ClassVar[str] = "evaluate"
    adapters: list[str] = field(
        default_factory=lambda: [""], metadata=_meta("texts", "Adapters in parents/ to look into; empty is the base.")
    )
    reward_adapter: str = field(default="", metadata=_meta("text", "Adapter in parents/ that scores; empty is none."))
    prompts: list[str] = field(
        default_factory=list, metadata=_meta("texts", "Texts or questions whose next token is asked for.")
    )
    answers: list[str] = field(
        default_factory=list, metadata=_meta("texts", "Answers to the one prompt, weighed token by token.")
    )
    as_question: bool = field(
        default=False, metadata=_meta("flag", "Prompts are a user's question, not the beginning of a text.")
    )
    template: str = _choice(
        "base", _TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        super()._check_together()
        if not self.adapters:
            raise _bad("adapters", "empty", "a list with at least one entry")
        for name, most in (("prompts", MOST_PROMPTS), ("answers", MOST_ANSWERS)):
            if len(getattr(self, name)) > most:
                raise _bad(name, f"a list of {len(getattr(self, name))}", f"at most {most}")
        if self.answers and len(self.prompts) != 1:
            raise _bad("answers", f"a list beside {len(self.prompts)} prompts", "answers to exactly one prompt")


@dataclass(frozen=True, kw_only=True)
class MapConfig(_Reading):
    """Words or documents placed by the model's own vectors; nothing learns."""

    stage: ClassVar[str] = "map"
    kind: str = _choice("words", ("words", "documents"), "What is placed: words, or whole documents.")
    points: int = _integer(5_000, "points", 50, 20_000, "Most points; the most frequent words come first.")
    earlier_points: int = _integer(5_000, "points", 50, 20_000, "Most points of an earlier checkpoint.", advanced=True)
    perplexity: float = _number(30.0, "neighbours", 2.0, 200.0, "Neighbours that t-SNE heeds.", advanced=True)


AdaptingConfig = SftConfig | RewardConfig | PpoConfig | DpoConfig
BasedConfig = AdaptingConfig | GenerateConfig | EvaluateConfig | MapConfig  # read parents/base
LearningConfig = PretrainConfig | AdaptingConfig
Config = PretrainConfig | BasedConfig
STAGES: dict[str, type[Config]] = {
    "pretrain": PretrainConfig,
    "sft": SftConfig,
    "reward": RewardConfig,
    "ppo": PpoConfig,
    "dpo": DpoConfig,
    "generate": GenerateConfig,
    "evaluate": EvaluateConfig,
    "map": MapConfig,
}

# The demo's settings stand here and nowhere else. One thread: batches this small lose more by waiting for a second one
# than it takes off them (SFT 0.12 s a step against 0.21).
_DEMO_TOKENS = 1_536
_PRESETS: dict[str, dict[str, dict[str, Value]]] = {
    "smoke": {
        "pretrain": {
            "size": "nano",
            "batch_tokens": 1_536,
            "microbatch_tokens": 1_536,
            "max_steps": 20,
            "eval_steps": 20,
        },
        "sft": {"epochs": 1, "max_steps": 20, "eval_steps": 20, "microbatch_tokens": 1_536, "lr": 2e-3},
        "reward": {"max_steps": 20, "eval_steps": 20, "microbatch_tokens": 1_536, "lr": 1e-3, "head_lr": 1e-3},
        "ppo": {
            "rollouts": 3,
            "rollout_prompts": 16,
            "max_new_tokens": 24,
            "norm_samples": 16,
            "value_warmup_rollouts": 1,
            "microbatch_tokens": 1_536,
            "lr": 1e-3,
            "value_lr": 1e-3,
        },
        "dpo": {"max_steps": 20, "eval_steps": 20, "sample_steps": 20, "microbatch_tokens": 1_536, "lr": 1e-3},
        "generate": {"samples_per_prompt": 2, "max_new_tokens": 24},
        "evaluate": {"microbatch_tokens": 1_536},
        "map": {"points": 200, "earlier_points": 100, "microbatch_tokens": 1_536},
    },
    "demo": {
        "pretrain": {
            "size": "nano",
            "vocab": 2_048,
            "batch_tokens": 512,
            "microbatch_tokens": _DEMO_TOKENS,
            "epochs": 100,
            "threads": 1,
            "max_steps": 1_500,
            "fim_share": 0.1,
            "lr": 3e-3,
            "warmup_share": 0.15,
            "final_lr_share": 0.0,
            "eval_steps": 1_500,
            "sample_steps": 1_500,
            "checkpoint_steps": 300,
        },
        "sft": {
            "threads": 1,
            "epochs": 1,
            "max_steps": 160,
            "batch_rows": 24,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 2e-3,
            "eval_steps": 1_000,
            "sample_steps": 1_000,
            "checkpoint_steps": 100,
        },
        "generate": {
            "threads": 1,
            "samples_per_prompt": 4,
            "max_new_tokens": 48,
            "temperatures": [1.0],
            "decode_rows": 128,
        },
        "reward": {
            "epochs": 1,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 1e-3,
            "head_lr": 1e-3,
            "eval_steps": 1_000,
            "checkpoint_steps": 20,
        },
        "ppo": {
            "threads": 1,
            "rollouts": 8,
            "rollout_prompts": 128,
            "samples_per_prompt": 1,
            "max_new_tokens": 48,
            "microbatch_tokens": _DEMO_TOKENS,
            "epochs": 2,
            "minibatches": 4,
            "lr": 2e-3,
            "value_lr": 1e-3,
            "schedule": "linear",
            "kl_coef": 0.05,
            "value_warmup_rollouts": 1,
            "approx_kl_stop": 0.05,
            "decode_rows": 128,
            "eval_steps": 8,
            "sample_steps": 4,
            "checkpoint_steps": 4,
        },
        "dpo": {
            "threads": 1,
            "microbatch_tokens": _DEMO_TOKENS,
            "lr": 1e-3,
            "eval_steps": 1_000,
            "sample_steps": 1_000,
            "checkpoint_steps": 20,
        },
        "evaluate": {},
        "map": {"points": 2_000, "earlier_points": 2_000},
    },
    "small": {"pretrain": {"size": "micro"}},
    "full": {},
}
PRESETS = tuple(_PRESETS)


def load(path: Path) -> Config:
    """The config of a file, e.g. `<run dir>/config.json`. Raises TrainerError with code bad_config."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TrainerError("bad_config", f"{path} is missing; `python -m trainer init` writes one.") from None
    except ValueError as error:
        raise TrainerError("bad_config", f"{path} is not JSON: {error}.") from None
    return parse(values)


def parse(values: object) -> Config:
    """The config that a JSON object describes; keys that start with `//` are comments. Raises bad_config."""
    if not isinstance(values, Mapping):
        raise TrainerError("bad_config", "config.json must hold one JSON object.")
    given = {str(name): value for name, value in values.items() if not str(name).startswith("//")}
    schema, stage = given.pop("schema", SCHEMA), given.pop("stage", None)
    if schema != SCHEMA:
        raise _bad("schema", schema, str(SCHEMA))
    kind = STAGES.get(stage) if isinstance(stage, str) else None
    if kind is None:
        raise _bad("stage", stage, ", ".join(STAGES))
    known = {item.name: item for item in fields(kind)}
    for name in given:
        if name not in known:
            raise TrainerError("bad_config", f"{name} is no field of {stage}; leave it out.")
    for name, item in known.items():
        if name not in given and _required(item):
            raise TrainerError("bad_config", f"{name} is missing; allowed: {_limits(item)}.")
    return kind(**{name: _as_number(known[name], value) for name, value in given.items()})


def dump(config: Config) -> dict[str, Value]:
    """The config as the JSON object that `parse` reads back."""
    return {"schema": SCHEMA, "stage": config.stage, **asdict(config)}


def sha256(config: Config) -> str:
    """The hash that makes a run the same run (C4): memory, device and checkpoint fields are left out."""
    kept = {name: value for name, value in dump(config).items() if name not in FREE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fields_for_form(stage: str) -> list[FormField]:
    """The fields of a stage in a form's order: what has no default, what a person decides, what is `advanced`."""
    items = [_form_field(item) for item in fields(STAGES[stage])]
    return sorted(items, key=lambda item: (item.advanced, not item.required))


def preset(stage: str, name: str) -> dict[str, Value]:
    """The values that a preset sets; what it does not name keeps its default, what has none is the caller's."""
    if name not in _PRESETS:
        raise _bad("preset", name, ", ".join(PRESETS))
    return dict(_PRESETS[name].get(stage, {}))


def _form_field(item: Field[Any]) -> FormField:  # Any: a field of any type
    meta = item.metadata
    default = None if item.default is MISSING else item.default
    if item.default_factory is not MISSING:
        default = item.default_factory()
    return FormField(
        name=item.name,
        kind=meta["kind"],
        required=_required(item),
        default=default,
        unit=meta["unit"],
        low=0 if meta["zero"] else meta["low"] if meta["low"] is not None else meta["above"],
        high=meta["high"],
        choices=meta["choices"],
        limits=_limits(item),
        help=meta["help"],
        advanced=meta["advanced"],
    )


def _required(item: Field[Any]) -> bool:  # Any: a field of any type
    return item.default is MISSING and item.default_factory is MISSING


def _as_number(item: Field[Any], value: Any) -> Any:  # Any: a value as JSON gave it
    """JSON writes 1.0 as 1; a whole number in a field of numbers is that number."""
    if item.metadata["kind"] == "number" and _is_integer(value) and abs(value) < 2**63:
        return float(value)
    if item.metadata["kind"] == "numbers" and isinstance(value, list):
        return [float(entry) if _is_integer(entry) and abs(entry) < 2**63 else entry for entry in value]
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(item: Field[Any], value: object) -> None:  # Any: a field of any type
    """Refuse a value of the wrong type or out of its limits."""
    if not _fits(item, value):
        raise _bad(item.name, value, _limits(item))


def _fits(item: Field[Any], value: object) -> bool:  # Any: a field of any type
    meta = item.metadata
    match meta["kind"]:
        case "integer":
            return _is_integer(value) and _within(meta, value)
        case "number":
            return isinstance(value, float) and _within(meta, value)
        case "flag":
            return isinstance(value, bool)
        case "choice":
            return isinstance(value, str) and value in meta["choices"]
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        case _:
            return isinstance(value, list) and all(isinstance(entry, float) and _within(meta, entry) for entry in value)


def _within(meta: Mapping[str, Any], value: Any) -> bool:  # Any: an int or float, checked before
    if not math.isfinite(value):
        return False
    if value == 0 and meta["zero"]:
        return True
    low, above, high = meta["low"], meta["above"], meta["high"]
    return (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)


def _limits(item: Field[Any]) -> str:  # Any: a field of any type
    """What is allowed, as a refusal says it."""
    meta = item.metadata
    if meta["choices"]:
        return ", ".join(meta["choices"])
    words = {"flag": "true or false", "text": "a string", "texts": "a list of strings"}
    if meta["kind"] in words:
        return words[meta["kind"]]
    low = f"above {meta['above']:g}" if meta["above"] is not None else f"{meta['low']:,}"
    bounds = f"{low} to {meta['high']:,}"
    prefix = {"integer": "a whole number, ", "number": "", "numbers": "a list of numbers, "}[meta["kind"]]
    zero = f"0 ({meta['zero']}) or " if meta["zero"] else ""
    return f"{prefix}{zero}{bounds}"


def _check_sha256(name: str, value: str) -> None:
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise _bad(name, value or "empty", "64 hexadecimal digits, as `python -m trainer init` writes them")


def _bad(name: str, value: object, allowed: str) -> TrainerError:
    shown = value if isinstance(value, str) else json.dumps(value, default=repr)
    return TrainerError("bad_config", f"{name} is {str(shown)[:80]}; allowed: {allowed}.")
