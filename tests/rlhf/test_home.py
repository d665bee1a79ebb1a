"""Home on both databases: what its counts say of the same rows."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from tests.annotate.conftest import answer, ask_to_clean, ask_to_write, build, make_document, make_prompt, rank_item


def test_both_databases_show_the_same_home(database, project, rex, tmp_path):
    queues = {queue.kind: queue for queue in project.queues.select_related("project")}
    for number, body in enumerate(["Kept.", "Rejected.", "Waits."]):
        ask_to_clean(queues["clean"], make_document(project, body))
        if number < 2:
            decided = {"decision": "reject", "reasons": ["broken"]} if number else {"decision": "keep", "reasons": []}
            answer(queues["clean"], rex, decided)
    ask_to_write(queues["write_answer"], make_prompt(project))
    barred = build(queues["rank"], rank_item(project, ["One.", "Two."], prompt="Which?"))
    barred.exclusions.create(user=rex, reason="author")
    client = Client()
    client.force_login(rex)
    found = client.get(reverse("project-home", args=[project.uuid])).context
    nodes = {node.key: (node.n, node.waiting) for node in found["nodes"]}
    assert (nodes["collect"], nodes["clean"], nodes["rank"]) == ((3, 0), (1, 1), (0, 1))
    assert [(card.kind, card.n) for card in found["cards"]] == [("clean", 1), ("write_answer", 1)]
    assert (found["left"], found["record"].today) == (2, 2)
    assert {event.kind: event.n for event in found["events"]} == {"clean": 2}
