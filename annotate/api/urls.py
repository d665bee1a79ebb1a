"""The addresses of annotate below /api/v1/: objects end in a slash, what is done to them does not."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from annotate.api import game, material, people, work

urlpatterns: list[URLPattern | URLResolver] = [
    path("me/", people.Me.as_view(), name="me"),
    path("projects/", people.Projects.as_view(), name="projects"),
    path("projects/<uuid:id>/", people.OneProject.as_view(), name="project"),
    path("members/", people.Members.as_view(), name="members"),
    path("members/<uuid:id>/", people.OneMember.as_view(), name="member"),
    path("guidelines/", people.Guidelines.as_view(), name="guidelines"),
    path("tokens/", people.Tokens.as_view(), name="tokens"),
    path("tokens/<uuid:id>/", people.OneToken.as_view(), name="token"),
    path("projects/<uuid:id>/game/paragraph", game.Paragraph.as_view(), name="game-paragraph"),
    path("projects/<uuid:id>/game/rounds", game.Rounds.as_view(), name="game-rounds"),
    path("projects/<uuid:id>/game/table", game.Table.as_view(), name="game-table"),
    path("projects/<uuid:id>/game/train", game.Train.as_view(), name="game-train"),
    path("game/rounds/<uuid:id>/attempts", game.Attempts.as_view(), name="game-attempts"),
    path("game/rounds/<uuid:id>/finish", game.Finish.as_view(), name="game-finish"),
    path("game/starts/<str:version>.<str:what>", game.Start.as_view(), name="game-start"),
    path("game/mine", game.Mine.as_view(), name="game-mine"),
    path("consents/", game.Consents.as_view(), name="consents"),
    path("queues/", work.Queues.as_view(), name="queues"),
    path("queues/<uuid:id>/", work.OneQueue.as_view(), name="queue"),
    path("queues/<uuid:id>/claim", work.Claim.as_view(), name="claim"),
    path("slots/<uuid:id>/", work.OneSlot.as_view(), name="slot"),
    path("slots/<uuid:id>/heartbeat", work.Heartbeat.as_view(), name="slot-heartbeat"),
    path("slots/<uuid:id>/release", work.Release.as_view(), name="slot-release"),
    path("slots/<uuid:id>/skip", work.Skip.as_view(), name="slot-skip"),
    path("slots/<uuid:id>/submit", work.Submit.as_view(), name="slot-submit"),
    path("slots/<uuid:id>/draft", work.DraftOfSlot.as_view(), name="slot-draft"),
    path("judgements/", work.Judgements.as_view(), name="judgements"),
    path("judgements/<uuid:id>/", work.OneJudgement.as_view(), name="judgement"),
    path("judgements/<uuid:id>/revisions", work.Revisions.as_view(), name="judgement-revisions"),
    path("judgements/<uuid:id>/undo", work.Undo.as_view(), name="judgement-undo"),
    path("sources/", material.Sources.as_view(), name="sources"),
    path("sources/<uuid:id>/", material.OneSource.as_view(), name="source"),
    path("imports/", material.Imports.as_view(), name="imports"),
    path("imports/<uuid:id>/", material.OneImport.as_view(), name="import"),
    path("imports/<uuid:id>/live", material.ImportLive.as_view(), name="import-live"),
    path("imports/<uuid:id>/refusals", material.Refusals.as_view(), name="import-refusals"),
    path("texts/", material.Texts.as_view(), name="texts"),
    path("texts/<uuid:id>/", material.OneText.as_view(), name="text"),
]
