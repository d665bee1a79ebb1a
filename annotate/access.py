"""Who may: fetch an object for a person, or refuse, in one move.

404 where the person has no membership in its project, or where it is another person's; 403 where they are a member
without the role. Roles are read anew each time.
"""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404

from annotate.models import GameRound, Import, Judgement, Project, Queue, QuizTry, Role, Slot, Source, Task, Text, User

Roles = str | tuple[str, ...] | None

WORKERS: dict[str, tuple[str, ...]] = {
    Queue.Kind.CLEAN: (Role.REVIEWER,),
    Queue.Kind.WRITE_ANSWER: (Role.ASSESSOR, Role.REVIEWER),
    Queue.Kind.REVIEW_ANSWER: (Role.REVIEWER,),
    Queue.Kind.RANK: (Role.ASSESSOR, Role.REVIEWER),
}


def project_for(user: User, uuid: UUID, *, role: Roles = None) -> Project:
    """The project, if user may act on it as one of the roles. At most two queries, as in all of these."""
    project = get_object_or_404(Project.objects.visible_to(user), uuid=uuid)
    refuse_without(user, project, role=role)
    return project


def own_project_for(user: User, wanted: str) -> Project:
    """The project of that uuid, where user is a member; else their first. PermissionDenied for who is in none."""
    projects = list(Project.objects.visible_to(user).order_by("pk"))
    if not projects:
        raise PermissionDenied
    return next((one for one in projects if str(one.uuid) == wanted), projects[0])


def queue_for(user: User, uuid: UUID, *, role: Roles = None) -> Queue:
    queue = get_object_or_404(Queue.objects.visible_to(user).select_related("project"), uuid=uuid)
    refuse_without(user, queue.project, role=role)
    return queue


def work_for(user: User, uuid: UUID) -> Queue:
    """The queue, if user's roles let them take its tasks."""
    queue = queue_for(user, uuid)
    refuse_without(user, queue.project, role=WORKERS[queue.kind])
    return queue


def task_for(user: User, uuid: UUID, *, role: Roles = None) -> Task:
    task = get_object_or_404(Task.objects.visible_to(user).select_related("queue__project"), uuid=uuid)
    refuse_without(user, task.queue.project, role=role)
    return task


def slot_for(user: User, uuid: UUID) -> Slot:
    """The slot, if user holds it or held it once (late work is never dropped), and may still work in its queue."""
    own = Slot.objects.visible_to(user).filter(Q(user=user) | Q(lease_events__user=user)).distinct()
    slot = get_object_or_404(own.select_related("task", "queue__project"), uuid=uuid)
    refuse_without(user, slot.queue.project, role=WORKERS[slot.queue.kind])
    return slot


def judgement_for(user: User, uuid: UUID, *, role: Roles = None) -> Judgement:
    """The judgement, if it is user's own, or user reviews or administers its project."""
    rows = Judgement.objects.visible_to(user).select_related("task__queue__project", "user", "slot")
    judgement = get_object_or_404(rows, uuid=uuid)
    held = user.roles(judgement.task.queue.project)
    if judgement.user_id != user.pk and not held & {Role.REVIEWER, Role.ADMIN}:
        raise Http404
    if wanted_of(role) and not held & wanted_of(role):
        raise PermissionDenied
    return judgement


def text_for(user: User, uuid: UUID, *, role: Roles = None) -> Text:
    rows = Text.objects.visible_to(user).select_related("project", "source", "group")
    text = get_object_or_404(rows, uuid=uuid)
    refuse_without(user, text.project, role=role)
    return text


def import_for(user: User, uuid: UUID, *, role: Roles = None) -> Import:
    found = get_object_or_404(Import.objects.visible_to(user).select_related("source__project", "by"), uuid=uuid)
    refuse_without(user, found.source.project, role=role)
    return found


def source_for(user: User, uuid: UUID, *, role: Roles = None) -> Source:
    source = get_object_or_404(Source.objects.visible_to(user).select_related("project"), uuid=uuid)
    refuse_without(user, source.project, role=role)
    return source


def quiz_for(user: User, uuid: UUID) -> QuizTry:
    """The try, if it is user's own."""
    return get_object_or_404(QuizTry.objects.filter(user=user), uuid=uuid)


def round_for(user: User, uuid: UUID) -> GameRound:
    """The round, if it is user's own."""
    rows = GameRound.objects.visible_to(user).select_related("paragraph__start", "project")
    return get_object_or_404(rows, uuid=uuid)


def may_work(user: User, queue: Queue) -> bool:
    return bool(user.roles(queue.project) & set(WORKERS[queue.kind]))


def refuse_without(user: User, project: Project, *, role: Roles) -> None:
    """Nothing where user holds one of the roles; else PermissionDenied. One query, none where role is None."""
    wanted = wanted_of(role)
    if wanted and not wanted & user.roles(project):
        raise PermissionDenied


def wanted_of(role: Roles) -> set[str]:
    return {role} if isinstance(role, str) else set(role or ())
