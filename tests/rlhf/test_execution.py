"""A run's life on a worker, with a real child process."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from rlhf import children, execution, launching, rundirs, tasks
from rlhf.messages import run_ticket
from rlhf.models import Model, Run, RunChunk

State = Run.State


def take(run: Run, **kwargs) -> Run:
    attempt = execution.claim(run.pk, attempt=run.attempt)
    assert attempt is not None
    execution.execute(run.pk, attempt, **kwargs)
    run.refresh_from_db()
    return run


def has_begun(run: Run) -> bool:
    return (rundirs.folder_of(run) / "metrics.jsonl").exists()


def test_a_finished_child_leaves_a_registered_model(run, child):
    child("finish")
    take(run)
    assert run.state == State.FINISHED
    model = Model.objects.get()
    assert (model.kind, model.run, model.metrics) == ("base", run, {"perplexity": 12.5})


def test_a_number_that_is_not_finite_is_null_in_the_run(run, child):
    child("finish")
    assert (take(run).result or {})["evaluation"] == {"after": None}


def test_the_lines_of_a_run_are_stored_once_and_whole(run, child):
    child("finish")
    folder = rundirs.folder_of(run)
    take(run)
    stored = "".join(RunChunk.objects.filter(stream="metrics").order_by("offset").values_list("lines", flat=True))
    assert stored == (folder / "metrics.jsonl").read_text()
    assert run.progress["done"] == run.progress["total"] == 10


def test_a_run_tells_what_the_trainer_expected(run, child):
    child("finish")
    assert take(run).progress["estimate"] == {"memory_bytes": 534_000_000, "seconds": 12.0}


def test_the_trainer_keeps_what_the_machine_can_do_with_the_service(settings):
    assert children.trainer_environment()["TOUCHSTONE_HOME"] == str(settings.HOME)


def test_the_log_holds_what_the_child_printed(run, child):
    child("finish")
    take(run)
    assert RunChunk.objects.get(stream="log").lines == "a line of the log\n"


def test_of_many_workers_one_claims_a_run(database, run):
    def claim(number: int) -> int | None:
        try:
            return execution.claim(run.pk, attempt=0)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(claim, range(4)), key=str) == [1, None, None, None]


def test_a_message_that_comes_twice_changes_nothing(run, child):
    child("finish")
    ticket = run_ticket(run)
    tasks.execute_run(run.pk, ticket)
    tasks.execute_run(run.pk, ticket)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.FINISHED, 1)
    assert Model.objects.count() == 1


@pytest.mark.parametrize("ticket", ["", "0" * 64])
def test_a_message_without_a_valid_ticket_is_ignored(run, ticket):
    tasks.execute_run(run.pk, ticket)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.QUEUED, 0)


def test_a_ticket_of_an_older_attempt_is_ignored(run):
    old = run_ticket(run)
    Run.objects.filter(pk=run.pk).update(attempt=1)
    tasks.execute_run(run.pk, old)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.QUEUED, 1)


def test_a_killed_child_fails_its_run_probably_for_memory(run, child):
    child("killed")
    take(run)
    assert run.state == State.FAILED
    assert "killed, probably for memory" in run.failure["sentence"]


def test_a_refusal_fails_the_run_with_the_trainers_own_sentence(run, child):
    child("refused")
    take(run)
    assert run.state == State.FAILED
    assert (run.failure["code"], run.failure["sentence"]) == ("too_few_rows", "2 rows; at least 8 are needed.")


def test_a_crash_fails_the_run_with_the_last_line_of_its_log(run, child):
    child("crash")
    take(run)
    assert run.state == State.FAILED
    assert "no such luck" in run.failure["sentence"]


def test_a_monitor_pauses_the_run_and_shows_what_to_look_at(run, child):
    child("paused")
    assert take(run).state == State.PAUSED
    assert run.failure["monitors"] == ["kl_budget"]
    assert run.result["evaluation"]["highest_reward"][0]["answer"] == "a"


def test_a_monitor_that_a_person_turned_off_reaches_the_trainer(run, child, ada):
    Run.objects.update(stage="ppo")
    child("paused")
    take(run)
    launching.resume(run=run, by=ada, monitors_off=["kl_budget"])
    run.refresh_from_db()
    assert (run.state, run.failure) == (State.QUEUED, None)
    assert json.loads((rundirs.lay_out(run) / "config.json").read_text())["monitors_off"] == ["kl_budget"]


def test_a_busy_directory_is_tried_again_later(run, child):
    child("busy")
    take(run)
    assert run.state == State.QUEUED
    assert run.not_before > now() + timedelta(seconds=5)
    assert execution.claim(run.pk, attempt=run.attempt) is None


def test_a_wanted_cancel_ends_the_child_after_its_checkpoint(run, child, ada):
    child("wait")

    def cancel_it() -> bool:
        if has_begun(run):
            launching.cancel(run=run, by=ada)
        return False

    take(run, stop=cancel_it)
    assert (run.state, run.checkpoint["name"]) == (State.CANCELLED, "step-00000001")


def test_a_worker_that_stops_queues_its_run_again(run, child):
    child("wait")
    take(run, stop=lambda: True)
    assert (run.state, run.finished_at) == (State.QUEUED, None)


def test_a_resumed_run_finishes_with_its_next_attempt(run, child, ada):
    child("refused")
    take(run)
    launching.resume(run=run, by=ada)
    run.refresh_from_db()
    child("finish")
    take(run)
    assert (run.state, run.attempt, run.failure) == (State.FINISHED, 2, None)


def test_another_machine_gets_the_newest_checkpoint_and_the_logs(run, child, settings, tmp_path):
    child("wait")
    take(run, stop=lambda: has_begun(run))
    metrics = (rundirs.folder_of(run) / "metrics.jsonl").read_bytes()
    settings.HOME = tmp_path / "another machine"
    folder = rundirs.lay_out(run)
    assert (folder / "checkpoints" / "step-00000001" / "state.json").read_text() == '{"step": 1}'
    assert (folder / "metrics.jsonl").read_bytes() == metrics


def test_checkpoints_go_when_the_run_has_finished(run, child, tmp_path):
    child("finish")
    take(run)
    assert run.checkpoint is None
    assert not (tmp_path / "objects" / "checkpoints" / str(run.uuid)).exists()


def test_a_result_of_another_config_registers_nothing(run, child):
    child("other_config")
    take(run)
    assert (run.state, run.failure["code"]) == (State.FAILED, "not_as_planned")
    assert not Model.objects.exists()


def test_a_worker_that_lost_its_run_settles_nothing(run, child, monkeypatch):
    child("wait")
    monkeypatch.setattr(execution, "HEARTBEAT_S", 0.0)
    attempt = execution.claim(run.pk, attempt=0)
    Run.objects.filter(pk=run.pk).update(attempt=2)
    execution.execute(run.pk, attempt or 0)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.RUNNING, 2)


def test_the_child_does_not_see_the_services_secrets(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    assert not {"SECRET_KEY", "DATABASE_URL"} & children.trainer_environment().keys()


def test_the_sweep_queues_what_a_dead_worker_held(run):
    execution.claim(run.pk, attempt=0)
    Run.objects.update(heartbeat_at=now() - timedelta(seconds=31), sent_at=now())
    assert execution.sweep() == 1
    run.refresh_from_db()
    assert (run.state, run.attempt, run.worker) == (State.QUEUED, 1, "")


def test_the_sweep_leaves_a_living_worker_alone(run):
    execution.claim(run.pk, attempt=0)
    Run.objects.update(heartbeat_at=now() - timedelta(seconds=29))
    assert execution.sweep() == 0


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(run):
    execution.claim(run.pk, attempt=0)
    Run.objects.update(heartbeat_at=now() - timedelta(seconds=31), cancel_requested_at=now())
    execution.sweep()
    run.refresh_from_db()
    assert run.state == State.CANCELLED


def test_the_sweep_sends_again_what_has_no_message(run, broker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        execution.sweep()
    run.refresh_from_db()
    assert run.sent_at is not None
