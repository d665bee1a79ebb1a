"""Give a person a role in a project."""

from __future__ import annotations

from annotate.errors import AnnotateError
from annotate.models import Membership, Project, Role, User


def add_member(*, project: Project, user: User, role: str, by: User) -> Membership:
    """The membership, an old one where user holds the role already.

    Raises AnnotateError with code
        bad_role   no role of the list
        own_role   403: nobody changes their own roles
    """
    if role not in Role.values:
        raise AnnotateError("bad_role", f"role must be one of {', '.join(Role.values)}.", field="role")
    if user == by:
        raise AnnotateError("own_role", "Nobody changes their own roles; ask another admin.", status=403)
    return Membership.objects.get_or_create(project=project, user=user, role=role)[0]
