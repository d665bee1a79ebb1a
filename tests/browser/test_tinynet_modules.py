"""The game's pure modules in an empty page: JavaScript says what numpy says."""

import json
import math
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from annotate.tinynet import items, play
from annotate.tinynet.items import paragraph, payload
from annotate.tinynet.net import NAMES, Net, forward
from annotate.tinynet.paragraphs import sentences, window
from annotate.tinynet.start import Start, write
from annotate.tinynet.stream import practice_file, practise, read_practice
from tests.annotate.game import examples, prose, vocabulary
from tests.annotate.golden.make_tinynet import FILE, golden, played, steps, weights
from tests.annotate.test_tinynet_start import with_header

STATIC = Path(__file__).parents[2] / "annotate" / "static" / "annotate" / "tinynet"
SITE = "http://game.test"
CLOSE = 1e-9

PLAY = """async (text) => {
  const { seed, counts, total, steps } = JSON.parse(text);
  const { newborn, twin, forward, NAMES } = await import("/net.js");
  const { digest, parts, play, restore } = await import("/step.js");
  const net = newborn(seed, Float64Array.from(counts, (count) => count / total));
  const told = steps.map(({ example, gold, context_on, eta, undone }) => {
    const kept = twin(net);
    const seen = forward(net, example);
    const { common, hidden, pull, seen: back } = parts(net, seen, gold);
    const outcome = play(net, example, { gold, eta, contextOn: context_on });
    if (undone) restore(net, kept);
    return { ...outcome, parts: [common, hidden, pull, back], z: seen.z[gold] };
  });
  return JSON.stringify({ told, digest: digest(net), weights: NAMES.flatMap((name) => [...net[name]]) });
}"""  # texts cross to the page much faster than lists


@pytest.fixture(scope="module")
def page(chromium):
    """A page with nothing in it, on a site that serves the modules and nothing else."""
    found: Page = chromium.new_page()
    found.route(f"{SITE}/**", _serve)
    found.goto(f"{SITE}/empty")
    yield found
    found.close()


def _serve(route) -> None:
    path = STATIC / Path(route.request.url).name
    if path.is_file():
        route.fulfill(path=path, content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


@pytest.fixture(scope="module")
def module(page):
    """Calls what a module exports: module("prng.js", "mulberry32", 42)."""

    def call(file, name, *given):
        script = "async ([url, name, given]) => (await import(url))[name](...given)"
        return page.evaluate(script, [f"/{file}", name, list(given)])

    return call


@pytest.fixture(scope="module")
def words():
    return vocabulary()


@pytest.fixture(scope="module")
def browser_steps(page):
    """The golden steps as JavaScript takes them."""
    return json.loads(page.evaluate(PLAY, FILE.read_text()))


def numbers(told: list[dict]) -> np.ndarray:
    return np.array([[*(row[name] for name in row if name != "parts"), *row["parts"]] for row in told])


def test_the_golden_file_is_what_numpy_says():
    found, kept = golden(), json.loads(FILE.read_text())
    assert json.loads(json.dumps(found["steps"])) == kept["steps"]
    np.testing.assert_allclose(numbers(found["told"]), numbers(kept["told"]), rtol=0, atol=1e-12)


def test_a_hundred_steps_in_javascript_are_those_of_the_golden_file(browser_steps):
    kept = json.loads(FILE.read_text())
    found = numbers([{name: row[name] for name in kept["told"][0]} for row in browser_steps["told"]])
    np.testing.assert_allclose(found, numbers(kept["told"]), rtol=0, atol=CLOSE)
    np.testing.assert_allclose(browser_steps["digest"], kept["digest"], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(browser_steps["weights"][::401], kept["sample"], rtol=0, atol=CLOSE)


def test_every_weight_ends_equal_in_both_languages(browser_steps, words):
    _, net = played(words, steps())
    np.testing.assert_allclose(browser_steps["weights"], weights(net), rtol=0, atol=CLOSE)


def test_the_four_parts_of_a_word_sum_to_its_logit(browser_steps):
    for row in browser_steps["told"]:
        assert sum(row["parts"]) == pytest.approx(row["z"], abs=1e-12)


def test_undo_restores_every_bit(page):
    script = """async (text) => {
      const { seed, counts, total, steps } = JSON.parse(text);
      const { newborn, twin, NAMES } = await import("/net.js");
      const { play, restore } = await import("/step.js");
      const net = newborn(seed, Float64Array.from(counts, (count) => count / total));
      const kept = twin(net);
      const bits = () => NAMES.map((name) => new BigUint64Array(net[name].buffer).join()).join();
      const before = bits();
      for (const { example, gold, eta } of steps.slice(0, 5)) play(net, example, { gold, eta, contextOn: true });
      const moved = bits() !== before;
      restore(net, kept);
      return [moved, bits() === before];
    }"""
    assert page.evaluate(script, FILE.read_text()) == [True, True]


def test_mulberry32_begins_as_in_every_language(page):
    script = """async () => {
      const draw = (await import("/prng.js")).mulberry32(42);
      return [draw(), draw(), draw()];
    }"""
    assert page.evaluate(script) == [0.6011037519201636, 0.44829055899754167, 0.8524657934904099]


def test_every_float16_is_read_as_numpy_reads_it(page):
    script = """async () => {
      const { half } = await import("/f16.js");
      return Array.from({ length: 65536 }, (_, bits) => half(bits)).join();
    }"""
    found = [float(value) for value in page.evaluate(script).replace("Infinity", "inf").split(",")]
    np.testing.assert_array_equal(found, np.arange(65_536, dtype=np.uint16).view(np.float16).astype(np.float64))


@pytest.fixture(scope="module")
def start() -> Start:
    few = vocabulary(300)
    return Start(Net.newborn(7, few.u), few, "en", 7, {}, "c0" * 32, "0.1.0", {})


READ = """async (bytes) => {
  const { readStart } = await import("/f16.js");
  const { NAMES } = await import("/net.js");
  try {
    const file = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0)).buffer;
    const { net, vocabulary, header } = readStart(file);
    const { u, content, playable } = vocabulary;
    const weights = NAMES.flatMap((name) => [...net[name]]);
    const known = { u: [...u], content: [...content], playable: [...playable] };
    return JSON.stringify({ weights, seed: header.seed, ...known });
  } catch (error) {
    return error.message;
  }
}"""


def text(data: bytes) -> str:
    return b64encode(data).decode()


def test_the_start_is_read_to_the_same_numbers(page, start):
    found = json.loads(page.evaluate(READ, text(write(start))))
    assert found["seed"] == 7
    np.testing.assert_array_equal(found["u"], start.vocabulary.u)
    np.testing.assert_array_equal(found["content"], start.vocabulary.content)
    np.testing.assert_array_equal(found["playable"], start.vocabulary.playable)
    expected = np.array(weights(start.net)).astype(np.float16).astype(np.float64)
    np.testing.assert_array_equal(found["weights"], expected)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "magic"),
        (lambda data: b"LMT2" + data[4:], "magic"),
        (lambda data: data[:100], "header"),
        (lambda data: b"LMT1\x04\x00\x00\x00[1] ", "header"),
        (lambda data: data.replace(b'"format":1', b'"format":2', 1), "format"),
        (lambda data: data.replace(b'"d":12', b'"d":13', 1), "shape"),
        (lambda data: data.replace(b'"v":300', b'"v":299', 1), "shape"),
        (lambda data: data.replace(b'"<unk>"', b'"<nnk>"', 1), "header"),
        (lambda data: with_header(data, total=10_000_000.5), "header"),
        (lambda data: with_header(data, seed=0.5), "header"),
        (lambda data: with_header(data, v=299.5), "header"),
        (lambda data: data[:-2], "length"),
        (lambda data: data + b"\x00\x00", "length"),
        (lambda data: data[:-2] + b"\x00\x7c", "not_finite"),
        (lambda data: data[:-2] + b"\x01\x7e", "not_finite"),
    ],
)
def test_what_is_no_start_is_refused(page, start, damage, reason):
    assert page.evaluate(READ, text(damage(write(start)))) == reason


@pytest.mark.parametrize(
    ("v", "rgb", "sign"),
    [
        (0, [255, 255, 255], ""),
        (-1, [33, 102, 220], "−"),
        (1, [210, 30, 45], "+"),
        (0.5, [233, 143, 150], "+"),  # 255 + (210, 30, 45 − 255)/2
        (-7, [33, 102, 220], "−"),
        (0.09, [251, 235, 236], ""),
    ],
)
def test_a_value_has_its_colour_and_from_a_tenth_on_its_sign(module, v, rgb, sign):
    assert module("colour.js", "rgb", v) == rgb
    assert module("colour.js", "sign", v) == sign


def test_options_are_coloured_against_their_mean(module):
    assert module("colour.js", "ofOptions", [-1.0, -2.0, -3.0, -10.0]) == [1, 1, 0.5, -1]


def test_influence_is_what_the_gold_loses_without_the_word(page, words):
    example, gold = next(pair for pair in examples(50, seed=9) if len(pair[0].context) > 20)
    script = """async ({ counts, total, left, right, context, gold }) => {
      const { newborn } = await import("/net.js");
      const { influences } = await import("/influence.js");
      const net = newborn(1, Float64Array.from(counts, (count) => count / total));
      net.copy[0] = 1;
      return [...influences(net, { left, right, context }, gold)];
    }"""
    sides = {"left": example.left, "right": example.right, "context": example.context, "gold": gold}
    found = page.evaluate(script, {"counts": words.counts, "total": words.total, **sides})
    net = Net.newborn(1, words.u)
    net.copy[0] = 1
    left_out = example.context[0]  # stands there twice
    rest = tuple(word for word in example.context if word != left_out)
    bare = forward(net, type(example)(example.left, example.right, rest))
    assert len(found) == len(set(example.context))
    assert found[0]["word"] == left_out
    assert found[0]["effect"] == pytest.approx(forward(net, example).log_p(gold) - bare.log_p(gold), abs=CLOSE)


@pytest.fixture(scope="module")
def shown(words):
    chosen = window(sentences(prose(3, sentences=10, seed=2)))
    assert chosen is not None
    found = paragraph(chosen, words, start="s", key="k")
    assert found is not None
    return found


def test_items_are_shown_in_the_order_that_the_server_expects(module, shown, words):
    for number, item in enumerate(payload(shown, words)["items"]):
        expected = items.options(shown.items[number], seed=2**32 - 3, number=number)
        assert module("round.js", "optionsOf", item, 2**32 - 3, number) == expected


@pytest.mark.parametrize("mode", ["missing", "next", "correction"])
def test_the_network_sees_of_an_item_what_the_server_thinks(page, shown, words, mode):
    script = """async ([paragraph, words, counts, total, mode]) => {
      const { exampleOf } = await import("/round.js");
      const { vocabulary } = await import("/f16.js");
      const known = vocabulary(words, counts, total);
      return paragraph.items.map((item) => exampleOf(paragraph, item, known, mode));
    }"""
    found = page.evaluate(script, [payload(shown, words), words.words, words.counts, words.total, mode])
    expected = [play.example(shown, item, words, mode=mode) for item in shown.items]
    assert [tuple(map(tuple, (one["left"], one["right"], one["context"]))) for one in found] == [
        (one.left, one.right, one.context) for one in expected
    ]


def test_the_network_guesses_and_suspects_as_on_the_server(page, shown, words):
    script = """async ([paragraph, words, counts, total]) => {
      const { exampleOf, withWrongWord, contextBefore } = await import("/round.js");
      const { guess, suspect } = await import("/guess.js");
      const { vocabulary } = await import("/f16.js");
      const { newborn } = await import("/net.js");
      const known = vocabulary(words, counts, total);
      const net = newborn(1, known.u);
      return paragraph.items.map((item) => {
        const options = [item.gold, ...item.distractors.slice(0, 3)];
        const context = contextBefore(paragraph, item.sentence, known);
        const { choice, shares } = guess(net, exampleOf(paragraph, item, known, "missing"), options);
        const sum = shares.reduce((total, one) => total + one, 0);
        return [choice, suspect(net, withWrongWord(paragraph, item), item.choices, context), sum];
      });
    }"""
    found = page.evaluate(script, [payload(shown, words), words.words, words.counts, words.total])
    net = Net.newborn(1, words.u)
    for item, (choice, place, sum_) in zip(shown.items, found, strict=True):
        context = play.context_before(shown, item.sentence, words)
        wrong = items.with_wrong_word(shown.ids[item.sentence], item)
        assert choice == play.guess(net, play.example(shown, item, words, mode="missing"), item.shown)
        assert place == play.suspect(net, words, wrong, context)
        assert sum_ == pytest.approx(1)


def test_a_word_is_cut_out_of_its_sentence_by_utf_16_units(module):
    sentence = {"text": "😀 So it ends.", "ids": [5, 6, 7], "spans": [[3, 5], [6, 8], [9, 13]], "played": True}
    assert module("round.js", "cut", sentence, 1) == {"before": "😀 So ", "word": "it", "after": " ends."}


def test_practice_takes_the_same_steps_in_both_languages(page, words):
    draws = np.random.default_rng(1)
    documents = [[draws.integers(0, 1_200, 9).tolist() for _ in range(30)] for _ in range(5)]
    data = practice_file(documents)
    script = """async ([bytes, words, counts, total]) => {
      const { readPractice, practiceExample } = await import("/practice.js");
      const { vocabulary } = await import("/f16.js");
      const { newborn, forward } = await import("/net.js");
      const { digest, step } = await import("/step.js");
      const known = vocabulary(words, counts, total);
      const practice = readPractice(Uint8Array.from(bytes).buffer, known);
      const net = newborn(1, known.u);
      for (let number = 5; number < 45; number += 1) {
        const { example, gold } = practiceExample(practice, { seed: 9, number, mode: "missing" });
        step(net, forward(net, example), gold, 0.1);
      }
      return digest(net);
    }"""
    found = page.evaluate(script, [list(data), words.words, words.counts, words.total])
    net = Net.newborn(1, words.u)
    practise(net, read_practice(data, words), seed=9, numbers=range(5, 45), reading="missing", eta=0.1)
    np.testing.assert_allclose(found, net.digest(), rtol=0, atol=CLOSE)


def test_what_a_step_changed_is_counted(page, words):
    script = """async ([counts, total]) => {
      const { newborn, twin, forward } = await import("/net.js");
      const { change, step } = await import("/step.js");
      const net = newborn(1, Float64Array.from(counts, (count) => count / total));
      const before = twin(net);
      step(net, forward(net, { left: [5], right: [6], context: [] }), 200, 0.1);
      return change(before, net, 0.1);
    }"""
    found = page.evaluate(script, [words.counts, words.total])
    net = Net.newborn(1, words.u)
    play.answer(net, play.seen([5, 200, 6], 1, (), mode="missing"), gold=200, eta=0.1, context_on=True)
    assert (found["size"], len(NAMES)) == (35_405, 7)
    assert 0 < found["moved"] < 35_405
    assert found["largest"] < 0.1
    assert found["norm"] > 0.9  # b2 alone: sqrt((1 − p)² + …) with p = 1/1,200


GIVEN = {"goldWord": "shore", "network": True, "outcome": None, "eta": 0.02, "contextOn": True, "activeMs": 900}
ITEMS = [
    {"sentence": 1, "position": 4, "gold": 200, "distractors": [201, 202, 203, 204], "choices": [3, 4]},
    {"sentence": 2, "position": 3, "gold": 300, "distractors": [301, 302, 303, 304], "choices": [3, 5]},
]


@pytest.fixture
def told(page):
    """Tells a round as steps: told("missing", ["answer", {...}], ["advance"])."""

    def tell(mode, *taken):
        script = """async ([given, taken]) => {
          const module = { ...(await import("/round.js")), ...(await import("/burst.js")) };
          return taken.reduce((round, [name, ...more]) => module[name](round, ...more), module.begin(given));
        }"""
        return page.evaluate(script, [{"mode": mode, "seed": 3, "items": ITEMS}, list(taken)])

    return tell


def test_a_right_answer_and_a_wrong_one_are_counted(told):
    right, wrong = {**GIVEN, "choice": 200}, {**GIVEN, "choice": 301, "network": False}
    found = told("missing", ["answer", right], ["advance"], ["answer", wrong])
    assert found["counts"] == {"processed": 2, "correct": 1, "errors": 1, "network": 1, "auto": 0}
    assert [(row["number"], row["item"], row["right"]) for row in found["rows"]] == [(1, 0, True), (2, 1, False)]
    assert found["phase"] == "evaluation"


@pytest.mark.parametrize(("free", "right"), [(" Shore ", True), ("beach", False)])
def test_a_typed_word_is_right_only_where_it_is_the_gold(told, free, right):
    (row,) = told("missing", ["answer", {**GIVEN, "free": free}])["rows"]
    assert (row["choice"], row["free"], row["right"]) == (None, free.strip().lower(), right)


@pytest.mark.parametrize(("place", "right"), [(4, True), (3, False)])
def test_a_correction_is_right_where_the_word_is_found_and_repaired(told, place, right):
    (row,) = told("correction", ["pick", place], ["answer", {**GIVEN, "choice": 200}])["rows"]
    assert (row["picked"], row["right"]) == (place, right)


def test_undo_takes_back_counters_and_place_and_keeps_the_rows(told):
    answered = {**GIVEN, "choice": 200}
    found = told("missing", ["answer", answered], ["advance"], ["answer", answered], ["undo"], ["undo"], ["undo"])
    assert (found["at"], found["number"], found["counts"]["processed"]) == (0, 5, 0)
    assert [row["kind"] for row in found["rows"]] == ["answer", "answer", "undo", "undo"]


def test_what_the_network_played_is_counted_apart(told):
    burst = {"count": 500, "eta": 0.1}
    found = told("next", ["answer", {**GIVEN, "choice": 200, "auto": True}], ["burst", burst], ["burst", burst])
    assert found["counts"] == {"processed": 0, "correct": 0, "errors": 0, "network": 0, "auto": 1_001}
    assert [row.get("stream") for row in found["rows"]] == [None, 0, 500]


def test_an_answer_from_before_the_network_came_gets_its_numbers_later(told):
    found = told("missing", ["answer", {**GIVEN, "choice": 200}], ["settled", 1, {"p_with": 0.25}])
    assert found["rows"][0]["p_with"] == 0.25
    assert not math.isnan(found["rows"][0]["eta"])
