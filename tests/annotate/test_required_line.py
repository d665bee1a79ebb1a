"""Rankings that must say where acceptable ends: only where the queue requires it."""

import pytest
from django.urls import reverse

from annotate.actions.change_queue import change_queue
from annotate.errors import AnnotateError
from annotate.models import Judgement
from annotate.presentation import payload

from .conftest import answer, leased, send

ORDER = {"groups": [["A"], ["B"], ["C"], ["D"]]}
FORM = {"place-A": "1", "place-B": "2", "place-C": "3", "place-D": "4"}


@pytest.fixture
def drawn(task):
    """A queue that requires the line, with one task of four answers."""
    return change_queue(queue=task.queue, line_required=True)


@pytest.mark.parametrize("line", [{}, {"acceptable_groups": None}])
def test_a_ranking_without_its_line_is_refused_by_field(drawn, ana, line):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(drawn, ana), ana, ORDER | line)
    assert (refusal.value.code, refusal.value.facts["field"]) == ("bad_body", "acceptable_groups")
    assert not Judgement.objects.exists()


@pytest.mark.parametrize("line", [0, 2, 4])
def test_each_place_of_the_line_is_an_answer(drawn, ana, line):
    assert answer(drawn, ana, ORDER | {"acceptable_groups": line}).body["acceptable_groups"] == line


def test_elsewhere_a_line_that_was_not_drawn_stays_not_asked(task, ana):
    assert answer(task.queue, ana, ORDER).body["acceptable_groups"] is None


def test_the_payload_says_whether_the_line_is_required(drawn, ana):
    assert payload(leased(drawn, ana))["line_required"] is True


def test_the_form_asks_where_acceptable_ends_and_keeps_what_was_chosen(client, drawn, ana):
    slot = leased(drawn, ana)
    client.force_login(ana)
    page = client.post(reverse("slot-submit", args=[slot.uuid]), {**FORM, "token": slot.token, "key": "k" * 16})
    html = page.content.decode()
    assert page.status_code == 422
    assert '<span class="error" id="acceptable-error">Where does acceptable end?</span>' in html
    assert 'href="#acceptable"' in html
    assert html.count("selected") == 4
    assert not Judgement.objects.exists()


def test_the_rules_page_turns_the_line_on_and_its_toast_off_again(client, ada, task):
    client.force_login(ada)
    page = reverse("queue-rules", args=[task.queue.uuid])
    rules = {"version": "1", "name": task.queue.name, "overlap": "1", "lease_minutes": "20", "line_required": "on"}
    client.post(page, rules | {"axis-helpful": "on"})
    task.queue.refresh_from_db()
    assert task.queue.line_required is True
    client.post(page, client.session["toast"]["fields"])
    task.queue.refresh_from_db()
    assert task.queue.line_required is False
