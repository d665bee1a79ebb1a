"""Pretraining's third objective: text put right (O3). People's edits, and noise at their rate where they are few.

A row reads `<|fix|>`dirty`<|to|>`clean`<|eos|>`, and only what follows `<|to|>` counts. Everything is a function of
seed, document and epoch (O4).
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Example, Parts
from trainer.objectives import Document
from trainer.tokenizer import EOS, FIX, TO, Tokenizer

ENOUGH = 1_000  # people's pairs from which on no noise is needed
IDENTITY_SHARE = 0.15  # of pairs whose text is right already: else a model "corrects" good text
FIRST_RATE = 0.1  # of words that are wrong, where no person has corrected any
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Pair:
    """A text as it was, and as a person put it right."""

    id: str
    dirty: str
    clean: str


def read(run: Run) -> tuple[Parts[Pair], dict[str, list[str]]]:
    """(people's pairs, ids of dropped rows by reason): empty ones, and those that came before."""
    parts, dropped = Parts[Pair]([], []), defaultdict[str, list[str]](list)
    seen: set[tuple[str, str]] = set()
    for _, row in run.rows("CorrectionRow"):
        key = (row["dirty"], row["clean"])
        if not (row["dirty"].strip() and row["clean"].strip()) or key in seen:
            dropped["repeated" if key in seen else "empty"].append(row["id"])
            continue
        seen.add(key)
        (parts.train if row["split"] == "train" else parts.heldout).append(Pair(row["id"], *key))
    return parts, dict(dropped)


def tell(run: Run, learned: "Corrections", kept: "Corrections", dropped: dict[str, list[str]]) -> None:
    """Add to data_report.json what becomes of people's pairs (D1), and the rate of noise beside them."""
    report = json.loads((run.out / "data_report.json").read_bytes())
    gone = {reason: {"count": len(ids), "ids": ids} for reason, ids in sorted(dropped.items()) if ids}
    counts = {"train": len(learned.pairs), "heldout": len(kept.pairs)}
    run.write_json(
        "data_report.json", {**report, "corrections": {"kept": counts, "dropped": gone, "rate": learned.rate}}
    )


def rate_of(pairs: Sequence[Pair]) -> float:
    """The share of words that people changed: those of the dirty texts that no longest match leaves in place."""
    words = kept = 0
    for pair in pairs:
        dirty, clean = pair.dirty.split(), pair.clean.split()
        kept += sum(block.size for block in SequenceMatcher(None, dirty, clean, autojunk=False).get_matching_blocks())
        words += len(dirty)
    return (words - kept) / words if words > kept else FIRST_RATE


def chosen(document: Document, *, fim_share: float, fix_share: float, seed: int, epoch: int) -> bool:
    """Whether the document is put right in this epoch: the draw of `objectives.objective_of`, beyond its share (O4)."""
    return fim_share <= seed_for(seed, "objective", document.id, epoch) / 2**64 < fim_share + fix_share


def damage(text: str, *, rate: float, vocabulary: Sequence[str], generator: np.random.Generator) -> str:
    """The text with some words wrong: each by `rate`, and one at least. White space stays as it is.

    vocabulary: words that may stand in another's place.
    """
    places = list(_WORD.finditer(text))
    if not places:
        return text
    wrong = generator.random(len(places)) < rate
    wrong[generator.integers(len(places))] |= not wrong.any()
    parts, end = [], 0
    for place, spoilt in zip(places, wrong, strict=True):
        word = place.group()
        parts += [text[end : place.start()], _spoil(word, vocabulary, generator) if spoilt else word]
        end = place.end()
    return "".join([*parts, text[end:]])


def _spoil(word: str, vocabulary: Sequence[str], generator: np.random.Generator) -> str:
    """One word with two letters swapped, one dropped, one doubled, or another word in its place."""
    at, how = int(generator.integers(len(word))), int(generator.integers(4))
    if how == 0 and len(word) > 1:
        at = min(at, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if how == 1 and len(word) > 1:
        return word[:at] + word[at + 1 :]
    if how == 3 and vocabulary:
        return vocabulary[int(generator.integers(len(vocabulary)))]
    return word[:at] + word[at] * 2 + word[at + 1 :]


class Corrections:
    """Makes correction rows: of people's pairs where there are enough, else of documents with noise."""

    def __init__(
        self, pairs: Sequence[Pair], documents: Sequence[Document], words: Tokenizer, *, context: int, rate: float = 0.0
    ) -> None:
        """rate: of the noise; 0 is the rate of the pairs themselves."""
        self.words, self.context = words, context
        fits = [self._row(pair.id, pair.dirty, pair.clean) is not None for pair in pairs]
        self.pairs = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
        self.overlong = [pair.id for pair, fit in zip(pairs, fits, strict=True) if not fit]
        self.rate = rate or rate_of(self.pairs)
        self.vocabulary = sorted({word for document in documents[:ENOUGH] for word in document.text.split()[:200]})

    def people(self) -> list[Example]:
        """All of people's pairs, as they are."""
        rows = (self._row(pair.id, pair.dirty, pair.clean) for pair in self.pairs)
        return [row for row in rows if row is not None]

    def of(self, document: Document, *, seed: int, epoch: int) -> list[Example]:
        """A document's turn: one of people's pairs, or its own passages with noise; IDENTITY_SHARE are right already.

        Empty where a passage does not fit the context twice: no part of a document is lost.
        """
        generator = np.random.default_rng(seed_for(seed, "fix", document.id, epoch))
        identity = generator.random() < IDENTITY_SHARE
        if generator.random() * ENOUGH < len(self.pairs):
            pair = self.pairs[int(generator.integers(len(self.pairs)))]
            found = [(pair.clean if identity else pair.dirty, pair.clean)]
        else:
            found = [
                (clean if identity else self._damaged(clean, generator), clean) for clean in self._passages(document)
            ]
        rows = [self._row(document.id, dirty, clean) for dirty, clean in found]
        return [row for row in rows if row is not None] if all(rows) else []

    def clean(self, document: Document) -> list[Example]:
        """The document's passages as texts that are right already."""
        rows = (self._row(document.id, clean, clean) for clean in self._passages(document))
        return [row for row in rows if row is not None]

    def spoilt(self, document: Document, *, seed: int) -> list[Example]:
        """The document's passages with noise in each."""
        generator = np.random.default_rng(seed_for(seed, "spoilt", document.id))
        rows = (self._row(document.id, self._damaged(one, generator), one) for one in self._passages(document))
        return [row for row in rows if row is not None]

    def _damaged(self, clean: str, generator: np.random.Generator) -> str:
        return damage(clean, rate=self.rate, vocabulary=self.vocabulary, generator=generator)

    def _passages(self, document: Document) -> list[str]:
        """The text in passages of whole words, each so short that it fits twice, with room for what noise adds."""
        room = (self.context - 3) // 3
        count = max(1, -(-len(document.ids) // max(1, room)))
        places = [place.end() for place in _WORD.finditer(document.text)]
        if not places:
            return []
        ends = [places[(part + 1) * len(places) // count - 1] for part in range(count) if len(places) >= count]
        ends = ends or places
        return [document.text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _row(self, id_: str, dirty: str, clean: str) -> Example | None:
        """The row of a pair; None where it is longer than the context."""
        asked, told = self.words.encode([dirty, clean])
        ids = [FIX, *asked, TO, *told, EOS]
        if len(ids) > self.context:
            return None
        mask = [place > len(asked) + 1 for place in range(len(ids))]
        return Example(id_, ids, mask, size=len(clean.encode()))
