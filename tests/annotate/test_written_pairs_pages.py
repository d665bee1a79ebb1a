"""The screen, the notices and the API of writing an instruction with its answer; the pages that ask for such."""

from html import unescape

import pytest
from django.urls import reverse

from annotate.actions.add_queue import add_queue
from annotate.actions.fill_queue import fill_queue
from annotate.actions.flag_texts import place_texts
from annotate.actions.notices import notices_of
from annotate.actions.undo import undo
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Draft, Judgement, Queue, Text
from tests.api import Caller

from .conftest import answer, ask_to_write, leased, make_prompt, make_text, send
from .test_later_pages import as_user, read, sent
from .test_surplus import late

PAIR = {"instruction": "Name three fruits.", "text": "Apples, pears and plums."}
LONG = "Write a short letter to the landlord of a flat in which the heating has not worked for a week this winter."
NEARLY = LONG.replace("this", "last")
REPLY = "Dear landlord, the heating of my flat has not worked since Monday. Please send somebody today."
GERMAN = "Sehr geehrter Herr Vermieter, die Heizung in meiner Wohnung geht seit einer Woche nicht, und es ist kalt."


@pytest.fixture
def pairing(project) -> Queue:
    queue = add_queue(project=project, kind="write_answer", name="Write pairs")
    fill_queue(queue=queue, most=2)
    return queue


@pytest.fixture
def held(pairing, ana):
    return leased(pairing, ana)


def told(slot, by, instruction, text=""):
    return notices_of(text, task=slot.task, by=by, instruction=instruction)


# Notices


def test_an_instruction_that_was_asked_before_is_noticed_whoever_asked_it(held, project, ana, abe):
    prompt = make_prompt(project, LONG)
    place_texts([prompt], Thresholds.of(project.settings))
    assert [told(held, ana, body) for body in (LONG, NEARLY, "Name three fruits.")] == [["asked"], ["asked"], []]


def test_one_s_own_instruction_is_noticed_in_another_task(held, pairing, ana):
    send(held, ana, {"instruction": LONG, "text": REPLY})
    assert told(leased(pairing, ana), ana, NEARLY) == ["asked"]


def test_who_writes_a_pair_again_is_not_warned_of_their_own_words(held, pairing, reviewing, ana, rex):
    send(held, ana, {"instruction": LONG, "text": REPLY})
    answer(reviewing, rex, {"decision": "return", "comment": "Whose flat?"})
    back = leased(pairing, ana)
    assert told(back, ana, NEARLY, REPLY) == []
    send(back, ana, {"instruction": NEARLY, "text": REPLY})
    assert told(undo(judgement=Judgement.objects.get(task=back.task), by=ana), ana, LONG, REPLY) == []


def test_an_answer_is_held_against_the_instruction_that_is_typed_above_it(held, project, ana, abe):
    assert told(held, ana, LONG, GERMAN) == ["language"]
    make_text(project, "Figs.", parent=make_prompt(project, PAIR["instruction"]), author=abe)
    assert told(held, ana, PAIR["instruction"], "Figs.") == ["short", "similar", "asked"]


def test_an_empty_screen_has_no_notice(held, ana):
    assert told(held, ana, " \n", " ") == []


# The API


def test_a_program_asks_for_pairs_and_writes_one(project, ada, ana):
    admin, writer = Caller(ada), Caller(ana)
    named = {"project": str(project.uuid), "kind": "write_answer", "name": "Write pairs"}
    queue = admin.post("queues/", named, expect=201)
    assert queue["instruction"] is True
    assert admin.post(f"queues/{queue['id']}/fill", expect=400)["code"] == "bad_count"
    assert admin.post(f"queues/{queue['id']}/fill", {"most": 2}) == {"made": 2}
    task = writer.post(f"queues/{queue['id']}/claim")["task"]
    assert (task["instruction"], task["prompt"]) == (True, [])
    typed = {"text": "Figs.", "instruction": make_prompt(project).body, "slot": task["slot"]}
    assert writer.post("texts/preview", typed)["notices"] == ["short", "asked"]
    times = {"active_ms": None, "hidden_ms": None, "by": "api"}
    submit = {"token": task["token"], "body": PAIR, "times": times}
    reply = writer.ask("POST", f"slots/{task['slot']}/submit", submit, **{"Idempotency-Key": "one"}).json()
    assert (reply["outcome"], reply["next"]["task"]["instruction"]) == ("counted", True)
    body = writer.get(f"judgements/{reply['judgement']}/")["current"]["body"]
    assert body == {**PAIR, "pasted": None}
    assert Text.objects.filter(author=ana).count() == 2


def test_a_program_switches_the_mode(writing, ada):
    admin = Caller(ada)
    changed = admin.patch(f"queues/{writing.uuid}/", {"instruction": True})
    assert (changed["instruction"], changed["settings_version"]) == (True, 2)


@pytest.mark.parametrize("most", [0, 1_001, "many"])
def test_a_number_of_pairs_that_cannot_be_is_refused_by_its_field(pairing, ada, most):
    refused = Caller(ada).post(f"queues/{pairing.uuid}/fill", {"most": most}, expect=400)
    assert list(refused["fields"]) == ["most"]


# The pages


def test_the_screen_has_a_field_for_each_half_and_no_prompt(held, ana):
    page = read(as_user(ana), "slot", held.uuid)
    assert '<label class="visually-hidden" for="instruction">Your instruction</label>' in page
    assert 'data-beside="instruction"' in page
    assert "prompt-turns" not in page


def test_where_a_prompt_is_given_the_screen_is_as_it_was(project, writing, ana):
    ask_to_write(writing, make_prompt(project))
    page = read(as_user(ana), "slot", leased(writing, ana).uuid)
    assert 'id="instruction"' not in page
    assert "data-beside" not in page
    assert "prompt-turns" in page


def test_half_a_pair_comes_back_with_what_was_typed_and_the_error_beside_its_field(held, ana):
    form = {"token": held.token, "key": "k" * 16, "instruction": "Name <three> fruits.", "text": ""}
    response = as_user(ana).post(reverse("slot-submit", args=[held.uuid]), form)
    page = response.content.decode()
    assert response.status_code == 422
    assert "Name &lt;three&gt; fruits.</textarea>" in page
    assert '<p class="error" id="text-error">The text is empty.</p>' in page
    assert '<a href="#text">The text is empty.</a>' in page
    assert 'aria-describedby="text-error"' in page


def test_a_form_without_scripts_is_taken_and_told_afterwards(held, project, ana):
    make_prompt(project, PAIR["instruction"])
    client = as_user(ana)
    sent(client, "slot-submit", held.uuid, token=held.token, key="k" * 16, **PAIR)
    said = client.session["toast"]["sentence"]
    assert said.startswith("Saved. Your answer is short.")
    assert "An instruction much like this one exists already." in said


def test_a_draft_keeps_both_halves_and_shows_its_notices(held, project, ana):
    make_prompt(project, PAIR["instruction"])
    client = as_user(ana)
    sent(client, "slot-draft", held.uuid, token=held.token, **PAIR)
    assert Draft.objects.get().body["form"] == {"instruction": [PAIR["instruction"]], "text": [PAIR["text"]]}
    page = read(client, "slot", held.uuid)
    assert f"{PAIR['instruction']}</textarea>" in page
    assert '<p data-notice="asked">' in page
    assert '<p data-notice="language" hidden>' in page


def test_a_pair_is_undone_edited_and_listed_with_both_halves(held, project, ana):
    client = as_user(ana)
    sent(client, "slot-submit", held.uuid, token=held.token, key="k" * 16, **PAIR)
    judgement = Judgement.objects.get()
    mine = read(client, "mine", project.uuid)
    assert PAIR["instruction"] in mine
    assert PAIR["text"] in mine
    changed = {"instruction": "Name four fruits.", "text": "Apples, pears, plums and figs."}
    assert PAIR["instruction"] in read(client, "edit", judgement.uuid)
    sent(client, "edit", judgement.uuid, **changed)
    sent(client, "undo", judgement.uuid)
    assert judgement.revisions.latest("number").answer["instruction"] == PAIR["instruction"]


def test_an_undone_pair_stands_in_its_fields_again(held, ana):
    client = as_user(ana)
    sent(client, "slot-submit", held.uuid, token=held.token, key="k" * 16, **PAIR)
    page = client.post(reverse("undo", args=[Judgement.objects.get().uuid]), follow=True).content.decode()
    assert f"{PAIR['instruction']}</textarea>" in page
    assert f"{PAIR['text']}</textarea>" in page


def test_a_returned_pair_stands_in_its_fields(held, pairing, reviewing, ana, rex):
    send(held, ana, PAIR)
    answer(reviewing, rex, {"decision": "return", "comment": "Fruits of which season?"})
    page = read(as_user(ana), "slot", leased(pairing, ana).uuid)
    assert "Fruits of which season?" in page
    assert f"{PAIR['instruction']}</textarea>" in page
    assert f"{PAIR['text']}</textarea>" in page


def test_a_reviewer_reads_the_instruction_of_a_surplus_pair_once_its_task_asks_nobody(pairing, project, ana, abe, rex):
    pairing.tasks.exclude(pk=pairing.tasks.earliest("pk").pk).delete()
    late(pairing, ana, abe, (PAIR, {"instruction": "Name a tree.", "text": "An elm."}))
    assert PAIR["instruction"] in read(as_user(rex), "disputes", project.uuid)
    pairing.tasks.update(state="admitted")  # it asks again, so nobody sees it before answering
    assert PAIR["instruction"] not in read(as_user(rex), "disputes", project.uuid)


def test_an_admin_says_how_many_pairs_are_wanted_and_takes_it_back(project, ada):
    client = as_user(ada)
    client.post(reverse("queues", args=[project.uuid]), {"kind": "write_answer", "name": "Write pairs"})
    queue = project.queues.get(name="Write pairs")
    sent(client, "queue-fill", queue.uuid, most="40")
    assert (queue.tasks.count(), "Tasks built: 40." in read(client, "queues", project.uuid)) == (40, True)
    sent(client, "queue-empty", queue.uuid, batch=queue.tasks.first().selection["batch"])
    assert set(queue.tasks.values_list("state", flat=True)) == {"void"}


@pytest.mark.parametrize("most", ["", "0", "many", "1001"])
def test_a_number_that_cannot_be_stays_typed_and_builds_nothing(project, pairing, ada, most):
    response = as_user(ada).post(reverse("queue-fill", args=[pairing.uuid]), {"most": most})
    page = unescape(response.content.decode())
    assert (response.status_code, pairing.tasks.count()) == (422, 2)
    assert "Say how many instructions with their answers are wanted, 1 to 1,000." in page
    assert f'value="{most}" aria-invalid="true"' in " ".join(page.split())


def test_an_admin_switches_the_mode_on_the_rules_page_and_back(client, writing, ada):
    client.force_login(ada)
    page = reverse("queue-rules", args=[writing.uuid])
    rules = {"version": "1", "name": writing.name, "overlap": "1", "lease_minutes": "20", "instruction": "on"}
    client.post(page, rules)
    writing.refresh_from_db()
    assert (writing.instruction, writing.settings_version) == (True, 2)
    client.post(page, client.session["toast"]["fields"])
    writing.refresh_from_db()
    assert (writing.instruction, writing.settings_version) == (False, 3)
