"""Snapshots, models and runs without their history, for tests of what comes after."""

import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from django.test import Client

from rlhf import execution, storage
from rlhf.launching import launch
from rlhf.models import Model, Run, Snapshot
from rlhf.probes import ask
from trainer.contract.rundir import folder_sha256


@pytest.fixture(autouse=True)
def own_storage(tmp_path, settings) -> None:
    """Each test has its own home, so that none sees another's files."""
    settings.HOME = tmp_path
    settings.STORAGE_URL = f"file://{tmp_path / 'objects'}"


@pytest.fixture
def filled(project, ada, tmp_path):
    from tests.rlhf.filled import fill  # which makes its rows by what stands below

    return fill(project, ada, tmp_path)


@pytest.fixture
def as_ada(client: Client, ada) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def as_rex(rex) -> Client:
    client = Client()
    client.force_login(rex)
    return client


@pytest.fixture
def as_ana(ana) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def text_of(response) -> str:
    return response.content.decode()


def corpus_rows(count: int) -> list[dict[str, object]]:
    return [{"id": str(i), "split": "heldout" if i % 10 == 0 else "train", "text": f"Text {i}."} for i in range(count)]


def make_snapshot(project, by, folder: Path, *, kind="corpus", type="CorpusRow", name="corpus.jsonl", rows=None):
    rows = corpus_rows(20) if rows is None else rows
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = {"name": name, "type": type, "rows": len(rows), "sha256": storage.put(path), "bytes": path.stat().st_size}
    splits = [row["split"] for row in rows]
    return Snapshot.objects.create(
        project=project,
        number=project.snapshots.count() + 1,
        kind=kind,
        state=Snapshot.State.FROZEN,
        created_by=by,
        files=[file],
        counts={"train": splits.count("train"), "heldout": splits.count("heldout"), "left_out": {}},
        card={"decisions": 0, "scripted": 0, "people": {}, "runs": []},
        sha256=sha256(path.read_bytes()).hexdigest(),
    )


def make_model(project, folder: Path, *, kind="base", base=None, run=None, content="{}", tokenizer=""):
    """tokenizer: the text of its tokenizer.json, where it has one."""
    place = folder / f"{kind}-{project.models.count()}"
    place.mkdir()
    (place / "config.json").write_text(content)
    if tokenizer:
        (place / "tokenizer.json").write_text(tokenizer)
    return Model.objects.create(
        project=project,
        number=project.models.count() + 1,
        kind=kind,
        name=f"{kind}-{project.models.count() + 1}",
        sha256=folder_sha256(place),
        files=storage.put_folder(place),
        size_bytes=2,
        base=base,
        run=run,
    )


@pytest.fixture
def corpus(project, ada, tmp_path) -> Snapshot:
    return make_snapshot(project, ada, tmp_path)


@pytest.fixture
def run(project, ada, corpus) -> Run:
    """A queued pretraining run."""
    return launch(
        project=project, stage="pretrain", preset="smoke", config={"seed": 1}, inputs={"corpus": corpus}, by=ada
    )


@pytest.fixture
def child(monkeypatch):
    """Makes the child a trainer that only pretends: child("finish"). The parent looks every 50 ms."""
    monkeypatch.setattr(execution, "TICK_S", 0.05)

    def does(what: str) -> None:
        def command(run, attempt, folder):
            return [sys.executable, "-m", "tests.rlhf.pretend", what, str(folder), "--attempt", str(attempt)]

        monkeypatch.setattr(execution, "command", command)

    return does


@pytest.fixture
def no_messages(monkeypatch):
    monkeypatch.setattr("rlhf.messages.current_app.send_task", lambda name, args: None)


@pytest.fixture
def base(project, ada, tmp_path) -> Model:
    """A base of a finished run, with two milestones."""
    from tests.rlhf.believed import leave_milestones  # which makes its rows by what stands above
    from tests.rlhf.filled import make_run

    run = make_run(project, ada, stage="pretrain", state="finished", inputs={}, final={})
    model = make_model(project, tmp_path, run=run)
    leave_milestones(model, 14, 98)
    return model


@pytest.fixture
def lineage(project, base, tmp_path) -> dict[str, Model]:
    """The base with an adapter of each kind."""
    adapters = {
        kind: make_model(project, tmp_path, kind=kind, base=base, content=kind) for kind in ("sft", "reward", "policy")
    }
    return {"base": base, **adapters}


@pytest.fixture
def asked(project, rex):
    """asked(base, …) is a probe of these models by rex, unless it says otherwise."""

    def probe(*models, **told):
        said = {"by": rex, "prompt": "The sky is", "answers": [], "checkpoints": [], "as_question": False}
        return ask(project=project, models=list(models), **{**said, "standing": False, "key": "", **told})

    return probe
