"""The service's own processes, started together: a message, a worker, a child, and what outlives them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from django.conf import settings
from django.db import connection

from rlhf.broker import SOCKET
from rlhf.launching import launch
from rlhf.models import Run, Worker
from rlhf.service import Service, ServiceError
from tests.rlhf.conftest import make_snapshot

pytestmark = pytest.mark.full
WORDS = ["the", "clock", "module", "returns", "a", "number", "of", "seconds", "since", "some", "moment"]


@pytest.fixture
def service(transactional_db, tmp_path, settings, broker_at) -> Iterator[Service]:
    """Workers and beat on the test's database and home."""
    environment = {
        "APP_ENV": "dev",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "TICKET_KEY": settings.TICKET_KEY,
        "OMP_NUM_THREADS": "1",
    }
    with Service(home=tmp_path, environment=environment, processes=("default", "train", "beat")) as running:
        broker_at(f"{SOCKET}{(tmp_path / 'redis.path').read_text()}")
        yield running


@pytest.fixture
def corpus(project, ada, tmp_path):
    rows = [
        {
            "id": str(i),
            "split": "heldout" if i % 10 == 0 else "train",
            "text": f"{' '.join(WORDS[i % 5 :] + WORDS[: i % 7])} {i * i}.",
        }
        for i in range(3_000)
    ]
    return make_snapshot(project, ada, tmp_path, rows=rows)


def wait_for(run: Run, found, seconds: float) -> None:
    until = monotonic() + seconds
    while not found():
        assert monotonic() < until, (run.state, run.progress, run.failure)
        sleep(0.2)
        run.refresh_from_db()


def test_a_worker_killed_in_mid_run_loses_it_to_nobody(service, project, ada, corpus):
    config = {
        "seed": 1, "size": "toy", "max_steps": 150, "epochs": 100, "batch_tokens": 1_024, "microbatch_tokens": 1_024,
        "checkpoint_steps": 10,
    }  # fmt: skip
    inputs = {"corpus": corpus}
    run = launch(project=project, stage="pretrain", preset="smoke", config=config, inputs=inputs, by=ada)
    wait_for(run, lambda: run.checkpoint or run.state == "failed", 60)
    service.process("train").kill()
    service.restart("train")
    wait_for(run, lambda: run.state in ("finished", "failed"), 120)
    assert (run.state, run.attempt) == ("finished", 2)
    events = "".join(run.chunks.filter(stream="events").values_list("lines", flat=True))
    assert '"kind":"resumed"' in events
    assert run.outputs.get().kind == "base"


def test_a_worker_that_is_asked_to_stop_leaves_its_run_queued(service, project, ada, corpus):
    config = {"seed": 1, "size": "toy", "max_steps": 100_000, "epochs": 100, "checkpoint_steps": 10}
    inputs = {"corpus": corpus}
    run = launch(project=project, stage="pretrain", preset="smoke", config=config, inputs=inputs, by=ada)
    wait_for(run, lambda: run.progress.get("done"), 60)
    worker = service.process("train")
    worker.terminate()
    assert worker.wait(60) == 0
    run.refresh_from_db()
    assert (run.state, bool(run.checkpoint)) == ("queued", True)


def test_workers_report_themselves(service):
    until = monotonic() + 30
    while Worker.objects.alive().count() < 2 and monotonic() < until:
        sleep(0.1)
    assert sorted(Worker.objects.values_list("queues", flat=True)) == ["default", "train"]


def test_a_second_service_on_the_same_home_is_refused(service, tmp_path):
    with pytest.raises(ServiceError, match="already running"), Service(home=tmp_path, processes=()):
        pass


def processes_on(home: Path) -> list[int]:
    """The running processes whose environment names this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"TOUCHSTONE_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_nothing_outlives_a_service_that_was_killed(tmp_path):
    environment = os.environ | {"TOUCHSTONE_HOME": str(tmp_path), "APP_ENV": "dev"}
    environment |= {"DJANGO_SETTINGS_MODULE": "rlhf.settings"}
    command = [sys.executable, "manage.py", "up", "--port", "0"]
    with subprocess.Popen(command, cwd=settings.SOURCE, env=environment, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout
        assert "Touchstone is up" in up.stdout.readline()
        assert len(processes_on(tmp_path)) > 5
        up.kill()
    until = monotonic() + 30
    while processes_on(tmp_path):
        assert monotonic() < until, processes_on(tmp_path)
        sleep(0.1)
