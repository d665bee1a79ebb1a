"""Held-out rows as a model meets them (E1), blanks that it fills and texts that it puts right (E2).

Nothing is written by the model: it would write a text to the letter where at each of its tokens, given those before,
that token has the greatest logit. One pass tells.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from trainer import data, measure, objectives
from trainer.base import Model
from trainer.cloze import wilson
from trainer.contract.configs import EvaluateConfig
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.corrections import Corrections, read
from trainer.data import Example
from trainer.objectives import Document
from trainer.tokenizer import EOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, FIX, RESERVED, TO, Tokenizer

CHUNK = 1_024  # counted tokens of one product with the head
SHARES = ("blanks", "corrections", "false_alarms")
WORD = re.compile(r"\s*\S+")
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Held:
    """What one tokenizer makes of the held-out rows.

    surprises: rows by objective, whose loss is told. recited: rows by what is asked, whose counted tokens must all be
    the likeliest. noise: no person's correction is held out, so words were spoilt instead.
    """

    surprises: dict[str, list[Example]]
    recited: dict[str, list[Example]]
    noise: bool

    def __bool__(self) -> bool:
        return any((*self.surprises.values(), *self.recited.values()))


def holds(run: Run) -> bool:
    """Whether the run brings held-out documents or dialogues."""
    return any(True for kind in ("CorpusRow", "SftRow") for _ in run.rows(kind, "heldout"))


def speaks(run: Run) -> bool:
    """Whether it brings held-out dialogues, which need the chat template."""
    return any(True for _ in run.rows("SftRow", "heldout"))


def held(run: Run, config: EvaluateConfig, words: Tokenizer, *, context: int) -> Held:
    """The held-out documents, people's corrections and dialogues of a run, at most config.heldout_rows of each.

    Raises heldout_in_train, no_heldout.
    """
    most = config.heldout_rows
    parts = data.documents(run, config)
    documents = objectives.encode(_some(parts.heldout, most, seed=config.seed), words)
    knows = _knows(words)
    surprises = {"next": [piece for one in documents for piece in objectives.next_token(one, context=context)]}
    recited: dict[str, list[Example]] = {}
    noise = False
    if knows:
        blanks = [blank for one in documents if (blank := _blank(one, words, context=context, seed=config.seed))]
        surprises["middle"] = recited["blanks"] = blanks
        fixes, clean, noise = _corrections(run, parts.train, documents, words, context=context, most=most)
        surprises["fix"], recited["corrections"], recited["clean"] = fixes, fixes, clean
    surprises["answers"] = data.dialogues(run, config, words, context=context).heldout[:most]
    return Held(_filled(surprises), _filled(recited), noise)


def _knows(words: Tokenizer) -> bool:
    """Whether the tokenizer has the tokens of gaps and corrections at their places (T2)."""
    places = (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, FIX, TO)
    return len(words) > max(places) and all(words.token_text(at) == RESERVED[at] for at in places)


def _some(rows: list[tuple[str, str]], most: int, *, seed: int) -> list[tuple[str, str]]:
    """As many of them, drawn by the seed, in their own order."""
    chosen = {id_ for id_, _ in sorted(rows, key=lambda row: seed_for(seed, "heldout", row[0]))[:most]}
    return [row for row in rows if row[0] in chosen]


def _blank(document: Document, words: Tokenizer, *, context: int, seed: int) -> Example | None:
    """The document with one word to fill in, prefix first, cut around it to the context; only the middle counts.

    None where it has no word, or one that the context cannot hold.
    """
    places = list(WORD.finditer(document.text))
    if not places:
        return None
    draw = np.random.default_rng(seed_for(seed, "blank", document.id))
    place = places[int(draw.integers(len(places)))]
    before, middle, after = document.text[: place.start()], place.group(), document.text[place.end() :]
    a, b, c = words.encode([before, middle, after])
    room = context - len(b) - 4
    if room < 0:
        return None
    right = c[: max(room - len(a), room // 2)]
    left = a[max(0, len(a) + len(right) - room) :]
    ids = [FIM_PREFIX, *left, FIM_SUFFIX, *right, FIM_MIDDLE, *b, EOS]
    start = len(ids) - len(b) - 1
    return Example(document.id, ids, [at >= start for at in range(len(ids))], size=len(middle.encode()))


def _corrections(
    run: Run, train: list[tuple[str, str]], heldout: list[Document], words: Tokenizer, *, context: int, most: int
) -> tuple[list[Example], list[Example], bool]:
    """(texts to put right, texts that are right already, whether the first are noise)."""
    pairs, _ = read(run)
    learned = [Document(id_, text, []) for id_, text in train]
    rate = Corrections(pairs.train, learned, words, context=context).rate
    kept = Corrections(pairs.heldout, learned, words, context=context, rate=rate)
    clean = [row for document in heldout for row in kept.clean(document)][:most]
    people = kept.people()
    fixes = people or [row for document in heldout for row in kept.spoilt(document, seed=0)]
    return fixes[:most], clean, not people


def _filled(rows: dict[str, list[Example]]) -> dict[str, list[Example]]:
    return {name: own for name, own in rows.items() if own}


def look(model: Model, held: Held, *, budget: int, stop: Callable[[], None]) -> Json:
    """The model's figures on held-out rows, by the adapter in use. stop is called before each pass.

    nll: by objective, as `measure.nll`, every row weighing 1. blanks, corrections: the share written to the letter;
    false_alarms: the share of texts that are right already which the model would change; each with a 95 % interval.
    """
    plain = {name: [replace(row, weight=1.0) for row in rows] for name, rows in held.surprises.items()}
    found: Json = {
        "nll": {
            name: asdict(measure.nll(model, rows, budget=budget, chunk=CHUNK, stop=stop))
            for name, rows in plain.items()
        }
    }
    for name, rows in held.recited.items():
        right = sum(measure.recited(model, rows, budget=budget, chunk=CHUNK, stop=stop))
        if name == "clean":
            found["false_alarms"] = _share(len(rows) - right, len(rows))
        else:
            found[name] = _share(right, len(rows))
    return found


def _share(right: int, rows: int) -> dict[str, float]:
    low, high = wilson(right, rows)
    return {"share": right / rows, "low": low, "high": high, "rows": rows}


def values(found: Json) -> dict[str, float]:
    """The metrics of what `look` found, each key with its unit."""
    told = {f"heldout/{name}_nats_per_token": own["nats_per_token"] for name, own in found["nll"].items()}
    return told | {f"heldout/{name}": found[name]["share"] for name in SHARES if name in found}


def ends(found: Json) -> dict[str, float | None]:
    """The figures of the base itself, for result.json."""
    figures: dict[str, float | None] = {}
    for name, own in found["nll"].items():
        figures[f"heldout_{name}_nll"] = own["nats_per_token"]
        figures[f"heldout_{name}_bits_per_byte"] = own["bits_per_byte"]
    return figures | {f"heldout_{name}": found[name]["share"] for name in SHARES if name in found}
