"""Training the start: the batch's arithmetic against the single example's, and what a config may say."""

from collections import Counter

import numpy as np
import pytest

from annotate.errors import AnnotateError
from annotate.tinynet import pretrain as pretraining
from annotate.tinynet.net import NAMES, RARE, Net, forward, gradients
from annotate.tinynet.paragraphs import sentences
from annotate.tinynet.pretrain import GameConfig, pretrain
from annotate.tinynet.stream import Practice, Stream, practice_file, read_practice
from annotate.tinynet.words import Vocabulary, tokens
from tests.annotate.game import prose, vocabulary


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [prose(theme % 12, sentences=12, seed=theme) for theme in range(60)]


@pytest.fixture(scope="module")
def words(texts) -> Vocabulary:
    return Vocabulary.of(Counter(token.word for text in texts for token in tokens(text)))


@pytest.fixture(scope="module")
def documents(texts, words):
    return [[words.ids(sentence.tokens) for sentence in sentences(text)] for text in texts]


@pytest.fixture(scope="module")
def trained(documents, words) -> Net:
    return pretrain(documents, words, GameConfig(epochs=2, batch=128))


def test_the_gradient_of_a_batch_is_the_mean_of_its_examples(documents, words):
    stream = Stream.of(documents, words)
    net = Net.newborn(2, words.u)
    net.copy[:], net.g[:] = 0.5, 1.0
    place = stream.blanks()[::150][:40]
    batch = pretraining._Examples(place, np.arange(40) % 2 == 1, np.arange(40) % 5 == 4)
    rarity = (RARE / (RARE + words.u)).astype(np.float32)
    found = pretraining._gradients(
        {name: getattr(net, name).astype(np.float32) for name in NAMES}, pretraining._inputs(stream, rarity, batch)
    )
    singles = []
    for nth in range(40):
        example = stream.example(int(place[nth]), "next" if batch.next[nth] else "missing")
        seen = forward(net, example.without_context() if batch.bare[nth] else example)
        singles.append(gradients(net, seen, int(stream.ids[place[nth]])))
    for name in NAMES:
        mean = np.mean([getattr(single, name) for single in singles], axis=0)
        np.testing.assert_allclose(found[name], mean, rtol=1e-3, atol=2e-6, err_msg=name)


def test_an_example_sees_its_sentence_and_the_content_of_those_before(words):
    common, own = list(range(3, 9)), [130, 131, 132]
    stream = Stream.of([[[130, 3, 4], [5, 131, 6, 7, 132, 8, 3]]], words)
    example = stream.example(4, "missing")
    assert stream.ids[4] == own[1]
    assert (example.left, example.right) == ((5, 2), (6, 7, 132, 8, 3))
    assert example.context == (130,)
    assert stream.example(4, "next").right == ()
    assert common[0] == 3


def test_the_context_is_the_last_sixty_content_words_of_the_same_document(words):
    long = [[130 + nth % 8] * 4 for nth in range(20)]
    stream = Stream.of([[[150] * 4], [*long, [3, 4, 5]]], words)
    example = stream.example(len(stream.ids) - 1, "missing")
    assert len(example.context) == 60
    assert example.context == tuple(word for sentence in long for word in sentence)[-60:]


def test_unknown_words_numbers_and_short_sentences_give_no_blanks(words):
    stream = Stream.of([[[0, 1, 5], [6, 7]]], words)
    assert stream.ids[stream.blanks()].tolist() == [5]


def test_equal_seeds_give_equal_networks(documents, words, trained):
    again = pretrain(documents, words, GameConfig(epochs=2, batch=128))
    assert all(np.array_equal(one, other) for one, other in zip(trained.arrays(), again.arrays(), strict=True))


def test_training_teaches_that_words_of_the_context_come_back(documents, words, trained):
    practice = Practice.of(documents, words)
    losses = []
    for number in range(200):
        example, gold = practice.example(seed=1, number=number, reading="missing")
        losses.append((forward(trained, example).loss(gold), forward(trained, example.without_context()).loss(gold)))
    with_context, without = np.mean(losses, axis=0)
    assert with_context < without - 0.2
    assert trained.copy[0] > 0


def test_too_little_text_is_refused(words):
    with pytest.raises(AnnotateError) as refusal:
        pretrain([[[3, 4, 5]]], words, GameConfig())
    assert refusal.value.code == "too_few_words"


@pytest.mark.parametrize(
    "given", [{"epochs": 0}, {"batch": 8}, {"learning_rate": 0.5}, {"context_dropout": 1.0}, {"seed": -1}]
)
def test_a_config_out_of_its_limits_is_refused(given):
    with pytest.raises(AnnotateError) as refusal:
        GameConfig(**given)
    assert (refusal.value.code, refusal.value.facts["field"]) == ("bad_config", next(iter(given)))


def test_the_practice_stream_comes_back_as_it_was_written(documents, words):
    found = read_practice(practice_file(documents[:5]), words)
    np.testing.assert_array_equal(found.stream.ids, Practice.of(documents[:5], words).stream.ids)
    np.testing.assert_array_equal(found.stream.since, Practice.of(documents[:5], words).stream.since)


def test_the_practice_stream_holds_at_most_forty_thousand_words(words):
    thousand = [[130] * 20] * 50
    assert len(read_practice(practice_file([thousand] * 60), words).stream.ids) == 40_000


@pytest.mark.parametrize("data", [b"\x05", b"\x05\x00", b"\xf0\xf0\xfe\xff"], ids=["odd", "no-end", "unknown-word"])
def test_a_damaged_practice_stream_is_refused(data):
    with pytest.raises(AnnotateError) as refusal:
        read_practice(data, vocabulary())
    assert refusal.value.code == "bad_practice"


def test_practice_examples_are_drawn_by_seed_and_number_alone(documents, words):
    practice = Practice.of(documents, words)
    first = practice.example(seed=4, number=6, reading="missing")
    assert first == practice.example(seed=3, number=7, reading="missing")
    assert words.content[first[1]]
