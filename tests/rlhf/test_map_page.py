"""The map page without its script, and what it is drawn from: what they show, to whom, and where there is nothing."""

from __future__ import annotations

import gzip
import json
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from rlhf import maps, storage
from tests.rlhf.conftest import make_model
from tests.rlhf.filled import make_run
from tests.rlhf.mapped import make_map, words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept():
    maps._read.cache_clear()


@pytest.fixture
def base(project, ada, tmp_path):
    run = make_run(project, ada, stage="pretrain", state="finished", inputs={}, final={})
    return make_model(project, tmp_path, run=run)


@pytest.fixture
def drawn(project, ada, base):
    return make_map(project, ada, base=base)


@pytest.fixture
def see(project):
    """see(rex, q=…) is the page's context and text."""

    def visit(who, *, status=200, **data):
        client = Client()
        client.force_login(who)
        response = client.get(reverse("map", args=[project.uuid]), data)
        assert response.status_code == status
        return response.context, " ".join(response.content.decode().split())

    return visit


@pytest.fixture
def ask():
    """ask(rex, "map-points", run, step=14) is the API's answer."""

    def answer(who, name, run, *more, **query):
        client = Client()
        client.force_login(who)
        return client.get(reverse(f"api:{name}", args=[run.uuid, *more]), query)

    return answer


# what the page shows


def test_the_page_offers_the_most_frequent_words_to_begin_with(see, rex, drawn):
    context, page = see(rex)
    assert [label.text for _, label in context["starts"]][:3] == words(60)[:3]
    assert f'<a href="?run={drawn.uuid}&amp;point=0" data-place="0"><bdi>ba</bdi></a>' in page


def test_a_searched_word_is_picked_and_lists_its_true_neighbours(see, rex, drawn):
    context, page = see(rex, q="KI")
    shown = context["shown"]
    assert (shown.label.text, [one.place for one in shown.neighbours]) == (
        "ki",
        [one.place for one in maps.neighbours(drawn, 2)[:10]],
    )
    first = shown.neighbours[0]
    assert (
        f'point={first.place}" data-place="{first.place}"><bdi>{first.label.text}</bdi></a> <span class="num">' in page
    )


def test_a_part_of_a_word_finds_all_that_begin_with_it_before_those_that_hold_it(see, rex, drawn):
    found = [label.text for _, label in see(rex, q="de")[0]["matches"]]
    assert found[0] == "de"
    assert all(one.startswith("de") for one in found[:11])


def test_what_is_not_on_the_map_is_said(see, rex, drawn):
    context, page = see(rex, q="zzz")
    assert (context["matches"], "Nothing is called that." in page) == ([], True)


def test_a_neighbour_is_a_link_to_its_own_list(see, rex, drawn):
    context, _ = see(rex, point="7")
    assert (context["shown"].place, len(context["shown"].neighbours)) == (7, 10)


@pytest.mark.parametrize("point", ["60", "-1", "x", "٣", "9" * 40])
def test_a_point_that_is_not_there_picks_nothing(see, rex, drawn, point):
    assert see(rex, point=point)[0]["shown"].place is None


def test_each_state_has_its_figures_and_the_last_is_the_model_itself(see, rex, drawn):
    context, page = see(rex)
    names = [state.name for state in context["shown"].states]
    assert names == ["after step 14", "after step 98", "the model itself, after step 16"]
    assert context["shown"].last.kept_tsne == "44 %"
    for figure in ("6.6 %", "0.70 %", "+0.50"):
        assert f'<td class="num">{figure}</td>' in page


def test_the_newest_map_is_shown_and_another_can_be_chosen(see, rex, project, ada, drawn):
    other = make_map(project, ada)
    assert see(rex)[0]["shown"].run == other
    assert see(rex, run=str(drawn.uuid))[0]["shown"].run == drawn


# states


def test_without_a_map_an_admin_is_led_to_the_launch_form(see, ada, project):
    _, page = see(ada)
    assert "There is no map yet." in page
    assert reverse("launch", args=[project.uuid, "map"]) in page


def test_without_a_map_others_are_told_who_launches_one(see, ana, project):
    _, page = see(ana)
    assert "An admin of the project can launch one." in page
    assert reverse("launch", args=[project.uuid, "map"]) not in page


def test_a_run_that_is_under_way_shows_how_far_it_is(see, rex, project, ada):
    run = make_map(project, ada, state="running")
    run.progress = {"done": 10, "total": 40, "unit": "rounds", "eta_s": 9, "note": ""}
    run.save(update_fields=["progress"])
    context, page = see(rex)
    assert (context["waiting"], "10 of 40 rounds · 25 %" in page) == (run, True)


def test_a_map_stays_on_the_page_while_the_next_is_computed(see, rex, project, ada, drawn):
    run = make_map(project, ada, state="queued")
    context, page = see(rex)
    assert (context["shown"].run, context["waiting"]) == (drawn, run)
    assert "It waits for a worker." in page


def test_where_the_run_has_ended_the_part_that_showed_it_leads_to_the_map(project, rex, drawn):
    client = Client(headers={"HX-Request": "true"})
    client.force_login(rex)
    address = reverse("map", args=[project.uuid])
    part = client.get(address, {"part": "waiting"}).content.decode()
    assert ("The run has ended." in part, address in part, "<html" in part) == (True, True, False)


def test_too_few_points_are_said_with_the_runs_own_sentence(see, ana, project, ada):
    sentence = "The corpus gives 31 words to place; at least 50 are needed. Add documents."
    run = make_map(project, ada, state="failed")
    run.failure = {"code": "too_few_rows", "sentence": sentence}
    run.save(update_fields=["failure"])
    _, page = see(ana)
    assert sentence in page
    assert reverse("run", args=[run.uuid]) not in page


def test_a_failure_before_the_newest_map_is_past(see, rex, project, ada):
    make_map(project, ada, state="failed")
    make_map(project, ada)
    assert see(rex)[0]["failed"] is None


def test_a_map_of_another_project_is_not_shown_by_its_address(see, rex, drawn):
    context, page = see(rex, run=str(uuid4()))
    assert (context["gone"], context["shown"].run) == (True, drawn)
    assert "is not in the project, or not open to you" in page


def test_a_damaged_file_is_said_and_breaks_no_page(see, rex, drawn):
    file = next(one for one in drawn.result["files"]["map"] if one["path"] == "labels.json")
    storage.fetch(file["sha256"]).write_text("damaged")
    assert "A stored file of this map is missing or damaged" in see(rex)[1]


# access


def test_an_assessor_sees_words_and_no_models_name(see, ana, base, drawn):
    context, page = see(ana)
    assert (context["shown"].run, base.name in page) == (drawn, False)


def test_an_assessor_sees_no_map_of_documents(see, ask, ana, rex, project, ada):
    run = make_map(project, ada, kind="documents")
    assert (see(ana)[0]["shown"], see(rex)[0]["shown"].run) == (None, run)
    assert (ask(ana, "map-labels", run).status_code, ask(rex, "map-labels", run).status_code) == (403, 200)


def test_a_stranger_learns_nothing_of_a_map(ask, eve, drawn):
    assert ask(eve, "map-labels", drawn).status_code == 404
    assert ask(eve, "map-points", drawn, step=99).status_code == 404
    assert ask(eve, "map-neighbours", drawn, 0).status_code == 404


def test_the_page_costs_as_many_queries_with_many_maps(
    see, rex, project, ada, base, drawn, django_assert_max_num_queries
):
    see(rex)
    with django_assert_max_num_queries(100) as few:
        see(rex)
    for _ in range(8):
        make_map(project, ada, base=base)
    with django_assert_max_num_queries(len(few)):
        see(rex)


# what it is drawn from


def test_a_picture_is_two_floats_a_point_that_may_be_kept_for_ever(ask, ana, drawn):
    answer = ask(ana, "map-points", drawn, step=14, layout="pca")
    points = np.frombuffer(gzip.decompress(answer.content), dtype="<f4").reshape(-1, 2)
    assert (points.shape, np.abs(points).max()) == ((50, 2), 1)
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"


def test_the_labels_name_every_step_that_has_a_picture(ask, ana, drawn):
    facts = json.loads(gzip.decompress(ask(ana, "map-labels", drawn).content))
    assert {ask(ana, "map-points", drawn, step=step).status_code for step in facts["steps"]} == {200}
    assert [label["text"] for label in facts["labels"]] == words(60)


def test_a_step_without_a_picture_is_not_found(ask, ana, drawn):
    answer = ask(ana, "map-points", drawn, step=15)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_picture")


def test_the_neighbours_stand_nearest_first_with_their_cosine(ask, ana, drawn):
    found = ask(ana, "map-neighbours", drawn, 3).json()
    cosines = [one["cosine"] for one in found["neighbours"]]
    assert (found["text"], len(cosines), cosines) == (words(60)[3], 20, sorted(cosines, reverse=True))
    assert ask(ana, "map-neighbours", drawn, 60).status_code == 404


def test_a_run_without_an_end_is_no_map(ask, ada, project):
    unfinished = make_map(project, ada, state="running")
    assert ask(ada, "map-labels", unfinished).status_code == 404
