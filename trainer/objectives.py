"""What pretraining makes of a document: its next tokens, or a gap to fill (O1, O2, O4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.contract.seeds import seed_for
from trainer.data import Example
from trainer.tokenizer import BOS, EOS, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Tokenizer


@dataclass(frozen=True)
class Document:
    """One text of a corpus; ids are the text's own, without begin and end."""

    id: str
    text: str
    ids: list[int]


def encode(documents: Sequence[tuple[str, str]], words: Tokenizer) -> list[Document]:
    """The documents with their ids, encoded once."""
    ids = words.encode([text for _, text in documents])
    return [Document(id_, text, own) for (id_, text), own in zip(documents, ids, strict=True)]


def next_token(document: Document, *, context: int) -> list[Example]:
    """The document as begin, text, end, cut into pieces of the context; no token is lost (O1)."""
    ids = [BOS, *document.ids, EOS]
    pieces = [ids[start : start + context] for start in range(0, len(ids), context)]
    size = len(document.text.encode())
    return [
        Example(document.id, piece, [place > 0 for place in range(len(piece))], size=size if at == 0 else 0)
        for at, piece in enumerate(pieces)
    ]


def fill_in_the_middle(document: Document, words: Tokenizer, *, context: int, seed: int) -> Example | None:
    """The document with a gap to fill at its end, half of them suffix first; None where it is longer than the context.

    Split points are uniform over characters, so that words break; every token counts but the first.
    Source: Bavarian et al. 2022, as O2 has it.
    """
    generator = np.random.default_rng(seed)
    start, end = sorted(generator.integers(0, len(document.text) + 1, size=2).tolist())
    a, b, c = words.encode([document.text[:start], document.text[start:end], document.text[end:]])
    if generator.random() < 0.5:
        ids = [FIM_PREFIX, *a, FIM_SUFFIX, *c, FIM_MIDDLE, *b, EOS]
    else:
        ids = [FIM_SUFFIX, *c, FIM_PREFIX, *a, FIM_MIDDLE, *b, EOS]
    if len(ids) > context:
        return None
    return Example(document.id, ids, [place > 0 for place in range(len(ids))], size=len(document.text.encode()))


def objective_of(document: Document, *, fim_share: float, seed: int, epoch: int) -> bool:
    """Whether the document is filled in the middle in this epoch: pure, so resume needs no state (O4)."""
    return seed_for(seed, "objective", document.id, epoch) / 2**64 < fim_share
