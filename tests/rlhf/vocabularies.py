"""Small tokenizers for tests, trained on the spot: a byte-level BPE, and kinds that have no merges to replay."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ENGLISH = [
    "The tokenizer reads the text as bytes and joins the pairs that it has seen most often.",
    "In 2024 there were 1,024 tokens; the other tokens were rare, and there they stayed.",
    "def join(pairs):\n    return [left + right for left, right in pairs]\n\n\n# the end",
] * 20
MANY = [
    "Привет, как дела? Хорошо.",
    "東京都は日本の首都です。",
    "مرحبا بالعالم، كيف الحال؟",
    "नमस्ते दुनिया",
    "naïve café 🙂🙃",
] * 20


def byte_level(*, size: int = 600) -> Tokenizer:
    """A byte-level BPE as many bases have it: runs of digits, a prefix space, one special token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([*ENGLISH, *MANY], trainer)
    return inner


def with_tokens_of_its_own() -> Tokenizer:
    inner = byte_level()
    inner.add_tokens([AddedToken("  ", normalized=False), AddedToken("the", single_word=True)])
    return inner


def normalised() -> Tokenizer:
    inner = byte_level()
    inner.normalizer = normalizers.NFC()
    return inner


def whole_words_first() -> Tokenizer:
    inner = byte_level()
    inner.model.ignore_merges = True
    return inner


def unigram() -> Tokenizer:
    """A kind without merges."""
    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    inner.train_from_iterator([*ENGLISH, *MANY], trainer)
    return inner


@cache
def written(kind: str, *, size: int = 600) -> str:
    """The tokenizer.json of one of them, by its function's name."""
    return (byte_level(size=size) if kind == "byte_level" else MAKERS[kind]()).to_str()


@cache
def usage_report() -> dict[str, Any]:
    """What a pretraining run would report of these texts (`trainer.usage`), without its torch."""
    inner = byte_level()
    groups = {"manual": ENGLISH, "": MANY}
    ids = {name: [inner.encode(text).ids for text in texts] for name, texts in groups.items()}
    counts = Counter(id_ for texts in ids.values() for text in texts for id_ in text)
    ordered = [{"id": id_, "count": count} for id_, count in counts.most_common()]
    unused = [id_ for id_ in range(1, inner.get_vocab_size()) if id_ not in counts]
    shares: list[dict[str, Any]] = [
        {
            "name": name,
            "documents": len(texts),
            "characters": sum(map(len, texts)),
            "tokens": sum(map(len, ids[name])),
        }
        for name, texts in groups.items()
    ]
    return {
        "documents": sum(share["documents"] for share in shares),
        "characters": sum(share["characters"] for share in shares),
        "tokens": counts.total(),
        "vocabulary": inner.get_vocab_size() - 1,
        "most": ordered[:20],
        "least": ordered[:-21:-1],
        "unused": len(unused),
        "first_unused": unused[:200],
        "by_source": shares,
        "by_language": [shares[0] | {"name": "en"}, shares[1]],
    }


MAKERS = {
    "with_tokens_of_its_own": with_tokens_of_its_own,
    "normalised": normalised,
    "whole_words_first": whole_words_first,
    "unigram": unigram,
}
