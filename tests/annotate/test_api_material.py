"""Sources, imports and texts at the API."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotate.models import Flag, Import, Refusal, Source, Text
from annotate.tasks import run_import
from tests.annotate.conftest import make_document
from tests.api import ROOT, Caller

ROWS = "".join(json.dumps({"text": f"Document {number} says a little about itself."}) + "\n" for number in range(3))


@pytest.fixture(autouse=True)
def own_home(tmp_path, settings):
    settings.HOME = tmp_path


@pytest.fixture
def sent(monkeypatch):
    """Messages that would have gone to workers."""
    messages = []
    monkeypatch.setattr("annotate.tasks.current_app.send_task", lambda name, args: messages.append((name, args)))
    return messages


def upload(who, project, content=ROWS, *, name="rows.jsonl", **fields):
    values = {"project": str(project.uuid), "source": "docs", "licence": "PSF-2.0"} | fields
    file = SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)
    return Caller(who).client.post(ROOT + "imports/", values | {"file": file})


def test_an_upload_becomes_an_import_with_a_message_on_commit(ada, project, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(ada, project)
    row = Import.objects.get(uuid=response.json()["id"])
    assert sent == [("annotate.tasks.run_import", (row.pk,))]
    assert (row.format, row.what, row.source.licence) == ("jsonl", "documents", "PSF-2.0")


def test_a_file_is_kept_under_a_name_of_ours(ada, project, tmp_path):
    response = upload(ada, project, name="../../evil\u202egpj.jsonl")
    assert response.status_code == 201
    (stored,) = (tmp_path / "imports").iterdir()
    assert stored.read_text() == ROWS
    assert stored.name == Import.objects.get().file


def test_an_import_can_be_followed_to_its_end(ada, project, sent):
    row = Import.objects.get(uuid=upload(ada, project).json()["id"])
    run_import(row.pk)
    live = Caller(ada).get(f"imports/{row.uuid}/live")
    assert (live["state"], live["new"], live["progress"]["done"]) == ("finished", 3, len(ROWS))


def test_an_import_that_does_not_move_is_not_sent_again(ada, project):
    path = f"imports/{upload(ada, project).json()['id']}/live"
    caller = Caller(ada)
    seen = caller.ask("GET", path)["ETag"]
    assert caller.ask("GET", path, **{"If-None-Match": seen}).status_code == 304


@pytest.mark.parametrize("field", ["file_path", "by", "state"])
def test_an_unknown_field_of_the_form_is_refused(ada, project, field):
    response = upload(ada, project, **{field: "x"})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_field")
    assert not Import.objects.exists()


def test_a_file_of_no_known_ending_is_refused_with_the_way_out(ada, project):
    response = upload(ada, project, name="page.exe")
    assert (response.status_code, response.json()["code"]) == (400, "format")


def test_an_upload_over_a_gigabyte_is_refused_before_it_is_read(ada, project):
    client = Caller(ada).client
    response = client.generic(
        "POST", ROOT + "imports/", b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH="1100000000"
    )
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_prompts_can_be_asked(ada, project, sent):
    rows = json.dumps({"instruction": "What does min do?"}) + "\n"
    made = upload(ada, project, rows, what="prompts", ask="true").json()
    assert made["options"] == {"ask": True}


def test_columns_can_be_named(ada, project):
    made = upload(ada, project, fields='{"text": "body"}').json()
    assert made["options"] == {"fields": {"text": "body"}}


@pytest.mark.parametrize("fields", ["[]", "{", '{"text": 3}', "[" * 400])
def test_columns_that_are_no_names_are_refused(ada, project, fields):
    assert upload(ada, project, fields=fields).status_code == 400
    assert not Import.objects.exists()


def test_refused_rows_are_listed_page_by_page(ada, project):
    row = Import.objects.get(uuid=upload(ada, project).json()["id"])
    Refusal.objects.bulk_create(
        Refusal(imported=row, place=f"line {n}", code="empty", sentence="The row is empty.") for n in range(101)
    )
    caller = Caller(ada)
    first = caller.get(f"imports/{row.uuid}/refusals")
    second = caller.get(f"imports/{row.uuid}/refusals?cursor={first['next']}")
    assert [len(first["results"]), len(second["results"]), second["next"]] == [100, 1, None]
    assert second["results"][0]["place"] == "line 100"


def test_two_sources_of_one_name_are_a_conflict(ada, project):
    body = {"project": str(project.uuid), "name": "docs"}
    Caller(ada).post("sources/", body, expect=201)
    assert Caller(ada).post("sources/", body, expect=409)["code"] == "conflict"
    assert Source.objects.count() == 1


def test_a_text_shows_what_detectors_found(rex, project, source):
    text = make_document(project, "Write to me@example.org.", source=source)
    Flag.objects.create(
        text=text, detector="personal", version=1, category="email", start=9, end=23, score=0.9, reason="An address."
    )
    (flag,) = Caller(rex).get(f"texts/{text.uuid}/")["flags"]
    assert (flag["category"], flag["start"], flag["end"]) == ("email", 9, 23)


def test_a_list_of_texts_costs_as_many_queries_with_30_rows_as_with_1(
    rex, project, source, django_assert_max_num_queries
):
    caller, path = Caller(rex), f"texts/?project={project.uuid}&kind=document"
    make_document(project, "The first one.", source=source)
    with django_assert_max_num_queries(50) as one:
        caller.get(path)
        cost = len(one)
    for number in range(29):
        make_document(project, f"Document {number}.", source=source)
    with django_assert_max_num_queries(cost):
        assert len(caller.get(path)["results"]) == 30


def test_a_preview_is_rendered_as_every_text_is_and_nothing_is_kept(ana):
    found = Caller(ana).post("texts/preview", {"text": "One *two* <b>three</b>"})
    [paragraph] = found["blocks"]
    assert [span["type"] for span in paragraph["spans"]] == ["text", "em", "text"]
    assert "<b>" in paragraph["spans"][-1]["text"]  # no markup but Markdown's
    assert not Text.objects.exists()


def test_a_preview_of_a_very_long_text_is_refused(ana):
    assert Caller(ana).post("texts/preview", {"text": "x" * 20_001}, expect=400)["fields"].keys() == {"text"}
