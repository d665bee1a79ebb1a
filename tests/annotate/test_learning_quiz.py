"""A quiz is checked on the server: right answers leave it only for questions that were answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from annotate.actions.take_quiz import answer_quiz, asked, start_quiz
from annotate.errors import AnnotateError
from annotate.learning import quiz as questions
from annotate.models import QuizAnswer, QuizTry
from tests.api import Caller


@pytest.fixture
def begun(project, ana) -> QuizTry:
    return start_quiz(user=ana)


@pytest.fixture
def as_ana(project, ana) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def finish(quiz: QuizTry, *, wrong: int = 0) -> QuizTry:
    """Answers all that is left, the first few wrong."""
    for one in asked(quiz):
        option = (one.right + 1) % 4 if one.number <= wrong else one.right
        answer_quiz(found=quiz, number=one.number, option=option)
    quiz.refresh_from_db()
    return quiz


def said(response: Any) -> str:
    assert response.status_code == 200
    return response.content.decode()


def test_a_try_is_gone_on_with_until_it_is_finished(begun, ana):
    assert start_quiz(user=ana) == begun
    finish(begun)
    assert start_quiz(user=ana) != begun


def test_what_is_right_is_counted_on_the_server(begun):
    assert finish(begun, wrong=3).right == 5


def test_questions_are_answered_in_their_order_and_once(begun):
    answer_quiz(found=begun, number=1, option=0)
    for number in (1, 3):
        with pytest.raises(AnnotateError) as refusal:
            answer_quiz(found=begun, number=number, option=0)
        assert refusal.value.code == "not_next"
    assert QuizAnswer.objects.count() == 1


@pytest.mark.parametrize("option", [-1, 4])
def test_a_fifth_answer_is_refused(begun, option):
    with pytest.raises(AnnotateError) as refusal:
        answer_quiz(found=begun, number=1, option=option)
    assert (refusal.value.code, QuizAnswer.objects.count()) == ("bad_option", 0)


def test_a_try_whose_questions_are_gone_is_begun_anew(begun, ana):
    QuizTry.objects.filter(pk=begun.pk).update(drawn=[{"slug": "gone", "order": [0, 1, 2, 3]}])
    begun.refresh_from_db()
    assert start_quiz(user=ana) != begun
    with pytest.raises(AnnotateError) as refusal:
        answer_quiz(found=begun, number=1, option=0)
    assert refusal.value.code == "quiz_changed"


def test_the_database_refuses_to_change_an_answer(database, begun):
    answer_quiz(found=begun, number=1, option=0)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE annotate_quizanswer SET option = 3")
    assert QuizAnswer.objects.get().option == 0


# pages


def test_an_open_question_does_not_say_what_is_right(as_ana, begun):
    page = said(as_ana.get(reverse("quiz-try", args=[begun.uuid])))
    one = asked(begun)[0]
    assert all(option.answer.replace("'", "&#x27;") in page for option in one.options)
    assert not any(option.why.replace("'", "&#x27;") in page for option in one.options)
    assert 'class="right"' not in page


def test_an_answer_is_explained_before_the_next_question(as_ana, begun):
    one = asked(begun)[0]
    url = reverse("quiz-try", args=[begun.uuid])
    page = said(as_ana.post(url, {"number": "1", "option": str((one.right + 1) % 4)}, follow=True))
    assert "your answer, wrong" in page
    assert all(option.why.replace("'", "&#x27;") in page for option in one.options)
    assert "Question 2 of 8" in said(as_ana.get(url))


def test_a_press_without_a_choice_asks_for_one(as_ana, begun):
    response = as_ana.post(reverse("quiz-try", args=[begun.uuid]), {"number": "1"})
    assert (response.status_code, QuizAnswer.objects.count()) == (422, 0)
    assert "Choose one of the four answers." in response.content.decode()


def test_the_result_names_the_terms_to_read_again(as_ana, begun):
    missed = asked(begun)[0].question.term
    finish(begun, wrong=1)
    page = said(as_ana.get(reverse("quiz-try", args=[begun.uuid])))
    assert "7 of 8 right" in page
    assert f"{reverse('glossary')}#{missed}" in page.split("Your answers")[0]


def test_who_has_passed_is_told_so(as_ana, begun):
    finish(begun, wrong=1)
    assert "You have passed it, with 7 of 8 right." in said(as_ana.get(reverse("quiz")))


def test_six_of_eight_are_not_enough(as_ana, begun):
    finish(begun, wrong=2)
    assert "Last time 6 of 8 were right." in said(as_ana.get(reverse("quiz")))


def test_a_new_major_version_is_announced(as_ana, begun):
    finish(begun)
    QuizTry.objects.update(version="0.9")
    assert "There is a new version of the questions. You passed version 0.9." in said(as_ana.get(reverse("quiz")))


def test_the_page_says_what_guessing_gives(as_ana):
    # P(7 or 8 of 8 at ¼) = 8·¼⁷·¾ + ¼⁸ = 0.000381 = 1 / 2,621
    assert round(1 / (8 * 0.25**7 * 0.75 + 0.25**8), -2) == 2_600
    assert (questions.DRAWN, questions.PASS) == (8, 7)
    assert "once in 2,600 tries" in said(as_ana.get(reverse("quiz")))


def test_another_persons_quiz_is_not_there(begun, abe):
    client = Client()
    client.force_login(abe)
    assert client.get(reverse("quiz-try", args=[begun.uuid])).status_code == 404


# the API


def test_a_program_is_told_what_is_right_after_it_answered(project, ana):
    caller = Caller(ana)
    quiz = caller.post("learn/quiz/", expect=201)
    assert {(one["right"], one["term"], len(one["why"])) for one in quiz["questions"]} == {(None, None, 0)}
    told = caller.post(f"learn/quiz/{quiz['id']}/answer", {"number": 1, "option": 2})["questions"]
    assert (told[0]["chosen"], len(told[0]["why"]), told[1]["right"]) == (2, 4, None)
    assert caller.get(f"learn/quiz/{quiz['id']}/")["questions"] == told
