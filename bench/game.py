"""What the game's network is worth on unseen blanks, and what it costs: `python bench/game.py [--corpus FILE…]`.

FILE: JSONL whose rows hold `answer`, `text`, or a message tree under `prompt`. Without it the bundled paragraphs
are read. One core is used; the browser's figures need Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy reads it once, when it is imported
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python

from annotate.tinynet import bundled, held_out  # noqa: E402
from annotate.tinynet.items import Item, Paragraph, payload  # noqa: E402
from annotate.tinynet.net import Net, forward, step  # noqa: E402
from annotate.tinynet.paragraphs import chosen, grams, sentences, window  # noqa: E402
from annotate.tinynet.play import BOLD, GENTLE, Mode, Outcome, answer, example  # noqa: E402
from annotate.tinynet.pretrain import GameConfig  # noqa: E402
from annotate.tinynet.replay import Answer, Burst, Row, Undo, replay  # noqa: E402
from annotate.tinynet.start import Start, read, sent, write  # noqa: E402
from annotate.tinynet.stream import Practice, Reading, practice_file, read_practice  # noqa: E402
from annotate.tinynet.train import counted, documents, paragraphs, train_start  # noqa: E402
from bench.game_page import figures  # noqa: E402

HELD_OUT = 110
DRIFT = 720  # answers
STATIC = ROOT / "annotate" / "static" / "annotate"
SPEC = {
    "missing": {"without": 0.668, "with": 0.755, "other": 0.661},
    "next": {"without": 0.605, "with": 0.706, "other": 0.600},
    "found": {"without": 0.584, "with": 0.675},
    "repaired": {"without": 0.401, "with": 0.513},
}  # seed 1, section 5 of the spec


@dataclass(frozen=True)
class Corpus:
    """train: texts to learn from; held: qualifying texts by SHA-256; dropped: how many shared 13 words with those."""

    name: str
    train: list[str]
    held: dict[str, str]
    qualifying: int
    dropped: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--seeds", default="1", help="for example 1,2,3")
    given = parser.parse_args()
    corpus = read_corpus(given.corpus) if given.corpus else read_bundled()
    describe(corpus)
    for seed in map(int, given.seeds.split(",")):
        begun = time.perf_counter()
        start = train(corpus, seed) if given.corpus else read_in_play(corpus, seed)
        seconds = time.perf_counter() - begun
        print(f"\n== seed {seed} ==")
        data = write(start)
        print(
            f"parameters {start.net.size():,}; {seconds:.1f} s; file {len(data):,} bytes, {len(sent(data)):,} as sent"
        )
        show_table(start.held_out, beside=SPEC if given.corpus else {})
        show_drift(start, paragraphs(corpus.held, start))
        if seed == int(given.seeds.split(",")[0]):
            show_page()
            show_cost(start, corpus)


# Corpora


def read_corpus(files: Sequence[Path]) -> Corpus:
    texts = list(dict.fromkeys(text for file in files for text in read_texts(file)))
    keys = {sha256(text.encode()).hexdigest(): text for text in texts}
    qualifying = {key: words_of(text) for key, text in keys.items() if window(sentences(text))}
    held = {key: keys[key] for key in chosen(qualifying, wanted=HELD_OUT, most_words=sys.maxsize)}
    shared = set().union(*(grams(text) for text in held.values()))
    rest = [text for key, text in keys.items() if key not in held]
    train = [text for text in rest if shared.isdisjoint(grams(text))]
    return Corpus(", ".join(file.name for file in files), train, held, len(qualifying), len(rest) - len(train))


def read_texts(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if "prompt" in row:
                yield from assistant_turns(row["prompt"])
            else:
                yield row["answer"] if "answer" in row else row["text"]


def assistant_turns(message: Mapping[str, Any]) -> Iterator[str]:
    if message["role"] == "assistant" and message["lang"] == "en":
        yield message["text"]
    for reply in message["replies"]:
        yield from assistant_turns(reply)


def read_bundled() -> Corpus:
    themes = bundled.themes()
    held = {sha256(theme.play.encode()).hexdigest(): theme.play for theme in themes}
    return Corpus("the bundled paragraphs, as no --corpus was given", bundled.training(themes), held, len(themes), 0)


def words_of(text: str) -> int:
    return sum(len(sentence.tokens) for sentence in sentences(text))


def describe(corpus: Corpus) -> None:
    trained, held = (sum(map(words_of, texts)) for texts in (corpus.train, corpus.held.values()))
    print(f"corpus: {corpus.name}")
    print(f"training {len(corpus.train):,} documents, {trained:,} words; {corpus.qualifying} qualify")
    print(f"held out {len(corpus.held)}, {held / (held + trained):.1%} of the words; 13-gram drops {corpus.dropped}")


# Starts


def train(corpus: Corpus, seed: int) -> Start:
    config = GameConfig(seed=seed)
    return train_start(corpus.train, corpus.held, config=config, language="en", corpus_sha256="", code="bench")


def read_in_play(corpus: Corpus, seed: int) -> Start:
    """The newborn after 1,500 bold steps, which is how the bundled set is played."""
    vocabulary = counted(corpus.train)
    net = bundled.reader(bundled.themes(), seed=seed)
    start = Start(net, vocabulary, "en", seed, {}, "", "bench")
    return replace(start, held_out=held_out.table(net, vocabulary, paragraphs(corpus.held, start)))


# Tables


def show_table(table: Mapping[str, Any], *, beside: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n{table['paragraphs']} paragraphs; chance 25 %; intervals 95 % over paragraphs; in brackets the spec's")
    head = ("", "n", "without", "with", "another's", "gain", "sentences 2-3", "sentences 6-8")
    print("{:<22}{:>6}  {:<15}{:<15}{:<15}{:<19}{:<19}{}".format(*head))
    for mode, row in table["modes"].items():
        shares = [share(row[name], beside.get(mode, {}).get(name)) for name in ("without", "with", "other")]
        gains = [gain(row[name]) for name in ("gain", "early", "late")]
        print("{:<22}{:>6}  {:<15}{:<15}{:<15}{:<19}{:<19}{}".format(f"{mode} word", row["n"], *shares, *gains))
    for what in ("found", "repaired"):
        row, known = table["correction"][what], beside.get(what, {})
        shares = [share(row[name], known.get(name)) for name in ("without", "with")]
        name = f"correction: {what}"
        print(
            "{:<22}{:>6}  {:<15}{:<15}{:<15}{}".format(name, table["correction"]["n"], *shares, "", gain(row["gain"]))
        )
    print(f"correction: chance to find {table['correction']['chance']:.1%}")
    for mode, row in table["modes"].items():
        line = (
            f"log-loss {row['loss_without']:.2f} -> {row['loss_with']:.2f}; another's context {gain(row['other_gain'])}"
        )
        print(f"{mode}: {line}")
    for part, row in table["switched_off"].items():
        print(f"switched off, with context: {part:<5} missing {row['missing']:.1%}  next {row['next']:.1%}")
    for mode, rows in table["by_sentence"].items():
        lines = [" ".join(f"{100 * value:.0f}" for value in rows[name]) for name in ("with", "without")]
        print(f"by sentence 1-8, {mode}: with {lines[0]}  without {lines[1]}")


def share(value: float, known: float | None) -> str:
    return f"{value:.1%}" + (f" ({known:.1%})" if known is not None else "")


def gain(values: Sequence[float]) -> str:
    mean, low, high = (100 * value for value in values)
    return f"{mean:+.1f} [{low:.1f}, {high:.1f}]"


def show_drift(start: Start, found: Sequence[Paragraph]) -> None:
    """What answers in one half of the paragraphs do to the other half, and whether each step helped its own gold."""
    half = len(found) // 2
    for mode in held_out.READINGS:
        before = held_out.accuracy(start.net, start.vocabulary, found[half:], mode=mode)
        items = [(whole, item) for whole in found[:half] for item in whole.items][:DRIFT]
        for name, eta in (("gentle", GENTLE), ("bold", BOLD)):
            net = start.net.twin()
            told = [step_on(net, start, *pair, mode=mode, eta=eta) for pair in items]
            after = held_out.accuracy(net, start.vocabulary, found[half:], mode=mode)
            rose = sum(one.loss_after < one.loss_before for one in told)
            line = f"{before:.1%} -> {after:.1%} elsewhere; p of the gold rose in {rose} of {len(told)}"
            print(f"drift, {mode}, {name}, {len(told)} answers: {line}")


def step_on(net: Net, start: Start, whole: Paragraph, item: Item, *, mode: Mode, eta: float) -> Outcome:
    seen = example(whole, item, start.vocabulary, mode=mode)
    return answer(net, seen, gold=item.gold, eta=eta, context_on=True)


# Cost


PLAY = """async ([text, paragraphs, practiceText, seed]) => {
  const [net_, f16, round_, practice_, step_, burst_] = await Promise.all(
    ["net", "f16", "round", "practice", "step", "burst"].map((name) => import(`/${name}.js`)));
  const buffer = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const { net, vocabulary } = f16.readStart(buffer(text));
  const practice = practice_.readPractice(buffer(practiceText), vocabulary);
  const untouched = net_.twin(net);
  let round = null;
  const rounds = paragraphs.map(({ paragraph, mode, eta }) => {
    step_.restore(net, untouched);
    round = round_.begin({ mode, seed, items: paragraph.items });
    while (round_.current(round)) {
      const item = round_.current(round);
      const contextOn = round.at % 4 !== 3;
      const kept = net_.twin(net);
      const seen = round_.exampleOf(paragraph, item, vocabulary, mode);
      const outcome = step_.play(net, seen, { gold: item.gold, eta, contextOn });
      const given = { choice: item.gold, goldWord: "", network: true, outcome, eta, contextOn, activeMs: 0 };
      round = round_.answer(round, given);
      if (round.at % 7 === 5 && round.rows.at(-2)?.kind !== "undo") {
        step_.restore(net, kept);
        round = round_.undo(round);
      } else round = round_.advance(round);
    }
    const take = (number) => {
      const { example, gold } = practice_.practiceExample(practice, { seed, number, mode });
      step_.step(net, net_.forward(net, example), gold, eta);
    };
    for (let number = 0; number < 200; number += 1) take(number);
    round = burst_.burst(round, { count: 200, eta });
    return { rows: round.rows, digest: step_.digest(net) };
  });
  const begun = performance.now();
  for (let number = 0; number < 500; number += 1) {
    const { example, gold } = practice_.practiceExample(practice, { seed, number, mode: "missing" });
    step_.step(net, net_.forward(net, example), gold, 0.1);
  }
  return JSON.stringify({ rounds, ms: (performance.now() - begun) / 500 });
}"""


def show_page() -> None:
    print("\nThe page, in a service of its own:")
    for name, value in (figures() or {"not measured": "there is no Chromium here"}).items():
        print(f"{name}: {value}")


def show_cost(trained: Start, corpus: Corpus) -> None:
    start = read(write(trained))  # what a browser gets
    data = practice_file(documents(corpus.train, start.vocabulary))
    print(f"forward and step: numpy {numpy_ms(start, read_practice(data, start.vocabulary)):.2f} ms")
    played = play_in_browser(start, paragraphs(corpus.held, start)[:5], data)
    if played is None:
        print("replay: not measured, as there is no Chromium here")
        return
    ms, replays = played
    print(f"forward and step: Chromium {ms:.2f} ms")
    steps, largest = sum(one.steps for one in replays), max(one.largest for one in replays)
    results = ", ".join(sorted({one.result for one in replays}))
    print(f"replay of {len(replays)} rounds, {steps:,} steps: {results}; largest difference {largest:.1e}")


def numpy_ms(start: Start, practice: Practice) -> float:
    net, begun = start.net.twin(), time.perf_counter()
    for number in range(500):
        seen, gold = practice.example(seed=1, number=number, reading="missing")
        step(net, forward(net, seen), gold=gold, eta=BOLD)
    return 2 * (time.perf_counter() - begun)


def play_in_browser(start: Start, found: Sequence[Paragraph], data: bytes) -> tuple[float, list[Any]] | None:
    """ms a step, and the replays of one round a paragraph, in each mode, with undone answers and fast auto-play."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    modes: list[Mode] = ["missing", "next", "correction", "missing", "next"]
    given = [
        {"paragraph": payload(whole, start.vocabulary), "mode": mode, "eta": GENTLE if nth % 2 else BOLD}
        for nth, (whole, mode) in enumerate(zip(found, modes, strict=False))
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route("http://game.test/**", serve)
        page.goto("http://game.test/")
        texts = [b64encode(file).decode() for file in (write(start), data)]
        told = json.loads(page.evaluate(PLAY, [texts[0], given, texts[1], 1]))
        browser.close()
    practice = read_practice(data, start.vocabulary)
    return told["ms"], [
        replay(
            start.net.twin(),
            [row_of(row, whole, start) for row in one["rows"]],
            seed=1,
            practice=practice,
            digest=one["digest"],
        )
        for one, whole in zip(told["rounds"], found, strict=False)
    ]


def serve(route: Any) -> None:  # Any: Playwright is imported where it is needed
    path = STATIC / "tinynet" / Path(route.request.url).name
    if path.is_file():
        route.fulfill(path=path, content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def row_of(row: Mapping[str, Any], whole: Paragraph, start: Start) -> Row:
    if row["kind"] == "undo":
        return Undo()
    reading: Reading = "next" if row["mode"] == "next" else "missing"
    if row["kind"] == "auto":
        return Burst(stream=row["stream"], count=row["count"], reading=reading, eta=row["eta"])
    item = whole.items[row["item"]]
    names = ("p_with", "p_without", "loss_before", "loss_after", "p_after")
    return Answer(
        example=example(whole, item, start.vocabulary, mode=row["mode"]),
        gold=item.gold,
        context_on=row["context_on"],
        eta=row["eta"],
        told=Outcome(**{name: row[name] for name in names}),
    )


if __name__ == "__main__":
    main()
