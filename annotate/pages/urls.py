"""The pages of annotate. Lists stand below their project, objects at their own address."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from annotate.pages import cards, data, game, health, imports, learn, login, me, mine, people, quiz, task, work

urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", login.login, name="login"),
    path("logout/", login.logout, name="logout"),
    path("health/", health.health, name="health"),
    path("me/", me.me, name="me"),
    path("me/tokens/", me.token_new, name="token-new"),
    path("me/tokens/<uuid:token>/revoke/", me.token_revoke, name="token-revoke"),
    path("projects/new/", people.project_new, name="project-new"),
    path("p/<uuid:project>/work/", work.work, name="work"),
    path("p/<uuid:project>/mine/", mine.mine, name="mine"),
    path("p/<uuid:project>/data/", data.data, name="data"),
    path("p/<uuid:project>/data/import/", imports.import_new, name="import-new"),
    path("p/<uuid:project>/guideline/", people.guideline, name="guideline"),
    path("p/<uuid:project>/people/", people.people, name="people"),
    path("p/<uuid:project>/learn/trainer/", game.trainer, name="game"),
    path("p/<uuid:project>/learn/trainer/train/", game.game_train, name="game-train"),
    path("p/<uuid:project>/consent/", game.consent, name="consent"),
    path("queues/<uuid:queue>/start/", work.start, name="start"),
    path("slots/<uuid:slot>/", task.slot, name="slot"),
    path("slots/<uuid:slot>/submit/", task.slot_submit, name="slot-submit"),
    path("slots/<uuid:slot>/skip/", task.slot_skip, name="slot-skip"),
    path("slots/<uuid:slot>/release/", task.slot_release, name="slot-release"),
    path("slots/<uuid:slot>/draft/", task.slot_draft, name="slot-draft"),
    path("judgements/<uuid:judgement>/undo/", task.undo, name="undo"),
    path("imports/<uuid:imported>/", imports.imported, name="import"),
    path("texts/<uuid:text>/", data.text, name="text"),
    path("learn/", learn.learn, name="learn"),
    path("learn/stages/<str:stage>/", learn.learn_stage, name="learn-stage"),
    path("learn/glossary/", learn.glossary, name="glossary"),
    path("learn/cards/", cards.cards, name="cards"),
    path("learn/cards/review/", cards.card_review, name="card-review"),
    path("learn/cards/<uuid:card>/", cards.card_change, name="card-change"),
    path("p/<uuid:project>/learn/cards/", cards.own_cards, name="own-cards"),
    path("learn/quiz/", quiz.quiz, name="quiz"),
    path("learn/quiz/start/", quiz.quiz_start, name="quiz-start"),
    path("learn/quiz/<uuid:quiz>/", quiz.quiz_try, name="quiz-try"),
]
