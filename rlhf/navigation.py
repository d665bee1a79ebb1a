"""What a person may go to, for every page's rail and bar: a list that the base of `annotate` loops over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotate.access import WORKERS
from annotate.models import Membership, Project, Role, Task, User
from rlhf.models import Run

JUDGES = {Role.ASSESSOR, Role.REVIEWER}
READERS = {Role.REVIEWER, Role.ADMIN}
EVERYONE = {*JUDGES, *READERS}

# The argument of an object's address → how a project is found by it.
OWNERS = {
    "project": "uuid",
    "queue": "queues__uuid",
    "slot": "queues__slots__uuid",
    "judgement": "queues__tasks__judgements__uuid",
    "text": "texts__uuid",
    "imported": "sources__imports__uuid",
    "snapshot": "snapshots__uuid",
    "run": "runs__uuid",
    "model": "models__uuid",
}


class Entry(TypedDict):
    """One link. phone: it stands in the bar of a phone too. count: of what waits there, or None."""

    label: str | Promise
    url: str
    icon: str
    count: int | None
    current: bool
    phone: bool


class Group(TypedDict):
    label: str | Promise
    entries: list[Entry]


@dataclass(frozen=True)
class _Place:
    """name: of the page. others: pages that belong to it. alone: the page takes no project."""

    name: str
    label: str | Promise
    icon: str
    roles: set[Role]
    others: tuple[str, ...] = ()
    alone: bool = False
    phone: bool = False


WITHOUT_PALETTE = settings.TRUSTED_TYPES_PAGES | {"find", "map"}  # they have their own use for "/", or count each byte
LEARN = (
    "game",
    "game-words",
    "consent",
    "tokenizer",
    "map",
    "beliefs",
    "learn-stage",
    "glossary",
    "cards",
    "own-cards",
    "quiz",
    "quiz-try",
)
PLACES: list[tuple[str | Promise, list[_Place]]] = [
    ("", [_Place("project-home", _("Home"), "home", EVERYONE, ("home",), phone=True)]),
    (
        _("Judge"),
        [
            _Place("work", _("Work"), "work", JUDGES, ("slot", "start"), phone=True),
            _Place("mine", _("My answers"), "answers", JUDGES, ("edit",)),
            _Place("guideline", _("Guidelines"), "guidelines", EVERYONE),
            _Place("disputes", _("Disputes"), "eye", READERS),
        ],
    ),
    (
        _("Train"),
        [
            _Place("data", _("Data"), "data", READERS, ("import-new", "import", "text")),
            _Place("snapshots", _("Snapshots"), "snapshots", READERS, ("snapshot", "snapshot-new")),
            _Place("runs", _("Runs"), "runs", READERS, ("run", "launch")),
            _Place("models", _("Models"), "models", READERS, ("model",)),
            _Place("playground", _("Playground"), "playground", READERS),
        ],
    ),
    (
        _("Project"),
        [
            _Place("learn", _("Learn"), "learn", EVERYONE, LEARN, alone=True, phone=True),
            _Place("progress", _("Progress"), "progress", EVERYONE),
            _Place("people", _("People"), "people", {Role.ADMIN}),
            _Place("queues", _("Queues"), "work", {Role.ADMIN}, ("queue-rules",)),
        ],
    ),
]


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context of every page: navigation, project, roles, projects, where to find things, and whether "/" asks there.

    Two to four queries; none for a stranger.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_authenticated:
        return {"navigation": [], "project": None, "roles": set(), "projects": []}
    memberships = list(Membership.objects.filter(user=user).select_related("project").order_by("project", "pk"))
    projects = list({one.project_id: one.project for one in memberships}.values())
    project = _current(request, projects)
    roles = {one.role for one in memberships if project and one.project_id == project.pk}
    here = request.resolver_match.url_name if request.resolver_match else None
    groups = _groups(project, roles, here) if project else []
    find_url = reverse("find", args=[project.uuid]) if project else ""
    return {
        "navigation": groups,
        "project": project,
        "roles": roles,
        "projects": projects,
        "find_url": find_url,
        "palette": bool(find_url) and here not in WITHOUT_PALETTE,
    }


def _current(request: HttpRequest, projects: list[Project]) -> Project | None:
    """The project that the address names, by itself or by something in it; else the person's first."""
    kwargs = request.resolver_match.kwargs if request.resolver_match else {}
    name = next((name for name in OWNERS if name in kwargs), None)
    if name is None:
        wanted = request.GET.get("project")
        return next((one for one in projects if str(one.uuid) == wanted), projects[0] if projects else None)
    if name == "project":
        return next((one for one in projects if one.uuid == kwargs[name]), None)
    found = Project.objects.filter(**{OWNERS[name]: kwargs[name]}).values_list("pk", flat=True).first()
    return next((one for one in projects if one.pk == found), None)


def _groups(project: Project, roles: set[str], here: str | None) -> list[Group]:
    counts = _counts(project, roles)
    groups: list[Group] = []
    for label, places in PLACES:
        entries = [_entry(place, project, counts, here) for place in places if place.roles & roles]
        if entries:
            groups.append({"label": label, "entries": entries})
    return groups


def _entry(place: _Place, project: Project, counts: dict[str, int], here: str | None) -> Entry:
    return {
        "label": place.label,
        "url": f"{reverse(place.name)}?project={project.uuid}"
        if place.alone
        else reverse(place.name, args=[project.uuid]),
        "icon": place.icon,
        "count": counts.get(place.name) or None,
        "current": here == place.name or here in place.others,
        "phone": place.phone,
    }


def _counts(project: Project, roles: set[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    if roles & JUDGES:
        kinds = [kind for kind, wanted in WORKERS.items() if roles & set(wanted)]
        unfinished = [Task.State.HELD, Task.State.ADMITTED]
        open_queues = project.queues.filter(kind__in=kinds, closed_at=None)
        counts["work"] = Task.objects.filter(queue__in=open_queues, state__in=unfinished).count()
    if roles & READERS:
        counts["runs"] = project.runs.filter(state__in=Run.ACTIVE).count()
    return counts
