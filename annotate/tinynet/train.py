"""From texts to a start: counted words, a trained network, its weights in 16 bits, and what those are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from annotate.tinynet.held_out import table
from annotate.tinynet.items import Paragraph, paragraph
from annotate.tinynet.paragraphs import sentences, window
from annotate.tinynet.pretrain import GameConfig, pretrain
from annotate.tinynet.start import Start, read, write
from annotate.tinynet.stream import Document
from annotate.tinynet.words import Vocabulary


def train_start(
    texts: Sequence[str],
    held_out: Mapping[str, str],
    *,
    config: GameConfig,
    language: str,
    corpus_sha256: str,
    code: str,
) -> Start:
    """The start that has read texts, with its table on the paragraphs of held_out (texts by SHA-256).

    18 s of one core for 250 thousand words. Raises what `pretrain` and `start.write` raise.
    """
    vocabulary = counted(texts)
    net = pretrain(documents(texts, vocabulary), vocabulary, config)
    raw = Start(net, vocabulary, language, config.seed, asdict(config), corpus_sha256, code)
    start = read(write(raw))  # what is measured is what is played
    return replace(start, held_out=table(start.net, vocabulary, paragraphs(held_out, start)))


def counted(texts: Iterable[str]) -> Vocabulary:
    return Vocabulary.of(
        Counter(token.word for text in texts for sentence in sentences(text) for token in sentence.tokens)
    )


def documents(texts: Iterable[str], vocabulary: Vocabulary) -> list[Document]:
    return [[vocabulary.ids(sentence.tokens) for sentence in sentences(text)] for text in texts]


def paragraphs(held_out: Mapping[str, str], start: Start) -> list[Paragraph]:
    """What can be played of the texts; those without eight sentences that have an item are left out."""
    return playable(held_out, start.vocabulary, version=start.items_seed)


def playable(held_out: Mapping[str, str], vocabulary: Vocabulary, *, version: str) -> list[Paragraph]:
    """As `paragraphs`; which texts can be played depends on the vocabulary alone, their items on the version too."""
    found = []
    for key, text in held_out.items():
        if (read_part := window(sentences(text))) is not None:
            found.append(paragraph(read_part, vocabulary, start=version, key=key))
    return [one for one in found if one is not None]
