"""What a run's chunks say, from a cursor on: points for charts, samples, events and the log. Only rows are read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from math import isfinite
from typing import Any

from django.utils.timezone import now

from rlhf.models import Run, RunChunk, Worker
from trainer.contract.rundir import canonical

POINTS = 1_500  # most points of a series in one answer
SAMPLES, EVENTS, LOG_LINES = 200, 500, 200
UNSENT_S = 3.0  # after which a run without a message is worth a sentence
Json = dict[str, Any]  # Any: a JSON object
Point = list[Any]  # Any: [step, value or null, seconds]


def cursor(run: Run) -> str:
    """Where a reader stands who has seen all: "attempt.chunk.version". One indexed query, no files."""
    newest = RunChunk.objects.filter(run=run).order_by("-pk").values_list("pk", flat=True).first()
    return f"{run.attempt}.{newest or 0}.{_version(run)}"


def live(run: Run, after: str | None) -> Json:
    """What is new since a cursor; everything, with `reset`, where the cursor is none of this attempt.

    {cursor, state, attempt, progress, note, points: {key: [[step, value, seconds], …]}, samples, events, log, failure,
    reset, cancelling}. A key is "kind/name" of a metric line, e.g. "eval/nll"; a null value was not finite.
    """
    here = cursor(run)
    seen = _chunk_of(run, after)
    chunks = RunChunk.objects.filter(run=run, pk__gt=seen or 0).order_by("pk")
    lines = _by_stream(chunks)
    if seen is None:
        for name in ("metrics", "samples"):
            lines[name] = canonical(lines[name], lines["events"])
    return {
        "cursor": here,
        "state": run.state,
        "attempt": run.attempt,
        "progress": run.progress,
        "note": waits_for(run),
        "points": {key: _thinned(points) for key, points in _points(run, lines["metrics"]).items()},
        "samples": lines["samples"][-SAMPLES:],
        "events": lines["events"][-EVENTS:],
        "log": [line["text"] for line in lines["log"][-LOG_LINES:]],
        "failure": run.failure,
        "reset": seen is None,
        "cancelling": run.state == Run.State.RUNNING and run.cancel_requested_at is not None,
    }


def series(run: Run, keys: Iterable[str]) -> dict[str, list[Point]]:
    """These series as a whole, each thinned to at most POINTS points; no spike is lost."""
    lines = _by_stream(RunChunk.objects.filter(run=run, stream__in=["metrics", "events"]).order_by("pk"))
    points = _points(run, canonical(lines["metrics"], lines["events"]))
    return {key: _thinned(points.get(key, [])) for key in keys}


def waits_for(run: Run) -> str:
    """Why a run does not move, in a sentence; empty where it does. One query for a run that is queued."""
    if run.state == Run.State.LOST:
        return "Its worker was lost; it goes on from its last checkpoint."
    if run.state != Run.State.QUEUED:
        return ""
    due = run.not_before or run.created_at
    if run.sent_at is None and due < now() - timedelta(seconds=UNSENT_S):
        return "The message queue cannot be reached; the run starts when it is back."
    newest = Worker.objects.filter(queues__contains="train").order_by("-heartbeat_at").first()
    if newest is None:
        return "No training worker has been started; the run waits for one."
    if not Worker.objects.alive().filter(pk=newest.pk).exists():
        return f"No training worker is running since {newest.heartbeat_at:%Y-%m-%d %H:%M} UTC; the run waits for one."
    return ""


def _version(run: Run) -> str:
    """A short hash of what the row shows and chunks do not."""
    shown = [run.state, run.progress, run.failure, str(run.cancel_requested_at), str(run.sent_at)]
    return sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:12]


def _chunk_of(run: Run, after: str | None) -> int | None:
    """The last chunk that a reader has seen, or None where the cursor is not one of this attempt."""
    attempt, _, rest = (after or "").partition(".")
    chunk = rest.partition(".")[0]
    if attempt != str(run.attempt) or not chunk.isdecimal() or len(chunk) > 18:
        return None
    return int(chunk)


def _by_stream(chunks: Iterable[RunChunk]) -> dict[str, list[Json]]:
    """The lines of each stream in order. Log lines become {"text"}."""
    found: dict[str, list[Json]] = {stream: [] for stream in RunChunk.Stream.values}
    for chunk in chunks:
        for line in chunk.lines.splitlines() if chunk.stream == RunChunk.Stream.LOG else chunk.lines.split("\n"):
            if chunk.stream == RunChunk.Stream.LOG:
                found["log"].append({"text": line})
            elif line:
                found[chunk.stream].append(json.loads(line))
    return found


def _points(run: Run, lines: Iterable[Json]) -> dict[str, list[Point]]:
    """By "kind/name"; seconds are those since the run first started."""
    found: dict[str, list[Point]] = {}
    for line in lines:
        at = line.get("clock", {}).get("at")
        seconds = (
            round((datetime.fromisoformat(at) - run.started_at).total_seconds(), 1) if at and run.started_at else None
        )
        for name, value in line["values"].items():
            if value is None or isinstance(value, int | float):
                found.setdefault(f"{line['kind']}/{name}", []).append([line["step"], value, seconds])
    return found


def _seconds(run: Run, line: Json) -> float | None:
    at = line.get("clock", {}).get("at")
    if not at or not run.started_at:
        return None
    return round((datetime.fromisoformat(at) - run.started_at).total_seconds(), 1)


def _thinned(points: list[Point]) -> list[Point]:
    """At most POINTS of these points: the least and the greatest of each bucket, in their order."""
    if len(points) <= POINTS:
        return points
    buckets = POINTS // 2
    edges = [len(points) * i // buckets for i in range(buckets + 1)]
    kept: list[Point] = []
    for start, end in pairwise(edges):
        kept += _extremes(points[start:end])
    return kept


def _extremes(bucket: list[Point]) -> list[Point]:
    values = [point for point in bucket if point[1] is not None and isfinite(point[1])]
    if not values:
        return bucket[:1]
    ends = [min(values, key=lambda point: point[1]), max(values, key=lambda point: point[1])]
    return [point for point in bucket if any(point is end for end in ends)]
