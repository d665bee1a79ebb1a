"""Begin a try of the quiz, and answer its questions one after the other."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from django.utils.timezone import now

from annotate.errors import AnnotateError
from annotate.explaining import language
from annotate.learning import quiz
from annotate.learning.quiz import Option, Question
from annotate.models import QuizAnswer, QuizTry, User
from annotate.qualification import next_try_at


@dataclass(frozen=True)
class Asked:
    """A question of a try as its person sees it. options: in the order shown; right: the place of the right one.

    chosen: what was answered, or None. What is right, and why, is for those who have answered.
    """

    number: int
    question: Question
    options: list[Option]
    right: int
    chosen: int | None


def start_quiz(*, user: User) -> QuizTry:
    """The try that user has begun and not finished, where its questions still stand; else a new one.

    Raises AnnotateError quiz_later after two tries in a day, where a project waits for the person to pass.
    """
    begun = (
        QuizTry.objects.filter(user=user, finished_at=None, version=quiz.version(language())).order_by("-pk").first()
    )
    if begun is not None and stands(begun):
        return begun
    later = next_try_at(user)
    if later is not None:
        sentence = f"You have tried twice within a day. The next try is open from {later:%Y-%m-%d %H:%M} UTC."
        raise AnnotateError("quiz_later", sentence, status=409)
    seed = secrets.randbelow(2**53)
    drawn = [{"slug": one.slug, "order": list(one.order)} for one in quiz.draw(seed, language())]
    return QuizTry.objects.create(user=user, seed=seed, version=quiz.version(language()), drawn=drawn)


def stands(found: QuizTry) -> bool:
    """Whether all its questions are still in the file."""
    return all(one["slug"] in quiz.questions(language()) for one in found.drawn)


def asked(found: QuizTry) -> list[Asked]:
    """All its questions with what was answered. One query. Raises AnnotateError quiz_changed."""
    if not stands(found):
        raise AnnotateError("quiz_changed", "The questions have changed since. Begin a new quiz.", status=409)
    chosen = dict(found.answers.values_list("number", "option"))
    questions = quiz.questions(language())
    return [
        Asked(
            number=number,
            question=questions[one["slug"]],
            options=[questions[one["slug"]].options[place] for place in one["order"]],
            right=one["order"].index(0),
            chosen=chosen.get(number),
        )
        for number, one in enumerate(found.drawn, start=1)
    ]


@transaction.atomic
def answer_quiz(*, found: QuizTry, number: int, option: int) -> Asked:
    """The question with its answer, and the try's result where it was the last.

    Raises AnnotateError with code
        not_next      number is not the first question without an answer
        bad_option    option is no place of the question
        quiz_changed  a question is no longer in the file
    """
    found = QuizTry.objects.select_for_update().get(pk=found.pk)
    questions = asked(found)
    following = next((one for one in questions if one.chosen is None), None)
    if following is None or following.number != number:
        raise AnnotateError("not_next", "This question was answered already; go on with the next one.", status=409)
    if not 0 <= option < len(following.options):
        raise AnnotateError("bad_option", "Choose one of the four answers.", field="option")
    QuizAnswer.objects.create(quiz=found, number=number, option=option, right=option == following.right)
    if number == len(questions):
        right = found.answers.filter(right=True).count()
        QuizTry.objects.filter(pk=found.pk).update(right=right, finished_at=now())
    return Asked(number, following.question, following.options, following.right, option)
