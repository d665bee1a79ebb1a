"""The pure functions of the islands, in the browser that runs them."""

import pytest


@pytest.fixture(scope="module")
def page(server, chromium):
    found = chromium.new_page()
    found.goto(f"{server}/login/")
    yield found
    found.close()


@pytest.fixture
def module(page):
    """Calls what a module exports: module("ranking.js", "place", ranking, "A")."""

    def call(file, name, *given):
        script = "async ([url, name, given]) => (await import(url))[name](...given)"
        return page.evaluate(script, [f"/static/annotate/{file}", name, list(given)])

    return call


def ranking(*groups: str, line=None, tie=False, typed=None, auto=None) -> dict:
    return {"groups": [list(group) for group in groups], "line": line, "tie": tie, "typed": typed, "auto": auto}


def read(found: dict) -> list[str]:
    return ["".join(group) for group in found["groups"]]


@pytest.mark.parametrize(
    ("name", "given", "groups", "line"),
    [
        ("place", [ranking("D"), "A"], ["D", "A"], None),
        ("place", [ranking("D", "A", tie=True), "C"], ["D", "AC"], None),
        ("place", [ranking("D"), "D"], ["D"], None),
        ("settle", [ranking("D", "A", "C"), ["A", "B", "C", "D"]], ["D", "A", "C", "B"], None),
        ("settle", [ranking("D", "A"), ["A", "B", "C", "D"]], ["D", "A"], None),
        ("arm", [ranking("D", "A", "B", auto="B", line=2)], ["D", "AB"], 2),
        ("join", [ranking("D", "A", "B", line=3), "A"], ["DA", "B"], 2),
        ("join", [ranking("D", "A"), "D"], ["DA"], None),
        ("remove", [ranking("D", "A", "B", line=2), "D"], ["A", "B"], 1),
        ("remove", [ranking("DA", "B", line=1), "D"], ["A", "B"], 1),
        ("shift", [ranking("D", "A", "B"), "B", -1], ["D", "B", "A"], None),
        ("shift", [ranking("D", "AB"), "B", -1], ["D", "B", "A"], None),
        ("shift", [ranking("D", "A"), "D", -1], ["D", "A"], None),
        ("drop", [ranking("D", "A", "B", line=1), "B", "D", "before"], ["B", "D", "A"], 2),
        ("drop", [ranking("D", "A", "B", line=1), "D", "B", "after"], ["A", "B", "D"], 0),
        ("drop", [ranking("D", "A", "B", line=2), "B", "A", "tie"], ["D", "AB"], 2),
        ("drop", [ranking("DA", "B"), "A", "D", "after"], ["D", "A", "B"], None),
        ("drop", [ranking("D", "A", line=1), "C", "A", "before"], ["D", "C", "A"], 1),
        ("drop", [ranking(), "C", None, "after"], ["C"], None),
        ("drop", [ranking("D", "A"), "A", "A", "tie"], ["D", "A"], None),
        ("draw", [ranking("D", "A", "B", typed="A")], ["D", "A", "B"], 2),
        ("draw", [ranking("D", "A", "B", line=3)], ["D", "A", "B"], 0),
        ("none", [ranking("D", "A", line=2)], ["D", "A"], 0),
    ],
)
def test_a_step_makes_the_ranking_that_it_names(module, name, given, groups, line):
    found = module("ranking.js", name, *given)
    assert (read(found), found["line"]) == (groups, line)


@pytest.mark.parametrize(
    ("before", "after", "runs"),
    [
        ("one two three", "one three", [("same", "one "), ("del", "two "), ("same", "three")]),
        ("one", "one two", [("same", "one"), ("ins", " two")]),
        ("a b", "c d", [("del", "a"), ("ins", "c"), ("same", " "), ("del", "b"), ("ins", "d")]),
        ("same", "same", [("same", "same")]),
        ("", "new", [("ins", "new")]),
    ],
)
def test_a_difference_is_told_word_by_word(module, before, after, runs):
    assert [(run["kind"], run["text"]) for run in module("word-diff.js", "diff", before, after)] == runs


@pytest.mark.parametrize(
    ("state", "wait_ms"),
    [
        ({"hidden": False, "quiet": 0, "failures": 0}, 1_000),
        ({"hidden": True, "quiet": 0, "failures": 0}, 10_000),
        ({"hidden": False, "quiet": 61_000, "failures": 0}, 10_000),
    ],
)
def test_polling_rests_when_nobody_looks_or_nothing_changes(module, state, wait_ms):
    assert module("live.js", "pause", state) == wait_ms


def test_polling_after_many_failures_waits_a_minute_give_or_take_a_fifth(module):
    assert 48_000 <= module("live.js", "pause", {"hidden": False, "quiet": 0, "failures": 9}) <= 72_000


def test_blocks_become_nodes_and_no_address_of_another_kind_a_link(page):
    script = """async (blocks) => {
      const { render } = await import("/static/annotate/blocks.js");
      const place = document.createElement("div");
      place.append(render(blocks));
      return place.outerHTML;
    }"""
    blocks = [{"type": "paragraph", "spans": [{"type": "link", "address": "javascript:alert(1)", "spans": []}]}]
    assert page.evaluate(script, blocks) == ('<div><p><a rel="noopener noreferrer nofollow"></a></p></div>')


def times(*steps: tuple) -> list:
    """Steps of a screen's clock, in seconds: (what, at, more)."""
    return [[what, at * 1_000, *more] for what, at, *more in steps]


TIMED = """async ([steps, kept]) => {
  const { begin, by, read, touch, turn } = await import("/static/annotate/times.js");
  const act = { touch, turn, read };
  let found = begin(0, false, kept);
  for (const [what, at, ...more] of steps) found = act[what](found, at, ...more);
  return [found.active / 1_000, found.hidden / 1_000, by(found)];
}"""


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        ([("read", 30)], [30, 0, ""]),
        ([("read", 90)], [60, 0, ""]),  # nobody touched it for a minute
        ([("touch", 50, "key"), ("read", 90)], [90, 0, "keyboard"]),
        ([("touch", 100, "press"), ("read", 130)], [90, 0, "pointer"]),  # 60 s, then 40 s of nothing, then 30 s
        ([("turn", 10, True), ("turn", 70, False), ("read", 75)], [15, 60, ""]),
        ([("turn", 10, True), ("read", 3_600)], [10, 3_590, ""]),
        ([("touch", 50, "scroll"), ("read", 100)], [100, 0, ""]),
        ([("touch", 1, "key"), ("touch", 2, "key"), ("touch", 3, "press"), ("read", 4)], [4, 0, "keyboard"]),
        ([("touch", 1, "key"), ("touch", 3, "press"), ("read", 4)], [4, 0, "pointer"]),
    ],
)
def test_time_counts_while_the_tab_is_visible_and_touched_within_a_minute(page, steps, counted):
    assert page.evaluate(TIMED, [times(*steps), None]) == counted


def test_what_was_counted_before_a_reload_counts_on(page):
    kept = {"active": 20_000, "hidden": 5_000, "keys": 3, "presses": 1}
    assert page.evaluate(TIMED, [times(("read", 10)), kept]) == [30, 5, "keyboard"]
