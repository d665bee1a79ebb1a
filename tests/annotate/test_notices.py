"""What a writer is told before an answer is sent: notices that block nothing and show nobody else's text."""

import json

import pytest
from django.urls import reverse

from annotate.actions.notices import notices_of
from annotate.models import Text

from .conftest import answer, ask_to_write, leased, make_prompt, make_text

SAID = (
    "It returns the smallest of what it is given, and raises a ValueError where it is given nothing at all to compare."
)
NEARLY = SAID.replace("to compare.", "to look at.")
OTHER = (
    "Give it a list, a tuple or two numbers side by side: min looks at each of them once and hands back the lowest one."
)
GERMAN = "Die Funktion gibt das kleinste Element der Liste zurück, und sie wirft einen Fehler, wenn die Liste leer ist."


@pytest.fixture
def held(writing, project, ana):
    """A task to answer "What does min do?", which ana holds."""
    ask_to_write(writing, make_prompt(project))
    return leased(writing, ana)


def told(slot, by, body):
    return notices_of(body, task=slot.task, by=by)


@pytest.mark.parametrize(("body", "found"), [("", []), (" \n", []), ("The least one.", ["short"]), (OTHER, [])])
def test_a_few_words_are_called_short_and_an_empty_field_is_left_alone(held, ana, body, found):
    assert told(held, ana, body) == found


def test_six_hundred_words_are_not_yet_long(held, ana):
    words = [f"word{nth}" for nth in range(601)]
    assert told(held, ana, " ".join(words[:600])) == []
    assert told(held, ana, " ".join(words)) == ["long"]


def test_another_language_than_the_prompts_is_noticed(held, ana):
    assert told(held, ana, GERMAN) == ["language"]


def test_the_language_that_a_source_names_goes_before_what_a_short_prompt_reads_like(writing, project, ana):
    ask_to_write(writing, make_prompt(project, "Minimum?", language="de-AT"))
    slot = leased(writing, ana)
    assert (told(slot, ana, GERMAN), told(slot, ana, OTHER)) == ([], ["language"])


@pytest.mark.parametrize("body", [SAID, NEARLY])
def test_what_nearly_repeats_an_answer_to_the_prompt_is_noticed(held, project, ana, abe, body):
    make_text(project, SAID, kind=Text.Kind.ANSWER, parent=Text.objects.get(kind="prompt"), author=abe)
    assert told(held, ana, body) == ["similar"]
    assert told(held, ana, OTHER) == []


def test_what_was_answered_elsewhere_in_the_project_is_noticed(held, writing, project, ana, abe):
    ask_to_write(writing, make_prompt(project, "Explain the built-in min."))
    answer(writing, abe, {"text": SAID})
    first = told(held, ana, NEARLY)
    ask_to_write(writing, make_prompt(project, "And min of nothing?"))
    answer(writing, abe, {"text": OTHER})
    assert (first, told(held, ana, NEARLY), told(held, ana, OTHER)) == (["similar"], ["similar"], ["similar"])


def test_a_short_answer_is_compared_with_those_to_its_prompt_only(held, project, ana, abe):
    elsewhere = make_prompt(project, "Is Python typed?")
    make_text(project, "Yes.", kind=Text.Kind.ANSWER, parent=elsewhere, author=abe)
    assert told(held, ana, "Yes.") == ["short"]


def test_another_project_is_not_compared(held, ana, eve, other_project):
    make_text(other_project, SAID, kind=Text.Kind.ANSWER, parent=make_prompt(other_project), author=eve)
    assert told(held, ana, SAID) == []


def test_who_writes_again_is_not_warned_of_their_own_words(held, project, ana):
    make_text(project, SAID, kind=Text.Kind.ANSWER, parent=Text.objects.get(kind="prompt"), author=ana)
    assert told(held, ana, NEARLY) == []


def test_the_preview_names_notices_and_nothing_of_the_other_answer(client, held, project, ana, abe):
    make_text(project, SAID, kind=Text.Kind.ANSWER, parent=Text.objects.get(kind="prompt"), author=abe)
    client.force_login(ana)
    body = {"text": NEARLY, "slot": str(held.uuid)}
    reply = client.post(reverse("api:text-preview"), json.dumps(body), content_type="application/json")
    assert reply.json()["notices"] == ["similar"]
    assert "to compare" not in reply.content.decode()


def test_the_preview_tells_nobody_of_a_task_that_is_not_theirs(client, held, abe, eve):
    body = json.dumps({"text": SAID, "slot": str(held.uuid)})
    for other in (abe, eve):
        client.force_login(other)
        assert client.post(reverse("api:text-preview"), body, content_type="application/json").status_code == 404


def test_a_form_without_scripts_is_taken_and_told_afterwards(client, held, ana):
    client.force_login(ana)
    form = {"text": "The least.", "token": held.token, "key": "k" * 16}
    assert client.post(reverse("slot-submit", args=[held.uuid]), form).status_code == 302
    assert client.session["toast"]["sentence"].startswith("Saved. Your answer is short.")
    assert Text.objects.filter(body="The least.").exists()


def test_a_saved_draft_shows_its_notices_without_scripts(client, held, ana):
    client.force_login(ana)
    client.post(reverse("slot-draft", args=[held.uuid]), {"text": GERMAN, "token": held.token})
    html = client.get(reverse("slot", args=[held.uuid])).content.decode()
    assert '<p data-notice="language">' in html
    assert '<p data-notice="similar" hidden>' in html
