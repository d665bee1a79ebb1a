"""Which languages the game is played in, and what is said where it is not."""

from __future__ import annotations

import pytest
from django.urls import reverse

from annotate.actions.train_start import ask_for_start, bundled_start, start_of, train_start
from annotate.errors import AnnotateError
from annotate.languages import language_of
from annotate.tinynet.words import spaced
from tests.annotate.conftest import make_document
from tests.annotate.plays import own_start, paragraphs

pytestmark = pytest.mark.django_db

FRENCH = "La marée monte deux fois par jour et laisse des coquillages sur le sable."
CHINESE = "潮水每天涨落两次，在沙滩上留下贝壳。"


@pytest.fixture
def page(project, client, ada):
    def read():
        client.force_login(ada)
        response = client.get(reverse("game", args=[project.uuid]))
        assert response.status_code == 200
        return response.content.decode()

    return read


@pytest.mark.parametrize(
    ("text", "has_spaces"),
    [
        (FRENCH, True),
        ("밀물은 하루에 두 번 들어온다.", True),
        ("1 + 1 = 2", True),
        (CHINESE, False),
        ("潮は一日に二度満ちる。", False),
        ("น้ำขึ้นวันละสองครั้ง", False),
    ],
)
def test_a_script_tells_whether_words_have_spaces_between_them(text, has_spaces):
    assert spaced(text) is has_spaces


def test_a_quotation_in_another_script_changes_nothing():
    assert spaced(f"{FRENCH} In Chinese: 潮水。")


def test_without_documents_the_bundled_english_is_played(project):
    assert language_of(project).is_english
    assert start_of(project) == (bundled_start(), "bundled")


def test_documents_that_do_not_say_their_language_are_taken_for_english(project):
    make_document(project, "The tide comes in twice a day.")
    assert language_of(project).is_english


def test_the_language_of_most_documents_counts(project):
    for nth in range(3):
        make_document(project, f"{FRENCH} {nth}", language="fr" if nth else "en-GB")
    assert language_of(project).code == "fr"


def test_another_language_waits_for_its_own_words(project, page):
    make_document(project, FRENCH, language="fr")
    with pytest.raises(AnnotateError) as refusal:
        start_of(project)
    assert (refusal.value.code, refusal.value.facts) == ("no_paragraph", {"why": "words"})
    said = page()
    assert "waits for 20,000 approved words" in said
    assert "Train a network" in said


def test_another_language_is_played_once_its_own_network_knows_it(project):
    make_document(project, FRENCH, language="fr")
    own = own_start(project)
    own.paragraphs.create(key="0" * 64, theme="", body="", shown=paragraphs(bundled_start())[0].shown)
    assert start_of(project) == (own, "trained")


def test_a_language_without_spaces_has_no_game_and_the_page_says_why(project, page):
    make_document(project, CHINESE)
    said = page()
    assert "without spaces between words" in said
    assert "Train a network" not in said


def test_a_language_without_spaces_is_not_trained_on(project, ada):
    make_document(project, CHINESE)
    training = ask_for_start(project=project, by=ada)
    train_start(training)
    training.refresh_from_db()
    assert (training.state, "without spaces" in training.sentence) == ("failed", True)


def test_the_api_says_why_there_is_no_game(project, client, ana):
    make_document(project, CHINESE)
    client.force_login(ana)
    for name in ("api:game-paragraph", "api:game-table"):
        response = client.get(reverse(name, args=[project.uuid]))
        assert (response.status_code, response.json()["code"]) == (409, "no_paragraph")
