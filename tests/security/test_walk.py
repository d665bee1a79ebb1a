"""Every address × method × caller: nothing is open but what the table opens (`spec/security.md` 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse

from tests.security.access import TABLE, Row, Rule, captured, filled
from tests.security.world import MARKER, World, build_world

METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
WRITES = {"POST", "PUT", "PATCH", "DELETE"}
NEVER = {401, 403, 404, 405}  # no answer to somebody who may
MULTIPART = {"api:imports"}
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[World]:
    """One for the whole walk, which takes back each of its requests."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build_world(tmp_path_factory.mktemp("world"))
        transaction.set_rollback(True)


@pytest.fixture
def _django_db_helper(world: World) -> None:
    """In place of pytest-django's, which would close the connection that the world's transaction is on."""


def routes() -> list[str]:
    """The names of all addresses, with their namespaces."""
    return [name for name, _ in _walk(get_resolver().url_patterns, "")]


def _walk(patterns: list[Any], space: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield f"{space}{pattern.name or pattern.pattern}", pattern
        else:
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(pattern.url_patterns, inner)


def test_every_address_has_a_row():
    assert [name for name in routes() if name not in TABLE] == []


def test_every_row_has_an_address():
    assert sorted(set(TABLE) - set(routes())) == []


@pytest.mark.parametrize("name", sorted(TABLE))
def test_strangers_neighbours_and_assessors_get_what_the_table_says(name, world):
    assert surprises(name, world, callers=["", "eve", "ana"]) == []


@pytest.mark.parametrize("name", sorted(name for name, row in TABLE.items() if WRITES & set(row.methods)))
def test_a_write_under_a_cookie_alone_is_refused(name, world, monkeypatch):
    rule = next(rule for method, rule in TABLE[name].methods.items() if method in WRITES)
    who = (rule.may or "ada").split()[0]
    monkeypatch.setattr(world.clients[who].handler, "enforce_csrf_checks", True)
    assert {answer(name, world, who, method).status_code for method in WRITES & set(TABLE[name].methods)} == {403}


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(TABLE))
def test_reviewers_and_admins_get_what_the_table_says(name, world):
    assert surprises(name, world, callers=["rex", "ada"]) == []


@pytest.mark.full
@pytest.mark.parametrize("body", ["{}", "[]", '"text"', "null", "{"])
@pytest.mark.parametrize("name", sorted(TABLE))
def test_no_body_opens_or_breaks_an_address(name, body, world):
    callers = ["", "eve", "ana", "rex", "ada"]
    found = [(who, method, answer(name, world, who, method, raw=body)) for who in callers for method in METHODS]
    assert [case for case in found if broken(TABLE[name], *case, world=world)] == []


@pytest.mark.full
@pytest.mark.parametrize("other", ["never", "other kind"])
@pytest.mark.parametrize("name", sorted(name for name, row in TABLE.items() if row.objects()))
def test_an_object_that_is_not_there_is_a_404_for_admins_too(name, other, world):
    row = TABLE[name]
    ids = {
        kind: "00000000-0000-4000-8000-000000000000" if other == "never" else world.ids["other"] for kind in world.ids
    }
    elsewhere = replace(world, ids=ids)
    statuses = {answer(name, elsewhere, "ada", method).status_code for method in row.methods}
    assert statuses == {404}


def surprises(name: str, world: World, *, callers: list[str]) -> list[tuple[str, str, int, str]]:
    """(caller, method, status, what was expected) of each answer that the table does not say."""
    found = []
    for who in callers:
        for method in METHODS:
            response = answer(name, world, who, method)
            expected = verdict(TABLE[name], who, method, response, is_api=name.startswith("api:"))
            if expected:
                found.append((who or "anonymous", method, response.status_code, expected))
            if who == "eve" and MARKER in text_of(response):
                found.append((who, method, response.status_code, "no word of the other project"))
    return found


def verdict(row: Row, who: str, method: str, response: Any, *, is_api: bool) -> str:
    """What was expected, where the response is not that; else empty."""
    status, rule = response.status_code, row.methods.get(method)
    if not who and not row.open:
        return refuses_anonymous(response, is_api=is_api)
    if rule is None:
        return "" if status == 405 else "405"
    wanted = expected_of(row, rule, who)
    if wanted:
        return "" if status == wanted else str(wanted)
    fits = status < 500 or status == 503
    return "" if fits and (status not in NEVER or (rule.absent and status == 404)) else "an answer"


def refuses_anonymous(response: Any, *, is_api: bool) -> str:
    if is_api:
        return "" if response.status_code == 401 else "401"
    to_login = response.status_code == 302 and response["Location"].startswith(reverse("login"))
    return "" if to_login else "the log-in page"


def expected_of(row: Row, rule: Rule, who: str) -> int | None:
    """The refusal that who gets, or None where they may."""
    if row.open or who in rule.may.split():
        return None
    hidden = row.captures or row.query or rule.body
    if who in rule.unknown.split() or (who == "eve" and hidden and rule.may):
        return 404
    return 403


def broken(row: Row, who: str, method: str, response: Any, *, world: World) -> bool:
    """Whether an answer to a body that does not fit is a fault of ours, or a success of somebody who may not."""
    rule = row.methods.get(method)
    may = row.open or (rule is not None and who in rule.may.split())
    if response.status_code >= 500 and response.status_code != 503:
        return True
    return not may and response.status_code < 300


def answer(name: str, world: World, who: str, method: str, *, raw: str | None = None) -> Any:
    """The response to one request, which leaves no row behind."""
    row = TABLE[name]
    client = world.client(who)
    rule = row.methods.get(method)
    body = filled(rule.body, world) if rule else {}
    address = reverse(name, kwargs=captured(row.captures, world))
    query = captured(row.query, world) if method in {"GET", "HEAD"} else {}
    with transaction.atomic():
        if method in {"GET", "HEAD"}:
            response = client.generic(method, address, query_params=query)
        elif name.startswith("api:") and name not in MULTIPART:
            content = raw if raw is not None else json.dumps(body)
            response = client.generic(method, address, content, content_type="application/json")
        elif method == "POST":
            upload = {"file": SimpleUploadedFile("a.txt", b"A text.")} if name in MULTIPART else {}
            response = client.post(address, body | upload if raw is None else {"wrong": raw})
        else:
            response = client.generic(method, address)
        text_of(response)
        transaction.set_rollback(True)
    return response


def text_of(response: Any) -> str:
    """The body, read while its rows are there."""
    if response.streaming:
        response.body_read = getattr(response, "body_read", None) or b"".join(response.streaming_content)
        return str(response.body_read, errors="replace")
    return str(response.content, errors="replace")
