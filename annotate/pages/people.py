"""Who is in a project, what the project asks of them, and new projects."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.access import project_for
from annotate.actions.accept_guideline import accept_guideline
from annotate.actions.add_member import add_member
from annotate.actions.ask_quiz import ask_quiz
from annotate.actions.create_project import create_project
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.remove_member import remove_member
from annotate.errors import AnnotateError
from annotate.learning import quiz
from annotate.models import Guideline, Membership, Project, Role, User
from annotate.pages.request import Request
from annotate.pages.toast import say
from annotate.qualification import FEWEST_RIGHT, SETTING, mark_of, must_accept

JUDGES = {Role.ASSESSOR, Role.REVIEWER}


@require_http_methods(["GET", "POST"])
def people(request: Request, project: UUID) -> HttpResponse:
    """POST with `remove` takes a role, with `name` and `role` gives one; each is the other's Undo.

    POST with `quiz` says whether assessors pass the quiz first, 1 or 0, and with `mark` how many answers must be right.
    """
    found = project_for(request.user, project, role=Role.ADMIN)
    errors: dict[str, str] = {}
    if request.method == "POST":
        act = _ask_quiz if "quiz" in request.POST else _remove if "remove" in request.POST else _add
        try:
            act(request, found)
        except AnnotateError as refusal:
            errors = {str(refusal.facts.get("field", "")): refusal.sentence}
        else:
            return redirect("people", project=found.uuid)
    members = found.memberships.select_related("user").order_by("user__name", "role")
    context = {
        "members": members,
        "admins": sum(one.role == Role.ADMIN for one in members),
        "roles_to_give": Role.values,
        "asks_quiz": bool(found.settings.get(SETTING)),
        "pass_mark": mark_of(found),
        "marks": range(FEWEST_RIGHT, quiz.DRAWN + 1),
        "drawn": quiz.DRAWN,
        "errors": errors,
        "given": {"name": request.POST.get("name", ""), "role": request.POST.get("role", Role.ASSESSOR)},
    }
    return render(request, "annotate/people.html", context, status=422 if errors else 200)


@require_http_methods(["GET", "POST"])
def guideline(request: Request, project: UUID) -> HttpResponse:
    """Members read the newest version; an admin publishes the next."""
    found = project_for(request.user, project)
    admin = request.user.holds(Role.ADMIN, found)
    errors: dict[str, str] = {}
    if request.method == "POST":
        if not admin:
            raise PermissionDenied
        try:
            major, body = request.POST.get("major") == "on", request.POST.get("body", "")
            made = publish_guideline(project=found, body=body, by=request.user, major=major)
        except AnnotateError as refusal:
            errors = {"body": refusal.sentence}
        else:
            say(request, _("Version %(n)d is published.") % {"n": made.version})
            return redirect("guideline", project=found.uuid)
    newest = Guideline.objects.filter(project=found).order_by("-version").first()
    body = request.POST.get("body", newest.body if newest else "")
    accepted = request.user.acceptances.filter(guideline__project=found).order_by("-guideline__version").first()
    context = {
        "guideline": newest,
        "admin": admin,
        "errors": errors,
        "body": body,
        "major": request.POST.get("major") == "on",
        "must_accept": must_accept(found, request.user) if request.user.roles(found) & JUDGES else None,
        "accepted": accepted,
    }
    return render(request, "annotate/guideline.html", context, status=422 if errors else 200)


@require_POST
def guideline_accept(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project)
    version = request.POST.get("version", "")
    accept_guideline(
        project=found, version=int(version) if version.isdecimal() and len(version) < 8 else 0, by=request.user
    )
    say(request, _("Accepted. Your next task is waiting."))
    return redirect("work", project=found.uuid)


@require_http_methods(["GET", "POST"])
def project_new(request: Request) -> HttpResponse:
    """Superusers only; who makes a project becomes its admin."""
    if not request.user.is_superuser:
        raise PermissionDenied
    name, errors = request.POST.get("name", ""), {}
    if request.method == "POST":
        try:
            return redirect("project-home", project=create_project(name=name, by=request.user).uuid)
        except AnnotateError as refusal:
            errors = {"name": refusal.sentence}
    context = {"name": name, "errors": errors}
    return render(request, "annotate/project_new.html", context, status=422 if errors else 200)


def _ask_quiz(request: Request, project: Project) -> None:
    before = {"quiz": str(int(bool(project.settings.get(SETTING)))), "mark": str(mark_of(project))}
    asks, mark = request.POST["quiz"] == "1", request.POST.get("mark", "")
    ask_quiz(project=project, asks=asks, mark=int(mark) if mark.isdecimal() and len(mark) < 3 else mark_of(project))
    sentence = (
        _("Assessors pass the quiz before they get tasks.") if asks else _("Assessors get tasks without the quiz.")
    )
    say(request, sentence, undo=_here(project), fields=before)


def _add(request: Request, project: Project) -> None:
    name = request.POST.get("name", "").strip()
    person = User.objects.filter(name=name, is_active=True).first()
    if person is None:
        raise AnnotateError("no_person", _("Nobody has this log-in name."), status=422, field="name")
    member = add_member(project=project, user=person, role=request.POST.get("role", ""), by=request.user)
    sentence = _("%(name)s is %(role)s now.") % {"name": person.name, "role": member.role}
    say(request, sentence, undo=_here(project), fields={"remove": str(member.uuid)})


def _remove(request: Request, project: Project) -> None:
    member = get_object_or_404(
        Membership.objects.select_related("user", "project").filter(project=project), uuid=_uuid(request)
    )
    remove_member(membership=member, by=request.user)
    sentence = _("%(name)s is no %(role)s any more.") % {"name": member.user.name, "role": member.role}
    say(request, sentence, undo=_here(project), fields={"name": member.user.name, "role": member.role})


def _uuid(request: Request) -> UUID:
    try:
        return UUID(request.POST.get("remove", ""))
    except ValueError:
        raise AnnotateError("no_member", _("This person does not have the role any more."), status=422) from None


def _here(project: Project) -> str:
    return reverse("people", args=[project.uuid])
