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
    Page("work-quiz", "noa", of("work", "asking")),
    Page("home-quiz", "noa", of("project-home", "asking")),
    Page("home-reviewer", "rex", of("project-home", "project")),
    Page("progress", "rex", of("progress", "project")),
    Page("progress-own", "ana", of("progress", "project")),
    Page("progress-empty", "noa", of("progress", "asking")),
    Page("clean", "rex", of("slot", "clean")),
    Page("write", "ana", of("slot", "write_answer")),
    Page("write-returned", "abe", of("slot", "returned")),
    Page("write-pair", "ana", of("slot", "pair to write")),
    Page("write-pair-returned", "abe", of("slot", "returned pair")),
    Page("review", "rex", of("slot", "review_answer")),
    Page("rank", "ana", of("slot", "rank")),
    Page("pair", "ana", of("slot", "pair")),
    Page("rate", "ana", of("slot", "rate")),
    Page("repair", "ana", of("slot", "repair")),
    Page("work-guideline", "abe", of("work", "project")),
    Page("edit", "ana", of("edit", "answered")),
    Page("mine", "ana", of("mine", "project")),
    Page("mine-empty", "rex", of("mine", "project")),
    Page("disputes", "rex", of("disputes", "project")),
    Page("disputes-admin", "ada", of("disputes", "project")),
    Page("data", "ada", of("data", "project")),
    Page("import-new", "ada", of("import-new", "project")),
    Page("import", "ada", of("import", "import")),
    Page("text", "rex", of("text", "document")),
    Page("guideline", "ana", of("guideline", "project")),
    Page("guideline-accept", "abe", of("guideline", "project")),
    Page("guideline-admin", "ada", of("guideline", "project")),
    Page("queues", "ada", of("queues", "project")),
    Page("queue-rules", "ada", of("queue-rules", "ranking")),
    Page("people", "ada", of("people", "project")),
    Page("me", "ada", lambda world: reverse("me")),
    Page("home", "ada", of("project-home", "project")),
    Page("home-assessor", "ana", of("project-home", "project")),
    Page("find", "ada", lambda world: of("find", "project")(world) + "?q=re"),
    Page("find-nothing", "ana", lambda world: of("find", "project")(world) + "?q=zzz"),
    Page("snapshots", "ada", of("snapshots", "project")),
    Page("snapshot", "rex", of("snapshot", "snapshot")),
    Page("freeze", "ada", lambda world: reverse("snapshot-new", args=[world.ids["project"], "prompt"])),
    Page("launch", "ada", lambda world: reverse("launch", args=[world.ids["project"], "ppo"])),
    Page("runs", "ada", of("runs", "project")),
    Page("run", "ada", of("run", "run")),
    Page("run-failed", "ada", of("run", "failed")),
    Page("run-log", "rex", lambda world: of("run", "failed")(world) + "?tab=log"),
    Page("run-config", "rex", lambda world: of("run", "run")(world) + "?tab=config"),
    Page("run-lineage", "rex", lambda world: of("run", "run")(world) + "?tab=lineage"),
    Page("run-table", "rex", lambda world: of("run", "run")(world) + "?table=reward"),
    Page("models", "ada", of("models", "project")),
    Page("model", "rex", of("model", "model")),
    Page("playground", "rex", of("playground", "project")),
    Page("rank-explained", "ana", lambda world: of("slot", "rank")(world) + "?depth=detailed"),
    Page(
        "launch-explained", "ada", lambda world: reverse("launch", args=[world.ids["project"], "ppo"]) + "?depth=medium"
    ),
    Page("game", "ana", of("game", "project")),
    Page("consent", "ana", of("consent", "project")),
    Page("tokenizer", "rex", of("tokenizer", "project")),
    Page("tokenizer-assessor", "ana", of("tokenizer", "project")),
    Page("map", "rex", lambda world: of("map", "project")(world) + "?point=3"),
    Page("map-assessor", "ana", of("map", "project")),
    Page("beliefs", "rex", lambda world: of("beliefs", "project")(world) + f"?probe={world.ids['probe']}"),
    Page("beliefs-empty", "ana", of("beliefs", "project")),
    Page(
        "beliefs-tokens",
        "ana",
        lambda world: of("beliefs", "project")(world) + f"?probe={world.ids['probe']}&tab=tokens",
    ),
    Page(
        "beliefs-reward",
        "rex",
        lambda world: of("beliefs", "project")(world) + f"?probe={world.ids['probe']}&tab=reward",
    ),
    Page("run-evaluate", "rex", of("run", "measured")),
    Page("learn", "ana", lambda world: reverse("learn")),
    Page("learn-stage", "rex", lambda world: reverse("learn-stage", args=["reward_model"]) + "?depth=detailed"),
    Page("glossary", "ana", lambda world: reverse("glossary")),
    Page("cards", "ana", lambda world: reverse("cards")),
    Page("own-cards", "rex", of("own-cards", "project")),
    Page("quiz", "rex", lambda world: reverse("quiz")),
    Page("quiz-gate", "noa", lambda world: reverse("quiz")),
    Page("quiz-gate-result", "noa", of("quiz-try", "failed quiz")),
    Page("quiz-question", "ana", of("quiz-try", "quiz")),
    Page("quiz-answered", "rex", lambda world: of("quiz-try", "answered quiz")(world) + "?answered=1"),
    Page("quiz-result", "rex", of("quiz-try", "answered quiz")),
    Page("game-words", "rex", of("game-words", "project")),
    Page("game-correction", "ada", lambda world: of("game", "project")(world) + "?mode=correction"),
]
