"""O3: text put right, by people's edits and by noise."""

import json

import numpy as np
import pytest
import torch

from tests.trainer.runs import WORDS, corpus_rows, failure, lay_out, sentence, split_of
from trainer import base, corrections, losses, objectives, packing, sampling, tokenizer
from trainer.__main__ import main
from trainer.corrections import Corrections, Pair
from trainer.data import Example
from trainer.objectives import Document
from trainer.optimizer import PRETRAIN_BETAS, AdamW, rate
from trainer.sampling import Settings
from trainer.tokenizer import EOS, FIX, TO

DOCUMENTS = [Document(f"d{n}", sentence(n, words=14), []) for n in range(400)]


def pairs(count: int) -> list[Pair]:
    return [Pair(f"e{n}", f"teh {sentence(n)}", f"the {sentence(n)}") for n in range(count)]


def correction_rows(count: int) -> list[dict]:
    return [
        {"id": pair.id, "split": split_of(n), "dirty": pair.dirty, "clean": pair.clean}
        for n, pair in enumerate(pairs(count))
    ]


@pytest.fixture(scope="module")
def encoded(words):
    return objectives.encode([(one.id, one.text) for one in DOCUMENTS], words)


def test_o3_a_row_is_the_dirty_text_then_the_clean_one_and_only_the_latter_counts(words):
    (row,) = Corrections([Pair("e", "teh cat", "the cat")], [], words, context=64).people()
    dirty, clean = words.encode(["teh cat", "the cat"])
    assert row.ids == [FIX, *dirty, TO, *clean, EOS]
    assert row.mask == [False] * (len(dirty) + 2) + [True] * (len(clean) + 1)
    assert (words.token_text(FIX), words.token_text(TO)) == ("<|fix|>", "<|to|>")


@pytest.mark.parametrize(
    ("dirty", "clean", "expected"),
    [
        ("teh cat sat down", "the cat sat down", 1 / 4),
        ("a a b", "a b", 1 / 3),
        ("one two", "one two", corrections.FIRST_RATE),  # nothing was wrong: no rate is known
    ],
)
def test_o3_the_rate_is_the_share_of_words_that_people_changed(dirty, clean, expected):
    assert corrections.rate_of([Pair("e", dirty, clean)]) == pytest.approx(expected)


def test_o3_the_rate_without_pairs_is_the_first_one():
    assert corrections.rate_of([]) == corrections.FIRST_RATE


def test_o3_noise_spoils_words_at_its_rate_and_leaves_white_space():
    text = "  one\ttwo \n three four five  " * 200  # 1,000 words; 0.3 ± 4 standard errors of 0.0145
    spoilt = corrections.damage(text, rate=0.3, vocabulary=["other"], generator=np.random.default_rng(1))
    assert len(spoilt.split()) == 1_000
    assert "".join(spoilt.split(" ")).count("\t") == text.count("\t")
    changed = sum(a != b for a, b in zip(text.split(), spoilt.split(), strict=True)) / 1_000
    assert 0.23 < changed < 0.36  # a swap of equal letters changes nothing: "three", once in four swaps


def test_o3_noise_always_spoils_at_least_one_word():
    spoilt = [
        corrections.damage("cat dog", rate=0.0, vocabulary=["ox"], generator=np.random.default_rng(seed))
        for seed in range(50)
    ]
    assert "cat dog" not in spoilt


def test_o3_each_kind_of_noise_occurs():
    found = {corrections._spoil("abc", ["other"], np.random.default_rng(seed)) for seed in range(200)}
    assert found >= {"bac", "acb", "bc", "ac", "ab", "aabc", "abbc", "abcc", "other"}


def test_o3_a_share_of_the_pairs_is_right_already(words, encoded):
    maker = Corrections([], encoded, words, context=128)
    rows = [row for one in encoded for epoch in range(5) for row in maker.of(one, seed=3, epoch=epoch)]
    same = sum(row.ids[1 : row.ids.index(TO)] == row.ids[row.ids.index(TO) + 1 : -1] for row in rows)
    # 0.15 of 2,000 ± 4 standard errors of 0.008
    assert same / len(rows) == pytest.approx(0.15, abs=0.032)


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 0.0), (250, 0.14, 0.36), (1_000, 1.0, 1.0)])
def test_o3_noise_fills_up_where_people_made_few_pairs(words, encoded, count, low, high):
    # with 250 of 1,000 pairs a quarter is people's: 400 draws, ± 5 standard errors of 0.022
    known = {tuple(words.encode([pair.clean])[0]) for pair in pairs(count)}
    maker = Corrections(pairs(count), encoded, words, context=128)
    rows = [maker.of(one, seed=3, epoch=0)[0] for one in encoded]
    people = sum(tuple(row.ids[row.ids.index(TO) + 1 : -1]) in known for row in rows) / len(rows)
    assert low <= people <= high


def test_o4_a_documents_turn_follows_from_seed_and_epoch(words, encoded):
    first, again = (Corrections(pairs(20), encoded, words, context=128) for _ in range(2))
    assert [first.of(one, seed=3, epoch=1) for one in encoded] == [again.of(one, seed=3, epoch=1) for one in encoded]
    assert first.of(encoded[0], seed=3, epoch=1) != first.of(encoded[0], seed=3, epoch=2)


def test_o4_no_document_has_two_objectives_and_the_shares_hold():
    gaps = {one.id for one in DOCUMENTS if objectives.objective_of(one, fim_share=0.3, seed=1, epoch=0)}
    fixes = {one.id for one in DOCUMENTS if corrections.chosen(one, fim_share=0.3, fix_share=0.2, seed=1, epoch=0)}
    assert not gaps & fixes
    assert len(fixes) / 400 == pytest.approx(0.2, abs=0.08)  # 4 standard errors


def test_o3_a_long_document_is_put_right_in_passages_that_lose_no_word(words):
    text = " ".join(sentence(n) for n in range(40))
    (document,) = objectives.encode([("long", text)], words)
    rows = Corrections([], [document], words, context=64).of(document, seed=1, epoch=0)
    told = "".join(words.decode(row.ids[row.ids.index(TO) + 1 : -1]) for row in rows)
    assert len(rows) > 5
    assert told.split() == text.split()


def test_o3_what_cannot_fit_stays_with_the_other_objectives(words):
    (document,) = objectives.encode([("word", "x" * 500)], words)
    assert Corrections([], [document], words, context=16).of(document, seed=1, epoch=0) == []


# --- in a run


def test_o3_pairs_of_people_are_learned_from_reported_and_measured(pretrain_run):
    rows = correction_rows(30)
    long = {"id": "long", "split": "train", "dirty": "x " * 300, "clean": "y"}
    path = lay_out(
        pretrain_run("plain").parent / "run",
        {"stage": "pretrain", "size": "toy", "fix_share": 0.5, "batch_tokens": 400, "max_steps": 4},
        corpus=corpus_rows(),
        correction=[*rows, rows[0], {**rows[0], "id": "void", "clean": " "}, long],
    )
    assert main(["pretrain", str(path)]) == 0
    told = json.loads((path / "data_report.json").read_text())["corrections"]
    assert told["kept"] == {"train": 24, "heldout": 6}
    assert {reason: one["ids"] for reason, one in told["dropped"].items()} == {
        "repeated": ["e0"],
        "empty": ["void"],
        "overlong": ["long"],
    }
    assert told["rate"] == pytest.approx(1 / 9, abs=0.01)  # one of nine words
    assert "heldout_fix_nll" in json.loads((path / "result.json").read_text())["final"]


def test_o3_shares_beyond_1_are_refused(pretrain_run):
    path = pretrain_run(fim_share=0.7, fix_share=0.4)
    assert main(["pretrain", str(path)]) == 2
    assert failure(path)["sentence"] == ("fix_share is 0.4; allowed: at most 1 together with fim_share, which is 0.7.")


def test_o3_share_0_is_pretraining_as_before(pretrain_run):
    path = pretrain_run(fix_share=0.0)
    assert main(["pretrain", str(path)]) == 0
    assert "heldout_fix_nll" not in json.loads((path / "result.json").read_text())["final"]
    assert "corrections" not in json.loads((path / "data_report.json").read_text())


@pytest.mark.full
def test_o3_a_toy_learns_to_put_swapped_letters_right():
    """200 words, 400 steps of 64 pairs: more than 90 % of swaps put right, more than 95 % of right words kept."""
    draw = np.random.default_rng(5)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    vocabulary = sorted({"".join(draw.choice(syllables, 3).tolist()) for _ in range(210)})[:200]
    words = tokenizer.train_bpe([" ".join(vocabulary)] * 2, size=512)

    def swapped(word: str) -> str:
        places = [at for at in range(len(word) - 1) if word[at] != word[at + 1]]
        at = int(draw.choice(places))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    def rows(count: int) -> list[Example]:
        clean = draw.choice(vocabulary, count).tolist()
        made = [Pair(str(n), word if draw.random() < 0.15 else swapped(word), word) for n, word in enumerate(clean)]
        return Corrections(made, [], words, context=64).people()

    model = base.make("toy", vocab=512, seed=1)
    optimizer = AdamW(list(model.parameters()), betas=PRETRAIN_BETAS)
    model.train()
    for step in range(400):
        examples = rows(64)
        batch = packing.collate(examples, range(len(examples)))
        hidden = base.trunk(model, batch).index_select(0, batch.at)
        head = base.head_weight(model)
        loss, _ = losses.linear_cross_entropy(hidden, head, batch.targets, batch.weights, chunk=4_096)
        optimizer.zero()
        (loss / len(batch.targets)).backward()
        optimizer.clip(1.0)
        optimizer.step(rate(step, total=400, lr=3e-3, schedule="cosine", warmup_share=0.05, final_lr_share=0.1))

    def right(asked: list[str]) -> float:
        rollout = sampling.sample(
            model,
            [torch.tensor([FIX, *ids, TO]) for ids in words.encode(asked)],
            role=None,
            settings=Settings(max_new_tokens=12, temperature=0.0, stop_ids=frozenset({EOS})),
            seeds=[0] * len(asked),
            decode_rows=200,
            stop=lambda: None,
        )
        told = [words.decode(ids.tolist()) for ids in rollout.answers()]
        return sum(a == b for a, b in zip(told, vocabulary, strict=True)) / len(vocabulary)

    assert right([swapped(word) for word in vocabulary]) > 0.9
    assert right(vocabulary) > 0.95


def test_the_known_words_are_those_of_the_corpus(words, encoded):
    assert set(Corrections([], encoded, words, context=64).vocabulary) <= {*WORDS, *(f"{word}." for word in WORDS)}
