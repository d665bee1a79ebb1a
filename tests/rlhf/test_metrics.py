"""What a reader of a run gets from a cursor on."""

import json
from datetime import UTC, datetime

import pytest

from rlhf import metrics
from rlhf.models import Run, RunChunk

CLOCK = {"at": "2026-01-01T00:00:02.000+00:00"}


def write(run: Run, *steps: int, attempt=1, stream="metrics", value=0.5) -> None:
    lines = [
        {
            "attempt": attempt,
            "step": step,
            "kind": "train",
            "values": {"loss": value},
            "clock": CLOCK,
        }
        for step in steps
    ]
    store(run, lines, attempt=attempt, stream=stream)


def store(run: Run, lines: list[dict], *, attempt=1, stream="metrics") -> None:
    offset = RunChunk.objects.filter(run=run, stream=stream).count()
    text = "".join(json.dumps(line) + "\n" for line in lines)
    RunChunk.objects.create(run=run, attempt=attempt, stream=stream, offset=offset, lines=text)


@pytest.fixture
def running(run) -> Run:
    Run.objects.update(state="running", attempt=1, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    run.refresh_from_db()
    return run


def test_the_first_look_is_the_whole_state(running):
    write(running, 1, 2)
    seen = metrics.live(running, None)
    assert seen["reset"] is True
    assert seen["points"] == {"train/loss": [[1, 0.5, 2.0], [2, 0.5, 2.0]]}


def test_a_later_look_holds_only_what_is_new(running):
    write(running, 1)
    first = metrics.live(running, None)
    write(running, 2)
    second = metrics.live(running, first["cursor"])
    assert second["reset"] is False
    assert second["points"] == {"train/loss": [[2, 0.5, 2.0]]}


def test_nothing_new_leaves_the_cursor_as_it_was(running):
    write(running, 1)
    assert metrics.cursor(running) == metrics.live(running, None)["cursor"]


def test_a_change_of_state_moves_the_cursor(running):
    before = metrics.cursor(running)
    running.state = "failed"
    assert metrics.cursor(running) != before


@pytest.mark.parametrize("unknown", ["x", "1.x.y", "0.3.abc", "1." + "9" * 30 + ".a"])
def test_an_unknown_cursor_gets_the_whole_state(running, unknown):
    write(running, 1)
    assert metrics.live(running, unknown)["reset"] is True


def test_steps_that_a_resume_did_again_are_shown_once(running):
    store(running, [{"kind": "started", "attempt": 1, "step": 0}], stream="events")
    write(running, 1, 2, 3)
    store(running, [{"kind": "resumed", "attempt": 2, "step": 1, "from_step": 1}], attempt=2, stream="events")
    write(running, 2, attempt=2, value=0.25)
    assert metrics.live(running, None)["points"] == {"train/loss": [[1, 0.5, 2.0], [2, 0.25, 2.0]]}


def test_a_value_that_is_not_finite_is_a_gap(running):
    write(running, 1, value=None)
    assert metrics.live(running, None)["points"] == {"train/loss": [[1, None, 2.0]]}


def test_a_long_series_is_thinned_and_keeps_its_spike(running):
    write(running, *range(10_000))
    write(running, 10_000, value=99.0)
    points = metrics.series(running, ["train/loss"])["train/loss"]
    assert len(points) <= metrics.POINTS
    assert [10_000, 99.0, 2.0] in points


def test_a_look_costs_as_many_queries_with_30_chunks_as_with_1(running, django_assert_num_queries):
    for step in range(30):
        write(running, step)
    with django_assert_num_queries(2):
        metrics.live(running, None)


def test_a_queued_run_says_that_no_worker_has_been_started(run):
    run.sent_at = run.created_at
    assert metrics.waits_for(run) == "No training worker has been started; the run waits for one."
