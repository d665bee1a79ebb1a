"""The tokenizer page in a real Chromium: typing, walking, merging, comparing, and its script's pure half."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotate.models import User
from rlhf.models import Model
from rlhf.tokenizing import encode, loaded, read, shown
from tests.browser.site import HEIGHTS, Site, findings, sideways
from tests.browser.world import World, own_world
from tests.rlhf.conftest import make_model
from tests.rlhf.vocabularies import written

TEXT = "the other tokens, 東京 🙂\nнет"
STATIC = Path(__file__).parents[2] / "rlhf" / "static" / "rlhf"
TOKEN = ".tokens [role=option]"
SCRIPTS = ["numbers.js", "tokens.js", "token-list.js", "tokenizer-view.js"]


@dataclass
class Room:
    """The page of a project with two bases."""

    site: Site
    people: dict[str, User]
    address: str
    large: Model
    small: Model

    def visit(self, *, who: str = "rex", compare: bool = False, **how) -> Page:
        more = f"&with={self.small.uuid}" if compare else ""
        return self.site.visit(self.people[who], f"{self.address}?model={self.large.uuid}{more}", **how)

    def typed(self, text: str = TEXT, **how) -> Page:
        page = self.visit(**how)
        page.get_by_label("Text").fill(text)
        expect(page.locator(TOKEN).first).to_be_visible()
        return page


@pytest.fixture(scope="module")
def world(server) -> World:
    """No test here changes anything."""
    return own_world("Tokens")


@pytest.fixture(scope="module")
def bases(world) -> tuple[Model, Model]:
    small = make_model(world.project, Path(mkdtemp()), tokenizer=written("byte_level", size=300))
    return make_model(world.project, Path(mkdtemp()), tokenizer=written("byte_level")), small


@pytest.fixture
def room(world, bases, site) -> Room:
    return Room(site, world.people, reverse("tokenizer", args=[world.project.uuid]), *bases)


def boxes(page: Page, side: str = "a") -> list[str]:
    return page.locator(f"#side-{side} [role=option]").all_text_contents()


def wanted(model: Model, text: str = TEXT) -> list[str]:
    return [shown(token.bytes) for token in encode(loaded(model), text).tokens]


def detail(page: Page, name: str) -> str:
    return page.locator(f"#side-a [data-part={name}]").inner_text()


# typing


def test_what_is_typed_is_shown_as_tokens(room):
    page = room.typed()
    assert boxes(page) == wanted(room.large)


@pytest.mark.parametrize(
    ("before", "now"), [("the other", "the other tokens"), ("z" * 6, "z" * 12), ("the other tokens", "the tokens")]
)
def test_another_text_changes_the_tokens(room, before, now):
    page = room.typed(before)
    page.get_by_label("Text").fill(now)
    expect(page.locator(TOKEN)).to_have_text(wanted(room.large, now))


def test_the_last_answer_wins(room):
    page = room.visit()
    asked: list[str] = []
    page.route("**/encode", lambda route: asked.append(route.request.url) if not asked else route.continue_())
    with page.expect_event("requestfailed"):  # the first question waits for ever, until it is given up
        with page.expect_request("**/encode"):
            page.get_by_label("Text").fill("first")
        page.get_by_label("Text").fill("the other")
    expect(page.locator(TOKEN).nth(1)).to_have_text("·other")
    assert boxes(page) == wanted(room.large, "the other")


def test_an_example_comes_at_a_press(room):
    page = room.visit()
    page.get_by_role("button", name="Try an example").click()
    expect(page.locator(TOKEN).first).to_have_text("·The")
    expect(page.get_by_role("button", name="Try an example")).to_be_hidden()


def test_a_text_that_is_too_long_is_said_and_not_sent(room):
    page = room.typed("the")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.get_by_label("Text").fill("🙂" * 2_001)
    expect(page.get_by_role("alert")).to_have_text("The text has 2,001 characters; at most 2,000 are shown here.")
    assert [url for url in sent if url.endswith("/encode")] == []


def test_a_cleared_text_leaves_nothing_but_the_hint(room):
    page = room.typed("the")
    page.get_by_label("Text").fill("")
    expect(page.get_by_text("Nothing to show yet.")).to_be_visible()
    expect(page.get_by_role("heading", name="From bytes to tokens")).to_be_hidden()


def test_a_lost_answer_is_said_and_the_text_kept(room):
    page = room.visit()
    page.route("**/encode", lambda route: route.abort())
    page.get_by_label("Text").fill("the")
    expect(page.get_by_role("alert")).to_contain_text("The tokens could not be fetched.")
    expect(page.get_by_label("Text")).to_have_value("the")


def test_a_refusal_stands_where_the_tokens_would(room):
    page = room.visit()
    body = json.dumps({"code": "tokenizer_missing", "detail": "The stored file is missing."})
    problem = {"status": 409, "content_type": "application/problem+json", "body": body}
    page.route("**/encode", lambda route: route.fulfill(**problem))
    page.get_by_label("Text").fill("the")
    expect(page.get_by_text("The stored file is missing.")).to_be_visible()


def test_the_address_names_the_tokenizers_and_never_the_text(room):
    page = room.typed(compare=True)
    assert page.url.endswith(f"?model={room.large.uuid}&with={room.small.uuid}")


# walking


def test_arrow_keys_walk_the_tokens_and_tell_about_each(room):
    page = room.typed()
    page.locator("#side-a [role=listbox]").focus()
    page.keyboard.press("ArrowRight")
    token = encode(loaded(room.large), TEXT).tokens[1]
    assert (detail(page, "place"), detail(page, "id")) == (f"2 of {len(boxes(page))}", str(token.id))
    assert (detail(page, "bytes"), detail(page, "characters")) == (token.bytes.hex(" "), f"{token.start}–{token.end}")
    expect(page.locator("[aria-selected=true]")).to_have_text("·other")


def test_the_picked_token_names_the_merge_that_made_it(room):
    page = room.typed("the other")
    made = encode(loaded(room.large), "the other").last_merges[0]
    assert made is not None
    assert detail(page, "rank") == str(made.rank)
    assert detail(page, "joined").replace("\u2068", "").replace("\u2069", "") == (
        f"{shown(made.left)} + {shown(made.right)}"
    )


@pytest.mark.parametrize(("keys", "place"), [(["End"], -1), (["End", "Home"], 0), (["ArrowLeft"], 0)])
def test_the_walk_ends_at_both_ends(room, keys, place):
    page = room.typed()
    page.locator("#side-a [role=listbox]").focus()
    for key in keys:
        page.keyboard.press(key)
    count = len(boxes(page))
    assert detail(page, "place") == f"{place % count + 1} of {count}"


def test_up_and_down_lead_to_the_next_line_and_back(room):
    page = room.typed("the other tokens " * 12, width=360)
    listbox = page.locator("#side-a [role=listbox]")
    listbox.focus()
    page.keyboard.press("ArrowDown")
    first, second = (page.locator("#side-a [role=option]").first, page.locator("[aria-selected=true]"))
    above, below = first.bounding_box(), second.bounding_box()
    assert above is not None
    assert below is not None
    assert (below["y"] > above["y"], below["x"]) == (True, above["x"])
    page.keyboard.press("ArrowUp")
    assert detail(page, "place").startswith("1 of")


def test_a_text_from_right_to_left_is_walked_that_way(room):
    page = room.typed("مرحبا بالعالم، كيف الحال؟")
    page.locator("#side-a [role=listbox]").focus()
    page.keyboard.press("ArrowLeft")
    assert detail(page, "place").startswith("2 of")


# merging


def test_a_key_takes_back_a_merge_and_another_does_it_again(room):
    page = room.typed("the other")
    rule = page.locator("[data-part=rule-a]")
    steps = len(encode(loaded(room.large), "the other").steps)
    page.locator("#side-a [role=listbox]").focus()
    page.keyboard.press("[")
    expect(rule).to_contain_text(f"Merge {steps - 1} of {steps}, rank ")
    assert len(boxes(page)) == len(wanted(room.large, "the other")) + 1
    page.keyboard.press("]")
    expect(rule).to_contain_text(f"Merge {steps} of {steps}, rank ")
    assert boxes(page) == wanted(room.large, "the other")


def test_a_merge_taken_back_in_the_middle_leaves_the_order(room):
    page = room.typed("the other the")
    page.get_by_role("button", name="Back").click()
    assert "".join(boxes(page)) == "·the·other·the"
    assert len(boxes(page)) == 4


def test_step_0_shows_the_bytes(room):
    page = room.typed("東")
    page.locator("[data-part=slider]").fill("0")
    assert boxes(page) == ["·", "⟨e6⟩", "⟨9d⟩", "⟨b1⟩"]
    expect(page.locator("[data-part=rule-a]")).to_have_text("Before any merge: 4 pieces")


def test_the_keys_act_while_the_slider_has_the_focus(room):
    page = room.typed("the other")
    page.locator("[data-part=slider]").focus()
    page.keyboard.press("[")
    assert len(boxes(page)) == len(wanted(room.large, "the other")) + 1


def test_pieces_keep_the_ground_of_the_token_they_end_in(room):
    page = room.typed("the other")
    page.locator("[data-part=slider]").fill("0")
    grounds = page.locator("#side-a [role=option]").evaluate_all("all => all.map(one => one.className)")
    assert grounds == ["g0"] * 4 + ["g1"] * 6


# two tokenizers


def test_two_tokenizers_read_the_same_text_beside_each_other(room):
    page = room.typed(compare=True)
    assert (boxes(page, "a"), boxes(page, "b")) == (wanted(room.large), wanted(room.small))
    left, right = page.locator("#side-a").bounding_box(), page.locator("#side-b").bounding_box()
    assert left is not None
    assert right is not None
    assert (left["y"], left["x"] < right["x"]) == (right["y"], True)


def test_the_numbers_tell_the_difference(room):
    page = room.typed(compare=True)
    large, small = len(wanted(room.large)), len(wanted(room.small))
    cells = page.locator("[data-number=tokens] td").all_inner_texts()
    assert cells == [str(large), str(small), f"{small - large:+}"]


def test_a_phone_shows_one_tokenizer_at_a_time(room):
    page = room.typed(compare=True, width=360)
    expect(page.locator("#side-b")).to_be_hidden()
    page.get_by_role("link", name="B ·").click()
    expect(page.locator("#side-b")).to_be_visible()
    expect(page.locator("#side-a")).to_be_hidden()


def test_another_tokenizer_is_chosen_and_the_text_stays(room):
    page = room.typed("the other")
    page.get_by_label("Tokenizer of").select_option(label=room.small.name)
    page.get_by_role("button", name="Show tokens").click()
    expect(page.get_by_role("heading", name=room.small.name, exact=True)).to_be_visible()
    expect(page.locator(TOKEN).first).to_be_visible()
    assert boxes(page) == wanted(room.small, "the other")


# without a script, and for everyone


def test_a_text_is_shown_without_a_script(room):
    page = room.visit(scripts=False)
    page.get_by_label("Text").fill(TEXT)
    page.get_by_role("button", name="Show tokens").click()
    assert page.locator("#side-a .tokens li").all_text_contents() == wanted(room.large)
    expect(page.get_by_role("row")).to_have_count(len(wanted(room.large)) + 5)  # a head, and four rows of numbers


def test_an_assessor_types_and_walks_too(room):
    page = room.typed(who="ana")
    expect(page.get_by_role("heading", name="The project’s newest tokenizer")).to_be_visible()
    assert boxes(page) == wanted(room.large)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_with_tokens_on_the_page(room, theme):
    page = room.typed(compare=True, theme=theme)
    page.locator("[data-part=slider]").fill("3")
    at_the_desk = (findings(page), sideways(page))
    page.set_viewport_size({"width": 360, "height": HEIGHTS[360]})
    assert (at_the_desk, (findings(page), sideways(page))) == (([], 0), ([], 0))


# the pure half


@pytest.fixture
def call(site, server):
    """call("shown", bytes) is what tokens.js answers in an empty page."""
    page = site.visit(None, "/login/")
    script = "async ([name, given]) => (await import('/static/rlhf/tokens.js'))[name](...given)"
    return lambda name, *given: page.evaluate(script, [name, list(given)])


@pytest.mark.parametrize(
    "data",
    [
        b" a\n\t",
        "é東🙂\u200b\u00a0\ufeff\u2028".encode(),
        b"\xe2\x82",
        b"\x82\xac\xff\xc3",
        b"\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80",
        "\u0301\u0e33م".encode(),
    ],
)
def test_both_halves_write_bytes_in_the_same_way(call, data):
    assert call("shown", list(data)) == shown(data)


def test_all_merges_lead_to_the_tokens(call):
    tokenizer = read(written("with_tokens_of_its_own"), sha256="own")
    found = encode(tokenizer, f"the  other {TEXT}")
    answer = {
        "tokens": [{"id": one.id, "start": 0, "end": 0, "bytes": one.bytes.hex()} for one in found.tokens],
        "first": [[one.id, one.bytes.hex()] for one in found.first],
        "steps": [[one.rank, one.position, one.id] for one in found.steps],
    }
    pieces = call("pieces", call("read", answer), len(found.steps))
    assert [(one["id"], bytes(one["bytes"])) for one in pieces] == [(one.id, one.bytes) for one in found.tokens]
    assert all(one["token"]["id"] == one["id"] for one in pieces)


def test_the_scripts_are_small():
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in SCRIPTS) <= 8_192
