"""A map with the real trainer: a base and its checkpoints go in, and the page reads what comes out."""

import random
from itertools import product

import pytest
from django.test import Client
from django.urls import reverse

from rlhf import execution, maps
from rlhf.launching import launch
from rlhf.milestones import milestones_of
from tests.rlhf.conftest import make_snapshot

pytestmark = pytest.mark.full
WORDS = ["".join(letters) for letters in product("bdgkmt", "aeo", "lnrs")]  # 72


@pytest.fixture
def take(project, ada, settings):
    """Runs a stage to its end."""
    settings.WORKER_THREADS = 1

    def to_the_end(stage, config, **inputs):
        config = {"seed": 1, **config}
        run = launch(project=project, stage=stage, preset="smoke", config=config, inputs=inputs, by=ada)
        execution.execute(run.pk, execution.claim(run.pk, attempt=0) or 0)
        run.refresh_from_db()
        assert (run.state, run.failure) == ("finished", None)
        return run

    return to_the_end


def test_a_base_and_its_checkpoints_become_a_map_that_the_page_shows(take, project, ada, rex, tmp_path):
    draw = random.Random(1)
    texts = [" ".join(draw.choices(WORDS, k=12)) for _ in range(300)]
    rows = [
        {"id": str(at), "split": "heldout" if at % 10 == 0 else "train", "text": one} for at, one in enumerate(texts)
    ]
    corpus = make_snapshot(project, ada, tmp_path, rows=rows)
    base = take("pretrain", {"size": "toy", "batch_tokens": 512, "max_steps": 10}, corpus=corpus).outputs.get()
    run = take("map", {}, base=base, corpus=corpus)
    found = maps.loaded(run)
    assert sorted(label.text for label in found.labels) == sorted(WORDS)
    assert [stage.step for stage in found.stages[:-1]] == [one.step for one in milestones_of(base)]
    assert run.progress["done"] == run.progress["total"] == 20 * len(found.stages)
    client = Client()
    client.force_login(rex)
    page = client.get(reverse("map", args=[project.uuid]), {"q": WORDS[0]}).content.decode()
    assert f"the model itself, after step {base.run.result['steps']}" in page
    assert maps.neighbours(run, found.found(WORDS[0], most=1)[0])[0].label.text in page
