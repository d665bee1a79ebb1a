"""The cast, their project and the service's parts, for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from annotate.models import Membership, Project, Queue, Role, User
from rlhf.broker import SOCKET
from rlhf.service import Redis

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


def make_project(name: str, members: dict[User, str]) -> Project:
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
def broker(redis_socket, monkeypatch) -> str:
    """Celery and chat use the session's Redis, emptied before the test."""
    from rlhf.broker import connect

    url = f"{SOCKET}{redis_socket}"
    monkeypatch.setattr(settings, "CELERY_BROKER_URL", url)
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    connect().flushall()
    return url
