"""Who may: fetch an object for a person, or refuse, in one move.

404 where the person has no membership in its project, or where it is another person's; 403 where they are a member
without the role. Roles are read anew each time. The two that come before each answer are one statement each.
"""

from __future__ import annotations

from typing import Any  # columns of a database's row
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404
from django.shortcuts import get_object_or_404

from annotate.models import (
    GameRound,
    Hiding,
    Import,
    Judgement,
    Objection,
    Project,
    Queue,
    QueuePause,
    QuizTry,
    Role,
    Slot,
    Source,
    Task,
    Text,
    User,
)
from annotate.rows import Columns, run

Roles = str | tuple[str, ...] | None

WORKERS: dict[str, tuple[str, ...]] = {
    Queue.Kind.CLEAN: (Role.REVIEWER,),
    Queue.Kind.WRITE_ANSWER: (Role.ASSESSOR, Role.REVIEWER),
    Queue.Kind.REVIEW_ANSWER: (Role.REVIEWER,),
    Queue.Kind.RANK: (Role.ASSESSOR, Role.REVIEWER),
    Queue.Kind.PAIR: (Role.ASSESSOR, Role.REVIEWER),
    Queue.Kind.RATE: (Role.ASSESSOR, Role.REVIEWER),
    Queue.Kind.REPAIR: (Role.ASSESSOR, Role.REVIEWER),
}

SLOT, TASK, QUEUE, PROJECT = Columns(Slot), Columns(Task), Columns(Queue), Columns(Project)
OF_MEMBER = """
JOIN annotate_project p ON p.id = q.project_id
JOIN annotate_membership m ON m.project_id = p.id AND m.user_id = %(user)s
"""
WORK = f"""
SELECT m.role, {QUEUE.of("q")}, {PROJECT.of("p")} FROM annotate_queue q {OF_MEMBER} WHERE q.uuid = %(uuid)s
"""
OWN_SLOT = f"""
SELECT m.role, {QUEUE.of("q")}, {PROJECT.of("p")}, {SLOT.of("s")}, {TASK.of("t")}
FROM annotate_slot s JOIN annotate_task t ON t.id = s.task_id JOIN annotate_queue q ON q.id = s.queue_id {OF_MEMBER}
WHERE s.uuid = %(uuid)s AND (s.user_id = %(user)s
  OR EXISTS (SELECT 1 FROM annotate_leaseevent e WHERE e.slot_id = s.id AND e.user_id = %(user)s))
"""  # a row for each role of the person


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
    """The queue with its project, if user's roles let them take its tasks."""
    queue, _ = _open_to(user, WORK, uuid)
    return queue


def task_for(user: User, uuid: UUID, *, role: Roles = None) -> Task:
    task = get_object_or_404(Task.objects.visible_to(user).select_related("queue__project"), uuid=uuid)
    refuse_without(user, task.queue.project, role=role)
    return task


def slot_for(user: User, uuid: UUID) -> Slot:
    """The slot, if user holds it or held it once (late work is never dropped), and may still work in its queue."""
    queue, rest = _open_to(user, OWN_SLOT, uuid)
    slot = SLOT.row(rest[: len(SLOT)])
    slot.queue, slot.task = queue, TASK.row(rest[len(SLOT) :])
    slot.task.queue = queue
    return slot


def _open_to(user: User, sql: str, uuid: UUID) -> tuple[Queue, Any]:
    """The queue that sql finds, and what else it selects; Http404, or PermissionDenied without a role for its work."""
    rows = run(sql, {"user": user.pk, "uuid": _stored_uuid(uuid)}).fetchall()
    if not rows:
        raise Http404
    found = rows[0][1:]
    queue = QUEUE.row(found[: len(QUEUE)])
    queue.project = PROJECT.row(found[len(QUEUE) : len(QUEUE) + len(PROJECT)])
    if not user.is_active or not {row[0] for row in rows} & set(WORKERS[queue.kind]):
        raise PermissionDenied
    return queue, found[len(QUEUE) + len(PROJECT) :]


def _stored_uuid(uuid: UUID) -> Any:
    return Queue._meta.get_field("uuid").get_db_prep_value(uuid, connection)


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


def pause_for(user: User, uuid: UUID, *, role: Roles = None) -> QueuePause:
    visible = QueuePause.objects.filter(queue__project__in=Project.objects.visible_to(user))
    pause = get_object_or_404(visible.select_related("queue__project", "user"), uuid=uuid)
    refuse_without(user, pause.queue.project, role=role)
    return pause


def hiding_for(user: User, uuid: UUID) -> Hiding:
    """What user hides, in a project that they are still in."""
    visible = Hiding.objects.filter(user=user, project__in=Project.objects.visible_to(user))
    return get_object_or_404(visible.select_related("project"), uuid=uuid)


def objection_for(user: User, uuid: UUID, *, role: Roles = None) -> Objection:
    """The objection, if it is user's own, or user reviews or administers its project."""
    rows = Objection.objects.filter(task__queue__project__in=Project.objects.visible_to(user))
    found = get_object_or_404(
        rows.select_related("user", "task__queue__project", "task__follows__task__queue__project"), uuid=uuid
    )
    held = user.roles(found.task.queue.project)
    if found.user_id != user.pk and not held & {Role.REVIEWER, Role.ADMIN}:
        raise Http404
    if wanted_of(role) and not held & wanted_of(role):
        raise PermissionDenied
    return found


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
