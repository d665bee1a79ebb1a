"""The second opinion of the game: stored numbers of the newest base, or why there are none."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.train_start import bundled_start
from annotate.game import deal, payload
from annotate.models import GameItem
from rlhf import opinions
from tests.api import Caller
from tests.rlhf.believed import leave_items
from tests.rlhf.conftest import make_model, make_snapshot
from tests.rlhf.filled import make_run

pytestmark = pytest.mark.django_db
WITH = {"shore": 0.64, "engine": 0.2, "senate": 0.1, "oven": 0.06}
WITHOUT = {"shore": 0.41, "engine": 0.3, "senate": 0.2, "oven": 0.09}


@pytest.fixture(autouse=True)
def nothing_kept():
    opinions._lines.cache_clear()


@pytest.fixture
def base(project, tmp_path):
    return make_model(project, tmp_path)


@pytest.fixture
def scored(project, ada, tmp_path):
    """scored(base, {7: WITH}) is an evaluate run that measured base on these items, in mode missing."""

    def measure(model, items):
        number = project.snapshots.count()
        cloze = make_snapshot(
            project, ada, tmp_path, kind="cloze", type="ClozeRow", name=f"cloze-{number}.jsonl",
            rows=[{"split": "heldout", "id": str(number)}],
        )  # fmt: skip
        inputs = {"base": model, "cloze": cloze}
        run = make_run(project, ada, stage="evaluate", state="finished", inputs=inputs, final={})
        rows = [
            {"id": f"{item}-missing", "with": said, "without": WITHOUT, "log": {"with": {}, "without": {}}}
            for item, said in items.items()
        ]
        leave_items(run, tmp_path, rows)

    return measure


def opinion(project, who, *, item=7, mode="missing", expect=200):
    return Caller(who).get(f"projects/{project.uuid}/game/opinion?item={item}&mode={mode}", expect=expect)


def test_it_is_what_the_newest_base_stored(project, base, scored, ana):
    scored(base, {7: WITH})
    assert opinion(project, ana) == {"state": "scored", "with_context": WITH, "without_context": WITHOUT}


def test_it_names_no_model(project, base, scored, ana):
    scored(base, {7: WITH})
    assert str(base) not in str(opinion(project, ana))


def test_the_newest_measurement_counts(database, project, base, scored, ana):
    scored(base, {7: WITHOUT})
    scored(base, {7: WITH})
    assert opinion(project, ana)["with_context"] == WITH


def test_an_item_that_was_not_scored_has_no_numbers(project, base, scored, ana):
    scored(base, {7: WITH})
    nothing = {"state": "not_scored", "with_context": {}, "without_context": {}}
    assert opinion(project, ana, item=8) == nothing
    assert opinion(project, ana, mode="correction") == nothing


def test_a_newer_base_that_was_not_measured_has_no_opinion(project, base, scored, ana, tmp_path):
    scored(base, {7: WITH})
    make_model(project, tmp_path, content="newer")
    assert opinion(project, ana)["state"] == "not_scored"


def test_without_a_model_that_is_said(project, ana):
    assert opinion(project, ana)["state"] == "no_model"


def test_other_projects_do_not_answer(project, base, scored, eve, other_project):
    scored(base, {7: WITH})
    opinion(project, eve, expect=404)


# the game


def test_each_item_tells_the_browser_its_id(project, ana):
    dealt = deal(start=bundled_start(), user=ana, project=project, mode="missing", seed=1, newborn=False)
    given = payload(dealt, None, kind="bundled", step="")
    assert [GameItem.objects.get(pk=one["id"]).sentence for one in given["items"]] == [
        one["sentence"] for one in given["items"]
    ]


@pytest.fixture
def game(project, ana):
    client = Client()
    client.force_login(ana)
    return lambda: client.get(reverse("game", args=[project.uuid])).content.decode()


def test_the_panel_knows_where_to_ask(game, project):
    assert f'data-url="/api/v1/projects/{project.uuid}/game/opinion"' in game()


def test_without_the_setting_there_is_no_panel(game, settings):
    settings.GAME_OPINION_URL_NAME = ""
    assert 'data-part="opinion' not in game()
