"""The game without scripts: a page, a form, an answer that the server steps; and consent."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.play import begin_round, record_consent
from annotate.actions.train_start import bundled_start
from annotate.models import Consent, GameAttempt, GameRound, GameTraining
from tests.annotate.test_game import deal

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_ana(ana):
    client = Client()
    client.force_login(ana)
    return client


@pytest.fixture
def page(project):
    return reverse("game", args=[project.uuid])


def answered(client, page, context, *, choice=None, **more):
    question = context["question"]
    fields = {"mode": context["mode"], "step": "", "number": question["number"], "context_on": "on", **more}
    fields |= {"round": context["round"].uuid} if context["round"] else {"seed": context["seed"]}
    return client.post(page, fields | {"choice": choice or question["options"][0]["id"]})


def test_a_page_asks_a_blank_and_holds_nothing_of_the_network(as_ana, page):
    context = as_ana.get(page).context
    assert (context["question"]["number"], len(context["question"]["options"]), context["result"]) == (1, 4, None)


def test_without_consent_an_answer_is_stepped_and_nothing_is_kept(as_ana, page):
    shown = as_ana.get(page + "?seed=3").context
    result = answered(as_ana, page, shown).context["result"]
    assert result["loss_after"] < result["loss_before"]
    assert not GameRound.objects.exists()


def test_the_next_question_of_an_unkept_round_is_the_next_blank(as_ana, page):
    shown = as_ana.get(page + "?seed=3").context
    following = answered(as_ana, page, shown).context["next_url"]
    onward = as_ana.get(page + following).context
    assert onward["question"]["number"] == 2
    assert onward["dealt"] is None


def test_with_consent_answers_are_kept_and_go_on_from_each_other(as_ana, ana, project, page):
    record_consent(project=project, by=ana, scopes=["annotation"])
    shown = as_ana.get(page).context
    for number in (1, 2):
        shown = as_ana.get(f"{page}?round={answered(as_ana, page, shown).context['round'].uuid}").context
        assert shown["question"]["number"] == number + 1
    assert list(GameAttempt.objects.order_by("number").values_list("number", "kind")) == [(1, "answer"), (2, "answer")]


def test_an_answer_sent_twice_counts_once(as_ana, ana, project, page):
    record_consent(project=project, by=ana, scopes=["annotation"])
    shown = as_ana.get(page).context
    answered(as_ana, page, shown)
    answered(as_ana, page, shown)
    assert GameAttempt.objects.count() == 1


def test_eight_answers_end_the_paragraph(as_ana, ana, project, page):
    record_consent(project=project, by=ana, scopes=["annotation"])
    shown = as_ana.get(page).context
    for _ in range(8):
        done = answered(as_ana, page, shown).context
        shown = as_ana.get(f"{page}?round={done['round'].uuid}").context
    assert (done["done"], done["counts"]["processed"]) == (True, 8)
    assert shown["question"] is None


def test_an_empty_answer_says_what_to_do(as_ana, page):
    response = as_ana.post(page, {"seed": "3", "mode": "missing"})
    assert response.status_code == 422
    assert "Choose a word" in response.content.decode()


@pytest.mark.parametrize("query", ["mode=both", "start=old", "step=huge", "seed=x"])
def test_a_link_to_no_game_is_refused_in_words(as_ana, page, query):
    assert as_ana.get(f"{page}?{query}").status_code == 400


def test_a_round_of_somebody_else_is_not_found(as_ana, abe, project, page):
    record_consent(project=project, by=abe, scopes=["annotation"])
    foreign = begin_round(dealt=deal(bundled_start(), abe, project), project=project, by=abe)
    assert as_ana.get(f"{page}?round={foreign.uuid}").status_code == 404


def test_an_admin_asks_for_a_network_of_the_projects_own(client, ada, project, broker):
    client.force_login(ada)
    assert client.post(reverse("game-train", args=[project.uuid])).status_code == 302
    assert GameTraining.objects.get().state == "running"


def test_consent_is_given_and_withdrawn_on_its_page(as_ana, ana, project):
    url = reverse("consent", args=[project.uuid])
    as_ana.post(url, {"scopes": ["annotation", "release"]})
    assert as_ana.get(url).context["given"] == ["annotation", "release"]
    as_ana.post(url)
    assert [row.scopes for row in Consent.objects.order_by("pk")] == [["annotation", "release"], []]


def test_a_scope_that_there_is_not_is_refused(as_ana, project):
    assert as_ana.post(reverse("consent", args=[project.uuid]), {"scopes": ["all"]}).status_code == 400
    assert not Consent.objects.exists()
