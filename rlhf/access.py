"""Who may: fetch a snapshot, run or model for a person, or refuse, in one move.

404 where the person has no membership in its project, 403 where they are a member without the role.
"""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from annotate.models import Project, User
from rlhf.models import Model, Run, Snapshot

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


def refuse_without(user: User, project: Project, *, role: Roles) -> None:
    """Nothing where user holds one of the roles, read anew; else PermissionDenied. One query."""
    wanted = {role} if isinstance(role, str) else set(role or ())
    if wanted and not wanted & user.roles(project):
        raise PermissionDenied
