"""The task loop: claim, heartbeat, draft, submit, skip."""

from __future__ import annotations

import re
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.response import Response

from annotate.access import hiding_for, project_for, queue_for, slot_for, work_for
from annotate.actions.add_queue import add_queue
from annotate.actions.change_queue import change_queue
from annotate.actions.discard_draft import discard_draft
from annotate.actions.fill_queue import fill_queue
from annotate.actions.hide import hide, show_again
from annotate.actions.save_draft import save_draft
from annotate.actions.skip import skip
from annotate.actions.submit import Times
from annotate.actions.submit_and_claim import submit_and_claim
from annotate.actions.undo_skip import undo_skip
from annotate.api import at_work, inputs, outputs
from annotate.api.hot import HotOperation
from annotate.api.operations import Json, Operation, Request, operation, unchanged_or_refuse
from annotate.api.paging import OfProject, page
from annotate.api.people import IF_MATCH
from annotate.api.problems import Problem
from annotate.models import Draft, Hiding, Queue, Role, Task, Token, User
from annotate.presentation import payload
from annotate.queue import Claim as Taken
from annotate.queue import claim, heartbeat, release
from annotate.rates import count_claim, count_submit

KEY = {"Idempotency-Key": "Made when the task is shown, 1 to 80 characters; the same answer sent again carries it too."}
VERSION = {"If-Match": "The version of the draft that is known here; left out where none is."}


class Queues(Operation):
    @operation("The queues of a project", query=inputs.QueuesQuery, returns=outputs.QueueOut, paged=True)
    def get(self, request: Request) -> Response:
        rows = _counted().filter(project=project_for(request.user, self.query["project"]))
        if "kind" in self.query:
            rows = rows.filter(kind=self.query["kind"])
        return page(self, rows, outputs.QueueOut.all_of, newest_first=False)

    @operation(
        "Add a queue; it gets tasks by `fill`, and by each run that generates answers",
        body=inputs.QueueIn,
        returns=outputs.QueueOut,
        status=201,
        errors=(403, 404, 409),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        queue = add_queue(project=project, kind=body["kind"], name=body["name"])
        return Response(outputs.QueueOut(_counted().get(pk=queue.pk)).data, status=201)


class OneQueue(Operation):
    @operation("A queue", returns=outputs.QueueOut)
    def get(self, request: Request, id: UUID) -> Response:
        return _shown(queue_for(request.user, id))

    @operation(
        "Change a queue's rules; they hold for tasks admitted from now on",
        body=inputs.QueueChangeIn,
        returns=outputs.QueueOut,
        headers=IF_MATCH,
        errors=(403, 404, 409, 412),
    )
    def patch(self, request: Request, id: UUID) -> Response:
        queue = queue_for(request.user, id, role=Role.ADMIN)
        unchanged_or_refuse(request, str(queue.settings_version))
        return _shown(change_queue(queue=queue, **self.body))


class Fill(Operation):
    @operation(
        "Build tasks about models' answers, or about answers rated low, that this queue has not asked about; or so "
        "many that ask for an instruction and its answer",
        body=inputs.FillIn,
        returns=outputs.FilledOut,
    )
    def post(self, request: Request, id: UUID) -> Response:
        queue = queue_for(request.user, id, role=Role.ADMIN)
        return Response({"made": fill_queue(queue=queue, **self.body).made})


class Claim(HotOperation):
    scope = Token.Scope.ANNOTATE

    @operation("Take the next task", returns=at_work.ClaimOut, errors=(403, 404, 429))
    def post(self, request: Request, id: UUID) -> Response:
        return super().post(request, id)

    def ordinary(self, data: object) -> Json | None:
        return {} if data == {} else None

    def act(self, user: User, body: Json, *, id: UUID, key: str) -> Json:
        queue = work_for(user, id)
        count_claim(user)
        return as_json(claim(queue, user))


class OneSlot(Operation):
    @operation("The task that I hold", returns=at_work.TaskOut, errors=(403, 404, 409))
    def get(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        if slot.user_id != request.user.pk:
            raise Problem("lease_lost", "Your time for this task ran out, and somebody else has it.", status=409)
        return Response(payload(slot))


class Heartbeat(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Say that I am still at it", body=inputs.HeartbeatIn, returns=at_work.LeaseOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        until = heartbeat(slot, user=request.user, token=self.body["token"], active=self.body["active"])
        return Response({"lease_until": until.isoformat()})


class Release(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Hand a task back", body=inputs.ReleaseIn, returns=None, status=204)
    def post(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        release(slot, user=request.user, token=self.body["token"])
        return Response(status=204)


class Skip(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Pass a task on, with a reason", body=inputs.SkipIn, returns=at_work.NextOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        body = self.body
        hidden = skip(
            slot=slot,
            by=request.user,
            token=body["token"],
            reason=body["reason"],
            note=body["note"],
            hide_categories=body["hide"],
            hide_until=body["hide_until"],
        )
        shown = at_work.HiddenOut.all_of(hidden)
        return Response({"next": as_json(claim(slot.queue, request.user)), "hidden": shown})

    @operation("Take my skip back", returns=at_work.UndoneOut, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        again = undo_skip(slot=slot_for(request.user, id), by=request.user)
        return Response({"task": payload(again) if again else None})


class Hidden(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("What is hidden from me in a project now", query=OfProject, returns=at_work.HiddenOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        rows = Hiding.objects.filter(project=project, user=request.user).holding()
        return page(self, rows, at_work.HiddenOut.all_of, newest_first=True)

    @operation(
        "Hide what is marked as one category of harm from me for today",
        body=inputs.HideIn,
        returns=at_work.HiddenOut,
        status=201,
        errors=(403, 404),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"])
        hide(project=project, by=request.user, categories=[body["category"]], until=body["until"], task=None)
        hiding = Hiding.objects.get(project=project, user=request.user, category=body["category"])
        return Response(at_work.HiddenOut(hiding).data, status=201)


class OneHidden(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Show it to me again", returns=None, status=204)
    def delete(self, request: Request, id: UUID) -> Response:
        show_again(hiding=hiding_for(request.user, id))
        return Response(status=204)


class Submit(HotOperation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Answer a task; the reply carries the next one",
        body=inputs.SubmitIn,
        returns=at_work.SubmitOut,
        headers=KEY,
        errors=(403, 404, 409, 422, 429),
    )
    def post(self, request: Request, id: UUID) -> Response:
        return super().post(request, id)

    def ordinary(self, data: object) -> Json | None:
        return inputs.ordinary_submit(data)

    def act(self, user: User, body: Json, *, id: UUID, key: str) -> Json:
        slot = slot_for(user, id)
        count_submit(user)
        reply, following = submit_and_claim(
            slot=slot,
            by=user,
            token=body["token"],
            key=key,
            body=body["body"],
            times=Times(**body["times"]),
        )
        return {**reply.as_dict(), "next": as_json(following)}


class DraftOfSlot(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("What I typed and have not sent", returns=at_work.DraftOut)
    def get(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        return _draft(get_object_or_404(Draft, slot=slot, user=request.user))

    @operation(
        "Keep what I have typed",
        body=inputs.DraftIn,
        returns=at_work.DraftOut,
        headers=VERSION,
        errors=(403, 404, 412),
    )
    def put(self, request: Request, id: UUID) -> Response:
        slot = slot_for(request.user, id)
        draft = save_draft(slot=slot, by=request.user, body=self.body["body"], if_match=_known_version(request))
        return _draft(draft)

    @operation("Forget what I have typed", returns=None, status=204)
    def delete(self, request: Request, id: UUID) -> Response:
        discard_draft(slot=slot_for(request.user, id), by=request.user)
        return Response(status=204)


def as_json(found: Taken) -> Json:
    """A claim as the API shows it."""
    return {
        "task": payload(found.slot) if found.slot else None,
        "cause": found.cause,
        "until": found.until.isoformat() if found.until else None,
    }


def _counted() -> QuerySet[Queue]:
    """Queues with all that QueueOut shows of them."""
    waiting = Q(tasks__state__in=[Task.State.HELD, Task.State.ADMITTED])
    return Queue.objects.annotate(
        waiting=Count("tasks", filter=waiting),
        complete=Count("tasks", filter=Q(tasks__state=Task.State.COMPLETE)),
        parked=Count("tasks", filter=Q(tasks__state=Task.State.PARKED)),
        disputed=Count("tasks", filter=Q(tasks__disputed=True)),
    )


def _shown(queue: Queue) -> Response:
    shown = outputs.QueueOut(_counted().get(pk=queue.pk)).data
    return Response(shown, headers={"ETag": f'"{queue.settings_version}"'})


def _draft(draft: Draft) -> Response:
    return Response(at_work.DraftOut(draft).data, headers={"ETag": f'"{draft.version}"'})


def _known_version(request: Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None:
        return None
    found = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', given.strip())
    if not found:
        raise Problem("bad_version", "If-Match must be the version of a draft.")
    return int(found[1])
