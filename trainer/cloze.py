"""Cloze items as a model answers them (E2): which of an item's options stands at its blank.

An option is worth a log-probability: its own and that of the rest of its sentence (mode missing), its own alone (mode
next), or as what fills the gap (infill). What stands before an item's options passes once for all: a `Fork`.

Letters: K options, N tokens that are weighed, V vocabulary, D width.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from trainer import losses
from trainer.base import Model, head_weight, trunk
from trainer.contract.errors import TrainerError
from trainer.contract.rows import ClozeRow
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.packing import micro_batches_in_order, pack_answers
from trainer.tokenizer import EOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, RESERVED, Tokenizer, common

MODES = ("missing", "next")
CHUNK = 1_024  # weighed tokens of one product with the head
DRAWS = 2_000
Z = 1.959964  # of the normal distribution, for 95 %
_FIM = (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)
FILLS = 2.0  # times chance: how likely the middle must be where it is due, for a base that knows what it is

Weights = list[Tensor]  # an item's options, each as the log-probabilities of its tokens


class Share(TypedDict):
    """How many of so many items were right, with a 95 % interval."""

    accuracy: float
    low: float
    high: float
    items: int


class Figures(Share):
    """A model's share right; gap is what context adds, one_token the share of options that are one token."""

    accuracy_without: float
    gap: float
    one_token: float
    even: Share | None
    on_people: float | None


class People(Share):
    """The share right among people's answers to the items."""

    answers: int


# --- rows


def items(run: Run) -> list[ClozeRow]:
    """The usable cloze rows of a run; the others are counted by reason and listed in cloze_report.json (D1)."""
    kept: dict[str, ClozeRow] = {}
    dropped: dict[str, list[str]] = defaultdict(list)
    for _, row in run.rows("ClozeRow"):
        if reason := "repeated" if row["id"] in kept else _fault(row):
            dropped[reason].append(row["id"])
        else:
            kept[row["id"]] = row
    if kept or dropped:
        reasons = {reason: {"count": len(ids), "ids": ids} for reason, ids in sorted(dropped.items())}
        run.write_json("cloze_report.json", {"kept": len(kept), "dropped": reasons})
    return list(kept.values())


def _fault(row: ClozeRow) -> str:
    """Why an item is dropped, or nothing."""
    options = row["options"]
    if not all(options):
        return "empty"
    return "contradictory" if len(set(options)) < max(2, len(options)) or row["gold"] not in options else ""


# --- what a model reads


@dataclass(frozen=True)
class Fork:
    """A beginning, and the ways in which it may go on; each branch is read as if the others were not there."""

    prefix: list[int]
    branches: list[list[int]]

    def __len__(self) -> int:
        return len(self.prefix) + sum(len(branch) - 1 for branch in self.branches)  # nothing reads a last token


@dataclass(frozen=True)
class Asked:
    """The items as one tokenizer and one context length put them.

    plain, infill: the forks by id, with (True) and without the sentences before; infill has the items of mode missing
    only, and none where the tokenizer cannot ask so. sizes: how many tokens each option is in plain, by id.
    """

    rows: list[ClozeRow]
    sizes: dict[str, list[int]]
    plain: dict[bool, dict[str, Fork]]
    infill: dict[bool, dict[str, Fork]]


def ask(rows: Sequence[ClozeRow], words: Tokenizer, *, context: int) -> Asked:
    """The items that the context holds, encoded. What is too long is cut from the left, for all options alike.

    An item whose options and rest alone are longer is left out. Gaps need a tokenizer with O2's tokens at their places.
    """
    knows = len(words) > FIM_MIDDLE and all(words.token_text(at) == RESERVED[at] for at in _FIM)
    gaps = [row for row in rows if knows and row["mode"] == "missing"]
    plain, infill = {}, {}
    sizes: dict[str, list[int]] = {}
    for way in (False, True):
        forks, sizes = _plain(rows, [_left(row, with_context=way) for row in rows], words)
        plain[way] = _fitting(forks, context)
        infill[way] = _fitting(_infill(gaps, [_left(row, with_context=way) for row in gaps], words), context)
    kept = {row["id"] for row in rows} & plain[True].keys() & plain[False].keys()
    kept -= {row["id"] for row in gaps} - (infill[True].keys() & infill[False].keys())
    return Asked(
        rows=[row for row in rows if row["id"] in kept],
        sizes=sizes,
        plain={way: {id_: fork for id_, fork in forks.items() if id_ in kept} for way, forks in plain.items()},
        infill={way: {id_: fork for id_, fork in forks.items() if id_ in kept} for way, forks in infill.items()},
    )


def _left(row: ClozeRow, *, with_context: bool) -> str:
    """What stands before the blank."""
    return " ".join([*row["context"], row["sentence"][0]] if with_context else [row["sentence"][0]])


def _plain(
    rows: Sequence[ClozeRow], lefts: list[str], words: Tokenizer
) -> tuple[dict[str, Fork], dict[str, list[int]]]:
    """The forks of both modes, and how many tokens each option has.

    Texts are encoded whole, as a model met them in training: of `left + option + rest`, the tokens that the encoding
    of `left` alone begins with too are given, and all after them are the option's and the rest's. So a space that
    belongs to the option's first token is weighed with it. Options part at the first place where one of them leaves
    the tokens of `left`.
    """
    texts = []
    for row, left in zip(rows, lefts, strict=True):
        texts += [left, *(left + option for option in row["options"])]
        if row["mode"] == "missing":
            texts += [left + option + row["sentence"][1] for option in row["options"]]
    encoded = iter(words.encode(texts))
    forks, sizes = {}, {}
    for row in rows:
        left_ids, count = next(encoded), len(row["options"])
        alone = [next(encoded) for _ in range(count)]
        wholes = [next(encoded) for _ in range(count)] if row["mode"] == "missing" else alone
        start = min(common(left_ids, whole) for whole in wholes)
        forks[row["id"]] = Fork([words.start_id, *wholes[0][:start]], [whole[start:] for whole in wholes])
        sizes[row["id"]] = [len(one) - common(left_ids, one) for one in alone]
    return forks, sizes


def _infill(rows: Sequence[ClozeRow], lefts: list[str], words: Tokenizer) -> dict[str, Fork]:
    """The items of mode missing as gaps to fill, prefix first; its three parts are encoded apart, as O2 has them.

    A branch begins with `<|fim_middle|>`, whose probability tells whether a base knows it, and ends as a middle ends.
    """
    parts = [(left, row["sentence"][1], *row["options"]) for row, left in zip(rows, lefts, strict=True)]
    encoded = iter(words.encode([text for texts in parts for text in texts]))
    forks = {}
    for row in rows:
        a, c = next(encoded), next(encoded)
        middles = [[FIM_MIDDLE, *next(encoded), EOS] for _ in row["options"]]
        forks[row["id"]] = Fork([FIM_PREFIX, *a, FIM_SUFFIX, *c], middles)
    return forks


def _fitting(forks: dict[str, Fork], context: int) -> dict[str, Fork]:
    """The forks within the context, those that can be cut to it among them."""
    cut = {id_: _cut(fork, context) for id_, fork in forks.items()}
    return {id_: fork for id_, fork in cut.items() if fork is not None}


def _cut(fork: Fork, context: int) -> Fork | None:
    """The fork within the context: its first token, and of what follows the last ones; None where they do not fit."""
    surplus = len(fork.prefix) + max(map(len, fork.branches)) - context
    if surplus <= 0:
        return fork
    kept = fork.prefix[1 + surplus :]
    if surplus >= len(fork.prefix) or (fork.prefix[0] == FIM_PREFIX and FIM_SUFFIX not in kept):
        return None
    return Fork(fork.prefix[:1] + kept, fork.branches)


# --- what a model says


@torch.no_grad()
def weigh(model: Model, forks: Sequence[Fork], *, budget: int, stop: Callable[[], None]) -> list[Weights]:
    """The log-probability of each token of each branch, by the adapter in use, in passes of at most budget tokens.

    A beginning passes once for all its branches: positions go on from its end in each of them, and no branch sees
    another. stop is called before each pass. Raises not_finite.
    """
    weighed: list[Weights] = [[] for _ in forks]
    for rows in micro_batches_in_order([len(fork) for fork in forks], budget=budget):
        stop()
        chosen = [forks[row] for row in rows]
        logp = _weigh(model, chosen).double().cpu()
        if not logp.isfinite().all():
            raise TrainerError("not_finite", "The model's log-probabilities are not finite; its weights are broken.")
        lengths = [len(branch) for fork in chosen for branch in fork.branches]
        pieces = iter(torch.split(logp, lengths))
        for row, fork in zip(rows, chosen, strict=True):
            weighed[row] = [next(pieces) for _ in fork.branches]
    return weighed


def _weigh(model: Model, forks: list[Fork]) -> Tensor:
    """The log-probabilities [N] of all tokens of all branches, fork after fork."""
    begun = [torch.tensor(fork.prefix) for fork in forks for _ in fork.branches]
    packed = pack_answers(begun, [torch.tensor(branch) for fork in forks for branch in fork.branches])
    packed = packed.to(model.device)
    hidden = trunk(model, packed)[packed.at]  # [N, D]
    logp, _ = losses.linear_logprob(hidden, head_weight(model), packed.targets, temperature=1.0, chunk=CHUNK)
    return logp


@dataclass(frozen=True)
class Scores:
    """What each option is worth, by id, with (True) and without context; infill None: the base fills no gaps."""

    plain: dict[bool, dict[str, list[float]]]
    infill: dict[bool, dict[str, list[float]]] | None


def examine(model: Model, asked: Asked, *, budget: int, stop: Callable[[], None]) -> Scores:
    """The model's scores of all options, by the adapter in use. Raises not_finite."""
    plain = {way: _summed(_by_id(model, forks, budget=budget, stop=stop)) for way, forks in asked.plain.items()}
    gaps = _by_id(model, asked.infill[True], budget=budget, stop=stop)
    if not fills(gaps.values(), vocabulary=len(head_weight(model))):
        return Scores(plain, None)
    bare = _by_id(model, asked.infill[False], budget=budget, stop=stop)
    return Scores(plain, {True: _summed(gaps), False: _summed(bare)})


def _by_id(model: Model, forks: dict[str, Fork], *, budget: int, stop: Callable[[], None]) -> dict[str, Weights]:
    return dict(zip(forks, weigh(model, list(forks.values()), budget=budget, stop=stop), strict=True))


def _summed(weighed: dict[str, Weights]) -> dict[str, list[float]]:
    return {id_: [float(branch.sum()) for branch in weights] for id_, weights in weighed.items()}


def fills(weighed: Collection[Weights], *, vocabulary: int) -> bool:
    """Whether a base was trained to fill gaps: where a middle is due it expects one, with more than twice chance.

    The names of the tokens say nothing, since all our tokenizers have them; an untrained base gives each token about
    1/V, and one that never met `<|fim_middle|>` far less.
    """
    chances = [float(weights[0][0].exp()) for weights in weighed]
    return bool(chances) and sum(chances) / len(chances) > FILLS / vocabulary


# --- figures


def report(asked: Asked, scores: Scores) -> dict[str, Figures | None]:
    """The figures of missing, next and infill; None for what was not asked."""
    rows = {mode: [row for row in asked.rows if row["mode"] == mode] for mode in MODES}
    gaps = {id_: [len(branch) - 2 for branch in fork.branches] for id_, fork in asked.infill[True].items()}
    return {
        **{mode: figures(own, asked.sizes, scores.plain) for mode, own in rows.items()},
        "infill": figures(rows["missing"], gaps, scores.infill) if scores.infill else None,
    }


def lines(asked: Asked, scores: Scores) -> list[dict[str, object]]:
    """Each item with its options' log-probabilities, and what these make of the options alone."""
    found: list[dict[str, object]] = []
    for row in asked.rows:
        log, p = {}, {}
        for way, name in ((True, "with"), (False, "without")):
            own = scores.plain[way][row["id"]]
            log[name] = dict(zip(row["options"], own, strict=True))
            p[name] = dict(zip(row["options"], torch.tensor(own).double().softmax(0).tolist(), strict=True))
        found.append({"id": row["id"], **p, "log": log})
    return found


def figures(
    rows: Sequence[ClozeRow], sizes: dict[str, list[int]], scores: dict[bool, dict[str, list[float]]]
) -> Figures | None:
    """How often the likeliest option is right, with and without context; None where there is no item.

    sizes: how many tokens each option is, by id. Sums favour words of few, hence `one_token` and `even`.
    """
    if not rows:
        return None
    right, bare = ([_right(row, scores[way][row["id"]]) for row in rows] for way in (True, False))
    even = [value for row, value in zip(rows, right, strict=True) if len(set(sizes[row["id"]])) == 1]
    met = [value for row, value in zip(rows, right, strict=True) if _answers(row)]
    share, options = _share(right), [size for row in rows for size in sizes[row["id"]]]
    return Figures(
        **share,
        accuracy_without=sum(bare) / len(bare),
        gap=share["accuracy"] - sum(bare) / len(bare),
        one_token=sum(size == 1 for size in options) / len(options),
        even=_share(even) if even else None,
        on_people=sum(met) / len(met) if met else None,
    )


def _right(row: ClozeRow, scores: list[float]) -> float:
    """1 where the likeliest option is a gold; of several equally likely ones, the share that is."""
    best = [option for option, own in zip(row["options"], scores, strict=True) if own == max(scores)]
    return sum(option in _golds(row) for option in best) / len(best)


def _golds(row: ClozeRow) -> set[str]:
    return {row["gold"], *row["golds"]}


def _answers(row: ClozeRow) -> int:
    return sum(row["people"].values()) + sum(row["free"].values())


def _share(right: list[float]) -> Share:
    low, high = wilson(sum(right), len(right))
    return Share(accuracy=sum(right) / len(right), low=low, high=high, items=len(right))


def wilson(right: float, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share. Source: Wilson 1927, "Probable inference, the law of succession"."""
    p, spread = right / count, Z**2 / count
    middle, half = p + spread / 2, Z * math.sqrt(p * (1 - p) / count + spread / (4 * count))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def people(rows: Sequence[ClozeRow], *, seed: int) -> People | None:
    """The share right among people's answers, a typed gold too; None where nobody answered.

    The interval is a 95 % bootstrap over paragraphs, 2,000 draws: answers to blanks of one paragraph hang together.
    """
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        said = [*row["people"].items(), *row["free"].items()]
        counts[row["paragraph"]][0] += sum(count for word, count in said if word in _golds(row))
        counts[row["paragraph"]][1] += _answers(row)
    table = torch.tensor([own for own in counts.values() if own[1]], dtype=torch.float64)  # [paragraphs, 2]
    if not len(table):
        return None
    draws = torch.Generator().manual_seed(seed_for(seed, "bootstrap", "people"))
    drawn = table[torch.randint(len(table), (DRAWS, len(table)), generator=draws)].sum(1)
    ends = (drawn[:, 0] / drawn[:, 1]).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    right, answers = table.sum(0).tolist()
    return People(
        accuracy=right / answers,
        low=ends[0],
        high=ends[1],
        items=sum(_answers(row) > 0 for row in rows),
        answers=int(answers),
    )
