"""Keep what a person has typed and not sent."""

from __future__ import annotations

import json
from typing import Any  # a draft is JSON in the client's form

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models.functions import Now

from annotate.errors import AnnotateError
from annotate.models import Draft, Slot, Text, User

MOST_BYTES = 2 * Text.MAX_BYTES


@transaction.atomic
def save_draft(*, slot: Slot, by: User, body: dict[str, Any], if_match: int | None) -> Draft:
    """The draft with its new version. if_match: the version that the client knows; None where it knows of none.

    A draft may be saved after the lease ran out: the screen still shows the text.

    Raises AnnotateError with code
        draft_conflict   412, with facts `version` and `body`: another tab saved meanwhile
        too_long         a draft over 400 kB
    """
    if slot.user_id != by.pk and not slot.lease_events.filter(user=by).exists():
        raise PermissionDenied
    if len(json.dumps(body, ensure_ascii=False).encode()) > MOST_BYTES:
        raise AnnotateError("too_long", f"A draft may have {MOST_BYTES:,} bytes at most.", field="body")
    draft = Draft.objects.select_for_update().filter(slot=slot, user=by).first()
    if (draft.version if draft else None) != if_match:
        known: dict[str, object] = {"version": draft.version, "body": draft.body} if draft else {"version": None}
        sentence = "This draft was saved elsewhere meanwhile; choose which of the two to keep."
        raise AnnotateError("draft_conflict", sentence, status=412, **known)
    if draft is None:
        return Draft.objects.create(slot=slot, user=by, body=body)
    Draft.objects.filter(pk=draft.pk).update(body=body, version=draft.version + 1, saved_at=Now())
    draft.refresh_from_db()
    return draft
