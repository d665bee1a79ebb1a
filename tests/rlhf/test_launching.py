"""What is refused before anything is queued."""

import pytest

from rlhf import metrics
from rlhf.errors import LaunchError
from rlhf.launching import cancel, launch, needs, readiness, resume
from rlhf.models import Run, Snapshot
from tests.rlhf.conftest import corpus_rows, make_model, make_snapshot
from trainer.contract import configs


def refused(**kwargs) -> LaunchError:
    with pytest.raises(LaunchError) as refusal:
        launch(**kwargs)
    assert not Run.objects.exists()
    return refusal.value


@pytest.fixture
def pretrain(project, ada, corpus):
    return {"project": project, "stage": "pretrain", "preset": "smoke", "by": ada, "inputs": {"corpus": corpus}}


def test_a_launched_run_waits_with_its_whole_config(run, corpus):
    assert (run.number, run.state, run.attempt) == (1, "queued", 0)
    assert run.config["max_steps"] == 20
    assert run.inputs.get().snapshot == corpus


def test_each_field_out_of_its_limits_gets_its_sentence(pretrain):
    error = refused(**pretrain, config={"seed": 1, "epochs": 0, "fim_share": 2.0})
    assert error.code == "bad_config"
    assert set(error.fields) == {"epochs", "fim_share"}
    assert error.fields["epochs"] == "epochs is 0; allowed: a whole number, 1 to 100."


def test_an_unknown_field_is_refused_by_name(pretrain):
    assert set(refused(**pretrain, config={"seed": 1, "trust_remote_code": True}).fields) == {"trust_remote_code"}


def test_a_missing_seed_is_refused(pretrain):
    assert set(refused(**pretrain, config={}).fields) == {"seed"}


def test_an_unknown_preset_is_refused(pretrain):
    assert set(refused(**{**pretrain, "preset": "huge"}, config={"seed": 1}).fields) == {"preset"}


def test_a_snapshot_of_another_project_is_refused(pretrain, other_project, eve, tmp_path):
    foreign = make_snapshot(other_project, eve, tmp_path)
    error = refused(**{**pretrain, "inputs": {"corpus": foreign}}, config={"seed": 1})
    assert (error.code, set(error.fields)) == ("wrong_input", {"corpus"})


def test_a_missing_input_is_refused(pretrain):
    assert refused(**{**pretrain, "inputs": {}}, config={"seed": 1}).code == "wrong_input"


def test_a_snapshot_that_is_not_frozen_is_refused(pretrain, corpus):
    Snapshot.objects.update(state=Snapshot.State.FREEZING)
    corpus.refresh_from_db()
    assert refused(**pretrain, config={"seed": 1}).code == "wrong_input"


def test_too_few_rows_are_refused(pretrain, project, ada, tmp_path):
    small = make_snapshot(project, ada, tmp_path, rows=corpus_rows(5))
    assert refused(**{**pretrain, "inputs": {"corpus": small}}, config={"seed": 1}).code == "too_few_rows"


def test_an_adapter_of_another_base_is_refused(project, ada, tmp_path):
    base, other = make_model(project, tmp_path), make_model(project, tmp_path, content='{"other": 1}')
    adapter = make_model(project, tmp_path, kind="sft", base=other)
    rows = make_snapshot(project, ada, tmp_path, kind="ranking")
    inputs = {"ranking": rows, "base": base, "sft": adapter}
    error = refused(project=project, stage="reward", preset="smoke", config={"seed": 1}, inputs=inputs, by=ada)
    assert error.code == "other_base"


def test_names_of_adapters_and_the_bases_hash_follow_from_the_inputs(project, ada, tmp_path):
    base = make_model(project, tmp_path)
    sft = make_model(project, tmp_path, kind="sft", base=base)
    reward = make_model(project, tmp_path, kind="reward", base=base)
    prompts = make_snapshot(project, ada, tmp_path, kind="prompt")
    inputs = {"prompts": prompts, "base": base, "sft": sft, "reward": reward}
    run = launch(project=project, stage="ppo", preset="smoke", config={"seed": 1}, inputs=inputs, by=ada)
    named = run.config["parent_adapter"], run.config["reward_adapter"], run.config["base_sha256"]
    assert named == ("sft", "reward", base.sha256)


def test_a_dpo_run_starts_from_the_instruct_adapter(project, ada, tmp_path):
    base = make_model(project, tmp_path)
    sft = make_model(project, tmp_path, kind="sft", base=base)
    inputs = {"ranking": make_snapshot(project, ada, tmp_path, kind="ranking"), "base": base, "sft": sft}
    run = launch(project=project, stage="dpo", preset="smoke", config={"seed": 1, "beta": 0.2}, inputs=inputs, by=ada)
    named = run.config["parent_adapter"], run.config["base_sha256"], run.config["beta"]
    assert named == ("sft", base.sha256, 0.2)


def test_an_adapter_that_is_no_input_is_refused(project, ada, tmp_path):
    inputs = {"prompts": make_snapshot(project, ada, tmp_path, kind="prompt"), "base": make_model(project, tmp_path)}
    config = {"seed": 1, "adapters": ["policy"]}
    error = refused(project=project, stage="generate", preset="smoke", config=config, inputs=inputs, by=ada)
    assert set(error.fields) == {"adapters"}


def test_a_launch_sends_its_message_once_committed(pretrain, broker, redis_client, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        run = launch(**pretrain, config={"seed": 1})
        assert redis_client.llen("train") == 0
    run.refresh_from_db()
    assert redis_client.llen("train") == 1
    assert run.sent_at is not None


def test_a_lost_broker_leaves_the_run_waiting_with_a_sentence(
    pretrain, tmp_path, broker_at, monkeypatch, django_capture_on_commit_callbacks
):
    broker_at(f"redis+socket://{tmp_path}/nobody")
    monkeypatch.setattr(metrics, "UNSENT_S", 0.0)
    with django_capture_on_commit_callbacks(execute=True):
        run = launch(**pretrain, config={"seed": 1})
    run.refresh_from_db()
    assert (run.state, run.sent_at) == ("queued", None)
    assert metrics.waits_for(run).startswith("The message queue cannot be reached")


def test_a_queued_run_is_cancelled_at_once(run, ada):
    cancel(run=run, by=ada)
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_a_run_that_has_ended_cannot_be_cancelled(run, ada):
    cancel(run=run, by=ada)
    with pytest.raises(LaunchError) as refusal:
        cancel(run=run, by=ada)
    assert refusal.value.code == "not_active"


def test_a_queued_run_cannot_be_resumed(run, ada):
    with pytest.raises(LaunchError) as refusal:
        resume(run=run, by=ada)
    assert refusal.value.code == "not_resumable"


def test_only_monitors_of_the_stage_can_be_turned_off(run, ada):
    cancel(run=run, by=ada)
    with pytest.raises(LaunchError) as refusal:
        resume(run=run, by=ada, monitors_off=["kl_budget"])
    assert refusal.value.code == "bad_config"
    assert "allowed: loss_spike" in refusal.value.sentence
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_monitors_that_were_turned_off_stay_off_at_the_next_resume(run, ada):
    for names in (["loss_spike"], []):
        cancel(run=run, by=ada)
        resume(run=run, by=ada, monitors_off=names)
        run.refresh_from_db()
    assert run.config["monitors_off"] == ["loss_spike"]
    assert run.config_sha256 == configs.sha256(configs.parse(run.config))


def test_readiness_names_what_is_missing(project):
    found = [(check.level, check.sentence) for check in readiness(project=project, stage="pretrain")]
    assert found == [
        ("stop", "No corpus snapshot yet: freeze one first."),
        ("warn", "No training worker is running; the run will wait for one."),
    ]


def test_readiness_names_the_adapter_that_the_form_proposes(project, tmp_path):
    base = make_model(project, tmp_path)
    usual = make_model(project, tmp_path, kind="sft", base=base, content="[1]")
    make_model(project, tmp_path, kind="policy", base=base, content="[2]")
    assert ("pass", f"{usual} is there.") in [
        (check.level, check.sentence) for check in readiness(project=project, stage="dpo")
    ]


def test_an_unknown_stage_is_refused():
    with pytest.raises(LaunchError) as refusal:
        needs("distil")
    assert refusal.value.code == "bad_config"


def test_the_same_wish_under_the_same_key_is_one_run(pretrain, rex):
    first = launch(**pretrain, config={"seed": 1}, key="pressed")
    assert launch(**pretrain, config={"seed": 1}, key="pressed") == first
    others = [
        launch(**pretrain, config={"seed": 2}, key="pressed"),
        launch(**pretrain, config={"seed": 1}, key="pressed again"),
        launch(**pretrain | {"by": rex}, config={"seed": 1}, key="pressed"),
        launch(**pretrain, config={"seed": 1}),
        launch(**pretrain, config={"seed": 1}),
    ]
    assert len({first, *others}) == 6
