"""One Chromium, one server, one database for all browser tests; a test that changes something has its own project."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from tests.browser import site as sites
from tests.browser.world import World, full_world, own_world

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps an event loop in this thread; no query runs in it


@pytest.fixture(scope="package")
def server(django_db_setup, django_db_blocker) -> Iterator[str]:
    """The address of a server with committed rows; they go when the package ends."""
    with django_db_blocker.unblock():
        call_command("migrate", verbosity=0)  # pytest-django makes tables only where a test is marked django_db
        live = LiveServer("localhost")
        yield live.url
        live.stop()
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if sites.chromium() is None:
        pytest.skip("no Chromium on this machine: install it as `chromium` to run the browser tests")
    with sites.browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def shared_site(server, chromium) -> sites.Site:
    return sites.Site(chromium, server)


@pytest.fixture
def site(shared_site) -> Iterator[sites.Site]:
    """Pages of the service; the test fails where a page broke the policy or a script failed."""
    yield shared_site
    shared_site.close()
    complaints, shared_site.complaints = shared_site.complaints, []
    assert complaints == []


@pytest.fixture(scope="package")
def full(server) -> World:
    """The world to look at. Nobody changes it."""
    return full_world()


@pytest.fixture
def world(server, request) -> World:
    """A project of this test's own, with nothing to do in it."""
    return own_world(request.node.name[:60])
