"""The rows of one saved version of an answer, for the actions that make one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any  # bodies are JSON

from annotate.models import Judgement, Presentation, Project, Queue, Revision, Slot, User
from annotate.presentation import Shown, app_version, content_sha256, guideline_version, order_of


def revise(
    judgement: Judgement,
    body: Mapping[str, Any],
    what: Shown,
    *,
    number: int,
    kind: str = Revision.Kind.SUBMIT,
    by: User | None = None,
) -> Revision:
    """An answer: body as it is stored, about what was shown. by: who made this version, where not the judge."""
    return Revision.objects.create(
        judgement=judgement,
        number=number,
        kind=kind,
        body=body,
        sha256=sha256_of(body),
        guideline_version=what.guideline,
        queue_settings_version=what.task.queue.settings_version,
        app_version=app_version(),
        by=by,
    )


def take_away(judgement: Judgement, *, queue: Queue, number: int, kind: str, by: User | None, note: str) -> Revision:
    """A taking back, which has no body. by: where that is not the judge. queue comes with its project."""
    project: Project = queue.project
    return Revision.objects.create(
        judgement=judgement,
        number=number,
        kind=kind,
        body=None,
        sha256="",
        guideline_version=guideline_version(project),
        queue_settings_version=queue.settings_version,
        app_version=app_version(),
        by=by,
        note=note or None,
    )


def present(revision: Revision, what: Shown, *, lease: Slot | None, **times: Any) -> None:
    """How the task looked. times: active_ms, hidden_ms and by, as the screen saw them."""
    Presentation.objects.create(
        revision=revision,
        order=order_of(what),
        seed=what.seed,
        payload_sha256=content_sha256(what),
        shown_at=lease.shown_at if lease else None,
        first_input_at=lease.first_input_at if lease else None,
        **times,
    )


def present_again(revision: Revision, *, before: Revision) -> None:
    """As at an earlier version, which nobody has looked at anew."""
    seen = before.presentation
    Presentation.objects.create(revision=revision, order=seen.order, seed=seen.seed, payload_sha256=seen.payload_sha256)


def sha256_of(value: object) -> str:
    stable = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(stable.encode()).hexdigest()
