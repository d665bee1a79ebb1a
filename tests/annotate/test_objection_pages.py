"""Objecting to a return and deciding about it, on the pages and at the API."""

from django.test import Client
from django.urls import reverse

from annotate.actions.objection import object_to_return
from annotate.models import Objection, User
from tests.api import Caller

from .conftest import answer, ask_to_write, leased, make_prompt

WHY = "The documentation says the same."


def page_of(user: User, name: str, *args: object) -> str:
    client = Client()
    client.force_login(user)
    return " ".join(client.get(reverse(name, args=args)).content.decode().split())


def test_the_pages_lead_through_it(project, returned, ana, rex, rita):
    client = Client()
    client.force_login(ana)
    assert "Object instead" in page_of(ana, "slot", returned.uuid)
    fields = {"token": returned.token, "objection": WHY}
    page = client.post(reverse("object-new", args=[returned.uuid]), fields, follow=True).content.decode()
    assert "Another reviewer decides about it." in page
    assert "you objected" in page
    page = page_of(rex, "disputes", project.uuid)
    assert WHY in page
    assert "another decides" in page
    page = page_of(rita, "disputes", project.uuid)
    assert "Of what?" in page
    assert "It returns the least value." in page
    client.force_login(rita)
    decide = reverse("objection-decide", args=[Objection.objects.get().uuid])
    page = client.post(decide, {"stands": "0", "note": ""}, follow=True).content.decode()
    assert "The answer is accepted." in page
    assert "counted" in page_of(ana, "mine", project.uuid)
    assert "overruled" in page_of(rex, "mine", project.uuid)
    assert "Withdraw" not in page_of(rita, "mine", project.uuid).split("<tbody>")[1]
    assert "The objection waits again." in client.post(decide, follow=True).content.decode()


def test_an_empty_objection_comes_back_to_the_screen(returned, ana):
    client = Client()
    client.force_login(ana)
    response = client.post(reverse("object-new", args=[returned.uuid]), {"token": returned.token, "objection": ""})
    assert response.status_code == 422
    assert "Say why, in 1 to 2,000 characters." in response.content.decode()


def test_a_return_does_not_stand_without_a_word_to_its_author(project, returned, ana, rita):
    made = object_to_return(slot=returned, by=ana, token=returned.token, reason=WHY)
    client = Client()
    client.force_login(rita)
    response = client.post(reverse("objection-decide", args=[made.uuid]), {"stands": "1", "note": ""})
    assert response.status_code == 422
    assert "Say why, in 1 to 2,000 characters." in response.content.decode()
    assert f'href="#note-{made.uuid}"' in response.content.decode()
    assert Objection.objects.get().decided_at is None


def test_long_texts_open_whole_before_one_decides(project, writing, reviewing, ana, rex, rita):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value. " * 40 + "That is the end."})
    answer(reviewing, rex, {"decision": "return", "comment": "Shorter, please."})
    slot = leased(writing, ana)
    object_to_return(slot=slot, by=ana, token=slot.token, reason=WHY)
    assert "That is the end." in page_of(rita, "disputes", project.uuid)


def test_the_api_leads_through_it(project, returned, ana, rita):
    writer, reviewer = Caller(ana), Caller(rita)
    body = {"token": returned.token, "reason": WHY}
    made = writer.post(f"slots/{returned.uuid}/object", body, expect=201)
    assert (made["reason"], made["stands"], made["person"]) == (WHY, None, ana.pseudonym(project))
    assert reviewer.get(f"objections/?project={project.uuid}")["results"] == [made]
    assert writer.post(f"objections/{made['id']}/decide", {"stands": False}, expect=403)["code"] == "not_allowed"
    assert reviewer.post(f"objections/{made['id']}/decide", {"stands": False})["stands"] is False
    assert reviewer.get(f"objections/?project={project.uuid}")["results"] == []
    assert reviewer.ask("DELETE", f"objections/{made['id']}/decide").json()["stands"] is None
    again = writer.ask("DELETE", f"objections/{made['id']}/").json()
    assert again["task"]["slot"] == str(returned.uuid)


def test_disputes_cost_the_same_with_ten_objections(
    project, writing, reviewing, ana, rex, rita, django_assert_max_num_queries
):
    for number in range(10):
        ask_to_write(writing, make_prompt(project, f"Question {number}"))
        answer(writing, ana, {"text": f"Answer {number}."})
        answer(reviewing, rex, {"decision": "return", "comment": "More, please."})
        slot = leased(writing, ana)
        object_to_return(slot=slot, by=ana, token=slot.token, reason=WHY)
    client = Client()
    client.force_login(rita)
    with django_assert_max_num_queries(20):
        client.get(reverse("disputes", args=[project.uuid]))
