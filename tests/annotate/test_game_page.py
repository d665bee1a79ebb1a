"""The game without scripts: a page, a form, an answer that the server steps; and consent."""

from __future__ import annotations

from collections import defaultdict

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.play import begin_round, record_consent
from annotate.actions.train_start import bundled_start
from annotate.models import Consent, GameAttempt, GameDoubt, GameParagraph, GameRound, GameTraining
from tests.annotate.plays import say, seat
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
    again = answered(as_ana, page, shown)
    assert (again.status_code, GameAttempt.objects.count()) == (409, 1)


def test_eight_answers_end_the_paragraph(as_ana, ana, project, page):
    record_consent(project=project, by=ana, scopes=["annotation"])
    shown = as_ana.get(page).context
    for _ in range(8):
        done = answered(as_ana, page, shown).context
        shown = as_ana.get(f"{page}?round={done['round'].uuid}").context
    assert (done["done"], done["counts"]["processed"]) == (True, 8)
    assert shown["question"] is None
    assert GameRound.objects.get().replay == "same"


def test_at_the_end_of_a_kept_round_a_fix_can_be_suggested(as_ana, ana, project, page):
    end = at_the_end(as_ana, ana, project, page)
    round_ = end.context["round"]
    address = reverse("game-doubt", args=[round_.uuid])
    assert f'action="{address}"' in end.content.decode()
    assert len(end.context["answered"]) == 8
    said = as_ana.post(address, {"item": "2", "note": "No verb."}, follow=True)
    assert "Thank you." in said.content.decode()
    doubt = GameDoubt.objects.get()
    assert (doubt.item_id, doubt.note, doubt.by) == (round_.items[2], "No verb.", ana)
    undo = said.context["toast"]
    back = as_ana.post(undo["undo"], undo["fields"], follow=True)
    assert "The suggestion is taken back." in back.content.decode()
    assert not GameDoubt.objects.standing().exists()


def at_the_end(client, user, project, page):
    """The page with the eighth answer."""
    record_consent(project=project, by=user, scopes=["annotation"])
    shown = client.get(page).context
    for _ in range(8):
        done = answered(client, page, shown)
        shown = client.get(f"{page}?round={done.context['round'].uuid}").context
    return done


# where nothing new is left


def test_who_has_met_every_blank_of_a_paragraph_repeats_it_and_nothing_is_kept(as_ana, ana, project, page):
    start = bundled_start()
    paragraph, *others = start.paragraphs.filter(reserved=False).order_by("key")
    GameParagraph.objects.filter(pk__in=[one.pk for one in others]).update(retired_at="2026-01-01T00:00Z")
    by_sentence = defaultdict(list)
    for item in paragraph.items.order_by("sentence", "position"):
        by_sentence[item.sentence].append(item)
    for turn in range(4):
        asked = [items[turn % len(items)] for items in by_sentence.values()]
        say(seat(project, ana, asked), *({} for _ in asked))
    context = as_ana.get(page).context
    assert (context["repeat"], context["round"], GameRound.objects.count()) == (True, None, 4)


def test_a_paragraph_with_a_new_blank_is_no_repetition(as_ana, ana, project, page):
    record_consent(project=project, by=ana, scopes=["annotation"])
    context = as_ana.get(page).context
    assert context["repeat"] is False
    assert context["round"]


def test_without_any_paragraph_the_page_says_so(as_ana, page):
    bundled_start().paragraphs.update(retired_at="2026-01-01T00:00Z")
    response = as_ana.get(page)
    assert response.status_code == 200
    assert "No paragraph is left to play" in response.content.decode()


def test_the_panel_says_how_large_the_networks_file_is(as_ana, page):
    kilobytes = round(len(bundled_start().file) / 1_000)
    assert f"Loading {kilobytes} KB" in as_ana.get(page).content.decode()


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
