"""The page where reviewers see what players say: words to accept, and doubts."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.doubt import suggest_fix
from annotate.actions.train_start import bundled_start
from annotate.cloze import cloze_counts
from annotate.models import GameWord, User
from tests.annotate.plays import answer, blank, other, paragraphs

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(db):
    return blank(paragraphs(bundled_start())[2])


@pytest.fixture
def people(db):
    return [User.objects.create_user(f"player{number}") for number in range(5)]


@pytest.fixture
def as_rex(rex):
    client = Client()
    client.force_login(rex)
    return client


@pytest.fixture
def page(project):
    return reverse("game-words", args=[project.uuid])


def type_word(project, people, item, word="quay"):
    for person in people[:2]:
        answer(project, person, item, {"free": word})


def decision(item, what, word="quay"):
    return {"item": item.pk, "mode": "missing", "word": word, "decision": what}


def test_a_word_that_two_people_typed_waits_on_the_page(as_rex, page, project, people, item):
    type_word(project, people, item)
    [waiting] = as_rex.get(page).context["waiting"]
    assert waiting["words"] == [{"word": "quay", "people": 2, "accepted": None}]


def test_accepting_a_word_lets_its_blank_into_the_benchmark(as_rex, rex, page, project, people, item):
    type_word(project, people, item)
    shown = as_rex.post(page, decision(item, "accept"), follow=True)
    assert (GameWord.objects.get().accepted, GameWord.objects.get().by) == (True, rex)
    assert shown.context["waiting"] == []
    assert "Accepted" in shown.content.decode()
    assert "waits_for_a_reviewer" not in cloze_counts(project, {"min_people": 2})


def test_a_decision_can_be_taken_back_and_leaves_both_rows(as_rex, page, project, people, item):
    type_word(project, people, item)
    as_rex.post(page, decision(item, "refuse"))
    shown = as_rex.post(page, decision(item, "undo"), follow=True)
    assert list(GameWord.objects.order_by("pk").values_list("accepted", flat=True)) == [False, None]
    assert len(shown.context["waiting"]) == 1


def test_a_word_that_nobody_typed_is_refused(as_rex, page, item):
    assert as_rex.post(page, decision(item, "accept")).status_code == 422
    assert not GameWord.objects.exists()


def test_a_doubted_sentence_stands_there_with_its_notes(as_rex, page, project, people, item):
    for person in people[:3]:
        answer(project, person, item, other(item))
    rounds = [answer(project, person, item) for person in people[3:]]
    suggest_fix(round_=rounds[0], item=0, note="The tide goes out.", by=people[3])
    html = as_rex.get(page).content.decode()
    assert "3 of 5 gave another word" in html
    assert "The tide goes out." in html
    assert "Bundled paragraph." in html


def test_many_words_cost_no_more_queries_than_one(
    as_rex, page, project, people, item, django_assert_num_queries, django_assert_max_num_queries
):
    type_word(project, people, item)
    as_rex.get(page)
    with django_assert_max_num_queries(25) as one:
        as_rex.get(page)
    for at in range(1, 8):
        type_word(project, people, blank(item.paragraph, at))
    with django_assert_num_queries(len(one)):
        as_rex.get(page)
