"""Every page that screenshots, axe and the scroll test look at: a name, who looks, and the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from tests.browser.world import World


@dataclass(frozen=True)
class Page:
    name: str
    who: str  # empty: nobody is signed in
    address: Callable[[World], str]


def of(name: str, *keys: str) -> Callable[[World], str]:
    """The address of a page from the ids of a world."""
    return lambda world: reverse(name, args=[world.ids[key] for key in keys])


PAGES = [
    Page("login", "", lambda world: reverse("login")),
    Page("missing", "ana", lambda world: "/no/such/page/"),
    Page("work", "ana", of("work", "project")),
    Page("work-admin", "ada", of("work", "project")),
    Page("nothing", "ana", lambda world: of("work", "project")(world) + "?cause=others"),
    Page("clean", "rex", of("slot", "clean")),
    Page("write", "ana", of("slot", "write_answer")),
    Page("review", "rex", of("slot", "review_answer")),
    Page("rank", "ana", of("slot", "rank")),
    Page("mine", "ana", of("mine", "project")),
    Page("mine-empty", "abe", of("mine", "project")),
    Page("data", "ada", of("data", "project")),
    Page("import-new", "ada", of("import-new", "project")),
    Page("import", "ada", of("import", "import")),
    Page("text", "rex", of("text", "document")),
    Page("guideline", "ana", of("guideline", "project")),
    Page("guideline-admin", "ada", of("guideline", "project")),
    Page("people", "ada", of("people", "project")),
    Page("me", "ada", lambda world: reverse("me")),
]
