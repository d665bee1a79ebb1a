"""What each stage that learns is told, one frozen dataclass a stage."""

from dataclasses import dataclass, field, fields
from typing import ClassVar

from trainer.contract.fields import bad, check, check_sha256, choice, integer, meta, number, rate

_TIES = ("drop", "half")
_TIES_HELP = "Pairs of equal answers: left out, or drawn together."


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

BASE = meta("text", "SHA-256 of the base model's folder; another base is refused.")
OVERLONG = ("drop", "cut_left")
TEMPLATE = ("base", "touchstone")
LOSS_MONITORS = ("loss_spike",)
POLICY_MONITORS = (
    "kl_budget",
    "length_hacking",
    "entropy_collapse",
    "repetition",
    "no_ending",
    "outside_reward",
    "head_gap",
    "frontier",
    "value_blind",
)


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every stage is told."""

    stage: ClassVar[str]
    seed: int = field(metadata=meta("integer", "All randomness of the run follows from it.", low=0, high=2**63 - 1))
    device: str = choice(
        "auto", ("auto", "cpu", "cuda"), "Where tensors live; auto takes a GPU if there is one.", advanced=True
    )
    dtype: str = choice(
        "auto",
        ("auto", "float32", "bfloat16"),
        "Precision of the base; auto is float32 on a CPU and bfloat16 on a GPU.",
        advanced=True,
    )
    threads: int = integer(0, "threads", 0, 1_024, "CPU threads.", zero="all", advanced=True)
    max_memory_bytes: int = integer(
        0, "bytes", 1, 2**50, "A run that needs more is refused before it starts.", zero="what is free", advanced=True
    )
    context: int = integer(
        0, "tokens", 16, 131_072, "Longest row; at most the base's.", zero="the base's", advanced=True
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            check(item, getattr(self, item.name))
        self._check_together()

    def _check_together(self) -> None:
        """Refuse combinations that no single field's limits catch."""


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """What every stage that learns is told."""

    watched: ClassVar[tuple[str, ...]] = LOSS_MONITORS  # the monitors of the stage
    min_rows: int = integer(8, "rows", 1, 1_000_000_000, "Fewer usable training rows are refused.", advanced=True)
    microbatch_tokens: int = integer(
        4_096, "tokens", 64, 4_194_304, "Tokens of one forward pass: memory, never meaning.", advanced=True
    )
    head_chunk: int = integer(
        1_024, "tokens", 16, 65_536, "Counted tokens of one product with the head: memory only.", advanced=True
    )
    recompute_activations: bool = field(
        default=False,
        metadata=meta(
            "flag", "Keep one tensor a layer and compute the rest again: less memory, a third more time.", advanced=True
        ),
    )
    max_steps: int = integer(0, "steps", 1, 1_000_000_000, "Stop after so many steps.", zero="all", advanced=True)
    checkpoint_steps: int = integer(50, "steps", 1, 1_000_000, "Steps between checkpoints.", advanced=True)
    checkpoint_s: int = integer(300, "seconds", 1, 1_000_000, "Longest time between checkpoints.", advanced=True)
    eval_steps: int = integer(50, "steps", 1, 1_000_000, "Steps between held-out evaluations.", advanced=True)
    sample_steps: int = integer(50, "steps", 1, 1_000_000, "Steps between shown samples.", advanced=True)
    lr: float = rate(2e-4)
    schedule: str = choice(
        "cosine", ("cosine", "linear", "constant"), "How the rate falls after warm-up.", advanced=True
    )
    warmup_share: float = number(
        0.03, "share of steps", 0.0, 0.5, "Share of steps in which the rate rises from 0.", advanced=True
    )
    final_lr_share: float = number(
        0.1, "share of lr", 0.0, 1.0, "Share of the rate at which cosine ends.", advanced=True
    )
    clip_norm: float = number(1.0, "norm", 0.0, 1e6, "Largest gradient norm of a step.", exclusive=True, advanced=True)
    monitors: bool = field(
        default=True,
        metadata=meta("flag", "Warn or pause where metrics say that training goes wrong.", advanced=True),
    )
    monitors_off: list[str] = field(
        default_factory=list, metadata=meta("texts", "Monitors to ignore, after a person looked.", advanced=True)
    )

    def _check_together(self) -> None:
        for name in self.monitors_off:
            if name not in self.watched:
                raise bad("monitors_off", name, ", ".join(self.watched))


@dataclass(frozen=True, kw_only=True)
class Adapting(Training):
    """What every stage that trains an adapter on a frozen base is told."""

    base_sha256: str = field(metadata=BASE)
    rank: int = integer(16, "rank", 1, 256, "Rank of the LoRA adapter.", advanced=True)
    alpha: float = number(
        32.0, "alpha", 0.0, 1e6, "LoRA's scale; alpha / rank multiplies.", exclusive=True, advanced=True
    )
    parent_adapter: str = field(
        default="", metadata=meta("text", "Adapter in parents/ to start from; empty is the base alone.")
    )
    overlong: str = choice(
        "drop", OVERLONG, "Rows longer than the context: dropped, or prompts cut from the left.", advanced=True
    )
    template: str = choice(
        "base", TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        super()._check_together()
        check_sha256("base_sha256", self.base_sha256)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(Training):
    """A tokenizer and a small base from a corpus."""

    stage: ClassVar[str] = "pretrain"
    size: str = choice("nano", tuple(SIZES), "Shape of the model; toy is for tests.")
    vocab: int = integer(0, "tokens", 512, 131_072, "Tokens of the tokenizer.", zero="by size")
    batch_tokens: int = integer(16_384, "tokens", 16, 16_777_216, "Tokens of a step.")
    epochs: int = integer(1, "epochs", 1, 100, "Passes over the corpus.")
    fim_share: float = number(0.5, "share", 0.0, 1.0, "Share of documents turned into fill in the middle.")
    fix_share: float = number(0.1, "share", 0.0, 1.0, "Share of documents turned into text to put right.")
    weight_decay: float = number(0.1, "per step", 0.0, 1.0, "Decay of the weight matrices.", advanced=True)
    lr: float = number(0.0, "per step", 0.0, 1.0, "Highest learning rate.", exclusive=True, zero="by size")
    warmup_share: float = number(
        0.02, "share of steps", 0.0, 0.5, "Share of steps in which the rate rises from 0.", advanced=True
    )

    def _check_together(self) -> None:
        if self.fim_share + self.fix_share > 1:
            raise bad("fix_share", self.fix_share, f"at most 1 together with fim_share, which is {self.fim_share:g}")

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
class SftConfig(Adapting):
    """An adapter that answers as people answered."""

    stage: ClassVar[str] = "sft"
    epochs: int = integer(3, "epochs", 1, 50, "Passes over the rows.")
    batch_rows: int = integer(16, "rows", 1, 4_096, "Rows of a step.")
    lr: float = rate(2e-4)
    lora_dropout: float = number(0.0, "share", 0.0, 0.5, "Dropout before the adapter.", advanced=True)
    select: str = choice("best", ("best", "last"), "Which weights are the output: the best evaluation's, or the last.")


@dataclass(frozen=True, kw_only=True)
class RewardConfig(Adapting):
    """An adapter with a head that scores answers as people ranked them."""

    stage: ClassVar[str] = "reward"
    epochs: int = integer(1, "epochs", 1, 10, "Passes over the prompts; more than one overfits.")
    batch_prompts: int = integer(16, "prompts", 1, 4_096, "Prompts of a step, with all their rankings.")
    lr: float = rate(1e-4)
    head_lr: float = rate(1e-4, "Highest learning rate of the heads.")
    loss: str = choice(
        "pairs", ("pairs", "plackett_luce"), "What strict full rankings are learned as: all pairs, or one order."
    )
    ties: str = choice("drop", _TIES, _TIES_HELP)
    margin: str = choice("none", ("none", "strength"), "Whether a stronger preference asks for a wider gap.")
    line_weight: float = number(
        0.25, "weight", 0.0, 10.0, "Weight of which answers people find acceptable.", advanced=True
    )
    center: float = number(0.01, "weight", 0.0, 1.0, "Weight of the term that keeps scores around 0.", advanced=True)
    heads: int = integer(
        5, "heads", 1, 64, "Heads that score each answer; where they disagree, people should rank.", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class DpoConfig(Adapting):
    """An adapter that prefers the answers that people preferred, without a reward model."""

    stage: ClassVar[str] = "dpo"
    epochs: int = integer(1, "epochs", 1, 50, "Passes over the prompts.")
    batch_prompts: int = integer(16, "prompts", 1, 4_096, "Prompts of a step, with all their rankings.")
    lr: float = rate(1e-5)
    beta: float = number(0.1, "per nat", 1e-3, 10.0, "Price of moving away from the reference.")
    label_smoothing: float = number(
        0.0, "probability", 0.0, 0.499, "Chance that a strict preference is a mistake.", advanced=True
    )
    ties: str = choice("drop", _TIES, _TIES_HELP)
    below_line_pairs: str = choice(
        "keep", ("keep", "drop"), "Pairs whose better answer is not acceptable: kept, or left out.", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class PpoConfig(Adapting):
    """An adapter that writes what the reward adapter scores highly, near its start."""

    stage: ClassVar[str] = "ppo"
    watched: ClassVar[tuple[str, ...]] = POLICY_MONITORS
    reward_adapter: str = field(metadata=meta("text", "Adapter in parents/ that scores the answers."))
    advantage: str = choice(
        "gae",
        ("gae", "rloo", "grpo"),
        "What an answer is held against: a learned value, or its prompt's other answers (grpo: in deviations).",
    )
    rollouts: int = integer(100, "rollouts", 1, 1_000_000, "Rounds of writing, scoring and learning.")
    rollout_prompts: int = integer(64, "prompts", 1, 65_536, "Prompts of a rollout.")
    samples_per_prompt: int = integer(1, "answers", 1, 64, "Answers to each prompt of a rollout.")
    max_new_tokens: int = integer(128, "tokens", 1, 32_768, "Longest answer.")
    temperature: float = number(1.0, "temperature", 0.1, 2.0, "Of sampling and of every log-probability.")
    epochs: int = integer(2, "epochs", 1, 16, "Passes over each rollout.")
    minibatches: int = integer(4, "minibatches", 1, 65_536, "Steps of each pass.")
    lr: float = rate(2e-5, "Highest learning rate of the policy.")
    value_lr: float = rate(5e-5, "Highest learning rate of the value.")
    schedule: str = choice(
        "linear", ("cosine", "linear", "constant"), "How the rates fall after warm-up.", advanced=True
    )
    warmup_share: float = number(
        0.0, "share of steps", 0.0, 0.5, "Share of steps in which the rates rise from 0.", advanced=True
    )
    kl_coef: float = number(0.05, "per nat", 0.0, 10.0, "Price of moving away from the reference.")
    kl_control: str = choice("fixed", ("fixed", "adaptive"), "Whether the price follows a target KL.", advanced=True)
    kl_target: float = number(
        6.0, "nats", 0.0, 1e6, "KL per answer that adaptive control holds.", exclusive=True, advanced=True
    )
    kl_horizon: int = integer(10_000, "answers", 1, 1_000_000_000, "How slowly adaptive control moves.", advanced=True)
    kl_in: str = choice(
        "reward", ("reward", "loss"), "Whether the KL is part of the reward or of the loss.", advanced=True
    )
    gamma: float = number(1.0, "factor", 0.0, 1.0, "Discount per token.", advanced=True)
    lam: float = number(0.95, "factor", 0.0, 1.0, "GAE's lambda.", advanced=True)
    clip: float = number(0.2, "ratio", 0.0, 1.0, "How far the ratio may pay.", advanced=True)
    value_clip: float = number(0.2, "reward", 0.0, 1.0, "How far a value may move in one rollout.", advanced=True)
    dual_clip: float = number(
        0.0, "ratio", 1.0, 1e6, "Bound of the loss of bad answers.", exclusive=True, zero="off", advanced=True
    )
    entropy_coef: float = number(0.0, "weight", 0.0, 10.0, "Weight of the policy's entropy.", advanced=True)
    ptx_coef: float = number(0.0, "weight", 0.0, 100.0, "Weight of the loss on SFT rows in each step.", advanced=True)
    ema: float = number(
        0.0, "decay", 0.0, 0.999999, "Decay of a shadow copy, which is then the output.", zero="off", advanced=True
    )
    missing_eos_penalty: float = number(1.0, "reward", 0.0, 10.0, "Taken from answers that do not end.", advanced=True)
    score_clip: float = number(5.0, "reward", 0.0, 1e6, "Largest size of a score.", exclusive=True, advanced=True)
    score_norm: str = choice(
        "reference",
        ("reference", "saved", "none"),
        "Scores are scaled by reference answers, by the reward model's own numbers, or not.",
        advanced=True,
    )
    norm_samples: int = integer(256, "answers", 16, 65_536, "Reference answers that scale the scores.", advanced=True)
    whiten_rewards: bool = field(
        default=False, metadata=meta("flag", "Divide rewards by their deviation.", advanced=True)
    )
    value_from: str = choice(
        "reward", ("reward", "zero"), "The value starts as the reward adapter, or at 0.", advanced=True
    )
    value_warmup_rollouts: int = integer(
        5, "rollouts", 0, 1_000_000, "Rollouts at the start in which only the value learns.", advanced=True
    )
    approx_kl_stop: float = number(
        0.03,
        "nats",
        0.0,
        100.0,
        "KL at which a rollout's remaining policy steps are skipped.",
        zero="off",
        advanced=True,
    )
    decode_rows: int = integer(64, "rows", 1, 4_096, "Answers written at once.", advanced=True)

    @property
    def answers(self) -> int:
        """Answers of a rollout."""
        return self.rollout_prompts * self.samples_per_prompt

    @property
    def learns_value(self) -> bool:
        """Whether a value is learned beside the policy."""
        return self.advantage == "gae"

    @property
    def warmup_rollouts(self) -> int:
        """Rollouts at the start in which the policy rests."""
        return self.value_warmup_rollouts if self.learns_value else 0

    def _check_together(self) -> None:
        super()._check_together()
        if not self.reward_adapter:
            raise bad("reward_adapter", "empty", "the name of a folder in parents/")
        if self.minibatches > self.answers:
            raise bad("minibatches", self.minibatches, f"at most the {self.answers} answers of a rollout")
        if self.whiten_rewards and self.answers < 8:
            raise bad("whiten_rewards", "on", f"off, or at least 8 answers in a rollout; there are {self.answers}")
        if not self.learns_value:
            self._check_groups()

    def _check_groups(self) -> None:
        """Refuse what has no meaning where answers are held against each other."""
        if self.samples_per_prompt < 2:
            allowed = f"at least 2 with advantage {self.advantage}, which compares answers to one prompt"
            raise bad("samples_per_prompt", self.samples_per_prompt, allowed)
        if self.whiten_rewards:
            raise bad("whiten_rewards", "on", f"off with advantage {self.advantage}, which knows no rewards of tokens")
        if self.gamma < 1:
            raise bad("gamma", self.gamma, f"1.0 with advantage {self.advantage}, which knows no rewards of tokens")
