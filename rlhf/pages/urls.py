"""The pages of rlhf. Lists stand below their project, objects at their own address."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from rlhf.pages import beliefs, find, home, launch, map, models, playground, runs, snapshots, tokenizer

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("p/<uuid:project>/", home.project_home, name="project-home"),
    path("p/<uuid:project>/find/", find.find, name="find"),
    path("p/<uuid:project>/snapshots/", snapshots.snapshots, name="snapshots"),
    path("p/<uuid:project>/snapshots/new/<str:kind>/", snapshots.snapshot_new, name="snapshot-new"),
    path("snapshots/<uuid:snapshot>/", snapshots.snapshot, name="snapshot"),
    path("snapshots/<uuid:snapshot>/files/<str:name>", snapshots.snapshot_file, name="snapshot-file"),
    path("p/<uuid:project>/runs/", runs.runs, name="runs"),
    path("p/<uuid:project>/runs/new/<str:stage>/", launch.launch_run, name="launch"),
    path("runs/<uuid:run>/", runs.run, name="run"),
    path("runs/<uuid:run>/cancel/", runs.run_cancel, name="run-cancel"),
    path("runs/<uuid:run>/resume/", runs.run_resume, name="run-resume"),
    path("runs/<uuid:run>/ask/", runs.run_ask, name="run-ask"),
    path("p/<uuid:project>/models/", models.models, name="models"),
    path("models/<uuid:model>/", models.model, name="model"),
    path("p/<uuid:project>/playground/", playground.playground, name="playground"),
    path("p/<uuid:project>/learn/tokenizer/", tokenizer.tokenizer, name="tokenizer"),
    path("p/<uuid:project>/learn/map/", map.language_map, name="map"),
    path("maps/<uuid:run>/similar/", map.similar_words, name="map-similar"),
    path("p/<uuid:project>/learn/beliefs/", beliefs.beliefs, name="beliefs"),
]
