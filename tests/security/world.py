"""One project with one of everything in it, and a neighbour who must see nothing of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from uuid import UUID

from django.test import Client

from annotate.actions.add_card import add_card
from annotate.actions.create_token import create_token
from annotate.actions.hide import hide
from annotate.actions.objection import object_to_return
from annotate.actions.pause import pause
from annotate.actions.play import begin_round, record_consent
from annotate.actions.take_quiz import start_quiz
from annotate.actions.train_start import bundled_start
from annotate.game import deal
from annotate.models import GameStart, Import, Judgement, Membership, Objection, Queue, Role, Source, User
from rlhf.launching import launch
from tests.annotate.conftest import (
    ask_to_write,
    build,
    leased,
    make_document,
    make_prompt,
    mark_harmful,
    rank_item,
    send,
)
from tests.conftest import make_project
from tests.rlhf.believed import make_probe
from tests.rlhf.conftest import make_model, make_snapshot
from tests.rlhf.mapped import make_map

MARKER = "planted-in-the-foreign-project"


@dataclass
class World:
    """people: by name. ids: what a URL captures or a body names, by kind of object."""

    people: dict[str, User]
    ids: dict[str, Any]
    clients: dict[str, Client] = field(default_factory=dict)
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def client(self, name: str) -> Client:
        """Somebody's browser as it was when they signed in; a stranger's for the empty name."""
        client = self.clients[name]
        client.cookies = SimpleCookie(self.cookies[name])
        return client

    def sign_in(self) -> None:
        """Once for all people: what a request does to its session is taken back with it."""
        self.cookies = {"": {}}
        self.clients = {name: Client(raise_request_exception=False) for name in ("", *self.people)}
        for name, user in self.people.items():
            self.clients[name].force_login(user)
            self.cookies[name] = {key: one.value for key, one in self.clients[name].cookies.items()}


def build_world(folder: Path) -> World:
    """Docs, with ada, rex, ana and abe, and one of everything; Elsewhere, with eve alone."""
    people = {name: User.objects.create_user(name) for name in ("ada", "rex", "ana", "abe", "eve")}
    ada, rex, ana, abe, eve = people.values()
    members = {ada: Role.ADMIN, rex: Role.REVIEWER, ana: Role.ASSESSOR, abe: Role.ASSESSOR}
    project = make_project(f"Docs {MARKER}", {user: role.value for user, role in members.items()})
    other = make_project("Elsewhere", {eve: Role.ADMIN.value})
    queues = {queue.kind: queue for queue in Queue.objects.filter(project=project).select_related("project")}
    objection = _objection(queues, ana, returned_by=abe)
    ask_to_write(queues["write_answer"], make_prompt(project, f"What is {MARKER}?"))
    written = send(leased(queues["write_answer"], ana), ana, {"text": f"It is {MARKER}."})
    build(queues["rank"], rank_item(project, [f"One {MARKER}.", "Two."], prompt="Which?"))
    slot = leased(queues["rank"], ana)
    source = Source.objects.create(project=project, name=f"s {MARKER}", kind="upload", licence="PSF", added_by=ada)
    imported = Import.objects.create(
        source=source, label=f"f {MARKER}", format="jsonl", sha256="0" * 64, file="0" * 32, size_bytes=1, by=ada
    )
    text = make_document(project, f"A document {MARKER}.", source=source)
    mark_harmful(text, category="hate")
    [hiding] = hide(project=project, by=ana, categories=["hate"], until=None, task=None)
    snapshot = make_snapshot(project, ada, folder)
    model = make_model(project, folder)
    run = launch(
        project=project, stage="pretrain", preset="smoke", config={"seed": 1}, inputs={"corpus": snapshot}, by=ada
    )
    token, _ = create_token(user=ada, name=f"t {MARKER}", scopes=["read"], days=1)
    card = add_card(project=project, front=f"c {MARKER}", back="A card.", example="", by=rex)
    figures = {"n": 10, "without": 0.5, "with": 0.5, "gain": [0.0, -0.1, 0.1]}
    no_gain = {"modes": dict.fromkeys(("missing", "next"), figures)}
    start = GameStart.objects.create(
        project=project, version="5" * 64, file=b"", practice=b"", header={"held_out": no_gain, "words": 9}
    )
    record_consent(project=project, by=ana, scopes=["annotation"])
    dealt = deal(start=bundled_start(), user=ana, project=project, mode="missing", seed=1, newborn=False)
    probe, _ = make_probe(project, ana, prompt=f"The sky is {MARKER}", models={"base": model})
    ids: dict[str, UUID | str] = {
        "project": project.uuid,
        "other": other.uuid,
        "queue": queues["rank"].uuid,
        "slot": slot.uuid,
        "slot token": str(slot.token),
        "task": slot.task.uuid,
        "pause": pause(queue=queues["rank"], person=abe.pseudonym(project), by=rex, note="").uuid,
        "judgement": Judgement.objects.get(uuid=written.judgement).uuid,
        "hiding": hiding.uuid,
        "objection": objection.uuid,
        "source": source.uuid,
        "import": imported.uuid,
        "text": text.uuid,
        "snapshot": snapshot.uuid,
        "model": model.uuid,
        "probe": probe.uuid,
        "run": run.uuid,
        "map": make_map(project, ada, texts=[f"{MARKER}-{place}" for place in range(60)]).uuid,
        "token": token.uuid,
        "card": card.uuid,
        "start": start.version,
        "round": begin_round(dealt=dealt, project=project, by=ana).uuid,
        "quiz": start_quiz(user=ana).uuid,
        "member": Membership.objects.get(project=project, user=abe).uuid,
    }
    world = World(people=people, ids=ids)
    world.sign_in()
    return world


def _objection(queues: dict[str, Queue], author: User, *, returned_by: User) -> Objection:
    """It waits for whoever of the reviewers decides."""
    writing, reviewing = queues["write_answer"], queues["review_answer"]
    ask_to_write(writing, make_prompt(writing.project, f"What was {MARKER}?"))
    send(leased(writing, author), author, {"text": f"It was {MARKER}."})
    send(leased(reviewing, returned_by), returned_by, {"decision": "return", "comment": "Longer."})
    back = leased(writing, author)
    return object_to_return(slot=back, by=author, token=str(back.token), reason=f"It was {MARKER}.")
