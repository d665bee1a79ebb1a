"""Small tokenizers for tests, trained on the spot: a byte-level BPE, and kinds that have no merges to replay."""

from __future__ import annotations

from functools import cache

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


MAKERS = {
    "with_tokens_of_its_own": with_tokens_of_its_own,
    "normalised": normalised,
    "whole_words_first": whole_words_first,
    "unigram": unigram,
}
