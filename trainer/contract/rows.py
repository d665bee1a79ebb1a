"""The rows that travel from snapshots to stages, one JSON object a line, and the check of their types.

What a row means for a stage (empty, too long, repeated) is `trainer.data`'s business; here is only its shape.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired, TypedDict

Split = Literal["train", "heldout"]
RowType = Literal["CorpusRow", "CorrectionRow", "SftRow", "RankingRow", "PromptRow", "ClozeRow"]
ROLES = ("system", "user", "assistant")


class Message(TypedDict):
    """One turn of a dialogue."""

    role: str
    content: str


class CorpusRow(TypedDict):
    """One document. source, language: for reports; a run learns nothing from them."""

    id: str
    split: Split
    text: str
    source: NotRequired[str]
    language: NotRequired[str]


class CorrectionRow(TypedDict):
    """A text as it was, and as a person put it right."""

    id: str
    split: Split
    dirty: str
    clean: str


class SftRow(TypedDict):
    """One dialogue to learn from; its last message is the assistant's."""

    id: str
    prompt_id: str
    split: Split
    messages: list[Message]
    weight: float
    source: Literal["write", "repair", "better", "game", "import"]


class Answer(TypedDict):
    """One answer of a ranking; its id is the same wherever the same text stands."""

    id: str
    text: str


class RankingRow(TypedDict):
    """One person's order of the answers to one prompt.

    groups: indices into `answers`, best group first; a group is a tie. unplaced: indices without a place.
    acceptable_groups: groups from there on lie below the line; 0 none acceptable; null not asked.
    """

    id: str
    prompt_id: str
    split: Split
    messages: list[Message]
    answers: list[Answer]
    groups: list[list[int]]
    unplaced: list[int]
    acceptable_groups: int | None
    strength: int | None
    weight: float
    source: Literal["rank", "pair", "repair", "better", "import"]


class PromptRow(TypedDict):
    """One prompt; its last message is the user's."""

    id: str
    split: Split
    messages: list[Message]


class ClozeRow(TypedDict):
    """One blank of the learning game, as people met it in one of its modes (`learning_game.md` 8.1).

    context: the sentences before, in order. sentence: what stands before and after the blank, the latter not read in
    mode next. options: the gold and three others. golds: all words that people settled on as right, the gold first.
    people: option → how many chose it first; free: typed word → how many. paragraph: the same for blanks of one.
    """

    id: str
    split: Split
    paragraph: str
    mode: Literal["missing", "next"]
    context: list[str]
    sentence: list[str]
    options: list[str]
    gold: str
    golds: list[str]
    people: dict[str, int]
    free: dict[str, int]


class GenerationLine(TypedDict):
    """One line of `generations.jsonl`: an answer of one adapter ("" is the base) to one prompt."""

    prompt_id: str
    sample_index: int
    adapter: str
    text: str
    ids: list[int]
    logprob: float
    finished: bool
    seed: int
    settings: dict[str, Any]  # temperature, top_p, top_k, max_new_tokens: whatever the sampler was told
    adapter_sha256: str
    base_sha256: str
    rewards: list[float] | None
    near_identical: NotRequired[bool]


READS: dict[str, tuple[RowType, ...]] = {
    "pretrain": ("CorpusRow", "CorrectionRow"),  # CorrectionRow only where fix_share > 0, and then noise serves too
    "sft": ("SftRow",),
    "reward": ("RankingRow",),
    "ppo": ("PromptRow", "SftRow"),  # SftRow only where ptx_coef > 0
    "dpo": ("RankingRow",),
    "generate": ("PromptRow",),
    "evaluate": ("ClozeRow", "RankingRow", "CorpusRow", "CorrectionRow", "SftRow"),
    "map": ("CorpusRow",),
}
NEEDED = {stage: types[0] for stage, types in READS.items() if stage != "evaluate"}  # which may ask by its config alone

Check = Callable[[Any], bool]  # Any: a value as JSON gave it


def check(row: object, type_: str) -> list[str]:
    """What is wrong with the types of a row, as short sentences; empty where nothing is. Unknown keys are ignored."""
    if type_ not in _SHAPES:
        return [f"type is {type_}; allowed are {', '.join(_SHAPES)}"]
    if not isinstance(row, Mapping):
        return ["the line is not a JSON object"]
    problems = []
    for name, (holds, wanted) in _SHAPES[type_].items():
        if name not in row:
            problems.append(f"{name} is missing; it must be {wanted}")
        elif not holds(row[name]):
            problems.append(f"{name} is not {wanted}")
    return problems


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e300  # more is no float


def _indices(value: Any) -> bool:
    return isinstance(value, list) and all(map(_whole, value))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(_whole(count) and count >= 0 for count in value.values())


def _objects(*keys: str) -> Check:
    """A check that a value is a list of objects whose named keys are strings."""

    def holds(value: Any) -> bool:
        return isinstance(value, list) and all(
            isinstance(item, dict) and all(_text(item.get(key)) for key in keys) for item in value
        )

    return holds


def _one_of(*allowed: str | int | None) -> Check:
    def holds(value: Any) -> bool:
        return not isinstance(value, bool | list | dict | float) and value in allowed

    return holds


_ID = (_text, "a string")
_SPLIT = (_one_of("train", "heldout"), '"train" or "heldout"')
_MESSAGES = (_objects("role", "content"), "a list of {role, content}")
_COUNTS = (_counts, "an object of numbers")
_WEIGHT = (_weight, "a number, 0 or more")
_SHAPES: dict[str, dict[str, tuple[Check, str]]] = {
    "CorpusRow": {"id": _ID, "split": _SPLIT, "text": _ID},
    "CorrectionRow": {"id": _ID, "split": _SPLIT, "dirty": _ID, "clean": _ID},
    "SftRow": {
        "id": _ID,
        "prompt_id": _ID,
        "split": _SPLIT,
        "messages": _MESSAGES,
        "weight": _WEIGHT,
        "source": (
            _one_of("write", "repair", "better", "game", "import"),
            '"write", "repair", "better", "game" or "import"',
        ),
    },
    "RankingRow": {
        "id": _ID,
        "prompt_id": _ID,
        "split": _SPLIT,
        "messages": _MESSAGES,
        "answers": (_objects("id", "text"), "a list of {id, text}"),
        "groups": (lambda value: isinstance(value, list) and all(map(_indices, value)), "a list of lists of numbers"),
        "unplaced": (_indices, "a list of numbers"),
        "acceptable_groups": (lambda value: value is None or (_whole(value) and value >= 0), "a number or null"),
        "strength": (_one_of(1, 2, 3, None), "1, 2, 3 or null"),
        "weight": _WEIGHT,
        "source": (
            _one_of("rank", "pair", "repair", "better", "import"),
            '"rank", "pair", "repair", "better" or "import"',
        ),
    },
    "PromptRow": {"id": _ID, "split": _SPLIT, "messages": _MESSAGES},
    "ClozeRow": {
        "id": _ID,
        "split": _SPLIT,
        "paragraph": _ID,
        "mode": (_one_of("missing", "next"), '"missing" or "next"'),
        "context": (_texts, "a list of strings"),
        "sentence": (lambda value: _texts(value) and len(value) == 2, "two strings: before and after the blank"),
        "options": (_texts, "a list of strings"),
        "gold": _ID,
        "golds": (_texts, "a list of strings"),
        "people": _COUNTS,
        "free": _COUNTS,
    },
}
