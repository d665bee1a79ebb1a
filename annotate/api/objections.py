"""Objections to returned answers, and what reviewers decide about them."""

from __future__ import annotations

from uuid import UUID

from rest_framework.response import Response

from annotate import contested
from annotate.access import objection_for, project_for, slot_for
from annotate.actions.objection import decide_objection, object_to_return, take_objection_back, undecide_objection
from annotate.api import at_work, inputs, outputs
from annotate.api.operations import Operation, Request, operation
from annotate.api.paging import OfProject, page
from annotate.models import Role, Token
from annotate.presentation import payload

REVIEWERS = (Role.REVIEWER, Role.ADMIN)


class Object(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Object to a return in place of writing again",
        body=inputs.ObjectIn,
        returns=outputs.ObjectionOut,
        status=201,
        errors=(403, 404, 409),
    )
    def post(self, request: Request, id: UUID) -> Response:
        made = object_to_return(slot=slot_for(request.user, id), by=request.user, **self.body)
        return _shown(request, made.uuid, status=201)


class Objections(Operation):
    @operation("Objections that wait", query=OfProject, returns=outputs.ObjectionOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=REVIEWERS)
        return page(self, contested.objections(project), outputs.ObjectionOut.all_of, newest_first=False)


class OneObjection(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("An objection", returns=outputs.ObjectionOut)
    def get(self, request: Request, id: UUID) -> Response:
        return _shown(request, id)

    @operation("Take my objection back, and write again", returns=at_work.UndoneOut, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        leased = take_objection_back(objection=objection_for(request.user, id), by=request.user)
        return Response({"task": payload(leased)})


class Decide(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Accept an answer whose author objects, or let its return stand; never one's own",
        body=inputs.DecideIn,
        returns=outputs.ObjectionOut,
        errors=(403, 404, 409),
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = self.body
        decide_objection(objection=objection_for(request.user, id, role=REVIEWERS), by=request.user, **body)
        return _shown(request, id)

    @operation("Take my decision back", returns=outputs.ObjectionOut, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        undecide_objection(objection=objection_for(request.user, id, role=REVIEWERS), by=request.user)
        return _shown(request, id)


def _shown(request: Request, uuid: UUID, *, status: int = 200) -> Response:
    return Response(outputs.ObjectionOut(objection_for(request.user, uuid)).data, status=status)
