"""The addresses of rlhf below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from rlhf.api import chat, home, maps, models, opinion, probes, runs, schema, snapshots, tokenizers

urlpatterns: list[URLPattern | URLResolver] = [
    path("projects/<uuid:id>/live", home.ProjectLive.as_view(), name="project-live"),
    path("projects/<uuid:id>/game/opinion", opinion.GameOpinion.as_view(), name="game-opinion"),
    path("snapshots/", snapshots.Snapshots.as_view(), name="snapshots"),
    path("snapshots/preview", snapshots.Preview.as_view(), name="snapshot-preview"),
    path("snapshots/<uuid:id>/", snapshots.OneSnapshot.as_view(), name="snapshot"),
    path("snapshots/<uuid:id>/live", snapshots.SnapshotLive.as_view(), name="snapshot-live"),
    path("snapshots/<uuid:id>/files/<str:name>", snapshots.SnapshotFile.as_view(), name="snapshot-file"),
    path("runs/", runs.Runs.as_view(), name="runs"),
    path("runs/fields", runs.Fields.as_view(), name="run-fields"),
    path("runs/<uuid:id>/", runs.OneRun.as_view(), name="run"),
    path("runs/<uuid:id>/live", runs.RunLive.as_view(), name="run-live"),
    path("runs/<uuid:id>/series", runs.RunSeries.as_view(), name="run-series"),
    path("runs/<uuid:id>/cancel", runs.RunCancel.as_view(), name="run-cancel"),
    path("runs/<uuid:id>/resume", runs.RunResume.as_view(), name="run-resume"),
    path("workers/", runs.Workers.as_view(), name="workers"),
    path("models/", models.Models.as_view(), name="models"),
    path("models/<uuid:id>/", models.OneModel.as_view(), name="model"),
    path("lineage/model/<uuid:id>", models.ModelLineage.as_view(), name="model-lineage"),
    path("lineage/text/<uuid:id>", models.TextLineage.as_view(), name="text-lineage"),
    path("generations/", models.Generations.as_view(), name="generations"),
    path("tokenizers/<uuid:id>/encode", tokenizers.Encode.as_view(), name="tokenizer-encode"),
    path("maps/<uuid:id>/points", maps.MapPoints.as_view(), name="map-points"),
    path("maps/<uuid:id>/labels", maps.MapLabels.as_view(), name="map-labels"),
    path("maps/<uuid:id>/similar", maps.MapSimilar.as_view(), name="map-similar"),
    path("maps/<uuid:id>/neighbours/<int:place>", maps.MapNeighbours.as_view(), name="map-neighbours"),
    path("probes", probes.Probes.as_view(), name="probes"),
    path("probes/<uuid:id>/live", probes.ProbeLive.as_view(), name="probe-live"),
    path("probes/<uuid:id>.csv", probes.ProbeCsv.as_view(), name="probe-csv"),
    path("playground/chat", chat.Chat.as_view(), name="playground-chat"),
    path("schema/", schema.Schema.as_view(), name="schema"),
]
