"""What an answer sets off: a text that it wrote, and the next task about that text."""

from __future__ import annotations

from typing import Any  # bodies are JSON

from django.db.models import QuerySet
from django.utils.timezone import now

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.keep_out import keep_out
from annotate.actions.notices import shelve_answer
from annotate.actions.recluster import stand_alone, step_down
from annotate.actions.write_prompt import write_prompt
from annotate.actions.write_text import write_text
from annotate.models import (
    Exclusion,
    GameParagraph,
    Judgement,
    LeaseEvent,
    Queue,
    Revision,
    Slot,
    Task,
    TaskText,
    Text,
    User,
)
from annotate.presentation import Shown
from annotate.queue import end_lease

Json = dict[str, Any]


def follow_up(*, judgement: Judgement, body: Json, what: Shown) -> Json:
    """Do what the answer asks for; returns what the stored body holds beside it.

    That is {text_id} of a text that it wrote, {prompt_id} where it wrote the prompt too; of a ranking {better_ids}, by
    the key of the answer that each improves.
    """
    kind = what.task.queue.kind
    if kind == Queue.Kind.WRITE_ANSWER:
        return _ask_for_review(judgement, body, what)
    if kind == Queue.Kind.RANK:
        return _improve_each(judgement, body.get("better", {}), what)
    if what.document and what.document.cluster_id and body["decision"] == "keep":
        stand_alone(what.document)
    if what.document and body["decision"] == "reject":
        step_down(what.document)
    if what.document and body["decision"] != "keep":
        GameParagraph.objects.filter(text=what.document, retired_at=None).update(retired_at=now())
    if kind == Queue.Kind.REVIEW_ANSWER and body["decision"] == "return":
        _give_back(judgement, what)
    if body.get("decision") == "edit" or kind == Queue.Kind.REPAIR:
        return _replace(body["text"], what)
    return {}


def take_back(*, judgement: Judgement) -> None:
    """Undo what an answer set off: tasks that it built and nobody has answered are void. Its texts stay, uncounted."""
    void_tasks(Task.objects.filter(follows=judgement, judgements=None))
    if judgement.task.queue.kind == Queue.Kind.CLEAN:
        _play_again(judgement)


def _play_again(judgement: Judgement) -> None:
    """Its document is played again in the game, unless another answer rejects or edits it."""
    retired = GameParagraph.objects.filter(text__tasks=judgement.task_id, retired_at__isnull=False)
    documents = set(retired.values_list("text", flat=True))
    others = Revision.objects.counted().filter(judgement__task__texts__in=documents).exclude(judgement=judgement)
    if documents and all(other.answer.get("decision") == "keep" for other in others):
        GameParagraph.objects.filter(text__in=documents).update(retired_at=None)


def void_tasks(tasks: QuerySet[Task]) -> None:
    """Ask nobody any more. tasks: that nobody has answered."""
    for task in tasks.select_for_update(no_key=True, of=("self",)):
        task.state = Task.State.VOID
        task.save(update_fields=["state"])
        for slot in task.slots.filter(status=Slot.Status.LEASED):
            slot.task = task
            end_lease(slot, ending=LeaseEvent.Ending.RELEASED)  # what its holder sends is kept as surplus
        task.slots.filter(status=Slot.Status.OPEN).update(status=Slot.Status.VOID)


def _ask_for_review(judgement: Judgement, body: Json, what: Shown) -> Json:
    found: Json = {}
    if what.asks_instruction:
        prompt = write_prompt(body["instruction"], author=what.user, project_id=what.task.queue.project_id)
        found["prompt_id"] = prompt.pk
    else:
        prompt = what.prompt[-1]
    answer = write_text(body["text"], kind=Text.Kind.ANSWER, author=what.user, parent=prompt, beside=prompt)
    shelve_answer(answer)
    _review(answer, prompt, judgement)
    return found | {"text_id": answer.pk}


def _improve_each(judgement: Judgement, better: Json, what: Shown) -> Json:
    before = {str(text.pk): text for text in what.answers}
    ids = {
        key: improve(body, before=before[key], judgement=judgement, what=what).pk
        for key, body in better.items()
        if body is not None
    }
    return {"better_ids": ids} if ids else {}


def improve(body: str, *, before: Text, judgement: Judgement, what: Shown) -> Text:
    """A better answer in the place of before, by who judges it. It goes to review as any other that a person wrote."""
    prompt = what.prompt[-1]
    answer = write_text(
        body, kind=Text.Kind.ANSWER, author=what.user, parent=before.parent or prompt, beside=before, edited_from=before
    )
    _exclude_editor(before, by=what.user, but=what.task)
    _review(answer, prompt, judgement)
    return answer


def _review(answer: Text, prompt: Text, judgement: Judgement) -> None:
    """Ask a reviewer about what a person wrote."""
    queue = Queue.objects.filter(project=prompt.project_id, kind=Queue.Kind.REVIEW_ANSWER).order_by("pk").first()
    if queue:
        texts = [(prompt, TaskText.Part.PROMPT), (answer, TaskText.Part.ANSWER)]
        build_tasks(queue=queue, items=[TaskItem(texts=texts, follows=judgement)])


def _give_back(judgement: Judgement, what: Shown) -> None:
    """Ask the author for a better answer, where it was written; everybody where the author is not known.

    Who wrote the prompt too may change both.
    """
    answer, review = what.answers[0], judgement.task
    before = review.follows.task if review.follows else None
    written = before if before and before.queue.kind == Queue.Kind.WRITE_ANSWER else None
    queue = written.queue if written else Queue.objects.to_answer(answer.project_id)
    pair = written is not None and not written.task_texts.exists()
    if queue:
        texts = [] if pair else [(what.prompt[-1], TaskText.Part.PROMPT)]
        build_tasks(queue=queue, items=[TaskItem(texts=texts, follows=judgement, reserved_for=answer.author)])


def _replace(body: str, what: Shown) -> Json:
    before = what.document or what.answers[0]
    edit = write_text(body, kind=before.kind, author=what.user, parent=before.parent, beside=before, edited_from=before)
    _exclude_editor(before, by=what.user, but=what.task)
    return {"text_id": edit.pk}


def _exclude_editor(text: Text, *, by: User, but: Task) -> None:
    """Who edited a text judges it nowhere else."""
    waiting = Task.objects.filter(texts=text, state__in=[Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED])
    for task in waiting.exclude(pk=but.pk):
        keep_out(task=task, user=by, reason=Exclusion.Reason.EDITOR)
