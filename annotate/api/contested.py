"""What reviewers decide beside tasks: parked and disputed tasks, and people who are paused."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.response import Response

from annotate import contested
from annotate.access import pause_for, project_for, refuse_without, task_for
from annotate.actions.pause import end_pause, pause
from annotate.actions.unpark import park, unpark
from annotate.api import inputs, outputs
from annotate.api.operations import Json, Operation, Request, operation
from annotate.api.paging import OfProject, page
from annotate.models import Queue, Role, Task, Token

REVIEWERS = (Role.REVIEWER, Role.ADMIN)
START = 200


class Tasks(Operation):
    @operation("Tasks that are parked or disputed", query=inputs.TasksQuery, returns=outputs.ContestedOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=REVIEWERS)
        rows = {"parked": contested.parked, "disputed": contested.disputed}[self.query["which"]](project)
        return page(self, rows, _shown, newest_first=False)


class Unpark(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Ask for the answers of a parked task again", returns=outputs.ContestedOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        return _done(self, request, id, unpark)


class Park(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Ask nobody about a task until it is unparked", returns=outputs.ContestedOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        return _done(self, request, id, park)


class Pauses(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("People who get no tasks of a queue", query=OfProject, returns=outputs.PauseOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=REVIEWERS)
        return page(self, contested.pauses(project), outputs.PauseOut.all_of, newest_first=True)

    @operation(
        "Give a person no tasks of a queue until this ends",
        body=inputs.PauseIn,
        returns=outputs.PauseOut,
        status=201,
        errors=(403, 404, 409, 422),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        visible = Queue.objects.visible_to(request.user).select_related("project")
        queue = get_object_or_404(visible, uuid=body["queue"])
        refuse_without(request.user, queue.project, role=REVIEWERS)
        made = pause(queue=queue, person=body["person"], by=request.user, note=body["note"])
        return Response(outputs.PauseOut(made).data, status=201)


class OnePause(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("End a pause", returns=None, status=204, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        end_pause(pause=pause_for(request.user, id, role=REVIEWERS), by=request.user)
        return Response(status=204)


def _done(view: Operation, request: Request, uuid: UUID, act: Callable[..., None]) -> Response:
    task = task_for(request.user, uuid, role=REVIEWERS)
    _ = view.body
    act(task=task)
    task.refresh_from_db(fields=["state", "disputed"])
    return Response(_shown([task])[0])


def _shown(tasks: list[Task]) -> list[Json]:
    """Three queries."""
    keys = [task.pk for task in tasks]
    about, skipped, given = contested.beginnings(keys), contested.skips(keys), contested.answers(keys)
    return [
        {
            "id": str(task.uuid),
            "queue": str(task.queue.uuid),
            "kind": task.queue.kind,
            "state": task.state,
            "disputed": task.disputed,
            "about": about.get(task.pk, "")[:START],
            "skips": [{"reason": reason, "people": count} for reason, count in skipped.get(task.pk, ([], []))[0]],
            "notes": skipped.get(task.pk, ([], []))[1],
            "answers": len(given.get(task.pk, ())),
        }
        for task in tasks
    ]
