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
