"""The quiz: a question at a time, each explained after its answer, and what to read again at the end."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import own_project_for, quiz_for
from annotate.actions.take_quiz import Asked, answer_quiz, asked, start_quiz
from annotate.errors import AnnotateError
from annotate.explaining import language
from annotate.learning import glossary
from annotate.learning import quiz as questions
from annotate.models import QuizTry, User
from annotate.pages.request import Request
from annotate.qualification import asking, mark_of, next_try_at, waits_for_quiz

LETTERS = "ABCD"


@require_GET
def quiz(request: Request) -> HttpResponse:
    """What it is, and how the person stands with it."""
    own_project_for(request.user, request.GET.get("project", ""))
    project = asking(request.user)
    mark = mark_of(project)
    context = {
        "drawn": questions.DRAWN,
        "pass_mark": mark,
        "of": len(questions.questions(language())),
        "guessed": questions.guessed(mark),
        "later": next_try_at(request.user),
        "asking": project if project and waits_for_quiz(project, request.user) else None,
        **standing(request.user, mark=mark),
    }
    return render(request, "annotate/quiz.html", context)


@require_POST
def quiz_start(request: Request) -> HttpResponse:
    own_project_for(request.user, request.POST.get("project", ""))
    return redirect("quiz-try", quiz=start_quiz(user=request.user).uuid)


@require_http_methods(["GET", "POST"])
def quiz_try(request: Request, quiz: UUID) -> HttpResponse:
    """The first question without an answer; `?answered=` one with its explanation; the result after the last.

    POST answers, by `number` and `option`.
    """
    found = quiz_for(request.user, quiz)
    if request.method == "POST":
        return _answered(request, found)
    rows = asked(found)
    wanted = request.GET.get("answered", "")
    told = next((one for one in rows if one.chosen is not None and str(one.number) == wanted), None)
    following = next((one for one in rows if one.chosen is None), None)
    if told is None and following is None:
        result = _result(found, rows, mark=mark_of(asking(request.user)))
        return render(request, "annotate/quiz_result.html", result | _gate(found, request.user))
    return _question(request, found, told or following, rows)


def standing(user: User, *, mark: int) -> dict[str, object]:
    """begun, passed and last of a person's tries; renewed where what they passed was of an older major version."""
    tries = list(QuizTry.objects.filter(user=user).order_by("-pk"))
    done = [one for one in tries if one.right is not None]
    passed = next((one for one in done if (one.right or 0) >= mark), None)
    now_at = questions.version(language()).split(".")[0]
    return {
        "begun": next((one for one in tries if one.finished_at is None), None),
        "passed": passed,
        "last": done[0] if done else None,
        "renewed": passed is not None and passed.version.split(".")[0] != now_at,
    }


def _answered(request: Request, found: QuizTry) -> HttpResponse:
    number, option = (request.POST.get(name, "") for name in ("number", "option"))
    try:
        told = answer_quiz(found=found, number=_whole(number), option=_whole(option))
    except AnnotateError as refusal:
        rows = asked(found)
        following = next((one for one in rows if one.chosen is None), None)
        if refusal.code != "bad_option" or following is None:
            return redirect("quiz-try", quiz=found.uuid)
        return _question(request, found, following, rows, error=_("Choose one of the four answers."))
    return redirect(f"{reverse('quiz-try', args=[found.uuid])}?answered={told.number}")


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else -1


def _question(
    request: Request, found: QuizTry, one: Asked | None, rows: list[Asked], *, error: str = ""
) -> HttpResponse:
    assert one is not None  # the caller has shown the result where nothing is left
    answered = one.chosen is not None
    context = {
        "quiz": found,
        "one": one,
        "of": len(rows),
        "last": one.number == len(rows),
        "answered": answered,
        "error": error,
        "options": [
            {
                "place": place,
                "letter": LETTERS[place],
                "answer": option.answer,
                "why": option.why if answered else "",
                "right": answered and place == one.right,
                "chosen": place == one.chosen,
            }
            for place, option in enumerate(one.options)
        ],
        "term": glossary.terms(language())[one.question.term] if answered else None,
    }
    return render(request, "annotate/quiz_question.html", context, status=422 if error else 200)


def _gate(found: QuizTry, user: User) -> dict[str, object]:
    """asking: the project that this result opens, or that still waits for a pass; None where neither is so."""
    project = asking(user)
    tells = project is not None and ((found.right or 0) >= mark_of(project) or waits_for_quiz(project, user))
    return {"asking": project if tells else None, "later": next_try_at(user)}


def _result(found: QuizTry, rows: list[Asked], *, mark: int) -> dict[str, object]:
    terms = glossary.terms(language())
    return {
        "quiz": found,
        "of": len(rows),
        "passed": (found.right or 0) >= mark,
        "pass_mark": mark,
        "rows": rows,
        "again": [terms[one.question.term] for one in rows if one.chosen != one.right],
    }
