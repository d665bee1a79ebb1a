"""Explained stages, glossary and the list of places: what pages and API say, to whom, at what cost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from annotate import numbers
from annotate.learning import texts
from annotate.models import User
from tests.annotate.conftest import answer, ask_to_clean, build, leased, make_document, rank_item
from tests.api import Caller
from tests.rlhf.conftest import make_snapshot


@pytest.fixture
def as_ana(project, ana) -> Client:
    return signed_in(ana)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def said(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()


def stage_page(client: Client, stage: str, depth: str = "basic") -> str:
    return said(client.get(reverse("learn-stage", args=[stage]), {"depth": depth}))


# numbers


def test_the_apps_supply_each_number_that_a_text_may_name(project):
    assert set(numbers.of_project(project)) == texts.NUMBERS


def test_numbers_are_those_of_the_project(project, other_project, cleaning, ranking, rex, ana, ada, tmp_path):
    for body in ("One text.", "Another text.", "A third text."):
        document = make_document(project, body)
        ask_to_clean(cleaning, document)
    make_document(other_project, "Not ours.")
    answer(cleaning, rex, {"decision": "reject", "reasons": ["broken"], "evidence": {}})
    build(ranking, rank_item(project, ["One.", "Two."], prompt="Which?"))
    answer(ranking, ana, {"groups": [["A"], ["B"]], "acceptable_groups": None, "ratings": {}, "unplaced": []})
    make_snapshot(project, ada, tmp_path)
    found = numbers.of_project(project)
    names = ("documents", "documents_kept", "documents_rejected", "documents_waiting", "rankings", "rankers")
    assert [found[name] for name in names] == [3, 0, 1, 2, 1, 1]
    assert found["corpus_snapshots"] == 1


def test_medium_shows_the_number_itself(as_ana, project):
    make_document(project, "One text.")
    assert "documents: 1, from" in stage_page(as_ana, "collecting", "medium")


@pytest.mark.parametrize("stage", texts.STAGES)
def test_every_stage_is_open_to_assessors_with_its_numbers(as_ana, stage):
    page = stage_page(as_ana, stage, "medium")
    assert texts.stage_text(stage, "en").title in page
    assert texts.placeholders(re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)) == set()


def test_basic_asks_no_number(project, django_assert_num_queries):
    from annotate.explaining import explained

    with django_assert_num_queries(0):
        explained(stage="ppo", depth="basic", project=project)


# depth


def test_the_depth_is_remembered(as_ana, ana):
    stage_page(as_ana, "ppo", "detailed")
    ana.refresh_from_db()
    assert ana.explain_depth == "detailed"
    assert "generalised advantage estimation" in said(as_ana.get(reverse("learn-stage", args=["ppo"])))


def test_an_unknown_depth_changes_nothing(as_ana, ana):
    stage_page(as_ana, "ppo", "abysmal")
    ana.refresh_from_db()
    assert ana.explain_depth == "basic"


def test_the_tabs_keep_what_else_stands_in_the_address(as_ana):
    page = said(as_ana.get(reverse("learn-stage", args=["ppo"]), {"x": "1"}))
    assert 'href="?x=1&amp;depth=medium#explain"' in page


# the drawer


def test_a_drawer_is_closed_at_first_and_a_section_with_depth(signed_slot):
    client, url = signed_slot
    assert re.search(r'<section class="drawer"\s+id="explain" popover', said(client.get(url)))
    assert re.search(r'<section class="explain"\s+id="explain"\s+aria', said(client.get(url, {"depth": "medium"})))


@pytest.fixture
def signed_slot(project, ranking, ana):
    build(ranking, rank_item(project, ["One.", "Two."], prompt="What is a token?"))
    return signed_in(ana), reverse("slot", args=[leased(ranking, ana).uuid])


def test_a_ranking_task_explains_ranking(signed_slot):
    client, url = signed_slot
    assert '<h2 id="explain-head" tabindex="-1">Ranking</h2>' in said(client.get(url))


def test_the_text_that_is_judged_gets_no_links(signed_slot):
    client, url = signed_slot
    material = said(client.get(url, {"depth": "detailed"})).split("<explain-drawer")[0]
    assert "What is a token?" in material
    assert "data-term" not in material


def test_a_drawer_links_its_terms_and_holds_their_definitions(signed_slot):
    client, url = signed_slot
    page = said(client.get(url, {"depth": "detailed"}))
    linked = set(re.findall(r'data-term="([^"]+)"', page))
    assert linked
    assert linked == set(re.findall(r'<details data-slug="([^"]+)"', page))


# places and glossary


def test_the_list_of_places_is_what_the_apps_supply(as_ana, project, rex):
    assert len(settings.LEARN_PLACES) == 2
    assert reverse("glossary") in said(as_ana.get(reverse("learn")))
    assert reverse("playground", args=[project.uuid]) not in said(as_ana.get(reverse("learn")))
    assert reverse("playground", args=[project.uuid]) in said(signed_in(rex).get(reverse("learn")))


def test_learning_is_closed_to_who_is_in_no_project(db):
    nobody = signed_in(User.objects.create_user("nobody"))
    names = ["learn", "glossary", "cards", "quiz"]
    assert [nobody.get(reverse(name)).status_code for name in names] == [403] * 4
    assert nobody.get(reverse("learn-stage", args=["ppo"])).status_code == 403


def test_an_unknown_stage_is_not_there(as_ana):
    assert as_ana.get(reverse("learn-stage", args=["alchemy"])).status_code == 404


def test_every_link_of_the_glossary_resolves(as_ana):
    page = said(as_ana.get(reverse("glossary")))
    anchors = set(re.findall(r'<section class="entry"\s+id="([^"]+)"', page))
    links = set(re.findall(r'<a [^>]*href="[^"]*#([^"]+)"', page.split("<main")[1]))
    assert links - anchors == set()


def test_a_definition_links_to_other_terms(as_ana):
    entry = said(as_ana.get(reverse("glossary"))).split('id="kl-penalty"')[1].split("</section>")[0]
    assert 'data-term="policy"' in entry
    assert 'data-term="kl-penalty"' not in entry


# the API


def test_the_api_gives_the_same_text_as_the_page(project, ana, as_ana):
    found = Caller(ana).get(f"learn/texts/ppo/?project={project.uuid}&depth=detailed")
    assert (found["title"], found["depth"]) == ("PPO", "detailed")
    assert {one["slug"] for one in found["terms"]} == set(
        re.findall(r'data-term="([^"]+)"', stage_page(as_ana, "ppo", "detailed"))
    )


def test_the_api_knows_no_other_stage(project, ana):
    assert Caller(ana).get(f"learn/texts/alchemy/?project={project.uuid}&depth=basic", expect=404)


def test_the_depth_can_be_set_by_the_api(project, ana):
    assert Caller(ana).patch("me/", {"explain_depth": "medium"})["explain_depth"] == "medium"


def test_the_api_has_the_whole_glossary(project, ana):
    found = Caller(ana).get("learn/glossary/")
    assert len(found) >= 60
    assert set(found[0]) == {"slug", "term", "definition", "example", "aliases", "aid", "stage", "see"}


def test_who_is_in_two_projects_learns_with_the_numbers_of_the_one_they_came_from(as_ana, ana, other_project):
    other_project.memberships.create(user=ana, role="assessor")
    make_document(other_project, "The only text.")
    query = f"?project={other_project.uuid}"
    address = reverse("learn-stage", args=["collecting"]) + query
    assert address in said(as_ana.get(reverse("learn") + query))
    assert "documents: 1, from" in said(as_ana.get(f"{address}&depth=medium"))
