"""What people say of texts, of one kind of task: of each text one decision, or that they disagree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Prefetch

from annotate.exports.rows import Json, person_of
from annotate.models import Project, Revision, Task, TaskText, Text


@dataclass(frozen=True)
class Decision:
    """What people say of one text. kind: that of all of them, or `disagreed`; revision: the newest."""

    kind: str
    revision: Revision

    @property
    def edit_id(self) -> int | None:
        return self.revision.answer.get("text_id") if self.kind == "edit" else None

    def provenance(self, project: Project) -> Json:
        user = self.revision.judgement.user
        return {"decision": self.kind, "revision": str(self.revision.uuid), **person_of(user, project)}


def decisions_of(texts: Sequence[Text], *, kind: str, part: str) -> dict[int, Decision]:
    """What people say of these texts and of those that they replace, by text."""
    ids = {text.pk for text in texts} | {text.edited_from_id for text in texts if text.edited_from_id}
    shown = TaskText.objects.filter(part=part)
    revisions = (
        Revision.objects.counted()
        .filter(judgement__task__queue__kind=kind, judgement__task__task_texts__in=shown.filter(text__in=ids))
        .select_related("judgement__user", "judgement__task")
        .prefetch_related(Prefetch("judgement__task__task_texts", queryset=shown, to_attr="judged"))
    )
    by_text: dict[int, list[Revision]] = defaultdict(list)
    for revision in revisions.order_by("pk"):
        for row in _judged(revision.judgement.task):
            by_text[row.text_id].append(revision)
    return {text_id: _agreed(found) for text_id, found in by_text.items()}


def _judged(task: Task) -> list[TaskText]:
    rows: list[TaskText] = task.judged  # type: ignore[attr-defined]  # the prefetch's to_attr
    return rows


def _agreed(revisions: Sequence[Revision]) -> Decision:
    kinds = {revision.answer["decision"] for revision in revisions}
    return Decision(kind=kinds.pop() if len(kinds) == 1 else "disagreed", revision=revisions[-1])


def decided_of(text: Text, decisions: Mapping[int, Decision]) -> Mapping[int, Decision] | None:
    """The decisions, or None where text is not the one that counts: replaced by an edit, or an edit taken back."""
    own = decisions.get(text.pk)
    if own and own.kind == "edit":
        return None
    if text.edited_from_id:
        original = decisions.get(text.edited_from_id)
        return decisions if original and original.edit_id == text.pk else None
    return decisions
