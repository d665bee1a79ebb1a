"""How a corpus uses the vocabulary that was trained on it. Counting only; nothing here changes a run.

The report stands in a pretraining run's evaluation.json as `tokenizer`, and names tokens by their ids.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from trainer.contract.rundir import Run
from trainer.objectives import Document
from trainer.tokenizer import RESERVED

SHOWN = 20  # of the most and of the least frequent tokens
UNUSED_SHOWN = 200
ORIGINS = 50  # the largest sources and languages


class Count(TypedDict):
    id: int
    count: int


class Share(TypedDict):
    """What one source or language brings. name: empty where the corpus does not say."""

    name: str
    documents: int
    characters: int
    tokens: int


class Usage(TypedDict):
    """most, least: tokens in use, from the ends. unused: how many are in no document; first_unused: the lowest ids.

    vocabulary, unused and the lists leave out the reserved tokens, which no document can hold.
    """

    documents: int
    characters: int
    tokens: int
    vocabulary: int
    most: list[Count]
    least: list[Count]
    unused: int
    first_unused: list[int]
    by_source: list[Share]
    by_language: list[Share]


class Origin(TypedDict):
    source: str
    language: str


def origins(run: Run) -> dict[str, Origin]:
    """Where each document of the corpus comes from, by its id, as far as its row says."""
    rows = (row for _, row in run.rows("CorpusRow"))
    return {
        row["id"]: Origin(source=str(row.get("source") or ""), language=str(row.get("language") or "")) for row in rows
    }


def usage(documents: Sequence[Document], *, vocabulary: int, origins: Mapping[str, Origin]) -> Usage:
    """The report on these documents. vocabulary: tokens of the tokenizer, reserved ones included."""
    counts = np.zeros(vocabulary, dtype=np.int64)
    for document in documents:
        counts += np.bincount(document.ids, minlength=vocabulary)
    ids = np.arange(len(RESERVED), vocabulary)
    ordered = ids[np.argsort(-counts[ids], kind="stable")]
    used = [int(token) for token in ordered if counts[token]]
    unused = [int(token) for token in ids if not counts[token]]
    return Usage(
        documents=len(documents),
        characters=sum(len(document.text) for document in documents),
        tokens=int(counts.sum()),
        vocabulary=len(ids),
        most=[Count(id=token, count=int(counts[token])) for token in used[:SHOWN]],
        least=[Count(id=token, count=int(counts[token])) for token in used[SHOWN:][::-1][:SHOWN]],
        unused=len(unused),
        first_unused=unused[:UNUSED_SHOWN],
        by_source=_shares(documents, lambda document: origins[document.id]["source"]),
        by_language=_shares(documents, lambda document: origins[document.id]["language"]),
    )


def _shares(documents: Sequence[Document], name_of: Callable[[Document], str]) -> list[Share]:
    """What each origin brings, most tokens first."""
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[name_of(document)].append(document)
    shares = [
        Share(
            name=name,
            documents=len(same),
            characters=sum(len(document.text) for document in same),
            tokens=sum(len(document.ids) for document in same),
        )
        for name, same in groups.items()
    ]
    return sorted(shares, key=lambda share: (-share["tokens"], share["name"]))[:ORIGINS]
