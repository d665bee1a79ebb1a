"""The cast, their project and the service's parts, for all tests."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.operations import BaseDatabaseOperations

from annotate.models import Membership, Project, Queue, Role, User
from rlhf.broker import SOCKET, connect
from rlhf.service import Redis
from tests import postgres

QUEUES = {
    Queue.Kind.CLEAN: "Clean documents",
    Queue.Kind.WRITE_ANSWER: "Write answers",
    Queue.Kind.REVIEW_ANSWER: "Review answers",
    Queue.Kind.RANK: "Rank answers",
}


@pytest.fixture
def ada(db) -> User:
    """The admin."""
    return User.objects.create_user("ada")


@pytest.fixture
def rex(db) -> User:
    """The reviewer."""
    return User.objects.create_user("rex")


@pytest.fixture
def ana(db) -> User:
    """An assessor."""
    return User.objects.create_user("ana")


@pytest.fixture
def abe(db) -> User:
    """Another assessor."""
    return User.objects.create_user("abe")


@pytest.fixture
def eve(db) -> User:
    """The admin of another project."""
    return User.objects.create_user("eve")


def make_project(name: str, members: Mapping[User, str]) -> Project:
    project = Project.objects.create(name=name, split_seed=7)
    Membership.objects.bulk_create(Membership(project=project, user=user, role=role) for user, role in members.items())
    Queue.objects.bulk_create(Queue(project=project, kind=kind, name=name) for kind, name in QUEUES.items())
    return project


@pytest.fixture
def project(ada, rex, ana, abe) -> Project:
    members = {ada: Role.ADMIN, rex: Role.REVIEWER, ana: Role.ASSESSOR, abe: Role.ASSESSOR}
    return make_project("Docs", members)


@pytest.fixture
def other_project(eve) -> Project:
    return make_project("Elsewhere", {eve: Role.ADMIN})


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """An embedded Redis for the whole session."""
    home = Path(settings.HOME)
    (home / "log").mkdir(exist_ok=True)
    redis = Redis(home)
    yield redis.socket
    redis.stop()


@pytest.fixture
def broker_at(monkeypatch) -> Iterator[Callable[[str], None]]:
    """Points Celery and chat at a URL, with connections of their own."""

    def point(url: str) -> None:
        monkeypatch.setattr(settings, "CELERY_BROKER_URL", url)
        monkeypatch.setattr(current_app.conf, "broker_url", url)
        current_app._after_fork()  # type: ignore[attr-defined]  # forgets the pools that another URL has filled

    yield point
    current_app._after_fork()  # type: ignore[attr-defined]  # and these


@pytest.fixture
def broker(redis_socket, broker_at) -> str:
    """Celery and chat use the session's Redis, emptied before the test."""
    broker_at(f"{SOCKET}{redis_socket}")
    connect().flushall()
    return f"{SOCKET}{redis_socket}"


@pytest.fixture
def redis_client(broker):
    """A client of the session's Redis, for looking at what was sent."""
    return connect()


@pytest.fixture(scope="session", autouse=True)
def flush_opens_erasure() -> Iterator[None]:
    """What a test wrote goes after it, append-only rows too: its flush says so, as an erasure does."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def open_and_flush(self: BaseDatabaseOperations, statements: list[str]) -> None:
        closing = [sql for sql in statements if "erasure_open" in sql]
        rest = [sql for sql in statements if "erasure_open" not in sql]
        opening = ["INSERT INTO erasure_open (opened_at) VALUES (CURRENT_TIMESTAMP)"] if closing else []
        flush(self, [*opening, *rest, *closing])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", open_and_flush)
        yield


@pytest.fixture(scope="session")
def postgres_settings(django_db_setup, django_db_blocker) -> Iterator[dict[str, Any]]:
    """Settings of a migrated database on a real PostgreSQL."""
    with postgres.server() as socket, django_db_blocker.unblock():
        found = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "touchstone",
            "HOST": str(socket),
            "PORT": postgres.PORT,
            "OPTIONS": settings.POSTGRESQL,
        }
        with default_database(found):
            call_command("migrate", verbosity=0)
        yield found


@contextmanager
def default_database(found: dict[str, Any]) -> Iterator[None]:
    """Within, the service works on another database, in new threads too."""
    before = connections.settings["default"]
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": dict(found)})["default"]
    try:
        yield
    finally:
        connections["default"].close()
        del connections["default"]
        connections.settings["default"] = before


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, transactional_db) -> Iterator[str]:
    """The test runs on both databases, with real transactions. Name it before what writes rows."""
    if request.param == "sqlite":
        yield request.param
        return
    with default_database(request.getfixturevalue("postgres_settings")):
        yield request.param
        call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)
