"""What a person changes for themselves: theme, text size, keys; each with its Undo."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.models import User
from annotate.pages.keys import Key, clash_of
from annotate.templatetags.names import KEYS
from tests.api import Caller


@pytest.fixture
def as_ana(ana) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def test_the_text_size_is_rendered_on_the_next_page_and_undone(as_ana, ana):
    as_ana.post(reverse("me"), {"theme": "contrast", "size": "125", "keys": "off"})
    page = as_ana.get(reverse("me"))
    assert 'data-size="125"' in page.content.decode()
    undo = page.content.decode().split('data-part="toast"')[1]
    assert [f'name="{name}" value="{value}"' in undo for name, value in BEFORE.items()] == [True] * 3
    as_ana.post(reverse("me"), BEFORE)
    ana.refresh_from_db()
    assert (ana.theme, ana.text_size, ana.keys_on) == ("system", 100, True)


BEFORE = {"theme": "system", "size": "100", "keys": "on"}


@pytest.mark.parametrize("size", ["113", "x", "-100"])
def test_a_size_that_is_none_of_the_three_is_refused(as_ana, ana, size):
    assert as_ana.post(reverse("me"), {"theme": "dark", "size": size, "keys": "on"}).status_code == 422
    ana.refresh_from_db()
    assert (ana.theme, ana.text_size) == ("system", 100)


def test_the_api_changes_the_text_size_too(ana):
    assert Caller(ana).patch("me/", {"text_size": 112})["text_size"] == 112
    assert Caller(ana).patch("me/", {"text_size": 113}, expect=400)["code"] == "invalid"


# keys


def test_a_key_of_ones_own_is_kept_and_undone(as_ana, ana):
    as_ana.post(reverse("me-keys"), {"key-SKIP": "u", "key-UNDO": "z"})
    ana.refresh_from_db()
    assert ana.own_keys == {"SKIP": "U"}
    as_ana.post(reverse("me-keys"), {})  # the Undo's fields: there were none before
    ana.refresh_from_db()
    assert ana.own_keys == {}


def test_a_key_that_means_something_else_is_refused_and_says_what(as_ana, ana):
    page = as_ana.post(reverse("me-keys"), {"key-SKIP": "X"})
    ana.refresh_from_db()
    assert (page.status_code, ana.own_keys) == (422, {})
    assert "X stands for “Reject, or return” already." in page.content.decode()
    assert 'value="X"' in page.content.decode()


@pytest.mark.parametrize("sign", ["5", "UU", "\t\x01", "ß"])
def test_what_is_no_single_sign_is_refused(as_ana, ana, sign):
    assert as_ana.post(reverse("me-keys"), {"key-SKIP": sign}).status_code == 422
    ana.refresh_from_db()
    assert ana.own_keys == {}


def test_two_keys_may_change_places():
    assert clash_of({"SKIP": "Q", "GUIDELINES": "S"}) is None


def test_a_key_may_not_take_a_letter_of_an_answer():
    assert clash_of({"SKIP": "D"}) == (Key.SKIP, Key.LETTER)


def test_the_key_of_accept_leaves_the_letter_of_an_answer_alone():
    assert clash_of({"ACCEPT": "U"}) is None


def test_no_change_that_is_let_through_gives_a_screen_two_meanings():
    """Any two keys that may stand on one screen stay apart, whatever one of them becomes."""
    changes = [{one.name: chr(code)} for one in Key if one.is_changeable for code in range(33, 127)]
    met = [
        (change, other)
        for change in changes
        if clash_of(change) is None
        for one in [Key[name] for name in change]
        for other in Key
        if not set(one.names) & set(other.names)
        if set(one.pressed(change)) & set(other.pressed(change))
    ]
    assert met == []


def test_every_key_that_may_be_changed_says_what_it_does():
    assert [key.name for key in Key if key.is_changeable and key.name not in KEYS] == []


def test_the_screens_sheet_shows_the_key_of_ones_own(as_ana, ana):
    User.objects.filter(pk=ana.pk).update(own_keys={"HELP": "H"})
    page = as_ana.get(reverse("me")).content.decode()
    assert '<script id="keys-own" type="application/json">{"?": "H"}</script>' in page
    assert "<dt>H</dt>" in page
