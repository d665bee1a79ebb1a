"""How far a project's work is: a table by stage, one by person, and both as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Project, Role, User
from annotate.pages.paging import SIZE
from annotate.pages.request import Request, wants_part
from annotate.progress import Person, Stage, people, stages
from annotate.tables import csv_file

READERS = {Role.REVIEWER, Role.ADMIN}
PARTS = {"stages": "annotate/_parts/progress_stages.html", "people": "annotate/_parts/progress_people.html"}
STAGE = ["kind", "queue", "wanted", "done", "begun", "parked", "left", "skipped", "a_day", "a_day_n", "days_left"]
PERSON = ["person", "scripted", "counted", "today", "week", "median_s", "median_n", "skips", "undos"]
NEWEST_FIRST = "-week"


@dataclass(frozen=True)
class Row:
    """A person as the table shows them: by pseudonym, so that nobody's work is judged by a name."""

    name: str
    person: Person
    is_me: bool


SORTS: dict[str, Callable[[Row], tuple[bool, float | str]]] = {
    "name": lambda row: (False, row.name),
    "counted": lambda row: (False, row.person.counted),
    "today": lambda row: (False, row.person.today),
    "week": lambda row: (False, row.person.week),
    "median": lambda row: (row.person.median_s.value is None, row.person.median_s.value or 0.0),
    "skips": lambda row: (False, row.person.skips),
    "undos": lambda row: (False, row.person.undos),
}


@require_GET
def progress(request: Request, project: UUID) -> HttpResponse:
    """`?sort=` names a column of the people, with a minus the greatest first; `?from=` the row a page begins with."""
    found = project_for(request.user, project)
    reads = _reads(request.user, found)
    part = next((name for name in PARTS if wants_part(request, name)), "")
    context: dict[str, object] = {"reads": reads, "live_url": f"{reverse('api:progress-live')}?project={found.uuid}"}
    if part != "people":
        context["stages"] = stages(found)
    if part != "stages":
        context |= _table(request, _rows(found, request.user, reads=reads))
    return render(request, PARTS.get(part, "annotate/progress.html"), context)


@require_GET
def progress_csv(request: Request, project: UUID, table: str) -> HttpResponse:
    found = project_for(request.user, project)
    reads = _reads(request.user, found)
    if table == "stages":
        head = [*STAGE, "surplus"] if reads else STAGE
        return csv_file("stages.csv", head, (_stage(one, reads=reads) for one in stages(found)))
    if table == "people":
        return csv_file("people.csv", PERSON, (_person(one) for one in _rows(found, request.user, reads=reads)))
    raise Http404


def _reads(user: User, project: Project) -> bool:
    """Whether user may see others' work: under pseudonyms, and what is surplus."""
    return bool(user.roles(project) & READERS)


def _rows(project: Project, user: User, *, reads: bool) -> list[Row]:
    """By pseudonym: everybody's where user reads others' work, else user's own."""
    found = people(project, only=None if reads else user)
    rows = [Row(name=one.user.pseudonym(project), person=one, is_me=one.user.pk == user.pk) for one in found]
    return sorted(rows, key=SORTS["name"])


def _table(request: Request, rows: list[Row]) -> dict[str, object]:
    """The rows of one page in the order asked for, its neighbours, and a link for each column."""
    sort = request.GET.get("sort", NEWEST_FIRST)
    column = sort.removeprefix("-")
    if column not in SORTS:
        sort, column = NEWEST_FIRST, NEWEST_FIRST[1:]
    rows = sorted(rows, key=SORTS[column], reverse=sort.startswith("-"))
    first = request.GET.get("from", "")
    start = next((place for place, row in enumerate(rows) if row.name == first), 0)
    before, after = max(0, start - SIZE), start + SIZE
    return {
        "rows": rows[start:after],
        "older": f"?{urlencode({'sort': sort, 'from': rows[after].name})}" if after < len(rows) else "",
        "newer": f"?{urlencode({'sort': sort, 'from': rows[before].name})}" if start else "",
        "columns": [_column(key, sort) for key in SORTS],
    }


def _column(key: str, sort: str) -> dict[str, str]:
    """key, state (aria-sort, or empty) and url of a column's head; a second press turns the order round."""
    state = {key: "ascending", f"-{key}": "descending"}.get(sort, "")
    following = key if state == "descending" or (key == "name" and not state) else f"-{key}"
    return {"key": key, "state": state, "url": f"?{urlencode({'sort': following})}"}


def _stage(one: Stage, *, reads: bool) -> list[object]:
    cells: list[object] = [one.queue.kind, one.queue.name, one.wanted, one.done, one.begun, one.parked, one.left]
    cells += [one.skipped, _rounded(one.per_day.value), one.per_day.n, _rounded(one.days_left.value)]
    return [*cells, one.surplus] if reads else cells


def _person(row: Row) -> list[object]:
    one = row.person
    cells: list[object] = [row.name, int(one.user.scripted), one.counted, one.today, one.week]
    return [*cells, _rounded(one.median_s.value), one.median_s.n, one.skips, one.undos]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
