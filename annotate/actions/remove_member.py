"""Take a role from a person."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Membership, Project, Role, Slot, User
from annotate.queue import release


@transaction.atomic
def remove_member(*, membership: Membership, by: User) -> None:
    """Take the role away; tasks that the person holds go back to their queues with the last one.

    Raises AnnotateError with code
        last_admin   409: a project keeps one
        own_role     403: nobody changes their own roles
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)
    admins = project.memberships.filter(role=Role.ADMIN)
    if membership.role == Role.ADMIN and not admins.exclude(pk=membership.pk).exists():
        raise AnnotateError("last_admin", "The last admin stays; give the role to somebody else first.", status=409)
    if membership.user_id == by.pk:
        raise AnnotateError("own_role", "Nobody changes their own roles; ask another admin.", status=403)
    Membership.objects.filter(pk=membership.pk).delete()
    if not membership.user.roles(project):
        _hand_back(membership.user, project)


def _hand_back(user: User, project: Project) -> None:
    for slot in Slot.objects.filter(queue__project=project, user=user, status=Slot.Status.LEASED):
        release(slot, user=user, token=slot.token or "")
