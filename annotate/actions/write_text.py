"""Store what a person wrote."""

from __future__ import annotations

from hashlib import sha256

from annotate.models import Text, User


def write_text(
    body: str, *, kind: str, author: User, parent: Text | None, beside: Text, edited_from: Text | None = None
) -> Text:
    """A new text in the project and split group of beside; an edit keeps where its original came from."""
    return Text.objects.create(
        project_id=beside.project_id,
        group_id=beside.group_id,
        kind=kind,
        body=body,
        sha256=sha256(body.encode()).hexdigest(),
        origin=Text.Origin.HUMAN,
        author=author,
        parent=parent,
        edited_from=edited_from,
        source_id=edited_from.source_id if edited_from else None,
        address=edited_from.address if edited_from else "",
        licence=edited_from.licence if edited_from else "",
        language=beside.language,
    )
