"""Who takes part in the demo: four people with passwords for whoever opens the browser, and the scripts."""

from __future__ import annotations

import secrets
from pathlib import Path

from django.conf import settings
from django.db import transaction

from annotate.actions.change_queue import change_queue
from annotate.actions.create_project import create_project
from annotate.actions.create_token import create_token
from annotate.models import Membership, Project, Queue, Role, Token, User
from rlhf.demo.client import Person
from rlhf.demo.loop import Cast

PEOPLE = {"ada": Role.ADMIN, "rex": Role.REVIEWER, "ana": Role.ASSESSOR, "abe": Role.ASSESSOR}
SCRIPTS = {
    "script-admin": Role.ADMIN,
    "script-reviewer-1": Role.REVIEWER,
    "script-reviewer-2": Role.REVIEWER,
    "script-assessor-1": Role.ASSESSOR,
    "script-assessor-2": Role.ASSESSOR,
}
INTAKE = 100_000  # scripts want no intake cap
MIN_WORDS = 3  # docstrings are short: only what is shorter is flagged


@transaction.atomic
def assemble(title: str, *, port: int) -> tuple[Project, Cast]:
    """A project of its own with its people, and the scripts at the API of the service on port."""
    users = {name: person(name) for name in PEOPLE}
    scripts = {name: script(name) for name in SCRIPTS}
    project = create_project(name=title, by=users["ada"])
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role=role)
        for name, user, role in members(users, scripts)
        if name != "ada"
    )
    Project.objects.filter(pk=project.pk).update(settings={"min_words": MIN_WORDS})
    for queue in Queue.objects.filter(project=project):
        change_queue(queue=queue, intake_cap=INTAKE)
    at = {name: Person(name=name, token=token(user), port=port) for name, user in scripts.items()}
    named = {role: [at[name] for name in SCRIPTS if SCRIPTS[name] == role] for role in Role}
    return project, Cast(admin=named[Role.ADMIN][0], reviewers=named[Role.REVIEWER], assessors=named[Role.ASSESSOR])


def members(users: dict[str, User], scripts: dict[str, User]) -> list[tuple[str, User, Role]]:
    return [(n, users[n], PEOPLE[n]) for n in PEOPLE] + [(n, scripts[n], SCRIPTS[n]) for n in SCRIPTS]


def person(name: str) -> User:
    """The person of that name, whose password is made once and kept in secrets/demo.txt."""
    known = User.objects.filter(name=name).first()
    if known is not None:
        return known
    password = secrets.token_urlsafe(12)
    with secrets_file().open("a", encoding="utf-8") as file:
        file.write(f"{name} {password}\n")
    return User.objects.create_user(name, password)


def script(name: str) -> User:
    known = User.objects.filter(name=name, scripted=True).first()
    return known or User.objects.create_user(name, None, scripted=True)


def token(user: User) -> str:
    return create_token(user=user, name="demo", scopes=Token.Scope.values, days=1)[1]


def secrets_file() -> Path:
    path = Path(settings.HOME) / "secrets" / "demo.txt"
    path.touch(mode=0o600)
    return path


def log_ins(address: str) -> str:
    """One line a person who may sign in at the address."""
    lines = [line.split(" ", 1) for line in secrets_file().read_text(encoding="utf-8").splitlines()]
    rows = [f"  {name:<4} {PEOPLE[name].label.lower():<9} {password}" for name, password in lines if name in PEOPLE]
    return "\n".join([f"\nSign in at {address} (name, role, password):", *rows])
