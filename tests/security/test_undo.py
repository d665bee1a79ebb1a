"""What changes something can be taken back (`spec/interface.md` 10, bar 15): a walk over all pages that are posted to.

Each such page stands in one of the three groups; a new one without a group fails the build.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.urls import reverse

from tests.security.access import TABLE, captured, filled
from tests.security.world import World, build_world

pytestmark = pytest.mark.django_db

# The answer carries a toast with an Undo, which restores every row: (page, body) → who posts.
TAKEN_BACK: list[tuple[str, str, dict[str, Any]]] = [
    ("me", "ana", {"theme": "dark", "size": "125", "keys": "off"}),
    ("me-keys", "ana", {"key-SKIP": "U"}),
    ("people", "ada", {"name": "eve", "role": "assessor"}),
    ("hide-end", "ana", {}),
    ("token-revoke", "ada", {}),
    ("card-change", "rex", {"to": "out"}),
]
# Undo stands elsewhere, and has tests of its own.
ELSEWHERE = {
    "slot-submit": "tests/annotate/test_undo.py, and Z in tests/browser",
    "undo": "sending the answer again, tests/annotate/test_undo.py",
    "launch": "Cancel on the run's page while it is queued",
    "run-ask": "the toast's Undo, tests/rlhf/test_noted.py",
    "run-resume": "Cancel on the run's page",
    "slot-draft": "the text itself is edited again",
    "slot-release": "the draft stays, and the task may be taken again",
    "start": "Leave hands the task back",
    "token-new": "Revoke beside the token",
    "own-cards": "Remove beside the card",
    "consent": "the same form; each choice is a new row",
    "counted": "the same address, tests/annotate/test_later_pages.py",
    "edit": "the answer is edited again; its versions stay",
    "game-doubt-undo": "suggesting it again, tests/annotate/test_doubts.py",
    "map-similar": "Z, tests/rlhf/test_similar.py",
    "pause-end": "pausing again",
    "pause-new": "ending the pause",
    "queue-close": "opening it again",
    "queue-empty": "building its tasks again",
    "queue-fill": "the toast's Undo, tests/annotate/test_fill_queue.py",
    "queue-rules": "the toast's Undo, tests/annotate/test_settings_of_queues.py",
    "queues": "closing the queue",
    "slot-skip": "the toast's Undo and Z, tests/annotate/test_skips.py",
    "slot-unskip": "skipping again",
    "task-parked": "the same address, tests/annotate/test_later_pages.py",
    "hide-new": "Show again on Work, tests/annotate/test_hiding_pages.py",
    "object-new": "the toast's Undo, tests/annotate/test_objections.py",
    "objection-back": "objecting again",
    "objection-decide": "the toast's Undo, tests/annotate/test_objections.py",
    "withdraw": "Undo under My answers, tests/annotate/test_answers_later.py",
}
# Their page asks before, or they only append to what is never taken back.
ASKS_OR_APPENDS = {
    "run-cancel": "a dialog asks first",
    "logout": "one signs in again",
    "login": "one signs out again",
    "guideline": "a new version; the old ones stay",
    "import-new": "rows are added, none is changed",
    "snapshot-new": "a snapshot never changes; another may be frozen",
    "project-new": "nothing of other projects changes",
    "guideline-accept": "an acceptance is a record",
    "quiz-start": "a try is a record",
    "quiz-try": "an answer is a record",
    "card-review": "a rating is a record",
    "game": "an answer of a round is a record",
    "game-doubt": "a doubt is a record",
    "game-words": "a decision is a record; the next one counts",
    "game-train": "another start is published; rounds keep theirs",
    "playground": "nothing is kept",
    "tokenizer": "nothing is kept",
    "beliefs": "a question is kept, none is changed",
}
QUIET = {"Session"}  # what a request leaves there is no one's state


@pytest.fixture
def world(tmp_path) -> World:
    return build_world(tmp_path)


def rows() -> dict[str, list[str]]:
    """Every row of the service but for keys that a repeated insert cannot have again."""
    found = {}
    for model in apps.get_models():
        if model.__name__ in QUIET:
            continue
        fresh = {"id", "uuid", "created_at"}
        names = [field.attname for field in model._meta.concrete_fields if field.attname not in fresh]
        found[model.__name__] = sorted(map(repr, model._default_manager.values_list(*names)))
    return found


def undo_of(page: str) -> tuple[str, dict[str, str]]:
    """The address and the fields of the toast's Undo."""
    toast = page.split('data-part="toast"')[1].split("</form>")[0]
    address = re.search(r'<form method="post" action="([^"]+)"', toast)
    assert address is not None, "the toast offers no Undo"
    fields = re.findall(r'name="([^"]+)"\s+value="([^"]*)"', toast)
    return address[1], {name: unescape(value) for name, value in fields if name != "csrfmiddlewaretoken"}


def test_every_page_that_is_posted_to_says_how_it_is_taken_back():
    posted = {name for name, row in TABLE.items() if "POST" in row.methods and not name.startswith("api:")}
    grouped = [*{name for name, _, _ in TAKEN_BACK}, *ELSEWHERE, *ASKS_OR_APPENDS]
    assert (sorted(posted - set(grouped)), sorted(set(grouped) - posted)) == ([], [])
    assert len(grouped) == len(set(grouped))


@pytest.mark.parametrize(("name", "who", "body"), TAKEN_BACK, ids=[name for name, _, _ in TAKEN_BACK])
def test_undo_restores_every_row(name, who, body, world):
    with transaction.atomic():
        client = world.client(who)
        address = reverse(name, kwargs=captured(TABLE[name].captures, world))
        before = rows()
        page = client.post(address, filled(body, world), follow=True)
        assert rows() != before
        back, fields = undo_of(page.content.decode())
        client.post(back, fields)
        assert rows() == before
