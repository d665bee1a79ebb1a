"""A run's life on a worker: claim it, lay out its directory, watch the child process, settle by its exit.

Only here is a run directory read. Every write is filtered by the attempt, so that a worker which has lost its run, or a
message that comes twice, changes nothing.
"""

from __future__ import annotations

import errno
import json
import logging
import signal
import socket
import subprocess
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from rlhf import children, generations, registry, rundirs, storage
from rlhf.messages import send_run
from rlhf.models import Run, RunChunk, RunQuerySet
from rlhf.progress import Progress
from trainer.contract import exits

log = logging.getLogger(__name__)

TICK_S = 1.0
HEARTBEAT_S = 5.0
STALE_S = 30.0
GRACE_S = 120.0  # between the wish to stop and the kill
RETRY_S = 10.0  # before a busy directory is tried again
RESEND_S = 60.0  # after which a queued run gets another message
State = Run.State
Json = dict[str, Any]  # Any: a JSON object


def claim(run_id: int, *, attempt: int) -> int | None:
    """The attempt that now belongs to this worker; None where the run does not wait after `attempt`, or not yet."""
    due = Q(not_before=None) | Q(not_before__lte=now())
    waiting = Run.objects.filter(due, pk=run_id, state=State.QUEUED, attempt=attempt)
    won = waiting.update(
        state=State.RUNNING,
        attempt=attempt + 1,
        heartbeat_at=now(),
        started_at=Coalesce("started_at", now()),
        worker=socket.gethostname()[:120],
        progress={"note": "estimating"},
        not_before=None,
    )
    return attempt + 1 if won else None


def execute(run_id: int, attempt: int, *, stop: Callable[[], bool] = lambda: False) -> None:
    """Run the child of a claimed attempt to its end, and settle the row.

    stop: says whether this worker is asked to end; the run is then checkpointed and queued again.
    """
    run = Run.objects.select_related("project").get(pk=run_id)
    try:
        folder = rundirs.lay_out(run)
        watch = _Watch(run, attempt, folder, stop)
        code = watch.to_the_end()
        if watch.owned:
            _settle(run, attempt, code, folder=folder, stopping=watch.stopping)
    except Exception as error:
        # The one broad catch: whatever went wrong between here and the child is the run's failure, with its trace.
        log.exception("run %d, attempt %d", run_id, attempt)
        reason = "disk_full" if isinstance(error, OSError) and error.errno == errno.ENOSPC else "unexpected"
        _fail(run_id, attempt, reason, f"{type(error).__name__}: {error}", trace=traceback.format_exc())


def sweep() -> int:
    """Queue again what a dead worker held, and send again what waits without a message. How many were lost."""
    stale = Run.objects.filter(state=State.RUNNING, heartbeat_at__lt=now() - timedelta(seconds=STALE_S))
    lost = 0
    for run in stale:
        mine = Run.objects.filter(pk=run.pk, state=State.RUNNING, attempt=run.attempt, heartbeat_at=run.heartbeat_at)
        lost += mine.update(state=State.LOST, worker="")
    cancelled = Run.objects.filter(state=State.LOST, cancel_requested_at__isnull=False)
    cancelled.update(state=State.CANCELLED, finished_at=now())
    Run.objects.filter(state=State.LOST).update(state=State.QUEUED, sent_at=None)
    silent = Q(sent_at=None) | Q(sent_at__lt=now() - timedelta(seconds=RESEND_S))
    due = Q(not_before=None) | Q(not_before__lte=now())
    for run in Run.objects.filter(silent, due, state=State.QUEUED).order_by("created_at"):
        send_run(run)
    return lost


class _Watch:
    """One child process, from its start to its exit."""

    def __init__(self, run: Run, attempt: int, folder: Path, stop: Callable[[], bool]) -> None:
        self.run, self.attempt, self.folder, self.stop = run, attempt, folder, stop
        self.owned = True
        self.stopping = False
        self._log = folder / "log" / f"attempt-{attempt}.txt"
        self._offsets = {stream: self._known(stream) for stream in rundirs.STREAMS} | {"log": 0}
        self._progress = Progress(run.stage)
        self._beat_at = self._asked_at = 0.0

    def to_the_end(self) -> int:
        """The child's exit code; negative where a signal ended it."""
        self._log.parent.mkdir(exist_ok=True)
        with children.start(command(self.run, self.attempt, self.folder), log=self._log) as child:
            try:
                while True:
                    try:
                        child.wait(TICK_S)
                    except subprocess.TimeoutExpired:
                        self._tick(child)
                    else:
                        break
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
        self._collect()
        return child.returncode

    def _tick(self, child: subprocess.Popen[bytes]) -> None:
        self._collect()
        if not self._beat():
            self.owned = False
        if self.stop():
            self.stopping = True
        if not (self.stopping or self._cancelled() or not self.owned):
            return
        if not self._asked_at:
            self._asked_at = monotonic()
            child.send_signal(signal.SIGTERM)
        elif monotonic() - self._asked_at > GRACE_S:
            child.kill()

    def _known(self, stream: str) -> int:
        """The offset after what is stored of a stream."""
        last = RunChunk.objects.filter(run=self.run, stream=stream).order_by("offset").last()
        return last.offset + len(last.lines.encode()) if last else 0

    def _collect(self) -> None:
        """Store the new whole lines of each stream, the progress that they tell, and a new checkpoint."""
        fresh = {stream: self._new_lines(stream) for stream in self._offsets}
        told = self._told()
        if not told and not any(fresh.values()):
            return
        with transaction.atomic():
            for stream, data in fresh.items():
                if data:
                    self._store(stream, data)
            for text in fresh["metrics"].splitlines():
                self._progress.read(json.loads(text))
            if not self._mine().update(progress=self._progress.shown(), heartbeat_at=now()):
                self.owned = False
                transaction.set_rollback(True)
        for stream, data in fresh.items():
            self._offsets[stream] += len(data)
        if b'"checkpoint"' in fresh["events"]:
            rundirs.store_checkpoint(self.run, self.folder, mine=self._mine())

    def _told(self) -> bool:
        """Whether the trainer has said, since the last look, what the run needs."""
        path = self.folder / "estimate.json"
        if self._progress.needs or not path.exists():
            return False
        self._progress.expect(json.loads(path.read_bytes()))
        return True

    def _new_lines(self, stream: str) -> bytes:
        path = self._log if stream == "log" else self.folder / f"{stream}.jsonl"
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(self._offsets[stream])
            data = file.read()
        return data[: data.rfind(b"\n") + 1]

    def _store(self, stream: str, data: bytes) -> None:
        lines = data.decode(errors="replace").replace("\0", "�")
        RunChunk.objects.create(
            run=self.run, attempt=self.attempt, stream=stream, offset=self._offsets[stream], lines=lines
        )

    def _beat(self) -> bool:
        """Whether the run is still this worker's."""
        if monotonic() - self._beat_at < HEARTBEAT_S:
            return self.owned
        self._beat_at = monotonic()
        return bool(self._mine().update(heartbeat_at=now()))

    def _cancelled(self) -> bool:
        return self._mine().filter(cancel_requested_at__isnull=False).exists()

    def _mine(self) -> RunQuerySet:
        return Run.objects.filter(pk=self.run.pk, attempt=self.attempt, state=State.RUNNING)


def command(run: Run, attempt: int, folder: Path) -> list[str]:
    """What anyone can type to do the same by hand."""
    return [*children.TRAINER, run.stage, str(folder), "--attempt", str(attempt)]


# The end


def _settle(run: Run, attempt: int, code: int, *, folder: Path, stopping: bool) -> None:
    """Write how the attempt ended (ARCHITECTURE 2)."""
    run.refresh_from_db()
    wanted = run.cancel_requested_at is not None
    if code == exits.FINISHED and (folder / "result.json").exists():
        _finish(run, attempt, folder)
    elif code == exits.BUSY:
        _end(run, attempt, State.QUEUED, sent_at=None, not_before=now() + timedelta(seconds=RETRY_S))
    elif code == exits.PAUSED:
        shown = {"evaluation": registry.evaluation_of(folder)}  # what a person has to look at before the run goes on
        _end(run, attempt, State.PAUSED, failure=_failure(folder, code), result=shown)
    elif wanted and code in (exits.CANCELLED, exits.KILLED_TWICE, -signal.SIGTERM, -signal.SIGKILL):
        _end(run, attempt, State.CANCELLED)
    elif code == exits.CANCELLED or (stopping and code in (exits.KILLED_TWICE, -signal.SIGTERM, -signal.SIGKILL)):
        _end(run, attempt, State.QUEUED, sent_at=None, not_before=now())
    else:
        failure = _failure(folder, code)
        _fail(run.pk, attempt, failure["code"], failure["sentence"], trace=failure.get("trace", ""))


def _finish(run: Run, attempt: int, folder: Path) -> None:
    """Register what the run left, and only then call it finished."""
    try:
        with transaction.atomic():
            if not _end(run, attempt, State.FINISHED, checkpoint=None):
                return
            registry.register(run, folder)
            if run.stage == Run.Stage.GENERATE:
                generations.collect(run)
    except registry.NotAsPlanned as error:
        _fail(run.pk, attempt, "not_as_planned", str(error), trace="")
        return
    storage.drop_others(rundirs.checkpoint_area(run), keep=set())


def _end(run: Run, attempt: int, state: Run.State, **values: Any) -> bool:  # Any: fields of the row
    """Whether this worker still held the run, and so has ended the attempt."""
    values |= {"finished_at": None if state == State.QUEUED else now(), "heartbeat_at": now()}
    mine = Run.objects.filter(pk=run.pk, attempt=attempt, state=State.RUNNING)
    return bool(mine.update(state=state, **values))


def _fail(run_id: int, attempt: int, code: str, sentence: str, *, trace: str) -> None:
    failure = {"code": code, "sentence": sentence[:2_000], "trace": trace[-8_000:], "attempt": attempt}
    mine = Run.objects.filter(pk=run_id, attempt=attempt, state=State.RUNNING)
    mine.update(state=State.FAILED, failure=failure, finished_at=now())


def _failure(folder: Path, code: int) -> Json:
    """Why the child ended: failure.json, else its last line of standard error (C6), else its exit code."""
    if code == -signal.SIGKILL:
        return {"code": "killed", "sentence": "The trainer was killed, probably for memory: try smaller micro-batches."}
    logs = sorted((folder / "log").glob("attempt-*.txt"), key=lambda path: path.stat().st_mtime)
    last = logs[-1].read_text(errors="replace").strip().rsplit("\n", 1)[-1] if logs else ""
    path = folder / "failure.json"
    for text in (path.read_text(encoding="utf-8") if path.exists() else "", last):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict) and {"code", "sentence"} <= found.keys():
            return found
    return {"code": "unexpected", "sentence": f"The trainer ended with exit code {code}. {last[:500]}".strip()}
