"""How the API reads and refuses, whatever the operation."""

import json

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from annotate.api import parsers, problems
from annotate.errors import AnnotateError
from tests.annotate.conftest import make_document
from tests.api import Caller


@pytest.fixture
def caller(ada, project):
    return Caller(ada)


def test_a_refusal_is_a_problem_with_code_and_sentence(caller):
    response = caller.ask("GET", "projects/00000000-0000-4000-8000-000000000000/")
    assert response["Content-Type"] == "application/problem+json"
    assert set(response.json()) == {"code", "detail"}


def test_a_foreign_object_reads_like_a_missing_one(caller, other_project):
    foreign = caller.ask("GET", f"projects/{other_project.uuid}/")
    missing = caller.ask("GET", "projects/00000000-0000-4000-8000-000000000000/")
    assert (foreign.status_code, foreign.content) == (missing.status_code, missing.content)


def test_nobody_is_told_to_sign_in(client):
    response = client.get("/api/v1/me/")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": NaN}', b'{"name": 1, "name": 2}', b"[" * 5_000])
def test_what_is_no_json_is_refused(caller, project, body):
    response = caller.ask("PATCH", f"projects/{project.uuid}/", body)
    assert response.status_code == 400
    assert response.json()["code"] in {"bad_json", "too_deep"}


@pytest.mark.parametrize(("levels", "code"), [(20, "invalid"), (21, "too_deep")])
def test_json_of_21_levels_is_refused_before_it_is_built(caller, project, levels, code):
    body = b'{"settings": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    assert caller.patch(f"projects/{project.uuid}/", body, expect=400)["code"] == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(JSON)
def test_depth_counts_brackets_outside_of_strings(value):
    assert parsers._depth(json.dumps(value)) == depth_of(value)


def test_a_body_over_ten_megabytes_is_refused(caller, project):
    body = b'{"name": "' + b"x" * 10_000_000 + b'"}'
    assert caller.patch(f"projects/{project.uuid}/", body, expect=413)["code"] == "too_large"


def test_a_body_of_another_type_is_refused(caller, project):
    response = caller.client.patch(f"/api/v1/projects/{project.uuid}/", "name=x", content_type="text/plain")
    assert (response.status_code, response["Content-Type"]) == (415, "application/problem+json")


@pytest.mark.parametrize("query", ["ordering=author__password", "fields=password", "search=x", "limit=5", "page=2"])
def test_a_parameter_that_is_not_declared_is_refused(caller, project, query):
    problem = caller.get(f"texts/?project={project.uuid}&{query}", expect=400)
    assert problem["code"] == "unknown_field"


def test_a_parameter_that_stands_twice_is_refused(caller, project, other_project):
    assert caller.get(f"texts/?project={project.uuid}&project={other_project.uuid}", expect=400)["code"] == "invalid"


@pytest.mark.parametrize("cursor", ["1", "1:x", "'; --", "-1"])
def test_a_cursor_that_we_did_not_give_is_refused(caller, project, cursor):
    assert caller.get(f"texts/?project={project.uuid}&cursor={cursor}", expect=400)["code"] == "bad_cursor"


def test_a_cursor_of_another_list_is_refused(caller, project, source):
    for number in range(101):
        make_document(project, f"Document {number}.", source=source)
    cursor = caller.get(f"texts/?project={project.uuid}")["next"]
    assert caller.get(f"sources/?project={project.uuid}&cursor={cursor}", expect=400)["code"] == "bad_cursor"


def test_pages_hold_each_row_once(caller, project, source):
    for number in range(101):
        make_document(project, f"Document {number}.", source=source)
    first = caller.get(f"texts/?project={project.uuid}")
    second = caller.get(f"texts/?project={project.uuid}&cursor={first['next']}")
    bodies = [row["body"] for row in first["results"] + second["results"]]
    assert bodies == [f"Document {number}." for number in range(101)]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AnnotateError("already_answered", "You have.", status=409, judgement="j"), 409, "already_answered"),
        (IntegrityError("UNIQUE constraint failed: annotate_text.sha256"), 409, "conflict"),
    ],
)
def test_errors_of_actions_and_constraints_become_problems(error, status, code):
    response = problems.handle(error, {})
    assert response is not None
    assert (response.status_code, response.data["code"]) == (status, code)


def test_a_constraint_does_not_tell_its_table():
    response = problems.handle(IntegrityError("UNIQUE constraint failed: annotate_text.sha256"), {})
    assert response is not None
    assert "annotate_" not in str(response.data)


def test_a_fault_of_ours_is_left_to_django():
    assert problems.handle(ZeroDivisionError(), {}) is None
