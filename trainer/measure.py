"""What a model is worth on rows that it never learns from: reports that stages write into evaluation.json.

Measuring never touches training state (E6): no gradient, no randomness of torch's own, no switch that stays.
Letters: N counted tokens.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainer import adapters, losses, packing, rankings
from trainer.base import Model, head_weight, trunk
from trainer.contract.errors import TrainerError
from trainer.contract.seeds import seed_for
from trainer.data import Example, Ranked, Ranking

Report = dict[str, float | int | str | dict[str, float]]


def figures(report: Report) -> dict[str, float]:
    """The numbers that a report measured: neither its seed nor its tables."""
    return {k: v for k, v in report.items() if isinstance(v, int | float) and k != "bootstrap_seed"}


# --- E1: nll


@dataclass(frozen=True)
class Nll:
    """How surprised a model is by held-out rows; of rows whose prompt does not count, by their answers."""

    nats_per_token: float
    perplexity: float
    bits_per_byte: float
    accuracy: float
    tokens: int

    def values(self, name: str) -> dict[str, float]:
        """The metrics, each key with its unit, under `eval/<name>_…`."""
        return {f"eval/{name}_{key}": float(value) for key, value in asdict(self).items()}


@torch.no_grad()
def nll(model: Model, examples: Sequence[Example], *, budget: int, chunk: int, stop: Callable[[], None]) -> Nll:
    """The mean loss over the counted tokens of the examples, by the adapter in use; every row weighs 1 (E1).

    Bits per byte count the text's own bytes, so that tokenizers compare. stop is called before each batch.
    """
    lengths = [len(example.ids) for example in examples]
    total, right, tokens = 0.0, 0, 0
    for rows in packing.micro_batches(lengths, range(len(examples)), budget=budget):
        stop()
        batch = packing.collate(examples, rows).to(model.device)
        hidden = trunk(model, batch)[batch.at]
        ones = torch.ones_like(batch.weights)
        loss, correct = losses.linear_cross_entropy(hidden, head_weight(model), batch.targets, ones, chunk=chunk)
        total, right, tokens = total + float(loss), right + int(correct.sum()), tokens + len(ones)
    mean = total / max(1, tokens)
    size = sum(example.size for example in examples)
    return Nll(
        nats_per_token=mean,
        perplexity=math.exp(min(mean, 700.0)),
        bits_per_byte=total / math.log(2) / max(1, size),
        accuracy=right / max(1, tokens),
        tokens=tokens,
    )


@torch.no_grad()
def recited(
    model: Model, examples: Sequence[Example], *, budget: int, chunk: int, stop: Callable[[], None]
) -> list[bool]:
    """Whether each counted token of an example is the likeliest given those before: what greedy writing writes."""
    right = [True] * len(examples)
    for rows in packing.micro_batches([len(one.ids) for one in examples], range(len(examples)), budget=budget):
        stop()
        batch = packing.collate(examples, rows).to(model.device)
        hidden = trunk(model, batch)[batch.at]
        ones = torch.ones_like(batch.weights)
        _, correct = losses.linear_cross_entropy(hidden, head_weight(model), batch.targets, ones, chunk=chunk)
        for row, own in zip(batch.rows.tolist(), correct.tolist(), strict=True):
            right[rows[row]] &= own
    return right


# --- rankings (R13)


@dataclass(frozen=True)
class Judged:
    """A prompt's distinct answers with their raw scores and token counts, and how people ranked them."""

    scores: list[float]
    lengths: list[int]
    rankings: list[Ranking]


def judged(ranked: Ranked, scores: Tensor) -> Judged:
    """A prompt's answers with their raw scores [A]."""
    return Judged(scores.tolist(), [len(answer) for answer in ranked.answers], ranked.rankings)


def ranking_report(train: list[Judged], heldout: list[Judged], *, seed: int, line: float | None = None) -> Report:
    """How well scores order held-out answers as people did (R13), with 95 % bootstrap intervals over prompts.

    Accuracy is over strict pairs, equal scores count ½, averaged per prompt, then over prompts. Beside it the
    length-only baseline: the sign of the difference in tokens that fits the training rows better. line: the raw score
    from which answers count as acceptable; the same averages say how often people agree.
    """
    longer_wins = mean([_accuracy(one, one.lengths) for one in train if _strict(one)]) >= 0.5
    strict = [one for one in heldout if _strict(one)]
    by_score = [_accuracy(one, one.scores) for one in strict]
    by_length = [_accuracy(one, [n if longer_wins else -n for n in one.lengths]) for one in strict]
    low, high = interval(by_score, seed=seed_for(seed, "bootstrap"))
    gain = [a - b for a, b in zip(by_score, by_length, strict=True)]
    gain_low, gain_high = interval(gain, seed=seed_for(seed, "bootstrap"))
    pairs = [pair for one in strict for pair in _strict(one)]
    sided = [sides for one in heldout if line is not None and (sides := _line_hits(one, line))]
    found: Report = {
        "heldout_prompts": len(strict),
        "accuracy": mean(by_score),
        "accuracy_low": low,
        "accuracy_high": high,
        "length_accuracy": mean(by_length),
        "length_rule": "longer wins" if longer_wins else "shorter wins",
        "gain_over_length": mean(gain),
        "gain_over_length_low": gain_low,
        "gain_over_length_high": gain_high,
        "accuracy_by_answers": _by([(str(pair.answers), pair.right) for pair in pairs]),
        "accuracy_by_strength": _by([(str(pair.strength), pair.right) for pair in pairs if pair.strength]),
        "accuracy_by_margin": _by(_terciles(pairs)),
        "calibration_error": _calibration_error([pair.gap for pair in pairs]),
        "score_length_correlation": _correlation(
            [score for one in heldout for score in one.scores], [float(n) for one in heldout for n in one.lengths]
        ),
        "tied_gap": mean([abs(gap) for one in heldout for gap in _tied_gaps(one)]),
        "untied_gap": mean([abs(pair.gap) for pair in pairs]),
        "bootstrap_seed": seed_for(seed, "bootstrap"),
    }
    if sided:
        found |= {"line_accuracy": mean([mean(one) for one in sided]), "line_answers": sum(map(len, sided))}
    return found


def accuracy(judged: list[Judged]) -> float:
    """The share of strict pairs that scores order as people did, per prompt, then over prompts."""
    return mean([_accuracy(one, one.scores) for one in judged if _strict(one)])


@dataclass(frozen=True)
class _Pair:
    """One strict judgement: gap is the better answer's score less the other's."""

    gap: float
    answers: int
    strength: int | None

    @property
    def right(self) -> float:
        return (1 + (self.gap > 0) - (self.gap < 0)) / 2


def _strict(one: Judged, by: Sequence[float] | None = None) -> list[_Pair]:
    values = one.scores if by is None else by
    return [
        _Pair(values[a] - values[b], len(one.scores), ranking.strength)
        for ranking in one.rankings
        for a, b in losses.pairs_of(ranking.groups, ranking.unplaced, ties="drop")[0].tolist()
    ]


def _tied_gaps(one: Judged) -> list[float]:
    found = []
    for ranking in one.rankings:
        pairs, p = losses.pairs_of(ranking.groups, ranking.unplaced, ties="half")
        found += [one.scores[a] - one.scores[b] for a, b in pairs[p == 0.5].tolist()]
    return found


def _line_hits(one: Judged, line: float) -> list[float]:
    """For each answer whose side of the line is known, whether its score lies there; on the line ½."""
    gaps = [
        one.scores[at] - line if above else line - one.scores[at]
        for ranking in one.rankings
        for at, above in rankings.sides_of(ranking)
    ]
    return [(1 + (gap > 0) - (gap < 0)) / 2 for gap in gaps]


def _accuracy(one: Judged, by: Sequence[float]) -> float:
    return mean([pair.right for pair in _strict(one, by)])


def _by(entries: list[tuple[str, float]]) -> dict[str, float]:
    names = sorted({name for name, _ in entries})
    return {name: mean([value for key, value in entries if key == name]) for name in names}


def _terciles(pairs: list[_Pair]) -> list[tuple[str, float]]:
    """Each pair's third by the size of its gap, with whether it is right."""
    ordered = sorted(pairs, key=lambda pair: abs(pair.gap))
    thirds = ("1 narrow", "2 middle", "3 wide")
    return [(thirds[3 * place // len(ordered)], pair.right) for place, pair in enumerate(ordered)]


def _calibration_error(gaps: list[float]) -> float:
    """Mean distance, over 10 bins of σ(gap), between what the scores promise and what people said."""
    chances = [chance for gap in gaps for chance in ((_sigmoid(gap), 1.0), (_sigmoid(-gap), 0.0))]
    bins: dict[int, list[tuple[float, float]]] = {}
    for p, right in chances:
        bins.setdefault(min(int(p * 10), 9), []).append((p, right))
    off = [abs(sum(p - right for p, right in one)) for one in bins.values()]
    return sum(off) / len(chances) if chances else math.nan


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _correlation(xs: list[float], ys: list[float]) -> float:
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return math.nan
    return statistics.correlation(xs, ys)


# --- means and their intervals


def interval(values: Sequence[float], *, seed: int, draws: int = 2_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean: its 2.5 and 97.5 percentiles over so many draws of the same size."""
    if not values:
        return math.nan, math.nan
    x = torch.tensor(values, dtype=torch.float64)
    chosen = torch.randint(len(x), (draws, len(x)), generator=torch.Generator().manual_seed(seed))
    low, high = x[chosen].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def mean(values: Sequence[float]) -> float:
    """Their mean; of none, not a number."""
    return sum(values) / len(values) if values else math.nan


# --- scores


@dataclass(frozen=True)
class Scorer:
    """A resident reward adapter with its M heads; what a head scores becomes its reward as gain·s + bias (R11, R12).

    heads [M, D]; gains, biases [M]: so that each head's rewards of the training answers have mean 0 and deviation 1.
    line: the reward from which people find an answer acceptable, where they were asked. usual: the 0.1 and 99.9
    percentiles of head 0's raw scores in its own training.
    """

    role: str
    heads: Tensor
    gains: Tensor
    biases: Tensor
    line: float | None = None
    usual: tuple[float, float] | None = None

    @property
    def head(self) -> Tensor:
        """[1, D]: head 0, with which the adapter was trained."""
        return self.heads[:1]

    @property
    def gain(self) -> float:
        return float(self.gains[0])

    @property
    def bias(self) -> float:
        return float(self.biases[0])

    def rewards(self, scores: Tensor) -> Tensor:
        """The rewards of raw scores, both [n, M]."""
        return self.gains * scores + self.biases


def spread(rewards: Tensor) -> list[float | None]:
    """The standard deviation of each answer's rewards [n, M] over the heads; None where there is only one."""
    if rewards.shape[1] < 2:
        return [None] * len(rewards)
    deviations: list[float | None] = rewards.double().std(1).tolist()
    return deviations


def load_scorer(model: Model, path: Path, name: str, *, base_sha256: str) -> Scorer:
    """Load a frozen reward adapter. Raises bad_adapter, also where it has no head to score with, or has lost some."""
    loaded = adapters.load_adapter(model, path, name, base_sha256=base_sha256)
    heads = loaded.heads.get("heads", loaded.heads.get("score"))
    fault = ""
    if heads is None:
        fault = "has no score head; name one that stage reward left"
    elif len(heads) != loaded.facts.get("heads", 1):
        fault = f"has {len(heads)} heads; its manifest says {loaded.facts['heads']}"
    elif not torch.equal(heads[:1], loaded.heads["score"]):
        fault = "has another head 0 in reward_head.safetensors than in adapter_model.safetensors"
    if heads is None or fault:
        adapters.remove(model, name)
        raise TrainerError("bad_adapter", f"adapter {path.name} {fault}.")
    facts = loaded.facts
    gains = torch.tensor(facts.get("gains", [facts.get("gain", 1.0)]), dtype=torch.float64)
    biases = torch.tensor(facts.get("biases", [facts.get("bias", 0.0)]), dtype=torch.float64)
    low_high = facts.get("percentiles")
    return Scorer(name, heads.to(model.device), gains, biases, facts.get("line"), low_high and tuple(low_high))


Scored = tuple[Ranked, Tensor]  # a prompt, and its answers' raw scores [A, M]


def reward_report(train: list[Scored], heldout: list[Scored], scorer: Scorer, *, seed: int) -> Report:
    """R13 by head 0 and its line; and how far the heads disagree on held-out answers, where there are several."""
    report = ranking_report(
        [judged(ranked, own[:, 0]) for ranked, own in train],
        [judged(ranked, own[:, 0]) for ranked, own in heldout],
        seed=seed,
        line=None if scorer.line is None else (scorer.line - scorer.bias) / scorer.gain,
    )
    spreads = [one for _, own in heldout for one in spread(scorer.rewards(own)) if one is not None]
    return {**report, "spread": mean(spreads)} if spreads else report


def features(model: Model, rows: list[Tensor]) -> Tensor:
    """[B, D] float32: the state of each row's last token, where its score is read (R1), with the adapter in use."""
    packed = packing.pack([row.tolist() for row in rows]).to(model.device)
    return trunk(model, packed).index_select(0, packed.ends).float()


def scores(model: Model, rows: list[Tensor], scorer: Scorer, *, budget: int, stop: Callable[[], None]) -> Tensor:
    """Head 0's raw scores [n] of many rows, in micro-batches of at most budget tokens."""
    return scores_by_head(model, rows, scorer, budget=budget, stop=stop)[:, 0]


@torch.no_grad()
def scores_by_head(
    model: Model, rows: list[Tensor], scorer: Scorer, *, budget: int, stop: Callable[[], None]
) -> Tensor:
    """Raw scores [n, M] of many rows, in micro-batches of at most budget tokens."""
    out = torch.empty(len(rows), len(scorer.heads))
    with adapters.using(model, scorer.role):
        for part in packing.micro_batches_in_order([len(row) for row in rows], budget=budget):
            stop()
            states = features(model, [rows[i] for i in part])
            out[part] = torch.cat([states @ scorer.head.T, states @ scorer.heads[1:].T], 1).cpu()  # head 0's own bits
    return out
