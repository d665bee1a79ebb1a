"""The state that is the model itself tells at what step it stands, and is laid out for runs that look."""

import pytest

from rlhf.launching import launch
from rlhf.milestones import milestones_of, read_by, states_of
from rlhf.probes import ask
from tests.rlhf.conftest import make_model


@pytest.fixture
def base(project, run, tmp_path):
    """A base whose run left it at step 9, and another state before."""
    base = make_model(project, tmp_path, run=run)
    states = [
        {"name": f"step-{step:08d}", "kind": "milestone", "sha256": sha256}
        for step, sha256 in ((9, base.sha256), (2, "a" * 64))
    ]
    run.result = {"outputs": states, "files": {one["name"]: [] for one in states}}
    run.save()
    base.refresh_from_db()
    return base


def test_runs_that_look_read_every_state_and_the_models_own_among_them(project, ada, base):
    assert [one.step for one in states_of(base)] == [2, 9]
    assert [one.step for one in milestones_of(base)] == [2]
    looking = launch(
        project=project, stage="evaluate", preset="smoke", inputs={"base": base}, by=ada,
        config={"seed": 1, "prompts": ["The sky is"]},
    )  # fmt: skip
    assert looking.config["checkpoints"] == ["base.step-00000002", "base.step-00000009"]
    assert {entry: one.sha256 for entry, one in read_by(looking).items()} == {
        "base.step-00000002": "a" * 64,
        "base.step-00000009": base.sha256,
    }


def test_a_question_to_earlier_states_takes_the_models_own_along(project, ada, base):
    def asked(prompt, checkpoints):
        probe = ask(
            project=project, prompt=prompt, as_question=False, answers=[], models=[base], checkpoints=checkpoints,
            standing=False, by=ada,
        )  # fmt: skip
        return probe.runs.get().config["checkpoints"]

    assert asked("The sky is", [(base, "step-00000002")]) == ["base.step-00000002", "base.step-00000009"]
    assert asked("The sea is", []) == []
