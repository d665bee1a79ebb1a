"""Hiding what upsets, on the pages and at the API."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from annotate.models import Exclusion, Hiding, Slot, Task
from tests.api import Caller

from .conftest import ask_to_clean, build, leased, make_document, mark_harmful, rank_item

HARM = "sex_crimes"


@pytest.fixture
def client(rex) -> Client:
    client = Client()
    client.force_login(rex)
    return client


@pytest.fixture
def held(project, cleaning, rex) -> Slot:
    """Of a document that is marked, while another waits."""
    ask_to_clean(cleaning, mark_harmful(make_document(project, "The first."), category=HARM))
    slot = leased(cleaning, rex)
    ask_to_clean(cleaning, mark_harmful(make_document(project, "Likewise."), category=HARM))
    return slot


def skipped(client: Client, slot: Slot, **fields) -> str:
    """The page after it."""
    sent = {"token": slot.token, "reason": "upsetting", **fields}
    return client.post(reverse("slot-skip", args=[slot.uuid]), sent, follow=True).content.decode()


def test_the_skip_offers_to_hide_what_marks_the_text(client, held):
    page = client.get(reverse("slot", args=[held.uuid])).content.decode()
    assert f'name="hide" value="{HARM}"' in " ".join(page.split())
    assert "tasks marked “sex crimes”" in page


def test_a_text_that_nothing_marks_offers_nothing_to_hide(client, project, cleaning, rex):
    ask_to_clean(cleaning, make_document(project, "Harmless."))
    page = client.get(reverse("slot", args=[leased(cleaning, rex).uuid])).content.decode()
    assert 'name="hide"' not in page


def test_a_blind_task_does_not_say_what_marks_its_texts(client, project, ranking, rex):
    item = rank_item(project, ["One.", "Two."])
    mark_harmful(item.texts[1][0], category=HARM)
    build(ranking, item)
    page = client.get(reverse("slot", args=[leased(ranking, rex).uuid])).content.decode()
    assert HARM not in page
    assert "sex crimes" not in page


def test_work_says_what_is_hidden_and_shows_it_again(client, project, held):
    page = skipped(client, held, hide=[HARM])
    assert "Hidden from you until 00:00 UTC: sex crimes." in page
    assert "What is left is marked as what you have hidden for today." in page
    assert "tasks marked “sex crimes”" in page
    address = reverse("hide-end", args=[Hiding.objects.get().uuid])
    assert address in page
    page = client.post(address, follow=True).content.decode()
    assert "Tasks marked “sex crimes” come to you again." in page
    assert not Hiding.objects.exists()
    assert Exclusion.objects.get().skip == "upsetting"


def test_the_persons_own_midnight_ends_it(client, held):
    ends = now() + timedelta(hours=7)
    skipped(client, held, hide=[HARM], hide_until=ends.isoformat())
    assert Hiding.objects.get().until == ends


def test_what_is_ticked_beside_another_reason_hides_nothing(client, held):
    skipped(client, held, reason="broken_text", hide=[HARM])
    assert Exclusion.objects.get().skip == "broken_text"
    assert not Hiding.objects.exists()


def test_undo_of_the_skip_leads_back_and_hides_nothing(client, held):
    skipped(client, held, hide=[HARM])
    client.post(reverse("slot-unskip", args=[held.uuid]))
    held.refresh_from_db()
    assert held.status == "leased"
    assert not Hiding.objects.exists()


def test_the_api_hides_lists_and_shows_again(project, cleaning, held, rex):
    caller = Caller(rex)
    body = {"token": held.token, "reason": "upsetting", "hide": [HARM]}
    reply = caller.post(f"slots/{held.uuid}/skip", body)
    assert (reply["next"]["cause"], reply["next"]["until"]) == ("hidden", Hiding.objects.get().until.isoformat())
    assert reply["hidden"] == caller.get(f"hidden/?project={project.uuid}")["results"]
    assert caller.ask("DELETE", f"hidden/{reply['hidden'][0]['id']}/").status_code == 204
    assert caller.post(f"queues/{cleaning.uuid}/claim")["task"]["document"]["text"] == "Likewise."


def test_the_api_refuses_what_marks_nothing(project, held, rex):
    caller = Caller(rex)
    body = {"token": held.token, "reason": "upsetting", "hide": ["hate"]}
    assert caller.post(f"slots/{held.uuid}/skip", body, expect=400)["code"] == "bad_hide"
    body = {"project": str(project.uuid), "category": "hate", "until": None}
    assert caller.post("hidden/", body, expect=400)["code"] == "bad_hide"
    assert Task.objects.filter(exclusions__isnull=False).count() == 0
