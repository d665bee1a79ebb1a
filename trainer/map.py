"""Stage `map`: words or documents placed in a picture by the model's own vectors. Nothing learns.

True neighbours are found in the vectors' own space; the pictures then say how many of them they keep.
Letters: N points, M points of an earlier state, D width, K neighbours.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from trainer import base, layout, metrics, packing, tokenizer
from trainer.contract.configs import MapConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.layout import ROUNDS, Floats, Places, neighbours
from trainer.tokenizer import Tokenizer

FEWEST = 50  # points: below, neighbours say nothing
STORED = 20  # true neighbours of a point
KEPT = 10  # of them, those that a picture is asked about
PAIRS = 200
SHOWN = 80  # characters of a document
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


class Label(TypedDict):
    """A point's name. count: how often a word stands in the corpus; how many tokens a document has."""

    text: str
    count: int
    source: str
    language: str


@dataclass(frozen=True)
class Point:
    """What is placed, and its ids in the model; a document's begin with a start, as bases read it."""

    label: Label
    ids: list[int]


@dataclass(frozen=True)
class _State:
    """One state of the base: the model itself, or a checkpoint on its way."""

    step: int
    path: Path


@dataclass(frozen=True)
class _Layout:
    """Two pictures of one state [M, 2], and what they keep of its true neighbours."""

    pca: Floats
    tsne: Floats
    kept: dict[str, float]


def place(config: MapConfig, run: Run) -> None:
    """Leave map/: labels, true neighbours, and for each state of the base two pictures with what they keep."""
    device = base.prepare(config)
    with threadpool_limits(config.threads or None):  # what `prepare` tells torch, told to numpy
        _place(config, run, device)


def _place(config: MapConfig, run: Run, device: torch.device) -> None:
    # 1 the states and the points
    states = _states(config, run)
    words = tokenizer.load(states[-1].path, template="touchstone")  # no dialogue is rendered; any base has a tokenizer
    model = base.resident(run, config, device)
    points = points_of(config, run, words, context=base.context_of(model, config))
    run.write_json("environment.json", base.environment(device) | {"scikit-learn": version("scikit-learn")})
    run.event("started", f"attempt {run.attempt} starts with {len(points)} points", step=0)

    # 2 the last state: its vectors, its true neighbours, its pictures
    stage = _Stage(config, run, total=len(states))
    vectors = vectors_of(model, points, config, stop=run.check_stop)
    true, cosine = neighbours(vectors, STORED, stop=run.check_stop)
    most = points[: config.earlier_points]
    near, _ = neighbours(vectors[: len(most)], KEPT, stop=run.check_stop)
    pairs = pairs_of(most, near, seed=config.seed, apart=config.kind == "words")
    layouts = {states[-1].step: stage.lay_out(states[-1].step, vectors, true, after=None, gap=gap(vectors, *pairs))}

    # 3 the earlier ones, back to the first, each begun from the one after it
    after = layouts[states[-1].step]
    for state in reversed(states[:-1]):
        run.check_stop()
        earlier = base.load(state.path, dtype=base.dtype_of(config, device), device=device)
        found = vectors_of(earlier, most, config, stop=run.check_stop)
        own, _ = neighbours(found, KEPT, stop=run.check_stop)
        after = layouts[state.step] = stage.lay_out(state.step, found, own, after=after, gap=gap(found, *pairs))

    # 4 the folder
    with run.folder("map") as folder:
        true.astype("<u4").tofile(folder / "true.u32")
        cosine.astype("<f4").tofile(folder / "cosine.f32")
        for step, one in layouts.items():
            one.pca.astype("<f4").tofile(folder / f"pca-{step}.f32")
            one.tsne.astype("<f4").tofile(folder / f"tsne-{step}.f32")
        facts = _facts(config, points, layouts, stage.gaps)
        (folder / "labels.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
    _finish(run, points, layouts[states[-1].step], stage)


def _states(config: MapConfig, run: Run) -> list[_State]:
    """The base's states in order of step, the base last.

    A state with the base's hash is the base, and tells its step; where none does, it is one more than the last.
    """
    found = []
    for entry in config.checkpoints:
        step = re.fullmatch(r"base\.step-(\d+)", entry)
        path = run.parent(entry)
        if step is None or (path / "adapter_config.json").is_file():
            sentence = f"checkpoints names {entry[:80]}; allowed are earlier states of the base, as base.step-00000014."
            raise TrainerError("bad_config", sentence)
        found.append(_State(int(step[1]), path))
    found.sort(key=lambda state: state.step)
    own = next((state.step for state in found if run.parents[state.path.name] == run.parents["base"]), None)
    earlier = [state for state in found if state.step != own]
    if own is None:
        own = earlier[-1].step + 1 if earlier else 1
    return [*earlier, _State(own, run.parent("base"))]


# --- points


def points_of(config: MapConfig, run: Run, words: Tokenizer, *, context: int) -> list[Point]:
    """What is placed, greatest count first. Raises too_few_rows.

    context: tokens after which a document is cut.
    """
    found = _words(config, run, words) if config.kind == "words" else _documents(config, run, words, context=context)
    if len(found) < FEWEST:
        sentence = f"The corpus gives {len(found)} {config.kind} to place; at least {FEWEST} are needed. Add documents."
        raise TrainerError("too_few_rows", sentence)
    return found


def _words(config: MapConfig, run: Run, words: Tokenizer) -> list[Point]:
    """The most frequent words of the documents that bases learn from, each as it is written most often.

    Source and language: those where it is most frequent. A word is encoded with a space before it, as it stands in
    running text.
    """
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    origins: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in _rows(run):
        origin = (str(row.get("source") or ""), str(row.get("language") or ""))
        for form, count in Counter(WORD.findall(row["text"])).items():
            forms[form.lower()][form] += count
            origins[form.lower()][origin] += count
    totals = {word: same.total() for word, same in forms.items()}
    chosen = sorted(totals, key=lambda word: (-totals[word], word))[: config.points]
    labels = [_label(_most(forms[word]), totals[word], *_most(origins[word])) for word in chosen]
    encoded = words.encode([f" {label['text']}" for label in labels])
    return [Point(label, ids) for label, ids in zip(labels, encoded, strict=True)]


def _documents(config: MapConfig, run: Run, words: Tokenizer, *, context: int) -> list[Point]:
    """Documents that bases learn from, drawn by the seed where there are more than points; the longest first."""
    rows = [row for row in _rows(run) if row["text"].strip()]
    if len(rows) > config.points:
        draw = np.random.default_rng(seed_for(config.seed, "map", "documents"))
        rows = [rows[at] for at in sorted(draw.choice(len(rows), config.points, replace=False).tolist())]
    encoded, start = words.encode([row["text"] for row in rows]), words.start_id
    found = [
        Point(_label(_title(row["text"]), len(ids), row.get("source"), row.get("language")), [start, *ids][:context])
        for row, ids in zip(rows, encoded, strict=True)
        if ids
    ]
    return sorted(found, key=lambda point: -point.label["count"])


def _rows(run: Run) -> Iterator[dict[str, Any]]:  # Any: a CorpusRow, whose source and language are not of the type
    return (row for _, row in run.rows("CorpusRow", "train"))


def _most(counts: Counter[Any]) -> Any:  # Any: what is counted
    """The most frequent; of equals the last in order, so that lower case goes before upper."""
    return max(counts, key=lambda one: (counts[one], one))


def _label(text: str, count: int, source: str | None, language: str | None) -> Label:
    return Label(text=text, count=count, source=str(source or ""), language=str(language or ""))


def _title(text: str) -> str:
    title = " ".join(text[: 4 * SHOWN].split())
    return title if len(title) <= SHOWN else f"{title[: SHOWN - 1]}…"


# --- vectors


@torch.no_grad()
def vectors_of(model: base.Model, points: Sequence[Point], config: MapConfig, *, stop: Callable[[], None]) -> Floats:
    """Unit vectors [N, D]: a word's is the mean of its tokens' input embeddings, a document's of its last states."""
    if config.kind == "words":
        table = model.get_input_embeddings().get_parameter("weight").float().cpu()
        means = torch.stack([table[point.ids].mean(0) for point in points])
    else:
        means = torch.empty(len(points), model.config.get_text_config().hidden_size)
        for rows in packing.micro_batches_in_order([len(one.ids) for one in points], budget=config.microbatch_tokens):
            stop()
            means[rows] = _mean_states(model, [points[row].ids for row in rows])
    return layout.unit(means.numpy())


def _mean_states(model: base.Model, rows: Sequence[list[int]]) -> torch.Tensor:
    """The mean of each row's last hidden states [B, D], but for the start's, which no document differs in."""
    packed = packing.pack(rows)
    states = base.trunk(model, packed.to(model.device)).float()
    return torch.stack([states[places[1:]].mean(0) for places in packed.in_order()]).cpu()


def pairs_of(points: Sequence[Point], true: Places, *, seed: int, apart: bool) -> tuple[Places, Places]:
    """(true pairs, random pairs), at most 200 each [P, 2], of points and their true neighbours among them.

    apart: of words that share no token, as those that do are alike before anything is learned. Where no neighbours
    are apart, any will do.
    """
    tokens = [frozenset(point.ids) for point in points]
    draw = np.random.default_rng(seed_for(seed, "map", "pairs"))

    def chosen(pairs: Places) -> Places:
        fit = [not apart or tokens[one].isdisjoint(tokens[other]) for one, other in pairs.tolist()]
        kept = pairs[np.array(fit)] if any(fit) else pairs
        return kept[draw.permutation(len(kept))[:PAIRS]]

    ones = np.repeat(np.arange(len(points), dtype=np.uint32), true.shape[1])
    left = draw.integers(len(points), size=10 * PAIRS)
    right = (left + draw.integers(1, len(points), size=10 * PAIRS)) % len(points)  # any but itself
    return chosen(np.stack([ones, true.ravel()], 1)), chosen(np.stack([left, right], 1).astype(np.uint32))


def gap(vectors: Floats, true: Places, chance: Places) -> float:
    """By how much the true pairs' mean cosine exceeds that of random ones: 0 is noise."""
    return _mean_cosine(vectors, true) - _mean_cosine(vectors, chance)


def _mean_cosine(vectors: Floats, pairs: Places) -> float:
    return float((vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1, dtype=np.float64).mean())


# --- pictures


class _Stage:
    """How far the run is, and what it has told. steps of progress: rounds of t-SNE, ROUNDS a state."""

    def __init__(self, config: MapConfig, run: Run, *, total: int) -> None:
        self.config, self.run = config, run
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.total, self.done, self.heard = total * ROUNDS, 0, 0
        self.gaps: dict[int, float] = {}

    def lay_out(self, step: int, vectors: Floats, true: Places, *, after: _Layout | None, gap: float) -> _Layout:
        """The two pictures of one state, told as one metric line. after: the later state's, to begin from.

        true: [M, ≥ KEPT], the true neighbours in the same vectors.
        """
        flat = layout.pca(vectors)
        if after is None:
            drawn = self._draw(vectors, start=flat)
        else:
            flat = layout.turned(flat, onto=after.pca[: len(flat)])
            later = after.tsne[: len(flat)]
            drawn = layout.turned(self._draw(vectors, start=later), onto=later)
        chance = np.random.default_rng(seed_for(self.config.seed, "map", "random", step)).random(flat.shape)
        pictures = {"pca": flat, "tsne": drawn, "random": chance.astype(np.float32)}
        found = {name: layout.kept(picture, true[:, :KEPT]) for name, picture in pictures.items()}
        self.gaps[step] = gap
        self.done += ROUNDS
        values = {f"map/kept_{name}": share for name, share in found.items()} | {"map/gap": gap}
        self.log.write("eval", step, values, seconds=self.clock.lap())
        self._tell(self.done)
        return _Layout(layout.scaled(flat), layout.scaled(drawn), found)

    def _draw(self, vectors: Floats, *, start: Floats) -> Floats:
        seed = seed_for(self.config.seed, "map", "tsne")
        return layout.tsne(vectors, start=start, perplexity=self.config.perplexity, seed=seed, told=self._heard)

    def _heard(self) -> None:
        """Called within a t-SNE, at each of its rounds."""
        self.run.check_stop()
        self.heard += 1
        self._tell(min(self.heard, self.done + ROUNDS - 1))

    def _tell(self, rounds: int) -> None:
        self.heard = self.run.step = rounds
        self.log.write("system", rounds, {}, progress=rounds / self.total)


# --- what is left


def _facts(
    config: MapConfig, points: Sequence[Point], layouts: dict[int, _Layout], gaps: dict[int, float]
) -> dict[str, object]:
    steps = sorted(layouts)
    return {
        "kind": config.kind,
        "points": len(points),
        "steps": steps,
        "labels": [point.label for point in points],
        "kept": {str(step): layouts[step].kept | {"n": len(layouts[step].pca)} for step in steps},
        "curve": [{"step": step, "gap": gaps[step], "kept_tsne": layouts[step].kept["tsne"]} for step in steps],
    }


def _finish(run: Run, points: Sequence[Point], last: _Layout, stage: _Stage) -> None:
    final = {f"kept_{name}": share for name, share in last.kept.items()}
    final |= {"points": len(points), "gap": stage.gaps[max(stage.gaps)]}
    run.finish([("map", "map", "map")], final, steps=stage.total)
