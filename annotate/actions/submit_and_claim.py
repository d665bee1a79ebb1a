"""Take an answer and hand out the next task, in one short transaction where all is as usual.

What is read, checked and rendered comes before the transaction or after it: on SQLite everybody who writes waits while
it is open, on PostgreSQL whoever has the same task. Whatever is unusual goes the whole way of `submit` and `claim`.
"""

from __future__ import annotations

import json
import uuid
from functools import cache
from hashlib import sha256
from typing import Any  # values of statements; bodies are JSON

from django.db import IntegrityError, connection, transaction

from annotate.actions.bodies import checked
from annotate.actions.follow_up import follow_up
from annotate.actions.revise import sha256_of
from annotate.actions.submit import MOST_KEY, SENTENCES, Reply, Times, digest_of, submit, wrote
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Slot, User
from annotate.overlap import settle_overlap
from annotate.presentation import Shown, app_version, content_sha256, order_of, shown
from annotate.qualification import waits_for_quiz
from annotate.queue import Claim, claim, clock_sql, take_open, why
from annotate.rows import Part, together

Json = dict[str, Any]

OWN = ", ".join(f"'{reason}'" for reason in Exclusion.OWN)
FILL = f"""
UPDATE annotate_slot SET status = 'done', lease_until = NULL {{locked}}
WHERE annotate_slot.id = %(slot)s AND status = 'leased' AND user_id = %(user)s AND token = %(token)s
  AND NOT EXISTS (SELECT 1 FROM annotate_exclusion e
    WHERE e.task_id = %(task)s AND e.user_id = %(user)s AND e.reason IN ({OWN}))
"""
LOCK_TASK = "WITH t AS MATERIALIZED (SELECT 1 AS held FROM annotate_task WHERE id = %(task)s FOR NO KEY UPDATE)"
JUDGE = """
INSERT INTO annotate_judgement (uuid, task_id, user_id, slot_id, counted)
VALUES (%(judgement_uuid)s, %(task)s, %(user)s, {filled.id}, TRUE) ON CONFLICT DO NOTHING
"""
KEEP_KEY = """
INSERT INTO annotate_submitkey (user_id, key, body_sha256, reply)
VALUES ({judgement.user_id}, %(key)s, %(digest)s, %(reply)s) ON CONFLICT DO NOTHING
"""  # each of the three names the one before: no key waits for another's task, and no task for another's key
REVISE = """
INSERT INTO annotate_revision
  (uuid, judgement_id, number, kind, body, sha256, guideline_version, queue_settings_version, app_version)
VALUES (%(revision_uuid)s, %(judgement_id)s, 1, 'submit', %(body)s, %(body_sha256)s, %(guideline)s, %(settings)s,
  %(app)s)
"""
PRESENT = """
INSERT INTO annotate_presentation
  (revision_id, "order", seed, payload_sha256, shown_at, first_input_at, active_ms, hidden_ms, "by")
VALUES ({revision.id}, %(order)s, %(seed)s, %(payload_sha256)s, %(filled_shown_at)s, %(filled_first_input_at)s,
  %(active_ms)s, %(hidden_ms)s, %(by)s)
"""
END_LEASE = """
INSERT INTO annotate_leaseevent (slot_id, user_id, token_sha256, started_at, ended_at, ending)
VALUES (%(slot)s, %(user)s, %(token_sha256)s, %(filled_leased_at)s, {now}, 'submitted')
"""
COMPLETE = """
UPDATE annotate_task SET state = 'complete' WHERE id = %(task)s AND state = 'admitted' AND NOT EXISTS (
  SELECT 1 FROM annotate_slot s WHERE s.task_id = %(task)s AND s.status IN ('open', 'leased'))
"""
FORGET_DRAFT = "DELETE FROM annotate_draft WHERE slot_id = %(slot)s AND user_id = %(user)s"
KEEP = (
    Part("revision", REVISE, ("id",)),
    Part("presentation", PRESENT),
    Part("lease", END_LEASE),
    Part("task", COMPLETE),
    Part("draft", FORGET_DRAFT),
)


class _Unusual(Exception):
    """Not the ordinary answer: what was written so far goes back."""


def submit_and_claim(*, slot: Slot, by: User, token: str, key: str, body: object, times: Times) -> tuple[Reply, Claim]:
    """Record by's answer to the task of slot and lease the next task of its queue to them.

    slot comes as `access.slot_for` gives it. Some dozen statements where by's lease is their own, the answer their
    first, the key new and a slot open. Raises as `submit` does.
    """
    found = _at_once(slot, by, token, key, body, times)
    if found is None:
        return submit(slot=slot, by=by, token=token, key=key, body=body, times=times), claim(slot.queue, by)
    reply, following = found
    return reply, Claim(slot=following, why=why(following)) if following else claim(slot.queue, by)


def _at_once(
    slot: Slot, by: User, token: str, key: str, body: object, times: Times
) -> tuple[Reply, Slot | None] | None:
    """The reply and the next slot, if one is open; None where something is unusual, and then nothing has happened."""
    held = slot.status == Slot.Status.LEASED and slot.user_id == by.pk and slot.token == token
    if not held or not 0 < len(key) <= MOST_KEY:
        return None
    what = shown(slot.task, by, slot=slot)
    if wrote(what, by):
        return None
    try:
        kept = checked(body, what=what)
    except AnnotateError:
        return None  # whether the body, or what else about the answer, is told first, is for `submit` to say
    goes_on = not slot.queue.closed_at and not waits_for_quiz(slot.queue.project, by)
    reply = Reply(outcome="counted", judgement=str(uuid.uuid4()), sentence=SENTENCES["counted"])
    values = _values(slot, key, what, times, reply) | {"digest": digest_of(slot, body)}
    try:
        with transaction.atomic():
            _record(values, kept, what)
            return reply, take_open(slot.queue, by) if goes_on else None
    except (_Unusual, IntegrityError):
        return None


def _values(slot: Slot, key: str, what: Shown, times: Times, reply: Reply) -> Json:
    """What the statements need that is known beforehand."""
    return {
        "slot": slot.pk,
        "task": slot.task_id,
        "user": what.user.pk,
        "token": slot.token,
        "token_sha256": sha256((slot.token or "").encode()).hexdigest(),
        "key": key,
        "reply": json.dumps(reply.as_dict()),
        "judgement_uuid": uuid.UUID(reply.judgement).hex,
        "revision_uuid": uuid.uuid4().hex,
        "guideline": what.guideline,
        "settings": slot.queue.settings_version,
        "app": app_version(),
        "order": json.dumps(order_of(what)),
        "seed": what.seed,
        "payload_sha256": content_sha256(what),
        "active_ms": times.active_ms,
        "hidden_ms": times.hidden_ms,
        "by": times.by,
    }


def _record(values: Json, kept: Json, what: Shown) -> None:
    """Write the answer. Raises _Unusual where the lease, the key or an earlier answer is not as it should be.

    The lock order is that of `submit`: task, slot. What asks whether the task is complete comes after its lock, in a
    statement of its own, so that it sees what those before wrote.
    """
    now = clock_sql(values)
    if not together(_take(connection.vendor), values, now=now):
        raise _Unusual
    kept |= follow_up(judgement=_judgement(values, what), body=kept, what=what)
    values |= {"body": json.dumps(kept), "body_sha256": sha256_of(kept)}
    together(KEEP, values, now=now)
    settle_overlap(what.task)


@cache
def _take(vendor: str) -> tuple[Part, ...]:
    """The slot is filled, by this person's only answer to the task, under a new key."""
    fill = LOCK_TASK + FILL.format(locked="FROM t") if vendor == "postgresql" else FILL.format(locked="")
    return (
        Part("filled", fill, ("id", "leased_at", "shown_at", "first_input_at")),
        Part("judgement", JUDGE, ("id", "user_id")),
        Part("key", KEEP_KEY, ("id",)),
    )


def _judgement(values: Json, what: Shown) -> Judgement:
    """The row just written, for what the answer sets off."""
    return Judgement(pk=values["judgement_id"], task=what.task, user=what.user, slot_id=values["slot"])
