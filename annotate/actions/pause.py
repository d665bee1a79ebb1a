"""Keep a person from taking tasks of a queue, for as long as a reviewer says."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Queue, QueuePause, User
from annotate.queue import clock

MOST_NOTE = 500


@transaction.atomic
def pause(*, queue: Queue, person: str, by: User, note: str) -> QueuePause:
    """The pause. What the person holds they may finish; what they gave counts on.

    person: a pseudonym of the project, as reviewers know no names.

    Raises AnnotateError with code
        no_person        422: nobody in the project goes by it
        already_paused   409
        bad_note         the note is too long
    """
    if len(note) > MOST_NOTE:
        raise AnnotateError("bad_note", f"A note has at most {MOST_NOTE} characters.", field="note")
    user = _known(queue, person)
    Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
    if queue.pauses.filter(user=user, ended_at=None).exists():
        raise AnnotateError("already_paused", "This person is paused in this queue already.", status=409)
    return QueuePause.objects.create(queue=queue, user=user, by=by, note=note.strip())


def end_pause(*, pause: QueuePause, by: User) -> None:
    """Raises AnnotateError 409 with code not_paused where it has ended."""
    running = QueuePause.objects.filter(pk=pause.pk, ended_at=None)
    if not running.update(ended_at=clock(), ended_by=by):
        raise AnnotateError("not_paused", "This pause has ended already.", status=409)


def _known(queue: Queue, pseudonym: str) -> User:
    members = User.objects.filter(memberships__project=queue.project_id).distinct()
    found = next((user for user in members if user.pseudonym(queue.project) == pseudonym), None)
    if found is None:
        sentence = "Nobody in this project goes by that pseudonym."
        raise AnnotateError("no_person", sentence, status=422, field="person")
    return found
