"""Who may do what: a row for each address, read by the walk. An address without a row fails the build.

A declared method names who may; everyone else who is a member gets 403, who is not gets 404. `unknown` names members
from whom the object is hidden (404). What is not declared is 405, for anonymous callers 401 or the log-in page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.security.world import World

ADMIN, READERS, JUDGES, MEMBERS = "ada", "ada rex", "rex ana", "ada rex ana"
EVERYBODY = "ada rex ana eve"


@dataclass(frozen=True)
class Rule:
    """may: names parted by spaces. unknown: members who get 404. body: of a request that fits.

    absent: who may, but finds nothing (404), as with a draft that was never saved.
    """

    may: str
    unknown: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    absent: bool = False


@dataclass(frozen=True)
class Row:
    """captures: what stands in the address, by the name that its route gives it. open: no log-in needed."""

    methods: dict[str, Rule]
    captures: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    open: bool = False

    def objects(self) -> list[str]:
        """The kinds of object that its address names."""
        return [kind for kind in self.captures.values() if not kind.startswith("'")]

    def allows(self, method: str) -> Rule | None:
        return self.methods.get(method)


def api(captures: dict[str, str] | None = None, query: dict[str, str] | None = None, **methods: Rule) -> Row:
    """An address of the API: whoever may GET may HEAD."""
    head = {"HEAD": methods["GET"]} if "GET" in methods else {}
    return Row({**methods, **head}, captures or {}, query or {})


def page(captures: dict[str, str] | None = None, **methods: Rule) -> Row:
    return Row(methods, captures or {})


def one(kind: str) -> dict[str, str]:
    return {"id": kind}


OF_PROJECT = {"project": "project"}
NAMED = {"project": "=project"}  # = stands for the id of that object
TOKEN = {"token": "=slot token"}
TIMES = {"active_ms": None, "hidden_ms": None, "by": "api"}
RANKED: dict[str, Any] = {"groups": [["A"], ["B"]], "acceptable_groups": None, "unplaced": [], "ratings": {}}
SNAPSHOT = {**NAMED, "kind": "corpus", "settings": {}}
LAUNCH = {**NAMED, "stage": "pretrain", "preset": "smoke", "inputs": {"corpus": "=snapshot"}, "config": {"seed": 1}}
PROBE = {**NAMED, "prompt": "The sky is", "models": ["base"]}
THREE = ["one", "two", "three"]
CHAT = {"models": ["=model"], "messages": [{"role": "user", "content": "Hello"}]}

TABLE: dict[str, Row] = {
    # the API of annotate
    "api:me": api(GET=Rule(EVERYBODY), PATCH=Rule(EVERYBODY)),
    "api:projects": api(GET=Rule(EVERYBODY), POST=Rule("", body={"name": "New"})),
    "api:project": api(one("project"), GET=Rule(MEMBERS), PATCH=Rule(ADMIN)),
    "api:project-live": api(one("project"), GET=Rule(MEMBERS)),
    "api:members": api(
        query=OF_PROJECT, GET=Rule(ADMIN), POST=Rule(ADMIN, body={**NAMED, "name": "eve", "role": "assessor"})
    ),
    "api:member": api(one("member"), DELETE=Rule(ADMIN)),
    "api:guidelines": api(query=OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(ADMIN, body={**NAMED, "body": "1. Be kind."})),
    "api:guideline-accept": api(POST=Rule(MEMBERS, body={**NAMED, "version": 1})),
    "api:tokens": api(GET=Rule(EVERYBODY), POST=Rule(EVERYBODY, body={"name": "t", "scopes": ["read"], "days": 1})),
    "api:token": api(one("token"), DELETE=Rule(ADMIN, unknown="rex ana")),
    "api:queues": api(
        query=OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(ADMIN, body={**NAMED, "kind": "pair", "name": "Pairs"})
    ),
    "api:queue-fill": api(one("queue"), POST=Rule(ADMIN)),
    "api:queue": api(one("queue"), GET=Rule(MEMBERS), PATCH=Rule(ADMIN)),
    "api:claim": api(one("queue"), POST=Rule(JUDGES)),
    "api:slot": api(one("slot"), GET=Rule("ana", unknown="ada rex")),
    "api:slot-heartbeat": api(one("slot"), POST=Rule("ana", unknown="ada rex", body={**TOKEN, "active": True})),
    "api:slot-release": api(one("slot"), POST=Rule("ana", unknown="ada rex", body=TOKEN)),
    "api:slot-skip": api(
        one("slot"),
        POST=Rule("ana", unknown="ada rex", body={**TOKEN, "reason": "later"}),
        DELETE=Rule("ana", unknown="ada rex"),
    ),
    "api:hidden": api(
        query=OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS, body={**NAMED, "category": "hate", "until": None})
    ),
    "api:one-hidden": api(one("hiding"), DELETE=Rule("ana", unknown="ada rex")),
    "api:slot-submit": api(
        one("slot"), POST=Rule("ana", unknown="ada rex", body={**TOKEN, "body": RANKED, "times": TIMES})
    ),
    "api:slot-draft": api(
        one("slot"),
        GET=Rule("ana", unknown="ada rex", absent=True),
        PUT=Rule("ana", unknown="ada rex", body={"body": {}}),
        DELETE=Rule("ana", unknown="ada rex"),
    ),
    "api:judgements": api(query=OF_PROJECT, GET=Rule(MEMBERS)),
    "api:judgement": api(one("judgement"), GET=Rule(MEMBERS)),
    "api:judgement-revisions": api(
        one("judgement"), GET=Rule(MEMBERS), POST=Rule("ana", body={"body": {"text": "It is another."}})
    ),
    "api:judgement-undo": api(one("judgement"), POST=Rule("ana")),
    "api:progress": api(query=OF_PROJECT, GET=Rule(MEMBERS)),
    "api:progress-live": api(query=OF_PROJECT, GET=Rule(MEMBERS)),
    "api:judgement-withdraw": api(one("judgement"), POST=Rule("ada ana", body={"note": "Why."})),
    "api:judgement-counted": api(one("judgement"), POST=Rule(READERS), DELETE=Rule(READERS)),
    "api:tasks": api(query={**OF_PROJECT, "which": "'parked"}, GET=Rule(READERS)),
    "api:task-unpark": api(one("task"), POST=Rule(READERS)),
    "api:task-park": api(one("task"), POST=Rule(READERS)),
    "api:slot-object": api(one("slot"), POST=Rule("ana", unknown="ada rex", body={**TOKEN, "reason": "It is right."})),
    "api:objections": api(query=OF_PROJECT, GET=Rule(READERS)),
    "api:objection": api(one("objection"), GET=Rule(MEMBERS), DELETE=Rule("ana")),
    "api:objection-decide": api(
        one("objection"), POST=Rule(READERS, body={"stands": True, "note": "Too short."}), DELETE=Rule(READERS)
    ),
    "api:pauses": api(
        query=OF_PROJECT, GET=Rule(READERS), POST=Rule(READERS, body={"queue": "=queue", "person": "person-0"})
    ),
    "api:pause": api(one("pause"), DELETE=Rule(READERS)),
    "api:sources": api(query=OF_PROJECT, GET=Rule(READERS), POST=Rule(ADMIN, body={**NAMED, "name": "new"})),
    "api:source": api(one("source"), GET=Rule(READERS)),
    "api:imports": api(
        query=OF_PROJECT, GET=Rule(READERS), POST=Rule(ADMIN, body={**NAMED, "source": "s", "format": "text"})
    ),
    "api:import": api(one("import"), GET=Rule(READERS)),
    "api:import-live": api(one("import"), GET=Rule(READERS)),
    "api:import-refusals": api(one("import"), GET=Rule(READERS)),
    "api:texts": api(query=OF_PROJECT, GET=Rule(READERS)),
    "api:text-preview": api(POST=Rule(EVERYBODY, body={"text": "*one*"})),  # with a slot: test_notices.py
    "api:text": api(one("text"), GET=Rule(READERS)),
    "api:learn-text": api({"stage": "'ppo"}, {**OF_PROJECT, "depth": "'medium"}, GET=Rule(MEMBERS)),
    "api:glossary": api(GET=Rule(EVERYBODY)),
    "api:cards": api(
        query=OF_PROJECT, GET=Rule(READERS), POST=Rule(READERS, body={**NAMED, "front": "Moss", "back": "A plant."})
    ),
    "api:card-next": api(query=OF_PROJECT, GET=Rule(MEMBERS)),
    "api:card-review": api(POST=Rule(MEMBERS, body={**NAMED, "card": "term/token/means", "number": 1, "rating": 3})),
    "api:card": api(one("card"), DELETE=Rule(READERS)),
    "api:quizzes": api(POST=Rule(EVERYBODY)),
    "api:quiz": api(one("quiz"), GET=Rule("ana", unknown="ada rex")),
    "api:quiz-answer": api(one("quiz"), POST=Rule("ana", unknown="ada rex", body={"number": 1, "option": 0})),
    "api:game-paragraph": api(one("project"), GET=Rule(MEMBERS)),
    "api:game-rounds": api(one("project"), POST=Rule(MEMBERS)),
    "api:game-table": api(one("project"), GET=Rule(MEMBERS)),
    "api:game-train": api(one("project"), POST=Rule(ADMIN)),
    "api:game-attempts": api(one("round"), POST=Rule("ana", unknown="ada rex", body={"rows": []})),
    "api:game-doubts": api(one("round"), POST=Rule("ana", unknown="ada rex", body={"item": 0})),
    "api:game-doubt": api({"id": "round", "item": "'0"}, DELETE=Rule("ana", unknown="ada rex")),
    "api:game-finish": api(one("round"), POST=Rule("ana", unknown="ada rex", body={"digest": [0.0] * 7})),
    "api:game-start": api({"version": "start", "what": "'lmt"}, GET=Rule(MEMBERS)),
    "api:game-mine": api(one("project"), GET=Rule(MEMBERS), DELETE=Rule(MEMBERS)),
    "api:consents": api(
        query=OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS, body={**NAMED, "scopes": ["annotation"]})
    ),
    # the API of rlhf
    "api:snapshots": api(query=OF_PROJECT, GET=Rule(READERS), POST=Rule(ADMIN, body=SNAPSHOT)),
    "api:snapshot-preview": api(POST=Rule(ADMIN, body=SNAPSHOT)),
    "api:snapshot": api(one("snapshot"), GET=Rule(READERS)),
    "api:snapshot-live": api(one("snapshot"), GET=Rule(READERS)),
    "api:snapshot-file": api({"id": "snapshot", "name": "'corpus.jsonl"}, GET=Rule(READERS)),
    "api:runs": api(query=OF_PROJECT, GET=Rule(READERS), POST=Rule(ADMIN, body=LAUNCH)),
    "api:run-fields": api(query={"stage": "'ppo"}, GET=Rule(EVERYBODY)),
    "api:run": api(one("run"), GET=Rule(READERS)),
    "api:run-live": api(one("run"), GET=Rule(READERS)),
    "api:run-series": api(one("run"), {"keys": "'eval/nll"}, GET=Rule(READERS)),
    "api:run-cancel": api(one("run"), POST=Rule(ADMIN)),
    "api:run-resume": api(one("run"), POST=Rule(ADMIN)),
    "api:workers": api(query=OF_PROJECT, GET=Rule(READERS)),
    "api:models": api(query=OF_PROJECT, GET=Rule(READERS)),
    "api:model": api(one("model"), GET=Rule(READERS)),
    "api:model-lineage": api(one("model"), GET=Rule(READERS)),
    "api:text-lineage": api(one("text"), GET=Rule(READERS)),
    "api:generations": api(query={"run": "run"}, GET=Rule(READERS)),
    "api:tokenizer-encode": api(one("model"), POST=Rule(MEMBERS, body={"text": "the"})),
    "api:map-points": api(one("map"), {"step": "'99"}, GET=Rule(MEMBERS)),
    "api:map-labels": api(one("map"), GET=Rule(MEMBERS)),
    "api:map-similar": api(one("map"), GET=Rule(MEMBERS), POST=Rule(MEMBERS, body={"words": THREE, "odd": THREE[0]})),
    "api:map-neighbours": api({"id": "map", "place": "'0"}, GET=Rule(MEMBERS)),
    "api:probes": api(POST=Rule(MEMBERS, body=PROBE)),
    "api:probe-live": api(one("probe"), GET=Rule(MEMBERS)),
    "api:probe-csv": api(one("probe"), GET=Rule(MEMBERS)),
    "api:game-opinion": api(one("project"), {"item": "'1", "mode": "'missing"}, GET=Rule(MEMBERS)),
    "api:playground-chat": api(POST=Rule(READERS, body=CHAT)),
    "api:schema": api(GET=Rule(EVERYBODY)),
    # the pages of annotate
    "login": Row({"GET": Rule(EVERYBODY), "HEAD": Rule(EVERYBODY), "POST": Rule(EVERYBODY)}, open=True),
    "logout": page(POST=Rule(EVERYBODY)),
    "work": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "start": page({"queue": "queue"}, POST=Rule(JUDGES)),
    "slot": page({"slot": "slot"}, GET=Rule("ana", unknown="ada rex")),
    "slot-submit": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex", body=TOKEN)),
    "slot-skip": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex", body=TOKEN)),
    "slot-release": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex", body=TOKEN)),
    "slot-draft": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex", body=TOKEN)),
    "slot-unskip": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex")),
    "hide-new": page(OF_PROJECT, POST=Rule(MEMBERS, body={"category": "hate"})),
    "hide-end": page({"hiding": "hiding"}, POST=Rule("ana", unknown="ada rex")),
    "mine": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "progress": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "progress-csv": page({**OF_PROJECT, "table": "'people"}, GET=Rule(MEMBERS)),
    "undo": page({"judgement": "judgement"}, POST=Rule("ana")),
    "edit": page({"judgement": "judgement"}, GET=Rule("ana"), POST=Rule("ana")),
    "withdraw": page({"judgement": "judgement"}, POST=Rule("ada ana", body={"note": "Why."})),
    "counted": page({"judgement": "judgement"}, POST=Rule(READERS)),
    "disputes": page(OF_PROJECT, GET=Rule(READERS)),
    "task-parked": page({"task": "task"}, POST=Rule(READERS)),
    "object-new": page({"slot": "slot"}, POST=Rule("ana", unknown="ada rex", body={**TOKEN, "objection": "Right."})),
    "objection-decide": page({"objection": "objection"}, POST=Rule(READERS, body={"stands": "0"})),
    "objection-back": page({"objection": "objection"}, POST=Rule("ana")),
    "pause-new": page(OF_PROJECT, POST=Rule(READERS, body={"queue": "=queue", "person": "person-0"})),
    "pause-end": page({"pause": "pause"}, POST=Rule(READERS)),
    "data": page(OF_PROJECT, GET=Rule(READERS)),
    "import-new": page(OF_PROJECT, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "import": page({"imported": "import"}, GET=Rule(READERS)),
    "text": page({"text": "text"}, GET=Rule(READERS)),
    "guideline": page(OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(ADMIN)),
    "guideline-accept": page(OF_PROJECT, POST=Rule(MEMBERS, body={"version": "1"})),
    "people": page(OF_PROJECT, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "queues": page(OF_PROJECT, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "queue-fill": page({"queue": "queue"}, POST=Rule(ADMIN)),
    "queue-empty": page({"queue": "queue"}, POST=Rule(ADMIN)),
    "queue-close": page({"queue": "queue"}, POST=Rule(ADMIN)),
    "queue-rules": page({"queue": "queue"}, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "me": page(GET=Rule(EVERYBODY), POST=Rule(EVERYBODY)),
    "me-keys": page(POST=Rule(EVERYBODY)),
    "project-new": page(GET=Rule(""), POST=Rule("")),
    "token-new": page(POST=Rule(EVERYBODY)),
    "token-revoke": page({"token": "token"}, POST=Rule(ADMIN, unknown="rex ana")),
    "game": page(OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS)),
    "game-train": page(OF_PROJECT, POST=Rule(ADMIN)),
    "game-words": page(OF_PROJECT, GET=Rule(READERS), POST=Rule(READERS)),
    "game-doubt": page({"round": "round"}, POST=Rule("ana", unknown="ada rex", body={"item": "0"})),
    "game-doubt-undo": page({"round": "round"}, POST=Rule("ana", unknown="ada rex", body={"item": "0"})),
    "consent": page(OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS)),
    "learn": page(GET=Rule(EVERYBODY)),
    "learn-stage": page({"stage": "'ppo"}, GET=Rule(EVERYBODY)),
    "glossary": page(GET=Rule(EVERYBODY)),
    "cards": page(GET=Rule(EVERYBODY)),
    "card-review": page(POST=Rule(EVERYBODY, body={"card": "term/token/means", "number": "1", "rating": "3"})),
    "card-change": page({"card": "card"}, POST=Rule(READERS)),
    "own-cards": page(OF_PROJECT, GET=Rule(READERS), POST=Rule(READERS)),
    "quiz": page(GET=Rule(EVERYBODY)),
    "quiz-start": page(POST=Rule(EVERYBODY)),
    "quiz-try": page({"quiz": "quiz"}, GET=Rule("ana", unknown="ada rex"), POST=Rule("ana", unknown="ada rex")),
    # the pages of rlhf
    "home": page(GET=Rule(EVERYBODY)),
    "project-home": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "find": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "snapshots": page(OF_PROJECT, GET=Rule(READERS)),
    "snapshot-new": page({**OF_PROJECT, "kind": "'corpus"}, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "snapshot": page({"snapshot": "snapshot"}, GET=Rule(READERS)),
    "snapshot-file": page({"snapshot": "snapshot", "name": "'corpus.jsonl"}, GET=Rule(READERS)),
    "runs": page(OF_PROJECT, GET=Rule(READERS)),
    "launch": page({**OF_PROJECT, "stage": "'pretrain"}, GET=Rule(ADMIN), POST=Rule(ADMIN)),
    "run": page({"run": "run"}, GET=Rule(READERS)),
    "run-cancel": page({"run": "run"}, POST=Rule(ADMIN)),
    "run-ask": page({"run": "run"}, POST=Rule(ADMIN)),
    "run-resume": page({"run": "run"}, POST=Rule(ADMIN)),
    "models": page(OF_PROJECT, GET=Rule(READERS)),
    "model": page({"model": "model"}, GET=Rule(READERS)),
    "playground": page(OF_PROJECT, GET=Rule(READERS), POST=Rule(READERS)),
    "tokenizer": page(OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS)),
    "map": page(OF_PROJECT, GET=Rule(MEMBERS)),
    "map-similar": page({"run": "map"}, POST=Rule(MEMBERS, body={"word-1": "x"})),
    "beliefs": page(OF_PROJECT, GET=Rule(MEMBERS), POST=Rule(MEMBERS)),
    "health": Row({"GET": Rule(EVERYBODY), "HEAD": Rule(EVERYBODY)}, open=True),
}


def filled(value: Any, world: World) -> Any:
    """A body with the ids of a world: "=run" stands for that of its run."""
    if isinstance(value, dict):
        return {key: filled(inner, world) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, world) for inner in value]
    return str(world.ids[value[1:]]) if isinstance(value, str) and value.startswith("=") else value


def captured(names: dict[str, str], world: World) -> dict[str, str]:
    """What stands in an address or query: ids of a world, or words where they begin with a quote."""
    return {key: value[1:] if value.startswith("'") else str(world.ids[value]) for key, value in names.items()}
