"""A project may ask its assessors to pass the quiz before they get tasks."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from annotate import queue as claims
from annotate.actions.ask_quiz import ask_quiz
from annotate.actions.take_quiz import answer_quiz, asked, start_quiz
from annotate.errors import AnnotateError
from annotate.learning import quiz
from annotate.models import Membership, QuizTry, Role
from tests.api import Caller

from .conftest import ask_to_write, make_prompt


@pytest.fixture
def asking(project, writing):
    """The queue of a project that asks, with a task that waits."""
    ask_quiz(project=project, asks=True, mark=quiz.PASS)
    ask_to_write(writing, make_prompt(project, "What is a tide?"))
    project.refresh_from_db()
    writing.project = project
    return writing


def tried(user, *, right: int, version: str = "") -> QuizTry:
    version = version or quiz.version("en")
    return QuizTry.objects.create(user=user, seed=1, version=version, drawn=[], right=right, finished_at=now())


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_an_assessor_gets_no_task_before_passing(asking, ana):
    tried(ana, right=quiz.PASS - 1)
    assert claims.claim(asking, ana).cause == "quiz"
    tried(ana, right=quiz.PASS)
    assert claims.claim(asking, ana).slot is not None


def test_a_new_major_version_asks_anew_and_a_minor_one_does_not(asking, ana):
    major = int(quiz.version("en").split(".")[0])
    tried(ana, right=8, version=f"{major + 1}.0")
    assert claims.claim(asking, ana).cause == "quiz"
    tried(ana, right=8, version=f"{major}.7")
    assert claims.claim(asking, ana).slot is not None


def test_who_vets_others_is_not_asked(asking, project, ana):
    Membership.objects.create(project=project, user=ana, role=Role.REVIEWER)
    assert claims.claim(asking, ana).slot is not None


def test_where_nobody_asks_nobody_waits(asking, project, ana):
    ask_quiz(project=project, asks=False, mark=quiz.PASS)
    asking.project.refresh_from_db()
    assert claims.claim(asking, ana).slot is not None


def test_two_tries_a_day_where_passing_opens_work(asking, ana):
    first, second = tried(ana, right=2), tried(ana, right=3)
    with pytest.raises(AnnotateError) as refusal:
        start_quiz(user=ana)
    assert refusal.value.code == "quiz_later"
    assert "The next try is open from" in signed_in(ana).get(reverse("quiz")).content.decode()
    QuizTry.objects.filter(pk=first.pk).update(created_at=now() - timedelta(hours=25))
    assert start_quiz(user=ana) not in (first, second)


def test_whoever_need_not_pass_tries_as_often_as_they_like(project, ana):
    tried(ana, right=2)
    tried(ana, right=3)
    assert start_quiz(user=ana)


def test_the_list_of_work_leads_to_the_quiz(asking, project, ana):
    page = signed_in(ana).get(reverse("work", args=[project.uuid])).content.decode()
    assert "pass the quiz before you get tasks" in page
    assert f"{reverse('quiz')}?project={project.uuid}" in page
    tried(ana, right=8)
    assert "pass the quiz" not in signed_in(ana).get(reverse("work", args=[project.uuid])).content.decode()


def test_an_admin_asks_on_the_page_of_people_and_takes_it_back(project, ada):
    client, address = signed_in(ada), reverse("people", args=[project.uuid])
    client.post(address, {"quiz": "1"})
    project.refresh_from_db()
    assert project.settings["ask_quiz"] is True
    assert "Assessors pass the quiz before they get tasks." in client.get(address).content.decode()
    client.post(address, {"quiz": "0"})
    project.refresh_from_db()
    assert project.settings["ask_quiz"] is False


def test_a_program_asks_by_the_projects_settings(project, ada):
    caller = Caller(ada)
    address = f"projects/{project.uuid}/"
    caller.patch(address, {"settings": {"ask_quiz": True}})
    project.refresh_from_db()
    assert project.settings["ask_quiz"] is True
    caller.patch(address, {"settings": {"ask_quiz": 3}}, expect=400)


def test_work_offers_the_quiz_in_place_of_every_start(asking, project, ana):
    page = signed_in(ana).get(reverse("work", args=[project.uuid])).content.decode()
    assert reverse("start", args=[asking.uuid]) not in page
    assert "after the quiz" in page


def result_of(user, *, wrong: int) -> str:
    quiz_try = start_quiz(user=user)
    for one in asked(quiz_try):
        answer_quiz(found=quiz_try, number=one.number, option=(one.right + (one.number <= wrong)) % 4)
    return signed_in(user).get(reverse("quiz-try", args=[quiz_try.uuid])).content.decode()


def test_a_pass_leads_to_the_work_that_it_opens(asking, project, ana):
    page = result_of(ana, wrong=1)
    assert f"Tasks of {project.name} are open to you now." in page
    assert f'href="{reverse("work", args=[project.uuid])}"' in page.split("<main")[1]


def test_a_failed_try_says_what_is_left_of_the_day(asking, ana):
    assert "you have another try today" in result_of(ana, wrong=3)
    assert "The next try is open from" in result_of(ana, wrong=3)


# the pass mark


def marked(project, mark):
    ask_quiz(project=project, asks=True, mark=mark)
    project.refresh_from_db()


@pytest.mark.parametrize(("mark", "right", "cause"), [(8, 7, "quiz"), (8, 8, ""), (5, 4, "quiz"), (5, 5, "")])
def test_a_project_may_set_its_own_pass_mark(asking, project, ana, mark, right, cause):
    marked(project, mark)
    asking.project.refresh_from_db()
    tried(ana, right=right)
    assert claims.claim(asking, ana).cause == cause


@pytest.mark.parametrize("mark", [4, 9])
def test_a_mark_that_tells_nothing_is_refused(project, mark):
    with pytest.raises(AnnotateError) as refusal:
        ask_quiz(project=project, asks=True, mark=mark)
    project.refresh_from_db()
    assert (refusal.value.code, project.settings) == ("bad_mark", {})


@pytest.mark.parametrize(("mark", "tries"), [(8, 66_000), (7, 2_600), (6, 240), (5, 37)])
def test_how_often_guessing_passes_is_worked_out(mark, tries):
    # 4^8 = 65,536 tries of 8 answers: 1 has all right, 24 more have 7, 252 more 6, 1,512 more 5
    assert quiz.guessed(mark) == tries


def test_the_pages_name_the_projects_mark_and_its_odds(asking, project, ana):
    marked(project, 6)
    said = signed_in(ana).get(reverse("quiz")).content.decode()
    assert "With 6 right you have passed. Guessing gets there once in 240 tries." in said
    assert "passed from 6 on" in result_of(ana, wrong=3)
    assert "Tasks of" in result_of(ana, wrong=2)


def test_an_admin_changes_the_mark_on_the_page_of_people_and_takes_it_back(project, ada):
    client, address = signed_in(ada), reverse("people", args=[project.uuid])
    client.post(address, {"quiz": "1", "mark": "6"})
    page = client.get(address).content.decode()
    assert "6 of 8 right" in page
    assert '<input type="hidden" name="mark" value="7">' in page  # what Undo puts back
    project.refresh_from_db()
    assert (project.settings["ask_quiz"], project.settings["quiz_pass"]) == (True, 6)


def test_a_mark_out_of_range_is_refused_on_the_page_in_words(project, ada):
    response = signed_in(ada).post(reverse("people", args=[project.uuid]), {"quiz": "1", "mark": "12"})
    assert response.status_code == 422
    assert "allowed are 5 to 8" in response.content.decode()


def test_a_program_sets_the_mark_by_the_projects_settings(project, ada):
    caller = Caller(ada)
    address = f"projects/{project.uuid}/"
    caller.patch(address, {"settings": {"quiz_pass": 8}})
    project.refresh_from_db()
    assert project.settings["quiz_pass"] == 8
    for mark in (4, 6.5, 9):
        caller.patch(address, {"settings": {"quiz_pass": mark}}, expect=400)


def test_a_new_version_of_the_questions_asks_again_who_passed_an_older_one(asking, ana):
    major = int(quiz.version("en").split(".")[0])
    tried(ana, right=8, version=f"{major - 1}.0")
    said = signed_in(ana).get(reverse("quiz")).content.decode()
    assert "There is a new version of the questions" in said
    assert "asks you to pass it before you get tasks" in said
