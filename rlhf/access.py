"""Who may: fetch a snapshot, run, model or probe for a person, or refuse, in one move.

404 where the person has no membership in its project, 403 where they are a member without the role.
"""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404

from annotate.models import Project, Role, User
from rlhf.models import Model, Probe, Run, Snapshot

Roles = str | tuple[str, ...] | None


def snapshot_for(user: User, uuid: UUID, *, role: Roles = None) -> Snapshot:
    """The snapshot, if user may act on it as one of the roles. Two queries."""
    rows = Snapshot.objects.visible_to(user).select_related("project", "created_by")
    snapshot = get_object_or_404(rows, uuid=uuid)
    refuse_without(user, snapshot.project, role=role)
    return snapshot


def run_for(user: User, uuid: UUID, *, role: Roles = None) -> Run:
    """The run, if user may act on it as one of the roles. Two queries."""
    run = get_object_or_404(Run.objects.visible_to(user).select_related("project", "created_by"), uuid=uuid)
    refuse_without(user, run.project, role=role)
    return run


def model_for(user: User, uuid: UUID, *, role: Roles = None) -> Model:
    """The model, if user may act on it as one of the roles. Two queries."""
    model = get_object_or_404(Model.objects.visible_to(user).select_related("project", "run", "base"), uuid=uuid)
    refuse_without(user, model.project, role=role)
    return model


def probe_for(user: User, uuid: UUID) -> Probe:
    """The probe, if user may read models' names, asked it, or it stands for all. Two queries."""
    probe = get_object_or_404(Probe.objects.visible_to(user).select_related("project"), uuid=uuid)
    if probe.standing or probe.created_by_id == user.pk or user.roles(probe.project) & {Role.REVIEWER, Role.ADMIN}:
        return probe
    raise Http404


def refuse_without(user: User, project: Project, *, role: Roles) -> None:
    """Nothing where user holds one of the roles, read anew; else PermissionDenied. One query."""
    wanted = {role} if isinstance(role, str) else set(role or ())
    if wanted and not wanted & user.roles(project):
        raise PermissionDenied
