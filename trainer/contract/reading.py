"""What each stage that learns nothing is told: it writes, measures or looks."""

from dataclasses import dataclass, field
from typing import ClassVar

from trainer.contract.fields import bad, check_sha256, choice, integer, meta, number
from trainer.contract.stages import BASE, OVERLONG, TEMPLATE, Common

MOST_CHECKPOINTS = 12  # as many as a run leaves
MOST_PROMPTS = 8
MOST_ANSWERS = 4


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(Common):
    """Answers to prompts; nothing learns."""

    stage: ClassVar[str] = "generate"
    base_sha256: str = field(metadata=BASE)
    adapters: list[str] = field(metadata=meta("texts", "Adapters in parents/ that answer; an empty name is the base."))
    samples_per_prompt: int = integer(4, "answers", 1, 64, "Answers of each adapter to each prompt.")
    temperatures: list[float] = field(
        default_factory=lambda: [1.0],
        metadata=meta("numbers", "Sample j is drawn at temperature j, counted around.", low=0.0, high=2.0),
    )
    top_p: float = number(
        1.0, "probability", 0.0, 1.0, "Only the likeliest tokens of so much mass.", exclusive=True, advanced=True
    )
    top_k: int = integer(0, "tokens", 1, 131_072, "Only so many likeliest tokens.", zero="all", advanced=True)
    max_new_tokens: int = integer(256, "tokens", 1, 32_768, "Longest answer.")
    stop_strings: list[str] = field(
        default_factory=list, metadata=meta("texts", "Strings that end an answer.", advanced=True)
    )
    reward_adapter: str = field(default="", metadata=meta("text", "Adapter in parents/ that scores; empty is none."))
    near_identical: float = number(
        0.9, "Jaccard", 0.5, 1.0, "Likeness of three-word runs from which an answer is drawn again.", advanced=True
    )
    decode_rows: int = integer(64, "rows", 1, 4_096, "Answers written at once.", advanced=True)
    overlong: str = choice(
        "drop", OVERLONG, "Prompts that leave no room: dropped, or cut from the left.", advanced=True
    )
    template: str = choice(
        "base", TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        check_sha256("base_sha256", self.base_sha256)
        for name in ("adapters", "temperatures"):
            if not getattr(self, name):
                raise bad(name, "empty", "a list with at least one entry")


@dataclass(frozen=True, kw_only=True)
class Reading(Common):
    """What every stage that looks into a base and its checkpoints is told."""

    base_sha256: str = field(metadata=BASE)
    checkpoints: list[str] = field(
        default_factory=list,
        metadata=meta("texts", "Earlier states beside the models, as parents/ names them: base.step-00000014."),
    )
    microbatch_tokens: int = integer(
        4_096, "tokens", 64, 4_194_304, "Tokens of one forward pass: memory, never meaning.", advanced=True
    )

    def _check_together(self) -> None:
        check_sha256("base_sha256", self.base_sha256)
        if len(self.checkpoints) > MOST_CHECKPOINTS:
            raise bad("checkpoints", f"a list of {len(self.checkpoints)}", f"at most {MOST_CHECKPOINTS}")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Reading):
    """Models measured on cloze items, on rankings, and on prompts; nothing learns."""

    stage: ClassVar[str] = "evaluate"
    adapters: list[str] = field(
        default_factory=lambda: [""], metadata=meta("texts", "Adapters in parents/ to look into; empty is the base.")
    )
    reward_adapter: str = field(default="", metadata=meta("text", "Adapter in parents/ that scores; empty is none."))
    prompts: list[str] = field(
        default_factory=list, metadata=meta("texts", "Texts or questions whose next token is asked for.")
    )
    answers: list[str] = field(
        default_factory=list, metadata=meta("texts", "Answers to the one prompt, weighed token by token.")
    )
    heldout_rows: int = integer(
        500, "rows", 1, 1_000_000, "Most held-out documents, corrections and dialogues to measure on.", advanced=True
    )
    as_question: bool = field(
        default=False, metadata=meta("flag", "Prompts are a user's question, not the beginning of a text.")
    )
    template: str = choice(
        "base", TEMPLATE, "Chat template: the base's own, or Touchstone's in plain text.", advanced=True
    )

    def _check_together(self) -> None:
        super()._check_together()
        if not self.adapters:
            raise bad("adapters", "empty", "a list with at least one entry")
        for name, most in (("prompts", MOST_PROMPTS), ("answers", MOST_ANSWERS)):
            if len(getattr(self, name)) > most:
                raise bad(name, f"a list of {len(getattr(self, name))}", f"at most {most}")
        if self.answers and len(self.prompts) != 1:
            raise bad("answers", f"a list beside {len(self.prompts)} prompts", "answers to exactly one prompt")


@dataclass(frozen=True, kw_only=True)
class MapConfig(Reading):
    """Words or documents placed by the model's own vectors; nothing learns."""

    stage: ClassVar[str] = "map"
    kind: str = choice("words", ("words", "documents"), "What is placed: words, or whole documents.")
    points: int = integer(5_000, "points", 50, 20_000, "Most points; the most frequent words come first.")
    earlier_points: int = integer(5_000, "points", 50, 20_000, "Most points of an earlier checkpoint.", advanced=True)
    perplexity: float = number(30.0, "neighbours", 2.0, 200.0, "Neighbours that t-SNE heeds.", advanced=True)
