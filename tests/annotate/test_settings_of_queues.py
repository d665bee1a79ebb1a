"""Rules of queues and guidelines are versioned."""

import re
from html import unescape

import pytest
from django.urls import reverse

from annotate.actions.add_queue import add_queue
from annotate.actions.change_queue import change_queue
from annotate.actions.publish_guideline import publish_guideline
from annotate.errors import AnnotateError
from annotate.models import Queue

from .conftest import answer, build, rank_item


def test_a_change_is_a_new_version(ranking):
    changed = change_queue(queue=ranking, overlap=3)
    assert (changed.overlap, changed.settings_version) == (3, 2)


def test_nothing_changed_is_no_new_version(ranking):
    assert change_queue(queue=ranking, overlap=1).settings_version == 1


def test_a_queue_can_be_closed_and_opened(ranking):
    closed = change_queue(queue=ranking, closed=True)
    assert closed.closed_at is not None
    assert change_queue(queue=closed, closed=False).closed_at is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("overlap", 0),
        ("overlap", True),
        ("lease_minutes", 61),
        ("intake_cap", 0),
        ("axes", ["pretty"]),
        ("axes", ["helpful", "helpful"]),
        ("name", ""),
        ("kind", "rank"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_field(ranking, field, value):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=ranking, **{field: value})
    assert (refusal.value.code, refusal.value.facts["field"]) == ("bad_queue", field)
    assert Queue.objects.get(pk=ranking.pk).settings_version == 1


def test_only_axes_that_are_asked_can_be_required(ranking):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=ranking, axes=["helpful"], required_axes=["truthful"])
    assert refusal.value.facts["field"] == "required_axes"


def test_an_answer_keeps_the_versions_that_it_was_given_under(project, ranking, ada, ana):
    publish_guideline(project=project, body="1. Be kind.", by=ada)
    publish_guideline(project=project, body="1. Be kind and brief.", by=ada)
    build(ranking, rank_item(project, ["One.", "Two."]))
    revision = answer(change_queue(queue=ranking, overlap=2), ana, {"groups": [["A"], ["B"]]})
    assert (revision.guideline_version, revision.queue_settings_version) == (2, 2)


def test_an_empty_guideline_is_refused(project, ada):
    with pytest.raises(AnnotateError) as refusal:
        publish_guideline(project=project, body=" \n", by=ada)
    assert refusal.value.code == "bad_guideline"
    assert not project.guidelines.exists()


@pytest.fixture
def rules(client, ada, ranking):
    client.force_login(ada)
    return reverse("queue-rules", args=[ranking.uuid])


def sent(client, page):
    """The fields that a browser would send of the form as it stands."""
    form = client.get(page).content.decode().split('<form class="form"')[1].split("</form>")[0]
    inputs = [dict(re.findall(r'(\w+)(?:="([^"]*)")?', tag)) for tag in re.findall(r"<input([^>]*)>", form)]
    sends = [one for one in inputs if one["type"] != "checkbox" or "checked" in one]
    return {one["name"]: unescape(one["value"]) for one in sends}


def test_an_admin_changes_what_a_ranking_asks_and_takes_it_back(client, ranking, rules):
    before = Queue.objects.values().get(pk=ranking.pk)
    form = sent(client, rules) | {"overlap": "3", "overlap_max": "5", "flag-false_claim": "on", "own": "x_too_formal"}
    form |= {"critique_least": "20", "better": "on", "required-helpful": "on"}
    del form["axis-harmless"]
    client.post(rules, form)
    changed = Queue.objects.get(pk=ranking.pk)
    assert (changed.overlap, changed.overlap_max, changed.critique_least) == (3, 5, 20)
    assert (changed.axes, changed.required_axes) == (["helpful", "truthful"], ["helpful"])
    assert (changed.flags, changed.better, changed.partial) == (["false_claim", "x_too_formal"], True, False)
    client.post(rules, client.session["toast"]["fields"])
    again = Queue.objects.values().get(pk=ranking.pk)
    assert again == before | {"settings_version": before["settings_version"] + 2}


@pytest.mark.parametrize("kind", ["rank", "rate", "pair", "clean", "write_answer"])
def test_the_form_as_it_stands_changes_nothing(client, project, ada, kind):
    client.force_login(ada)
    queue = project.queues.filter(kind=kind).first() or add_queue(project=project, kind=kind, name=kind)
    if kind == "rank":
        queue = change_queue(queue=queue, flags=["x_own", "sexual", "off_topic"], axes=["truthful", "helpful"])
    if kind == "write_answer":
        queue = change_queue(queue=queue, instruction=True)
    before = Queue.objects.values().get(pk=queue.pk)
    page = reverse("queue-rules", args=[queue.uuid])
    client.post(page, sent(client, page))
    assert Queue.objects.values().get(pk=queue.pk) == before
    assert client.session["toast"] == {"sentence": "Nothing was different.", "undo": "", "fields": {}}


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("overlap", "many", 422),
        ("overlap", "", 422),
        ("overlap_max", "10", 422),
        ("lease_minutes", "²", 422),
        ("own", "pretty", 422),
        ("required-overall", "on", 422),
        ("name", "Clean documents", 422),
        ("version", "7", 409),
    ],
)
def test_a_refused_rule_changes_nothing_and_is_named(client, ranking, rules, field, value, status):
    answer = client.post(rules, sent(client, rules) | {field: value})
    assert answer.status_code == status
    assert "Nothing was changed." in answer.content.decode()
    assert Queue.objects.get(pk=ranking.pk).settings_version == 1
    if status == 422 and field not in {"own", "required-overall"}:
        assert f'value="{value}"' in answer.content.decode()


def test_a_queue_is_not_renamed_to_another_one_s_name(ranking):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=ranking, name="Clean documents")
    assert (refusal.value.code, refusal.value.status) == ("name_taken", 409)
