"""What bases are asked and measured on without anybody's wish."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rlhf import evaluating, snapshots
from rlhf.beliefs import columns
from rlhf.models import Model, Probe, Snapshot
from rlhf.probes import earlier_of
from tests.rlhf.believed import PROMPT, finish, finish_all, leave_milestones, runs
from tests.rlhf.conftest import make_model
from tests.rlhf.filled import make_run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_messages")]


def test_nothing_is_launched_where_nobody_plays_or_asks(project, base):
    evaluating.evaluate_due()
    assert (runs(project), project.snapshots.count()) == ([], 0)


def test_a_new_base_is_asked_the_standing_questions_at_each_checkpoint(project, asked, base, ada, tmp_path):
    asked(base, standing=True)
    asked(base, prompt="My name is", standing=True)
    finish_all(project)
    new = make_model(project, tmp_path, content="new", run=make_run(
        project, ada, stage="pretrain", state="finished", inputs={}, final={}
    ))  # fmt: skip
    leave_milestones(new, 7)
    evaluating.evaluate_due()
    evaluating.evaluate_due()
    [run] = runs(project)[2:]
    assert run.config["prompts"] == [PROMPT, "My name is"]
    assert run.config["checkpoints"] == ["base.step-00000007"]
    assert run.created_by == ada
    finish(run)
    assert [one.state for one in columns(run.probes.get(prompt=PROMPT))] == ["here", "here"]


def test_a_standing_question_that_was_put_to_a_base_and_its_states_is_not_put_again(project, asked, base):
    asked(base, checkpoints=earlier_of(base), standing=True)
    evaluating.evaluate_due()
    assert (len(runs(project)), Probe.objects.count()) == (1, 1)


@pytest.fixture
def played(project, ana):
    """Somebody played a bundled paragraph, and the server played the round again."""
    from annotate.actions.play import begin_round, record_consent
    from annotate.actions.train_start import bundled_start
    from annotate.game import deal

    record_consent(project=project, by=ana, scopes=["annotation"])
    dealt = deal(start=bundled_start(), user=ana, project=project, mode="missing", seed=1, newborn=False)
    round_ = begin_round(dealt=dealt, project=project, by=ana)
    type(round_).objects.filter(pk=round_.pk).update(replay="same")
    return round_


def test_a_base_is_measured_on_the_blanks_that_people_play(database, project, base, played):
    evaluating.evaluate_due()
    [snapshot] = project.snapshots.all()
    assert (snapshot.kind, snapshot.settings, runs(project)) == ("cloze", {"min_people": 0}, [])
    snapshots.freeze(snapshot.pk)
    evaluating.evaluate_due()
    evaluating.evaluate_due()
    [run] = runs(project)
    assert {one.name: str(one.used) for one in run.inputs.all()} == {"base": "base-1", "cloze": "cloze-1"}
    assert run.config["checkpoints"] == ["base.step-00000014", "base.step-00000098"]


def test_a_base_that_an_operator_brought_is_measured_for_an_admin(database, project, played, ada, tmp_path):
    make_model(project, tmp_path, content="brought")
    evaluating.evaluate_due()
    snapshots.freeze(project.snapshots.get().pk)
    evaluating.evaluate_due()
    evaluating.evaluate_due()
    [run] = runs(project)
    assert {one.name for one in run.inputs.all()} == {"base", "cloze"}
    assert (run.created_by, run.config["checkpoints"]) == (ada, [])


def test_where_nobody_is_admin_a_base_that_was_brought_is_left_alone(project, played, ada, tmp_path):
    make_model(project, tmp_path, content="brought")
    project.memberships.filter(user=ada).delete()
    evaluating.evaluate_due()
    assert (runs(project), project.snapshots.count()) == ([], 0)


def test_the_next_base_is_measured_on_what_people_have_answered_by_then(project, base, played, ada, tmp_path):
    evaluating.evaluate_due()
    snapshots.freeze(project.snapshots.get().pk)
    evaluating.evaluate_due()
    run = make_run(project, ada, stage="pretrain", state="finished", inputs={}, final={})
    new = make_model(project, tmp_path, content="new", run=run)
    Model.objects.filter(pk=new.pk).update(created_at=new.created_at + timedelta(seconds=1))
    evaluating.evaluate_due()
    assert project.snapshots.filter(kind="cloze").count() == 2


def test_a_snapshot_that_cannot_be_frozen_is_not_tried_for_ever(project, base, played):
    evaluating.evaluate_due()
    project.snapshots.update(state=Snapshot.State.FAILED)
    evaluating.evaluate_due()
    assert (project.snapshots.count(), runs(project)) == (1, [])
