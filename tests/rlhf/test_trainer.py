"""The real trainer as a child of the real worker code: two processes, one run directory."""

import pytest

from rlhf import execution, registry
from rlhf.launching import launch
from rlhf.models import Run
from tests.rlhf.conftest import make_snapshot


@pytest.fixture
def pretraining(project, ada, tmp_path) -> Run:
    words = ["the", "clock", "module", "returns", "a", "number", "of", "seconds", "since", "some", "moment"]
    rows = [
        {
            "id": str(i),
            "split": "heldout" if i % 10 == 0 else "train",
            "text": " ".join(words[i % 5 :] + words[: i % 7]) + ".",
        }
        for i in range(300)
    ]
    corpus = make_snapshot(project, ada, tmp_path, rows=rows)
    config = {"seed": 1, "size": "toy", "max_steps": 6, "batch_tokens": 512, "microbatch_tokens": 512, "threads": 1}
    inputs = {"corpus": corpus}
    return launch(project=project, stage="pretrain", preset="smoke", config=config, inputs=inputs, by=ada)


def test_a_real_pretraining_run_ends_as_a_base_with_its_lineage(pretraining):
    attempt = execution.claim(pretraining.pk, attempt=0)
    execution.execute(pretraining.pk, attempt or 0)
    pretraining.refresh_from_db()
    assert (pretraining.state, pretraining.failure) == ("finished", None)
    base = pretraining.outputs.get()
    assert base.kind == "base"
    assert [node["type"] for node in registry.lineage(base)["nodes"]] == ["model", "run", "snapshot"]
