"""Rules of queues and guidelines are versioned."""

import pytest

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
