"""Who I am, projects, members, guidelines and tokens."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.shortcuts import get_object_or_404
from rest_framework.response import Response

from annotate.access import project_for, refuse_without
from annotate.actions.accept_guideline import accept_guideline
from annotate.actions.add_member import add_member
from annotate.actions.create_project import create_project
from annotate.actions.create_token import create_token
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.remove_member import remove_member
from annotate.actions.revoke_token import revoke_token
from annotate.api import inputs, outputs
from annotate.api.operations import Operation, Request, operation, unchanged_or_refuse, version_of
from annotate.api.paging import OfProject, Paged, page
from annotate.api.problems import Problem
from annotate.models import Guideline, Membership, Project, Role, Token, User

IF_MATCH = {"If-Match": "The ETag of what you read; where it is no longer true, the answer is 412."}


class Me(Operation):
    @operation("Who I am, and where I am a member", returns=outputs.MeOut, errors=())
    def get(self, request: Request) -> Response:
        return Response(outputs.MeOut(request.user).data)

    @operation(
        "Change my theme or text size, or turn keys off", body=inputs.MeChangeIn, returns=outputs.MeOut, errors=(403,)
    )
    def patch(self, request: Request) -> Response:
        User.objects.filter(pk=request.user.pk).update(**self.body)
        request.user.refresh_from_db()
        return Response(outputs.MeOut(request.user).data)


class Projects(Operation):
    @operation("My projects", query=Paged, returns=outputs.ProjectOut, paged=True, errors=())
    def get(self, request: Request) -> Response:
        return page(self, Project.objects.visible_to(request.user), outputs.ProjectOut.all_of, newest_first=False)

    @operation(
        "Begin a project (superusers)", body=inputs.ProjectIn, returns=outputs.ProjectOut, status=201, errors=(403,)
    )
    def post(self, request: Request) -> Response:
        if not request.user.is_superuser:
            raise PermissionDenied
        project = create_project(name=self.body["name"], by=request.user)
        return Response(outputs.ProjectOut(project).data, status=201)


class OneProject(Operation):
    @operation("A project", returns=outputs.ProjectOut)
    def get(self, request: Request, id: UUID) -> Response:
        return _shown(project_for(request.user, id))

    @operation(
        "Change a project's name or settings",
        body=inputs.ProjectChangeIn,
        returns=outputs.ProjectOut,
        headers=IF_MATCH,
        errors=(403, 404, 412),
    )
    @transaction.atomic
    def patch(self, request: Request, id: UUID) -> Response:
        found = project_for(request.user, id, role=Role.ADMIN)
        project = Project.objects.select_for_update().get(pk=found.pk)
        unchanged_or_refuse(request, version_of(outputs.ProjectOut(project).data))
        changes = dict(self.body)
        if "settings" in changes:
            changes["settings"] = project.settings | changes["settings"]
        Project.objects.filter(pk=project.pk).update(**changes)
        project.refresh_from_db()
        return _shown(project)


class Members(Operation):
    @operation("The members of a project, a row for each role", query=OfProject, returns=outputs.MemberOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=Role.ADMIN)
        return page(self, project.memberships.select_related("user"), outputs.MemberOut.all_of, newest_first=False)

    @operation("Give a person a role", body=inputs.MemberIn, returns=outputs.MemberOut, status=201)
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        person = User.objects.filter(name=body["name"], is_active=True).first()
        if person is None:
            raise Problem("no_person", "Nobody has this log-in name.", fields={"name": "Nobody has this log-in name."})
        member = add_member(project=project, user=person, role=body["role"], by=request.user)
        return Response(outputs.MemberOut(member).data, status=201)


class OneMember(Operation):
    @operation("Take a role from a person", returns=None, status=204, errors=(403, 404, 409))
    def delete(self, request: Request, id: UUID) -> Response:
        visible = Membership.objects.filter(project__in=Project.objects.visible_to(request.user))
        member = get_object_or_404(visible.select_related("project", "user"), uuid=id)
        refuse_without(request.user, member.project, role=Role.ADMIN)
        remove_member(membership=member, by=request.user)
        return Response(status=204)


class Guidelines(Operation):
    @operation("The versions of a project's guideline", query=OfProject, returns=outputs.GuidelineOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        return page(self, Guideline.objects.filter(project=project), outputs.GuidelineOut.all_of, newest_first=True)

    @operation("Publish a guideline", body=inputs.GuidelineIn, returns=outputs.GuidelineOut, status=201)
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        guideline = publish_guideline(project=project, body=body["body"], major=body["major"], by=request.user)
        return Response(outputs.GuidelineOut(guideline).data, status=201)


class Accept(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Say that I have read the guideline's newest version",
        body=inputs.AcceptIn,
        returns=outputs.AcceptedOut,
        errors=(403, 404, 409),
    )
    def post(self, request: Request) -> Response:
        project = project_for(request.user, self.body["project"])
        accepted = accept_guideline(project=project, version=self.body["version"], by=request.user)
        return Response(outputs.AcceptedOut(accepted).data)


class Tokens(Operation):
    @operation("My tokens, without their keys", query=Paged, returns=outputs.TokenOut, paged=True, errors=(403,))
    def get(self, request: Request) -> Response:
        rows = Token.objects.standing().filter(user=request.user)
        return page(self, rows, outputs.TokenOut.all_of, newest_first=True)

    @operation(
        "Make a token; its key is shown this once",
        body=inputs.TokenIn,
        returns=outputs.NewTokenOut,
        status=201,
        errors=(403,),
    )
    def post(self, request: Request) -> Response:
        if request.auth is not None:
            raise Problem("sign_in_needed", "A token makes no tokens: sign in with name and password.", status=403)
        token, key = create_token(user=request.user, **self.body)
        return Response({**outputs.TokenOut(token).data, "key": key}, status=201)


class OneToken(Operation):
    @operation("Revoke one of my tokens", returns=None, status=204)
    def delete(self, request: Request, id: UUID) -> Response:
        revoke_token(token=get_object_or_404(Token.objects.standing().filter(user=request.user), uuid=id))
        return Response(status=204)


def _shown(project: Project) -> Response:
    shown = outputs.ProjectOut(project).data
    return Response(shown, headers={"ETag": f'"{version_of(shown)}"'})
