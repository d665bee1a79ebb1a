"""What was answered, and what may be done to it later."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from rest_framework.response import Response

from annotate.access import judgement_for, project_for
from annotate.actions.count_surplus import count_no_longer, count_surplus
from annotate.actions.edit_answer import edit_answer
from annotate.actions.submit import Times
from annotate.actions.undo import undo
from annotate.actions.withdraw import withdraw
from annotate.api import answers, at_work, inputs, outputs
from annotate.api.operations import Operation, Request, operation, unchanged_or_refuse
from annotate.api.paging import page
from annotate.api.people import IF_MATCH
from annotate.models import Judgement, Role, Token, User
from annotate.presentation import payload

REVIEWERS = (Role.REVIEWER, Role.ADMIN)


class Judgements(Operation):
    @operation(
        "My answers; for reviewers and admins, all of the project",
        query=inputs.JudgementsQuery,
        returns=outputs.JudgementOut,
        paged=True,
    )
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        rows = Judgement.objects.filter(task__queue__project=project).select_related("task__queue__project", "user")
        if not request.user.roles(project) & set(REVIEWERS):
            rows = rows.filter(user=request.user)
        if "counted" in self.query:
            rows = rows.filter(counted=self.query["counted"])
        if "queue" in self.query:
            rows = rows.filter(task__queue__uuid=self.query["queue"])
        return page(self, rows, partial(answers.shown, me=request.user), newest_first=True)


class OneJudgement(Operation):
    @operation("An answer", returns=outputs.JudgementOut)
    def get(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id)
        shown = answers.shown([judgement], me=request.user)[0]
        return Response(shown, headers={"ETag": f'"{answers.version(judgement)}"'})


class Revisions(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("All versions of an answer, the first one first", returns=outputs.RevisionOut, many=True)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(answers.revisions(judgement_for(request.user, id)))

    @operation(
        "Change my answer, in the letters that I saw; a snapshot keeps what it froze",
        body=inputs.EditIn,
        returns=outputs.RevisionOut,
        headers=IF_MATCH,
        status=201,
        errors=(403, 404, 409, 412),
    )
    def post(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id)
        unchanged_or_refuse(request, answers.version(judgement))
        body = self.body
        edit_answer(judgement=judgement, by=request.user, body=body["body"], times=Times(**body["times"]))
        return Response(answers.revisions(judgement)[-1], status=201)


class Withdraw(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Withdraw my answer; an admin, anybody's, with a note that says why",
        body=inputs.WithdrawIn,
        returns=outputs.RevisionOut,
        status=201,
        errors=(403, 404, 409),
    )
    def post(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id)
        withdraw(judgement=judgement, by=request.user, note=self.body["note"])
        return Response(answers.revisions(judgement)[-1], status=201)


class Counted(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Let a surplus answer count; not one's own", returns=outputs.JudgementOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id, role=REVIEWERS)
        _ = self.body
        count_surplus(judgement=judgement, by=request.user)
        return _shown(judgement, request.user)

    @operation("Let it count no longer", returns=outputs.JudgementOut, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id, role=REVIEWERS)
        count_no_longer(judgement=judgement, by=request.user)
        return _shown(judgement, request.user)


class Undo(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Take back what I did last to an answer", returns=at_work.UndoneOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        judgement = judgement_for(request.user, id)
        _ = self.body
        slot = undo(judgement=judgement, by=request.user)
        return Response({"task": payload(slot) if slot else None})


def _shown(judgement: Judgement, me: User) -> Response:
    judgement.refresh_from_db(fields=["counted"])
    return Response(answers.shown([judgement], me=me)[0])
