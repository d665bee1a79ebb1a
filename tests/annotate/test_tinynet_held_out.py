"""What a start is worth on unseen blanks, by made-up networks and, at length, by a trained one."""

import random

import pytest

from annotate.tinynet import bundled
from annotate.tinynet.held_out import accuracy, offered, table
from annotate.tinynet.items import Paragraph, paragraph
from annotate.tinynet.net import Net
from annotate.tinynet.paragraphs import grams, sentences, window
from annotate.tinynet.play import answer, example
from annotate.tinynet.pretrain import GameConfig
from annotate.tinynet.start import read, write
from annotate.tinynet.train import counted, paragraphs, train_start
from bench.game import ROOT, read_corpus, read_in_play, show_cost, show_table
from bench.game import read_bundled as bundled_corpus
from tests.annotate.game import vocabulary, word

DATA = ROOT.parent / "shared" / "data"
FILES = [
    DATA / "dolly" / "pairs.jsonl",
    DATA / "oasst" / "trees.jsonl",
    DATA / "documents" / "open-assistant-docs.jsonl",
]


@pytest.fixture(scope="module")
def words():
    return vocabulary()


def on_theme(theme: int, words) -> Paragraph:
    """Eight sentences with the same ten content words, in another order each."""
    own = [word(200 + 10 * theme + nth) for nth in range(10)]
    lines = []
    for nth in range(8):
        mixed = random.Random(nth).sample(own, 10)
        lines.append(" ".join([word(1), word(2), *mixed]).capitalize() + ".")
    chosen = window(sentences("\n".join(lines)))
    found = paragraph(chosen or [], words, start="s", key=f"{theme}")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def themed(words) -> list[Paragraph]:
    return [on_theme(theme, words) for theme in range(10)]


@pytest.fixture(scope="module")
def copying(words, themed):
    """The table of a network that knows only that words come back."""
    net = Net.newborn(1, words.u)
    net.copy[:] = 50
    return table(net, words, themed)


def test_a_network_that_copies_is_right_with_context_and_lost_without(copying):
    for mode in ("missing", "next"):
        row = copying["modes"][mode]
        assert row["with"] == 1.0
        assert 0.1 < row["without"] < 0.4  # chance is 0.25 of 280 blanks: 6 standard errors
        assert row["gain"][1] <= row["gain"][0] == pytest.approx(1 - row["without"], abs=1e-3)


def test_first_sentences_are_not_counted_as_they_have_no_context(copying, themed):
    assert copying["modes"]["missing"]["n"] == 7 * 4 * len(themed)
    assert copying["by_sentence"]["missing"]["with"][1:] == [1.0] * 7
    assert copying["by_sentence"]["missing"]["with"][0] == copying["by_sentence"]["missing"]["without"][0]


def test_the_context_of_another_paragraph_is_no_help(copying):
    for mode in ("missing", "next"):
        mean, low, _ = copying["modes"][mode]["other_gain"]
        assert low <= 0
        assert mean <= 0.03


def test_without_its_copying_the_network_is_lost(copying):
    assert copying["switched_off"]["copy"]["missing"] < 0.4
    assert copying["switched_off"]["pull"]["missing"] == 1.0


def test_a_copying_network_finds_the_word_that_has_not_come_back(copying):
    assert copying["correction"]["chance"] == pytest.approx(0.1, abs=1e-3)  # ten playable words a sentence
    assert copying["correction"]["found"]["with"] == 1.0
    assert copying["correction"]["repaired"]["with"] == 1.0


def test_a_start_is_offered_only_where_context_helps_beyond_doubt(copying, words, themed):
    assert offered(copying)
    assert not offered(table(Net.newborn(1, words.u), words, themed))
    assert not offered(table(Net.newborn(1, words.u), words, []))


def test_an_exam_counts_every_blank_with_its_context(words, themed):
    net = Net.newborn(1, words.u)
    net.copy[:] = 50
    # of each theme 28 of 32 blanks have a context that holds them; the rest are chance
    assert 28 / 32 <= accuracy(net, words, themed, mode="missing") < 1


def test_themes_are_read_from_their_files(tmp_path):
    (tmp_path / "tides.txt").write_text("One.\nTwo.\n\nThree.\nFour.\n")
    (tmp_path / "LICENSE.txt").write_text("CC0")
    (theme,) = bundled.themes(tmp_path)
    assert (theme.name, theme.train, theme.play) == ("tides", ("One.\nTwo.",), "Three.\nFour.")


@pytest.fixture(scope="module")
def read_in():
    return read_in_play(bundled_corpus(), 1)


def test_context_helps_on_the_bundled_paragraphs(read_in):
    assert read_in.held_out["paragraphs"] == 12
    assert offered(read_in.held_out)


def test_a_trained_start_is_what_its_file_holds():
    texts = [" ".join(word(rank) for rank in range(nth, nth + 160)) + "." for nth in range(0, 400, 10)]

    config = GameConfig(epochs=1, batch=64)
    found = train_start(texts, {}, config=config, language="en", corpus_sha256="c0" * 32, code="1")
    again = read(write(found))
    assert [array.tobytes() for array in again.net.arrays()] == [array.tobytes() for array in found.net.arrays()]
    assert found.vocabulary == counted(texts)


@pytest.mark.full
def test_the_bench_prints_tables_and_a_replay_that_is_the_same(read_in, capsys):
    show_table(read_in.held_out, beside={})
    show_cost(read_in, bundled_corpus())
    printed = capsys.readouterr().out
    assert "missing word" in printed
    assert "differs" not in printed


@pytest.fixture(scope="module")
def corpus():
    if not all(file.is_file() for file in FILES):
        pytest.skip("../shared/data is absent: the game's figures need its documents")
    return read_corpus(FILES)


@pytest.fixture(scope="module")
def trained(corpus):

    return train_start(
        corpus.train, corpus.held, config=GameConfig(), language="en", corpus_sha256="c0" * 32, code="test"
    )


@pytest.mark.full
@pytest.mark.parametrize(
    ("mode", "without", "with_context"), [("missing", 0.668, 0.755), ("next", 0.605, 0.706)]
)  # section 5 of the spec, seed 1
def test_a_trained_start_reaches_the_figures_of_the_spec(trained, mode, without, with_context):
    row = trained.held_out["modes"][mode]
    assert row["without"] == pytest.approx(without, abs=0.03)
    assert row["with"] == pytest.approx(with_context, abs=0.03)
    assert row["gain"][1] > 0


@pytest.mark.full
@pytest.mark.parametrize("mode", ["missing", "next"])
def test_another_paragraphs_context_and_a_network_without_its_two_ways_gain_nothing(trained, mode):
    row = trained.held_out["modes"][mode]
    assert abs(row["other_gain"][0]) <= 0.03
    assert abs(trained.held_out["switched_off"]["both"][mode] - row["without"]) <= 0.03


@pytest.mark.full
@pytest.mark.parametrize("eta", [0.02, 0.1])
def test_every_step_of_a_trained_network_makes_its_gold_likelier(trained, corpus, eta):

    net = trained.net.twin()
    items = [(whole, item) for whole in paragraphs(corpus.held, trained) for item in whole.items][:400]
    rose = 0
    for whole, item in items:
        seen = example(whole, item, trained.vocabulary, mode="missing")
        told = answer(net, seen, gold=item.gold, eta=eta, context_on=True)
        rose += told.loss_after < told.loss_before
    assert (len(items), rose) == (400, 400)


@pytest.mark.full
def test_no_held_out_document_shares_thirteen_words_with_training(corpus):

    held = set().union(*(grams(text) for text in corpus.held.values()))
    assert all(held.isdisjoint(grams(text)) for text in corpus.train)
