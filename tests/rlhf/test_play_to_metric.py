"""One answer of a player, followed from the row that the browser sends to the figure that a model is measured by."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.play import record_consent
from annotate.models import GameAttempt, GameRound
from rlhf import execution, registry, snapshots, storage
from rlhf.launching import launch
from rlhf.models import Run, Snapshot
from tests.annotate.test_game import played
from tests.api import ROOT, Caller
from tests.rlhf.conftest import make_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.full]


@pytest.fixture
def attempt(project, ana) -> GameAttempt:
    """ana answers the first blank of a round with the right word; the browser sends it and finishes."""
    record_consent(project=project, by=ana, scopes=["annotation"])
    caller = Caller(ana)
    dealt = caller.post(f"projects/{project.uuid}/game/rounds", {"mode": "missing"})
    rows, digest = played(GameRound.objects.get(uuid=dealt["round"]), 1)
    caller.post(dealt["attempts"].removeprefix(ROOT), {"rows": rows})
    assert caller.post(dealt["finish"].removeprefix(ROOT), {"digest": digest})["replay"] == "same"
    return GameAttempt.objects.get()


@pytest.fixture
def take(project, ada, settings):
    """Runs a stage to its end."""
    settings.WORKER_THREADS = 1

    def to_the_end(stage: str, config: dict, **inputs) -> Run:
        run = launch(project=project, stage=stage, preset="smoke", config={"seed": 1, **config}, inputs=inputs, by=ada)
        execution.execute(run.pk, execution.claim(run.pk, attempt=0) or 0)
        run.refresh_from_db()
        assert (run.state, run.failure) == ("finished", None)
        return run

    return to_the_end


def frozen(project, by) -> Snapshot:
    snapshot = snapshots.begin(project=project, kind="cloze", settings={"min_people": 1}, by=by)
    snapshots.freeze(snapshot.pk)
    snapshot.refresh_from_db()
    return snapshot


def test_an_answer_reaches_the_metric_of_a_run_and_the_page_that_tells_where_it_came_from(
    project, ada, rex, attempt, take, tmp_path
):
    # the row
    snapshot = frozen(project, ada)
    [line] = storage.fetch(snapshot.files[0]["sha256"]).read_text().splitlines()
    row = json.loads(line)
    assert row["id"] == f"{attempt.item_id}-missing"
    assert row["people"] == {row["gold"]: 1}
    # the metric
    text = " ".join(row["context"]) + "".join(row["sentence"])
    read = [{"id": str(n), "split": "train" if n % 5 else "heldout", "text": f"{text} {n}."} for n in range(300)]
    corpus = make_snapshot(project, ada, tmp_path, rows=read)
    base = take("pretrain", {"size": "toy", "batch_tokens": 512, "max_steps": 4}, corpus=corpus).outputs.get()
    run = take("evaluate", {}, base=base, cloze=snapshot)
    report = run.result["evaluation"]["cloze"]
    assert report["items"]["missing"] == 1
    assert (report["people"]["missing"]["answers"], report["people"]["missing"]["accuracy"]) == (1, 1.0)
    measured = next(one for one in report["models"] if one["name"] == "base")
    assert measured["missing"]["accuracy"] in (0.0, 1.0)
    assert run.result["final"]["cloze_missing_accuracy"] == measured["missing"]["accuracy"]
    # the page
    client = Client()
    client.force_login(rex)
    page = client.get(reverse("run", args=[run.uuid]) + "?tab=lineage").content.decode()
    assert reverse("snapshot", args=[snapshot.uuid]) in page
    assert str(snapshot) in page
    assert not registry.has_read_corrections(base)
