"""Explained stages, the glossary, cards and the quiz: what their pages do."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.timezone import now
from rest_framework.response import Response

from annotate.access import own_project_for, project_for, quiz_for, refuse_without
from annotate.actions.add_card import add_card, retire_card
from annotate.actions.review_card import review_card
from annotate.actions.take_quiz import answer_quiz, asked, start_quiz
from annotate.api import inputs, outputs
from annotate.api.operations import Operation, Request, operation
from annotate.api.paging import OfProject, page
from annotate.deck import hand
from annotate.explaining import explained, language
from annotate.learning import glossary, texts
from annotate.models import Card, Project, QuizTry, Role, Token

EDITORS = (Role.REVIEWER, Role.ADMIN)


class LearnText(Operation):
    @operation(
        "A stage of the pipeline explained, with a project's numbers",
        query=inputs.LearnTextQuery,
        returns=outputs.ExplainedOut,
    )
    def get(self, request: Request, stage: str) -> Response:
        project = project_for(request.user, self.query["project"])
        if stage not in texts.STAGES:
            raise Http404
        found = explained(stage=stage, depth=self.query["depth"], project=project)
        return Response(outputs.ExplainedOut(found).data)


class Glossary(Operation):
    @operation("The glossary", returns=outputs.TermOut, many=True, errors=(403,))
    def get(self, request: Request) -> Response:
        own_project_for(request.user, "")
        return Response(outputs.TermOut.all_of(glossary.terms(language()).values()))


class NextCard(Operation):
    @operation("My next flash card, and how many are left today", query=inputs.DeckQuery, returns=outputs.HandOut)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        return Response(outputs.HandOut(hand(request.user, project, at=now())).data)


class ReviewCard(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Say how well I knew a card; my next one",
        body=inputs.CardReviewIn,
        returns=outputs.HandOut,
        errors=(403, 404, 409),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"])
        review_card(
            user=request.user,
            project=project,
            card=body["card"],
            number=body["number"],
            rating=body["rating"],
            at=now(),
            ms=body["ms"],
        )
        return Response(outputs.HandOut(hand(request.user, project, at=now())).data)


class Cards(Operation):
    @operation("The cards that a project added to its deck", query=OfProject, returns=outputs.CardOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=EDITORS)
        rows = Card.objects.filter(project=project, retired_at=None)
        return page(self, rows, outputs.CardOut.all_of, newest_first=True)

    @operation("Add a card to a project's deck", body=inputs.CardIn, returns=outputs.CardOut, status=201)
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body.pop("project"), role=EDITORS)
        return Response(outputs.CardOut(add_card(project=project, by=request.user, **body)).data, status=201)


class OneCard(Operation):
    @operation("Take a card out of a project's deck", returns=None, status=204)
    def delete(self, request: Request, id: UUID) -> Response:
        visible = Card.objects.filter(project__in=Project.objects.visible_to(request.user))
        card = get_object_or_404(visible.select_related("project"), uuid=id)
        refuse_without(request.user, card.project, role=EDITORS)
        retire_card(card=card)
        return Response(status=204)


class Quizzes(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Begin a quiz, or go on with the one begun", returns=outputs.QuizOut, status=201, errors=(403,))
    def post(self, request: Request) -> Response:
        own_project_for(request.user, "")
        return Response(_shown(start_quiz(user=request.user)), status=201)


class OneQuiz(Operation):
    @operation("A quiz of mine: its questions, and what was right of those I answered", returns=outputs.QuizOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_shown(quiz_for(request.user, id)))


class AnswerQuiz(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Answer the next question of a quiz", body=inputs.QuizAnswerIn, returns=outputs.QuizOut, errors=(403, 404, 409)
    )
    def post(self, request: Request, id: UUID) -> Response:
        found = quiz_for(request.user, id)
        answer_quiz(found=found, number=self.body["number"], option=self.body["option"])
        found.refresh_from_db()
        return Response(_shown(found))


def _shown(found: QuizTry) -> dict[str, object]:
    """What is right, and why, only of questions that were answered."""
    rows = asked(found)
    questions = [
        {
            "number": one.number,
            "ask": one.question.ask,
            "options": [option.answer for option in one.options],
            "chosen": one.chosen,
            "right": None if one.chosen is None else one.right,
            "why": [] if one.chosen is None else [option.why for option in one.options],
            "term": None if one.chosen is None else one.question.term,
        }
        for one in rows
    ]
    quiz = {"id": found.uuid, "version": found.version, "right": found.right, "questions": questions}
    return dict(outputs.QuizOut(quiz).data)
