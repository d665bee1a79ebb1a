"""Take an answer: once, from who may give it, and never dropping work.

The lock order is task, slot; what a submit touches in other tasks comes after. Some fifteen small statements.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from annotate.actions.bodies import checked
from annotate.actions.follow_up import follow_up
from annotate.actions.keep_out import keep_out
from annotate.actions.revise import present, revise, sha256_of
from annotate.errors import AnnotateError
from annotate.models import (
    Draft,
    Exclusion,
    Judgement,
    LeaseEvent,
    Presentation,
    Queue,
    Revision,
    Slot,
    SubmitKey,
    Task,
    User,
)
from annotate.overlap import settle_overlap
from annotate.presentation import Shown, shown
from annotate.queue import clock, record_lease

KEY_DAYS = 7
MOST_KEY = 80
MOST_MS = 10**11
SENTENCES = {
    "counted": "Saved.",
    "other_slot": "Your time for this task had run out; your answer fills another place in it and counts.",
    "surplus": "Others finished this task meanwhile. Your answer is kept, outside the count, for reviewers to see.",
}


@dataclass(frozen=True)
class Times:
    """How long the answer took, as its screen saw it; null is not known. by: keyboard, pointer or api.

    Raises AnnotateError with code bad_times.
    """

    active_ms: int | None
    hidden_ms: int | None
    by: str | None

    def __post_init__(self) -> None:
        if any(ms is not None and not 0 <= ms < MOST_MS for ms in (self.active_ms, self.hidden_ms)):
            raise AnnotateError("bad_times", f"Times are null or milliseconds from 0 to {MOST_MS:,}.", field="times")
        if self.by is not None and self.by not in Presentation.Pointer.values:
            sentence = f"by is null or one of {', '.join(Presentation.Pointer.values)}."
            raise AnnotateError("bad_times", sentence, field="times")


@dataclass(frozen=True)
class Reply:
    """outcome: counted, other_slot or surplus. judgement: its uuid."""

    outcome: str
    judgement: str
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def submit(*, slot: Slot, by: User, token: str, key: str, body: object, times: Times) -> Reply:
    """Record by's answer to the task of slot, in one transaction. slot comes with its task, queue and project.

    The same key and body again get the stored reply. An answer whose lease was taken meanwhile fills another open
    slot of the task, else it is kept as surplus.

    Raises PermissionDenied where by never held a lease of this task, or wrote, edited or judged what it shows.
    Raises AnnotateError, beside what `bodies.checked` names, with code
        no_key            400: each submit carries a key of its own
        key_reused        422: the key came before, with another body
        already_answered  409, with fact `judgement`
        withdrawn         409, with fact `judgement`: by or an admin withdrew it
    """
    if not key or len(key) > MOST_KEY:
        raise AnnotateError("no_key", f"Send an Idempotency-Key of 1 to {MOST_KEY} characters.")
    digest = digest_of(slot, body)
    try:
        with transaction.atomic():
            task = Task.objects.select_for_update(no_key=True).get(pk=slot.task_id)
            task.queue = slot.queue
            reply = _stored(by, key, digest)
            if reply is None:
                reply = _submit(slot, task, by, token, body, times)
                SubmitKey.objects.create(user=by, key=key, body_sha256=digest, reply=reply.as_dict())
            return reply
    except IntegrityError:
        stored = _stored(by, key, digest)  # the same request twice at once: one of them was first
        if stored is None:
            raise
        return stored


def _submit(slot: Slot, task: Task, by: User, token: str, body: object, times: Times) -> Reply:
    current = Slot.objects.select_for_update(no_key=True).get(pk=slot.pk)
    what = shown(task, by, slot=current if current.user_id == by.pk else None)
    taken_back = _unanswered(task, by)
    _refuse_own(what, by)
    filled, outcome = _place(task, current, by, token)
    kept = checked(body, what=what)
    judgement = _judgement(taken_back, task=task, by=by, slot=filled)
    kept |= follow_up(judgement=judgement, body=kept, what=what) if filled else {}
    revision = revise(judgement, kept, what, number=1 + taken_back.last if taken_back else 1)
    present(revision, what, lease=current if current.user_id == by.pk else None, **asdict(times))
    _settle(task, filled, by)
    Draft.objects.filter(slot=slot, user=by).delete()
    return Reply(outcome=outcome, judgement=str(judgement.uuid), sentence=SENTENCES[outcome])


def _stored(by: User, key: str, digest: str) -> Reply | None:
    known = SubmitKey.objects.filter(user=by, key=key).first()
    if known is None:
        return None
    if known.body_sha256 != digest:
        sentence = "This Idempotency-Key was sent before with another body; take a new one for each answer."
        raise AnnotateError("key_reused", sentence, status=422)
    return Reply(**known.reply)


@dataclass(frozen=True)
class _TakenBack:
    judgement: Judgement
    last: int  # revision


def _unanswered(task: Task, by: User) -> _TakenBack | None:
    """The judgement that by took back, if any. Raises where one stands."""
    newest = Revision.objects.filter(judgement__task=task, judgement__user=by).order_by("-number")
    last = newest.select_related("judgement").first()
    if last is None:
        return None
    if last.kind in Revision.ANSWERS:
        sentence = "You have answered this task; change that answer instead."
        raise AnnotateError("already_answered", sentence, status=409, judgement=str(last.judgement.uuid))
    if last.kind == Revision.Kind.WITHDRAW:
        sentence = "Your answer to this task was withdrawn, so that others are asked."
        raise AnnotateError("withdrawn", sentence, status=409, judgement=str(last.judgement.uuid))
    return _TakenBack(last.judgement, last.number)


def _refuse_own(what: Shown, by: User) -> None:
    """Nobody judges own text, whatever the lease says."""
    if what.task.queue.kind == Queue.Kind.WRITE_ANSWER:
        return
    if wrote(what, by) or what.task.exclusions.filter(user=by, reason__in=Exclusion.OWN).exists():
        raise PermissionDenied("Nobody judges a text that they wrote, edited or judged before.")


def wrote(what: Shown, by: User) -> bool:
    """Whether a text that by is to judge is their own."""
    return what.task.queue.kind != Queue.Kind.WRITE_ANSWER and any(text.author_id == by.pk for text in what.texts)


def _place(task: Task, current: Slot, by: User, token: str) -> tuple[Slot | None, str]:
    """Where the answer goes: the slot that it fills, and the outcome; no slot where it is surplus."""
    if current.status == Slot.Status.LEASED and current.user_id == by.pk and current.token == token:
        return current, "counted"
    if not _held_before(task, by, token):
        raise PermissionDenied("You have never held this task.")
    if task.exclusions.filter(user=by, reason=Exclusion.Reason.SKIPPED).exists():
        raise PermissionDenied("You have skipped this task; take that back to answer it.")
    slots = Slot.objects.select_for_update(no_key=True).filter(task=task)
    again = slots.filter(user=by, status=Slot.Status.LEASED).first()
    if again:
        return again, "counted"
    if task.state in {Task.State.COMPLETE, Task.State.VOID}:
        return None, "surplus"
    if current.status == Slot.Status.OPEN:
        return current, "counted"
    other = slots.filter(status=Slot.Status.OPEN, reserved_for=None).order_by("ordinal").first()
    return (other, "other_slot") if other else (None, "surplus")


def _held_before(task: Task, by: User, token: str) -> bool:
    held = LeaseEvent.objects.filter(slot__task=task, user=by, token_sha256=sha256(token.encode()).hexdigest())
    return held.exclude(ending=LeaseEvent.Ending.SKIPPED).exists()


def _judgement(taken_back: _TakenBack | None, *, task: Task, by: User, slot: Slot | None) -> Judgement:
    if taken_back is None:
        return Judgement.objects.create(task=task, user=by, slot=slot, counted=slot is not None)
    judgement = taken_back.judgement
    judgement.slot, judgement.counted = slot, slot is not None
    judgement.save(update_fields=["slot", "counted"])
    return judgement


def _settle(task: Task, filled: Slot | None, by: User) -> None:
    """Close the slot, and the task with its last one; who gave a surplus answer is not asked again."""
    if filled is None:
        keep_out(task=task, user=by, reason=Exclusion.Reason.SURPLUS)
        return
    if filled.status == Slot.Status.LEASED:
        record_lease(filled, ending=LeaseEvent.Ending.SUBMITTED)
    filled.status, filled.user, filled.lease_until = Slot.Status.DONE, by, None
    filled.save(update_fields=["status", "user", "lease_until"])
    wanted = Slot.objects.filter(task=OuterRef("pk"), status__in=[Slot.Status.OPEN, Slot.Status.LEASED])
    Task.objects.filter(~Exists(wanted), pk=task.pk, state=Task.State.ADMITTED).update(state=Task.State.COMPLETE)
    settle_overlap(task)


def forget_keys() -> int:
    """Remove the keys that are over a week old; how many."""
    return SubmitKey.objects.filter(created_at__lt=clock() - timedelta(days=KEY_DAYS)).delete()[0]


def digest_of(slot: Slot, body: object) -> str:
    """What tells one request from another that carries the same key."""
    return sha256_of([str(slot.uuid), body])
