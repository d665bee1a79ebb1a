"""Snapshots, runs, models and lineage at the API."""

import json
from datetime import timedelta

import pytest
from django.utils.timezone import now

from rlhf.models import Generation, Run, RunChunk, Snapshot, Worker
from tests.annotate.conftest import make_document, make_prompt, make_text
from tests.api import Caller
from tests.rlhf.conftest import make_model, make_snapshot

pytestmark = pytest.mark.usefixtures("no_messages")


@pytest.fixture
def caller(ada):
    return Caller(ada)


def line(step, value):
    return json.dumps({"kind": "eval", "step": step, "values": {"nll": value}, "clock": {}, "attempt": 1})


def report(run, offset, *lines, stream="metrics"):
    return RunChunk.objects.create(
        run=run, attempt=run.attempt, stream=stream, offset=offset, lines="\n".join(lines) + "\n"
    )


def launch(caller, project, snapshot, *, expect=201, **config):
    body = {"project": str(project.uuid), "stage": "pretrain", "preset": "smoke"}
    return caller.post(
        "runs/", body | {"inputs": {"corpus": str(snapshot.uuid)}, "config": {"seed": 1} | config}, expect=expect
    )


def test_a_launched_run_waits_in_the_queue(caller, project, corpus):
    made = launch(caller, project, corpus)
    assert (made["number"], made["stage"], made["state"]) == (1, "pretrain", "queued")
    assert made["inputs"] == [{"name": "corpus", "type": "snapshot", "id": str(corpus.uuid), "label": "corpus-1"}]


def test_a_dpo_run_is_launched_on_rankings(caller, project, ada, tmp_path):
    base = make_model(project, tmp_path)
    inputs = {
        "ranking": make_snapshot(project, ada, tmp_path, kind="ranking"),
        "base": base,
        "sft": make_model(project, tmp_path, kind="sft", base=base),
    }
    body = {"project": str(project.uuid), "stage": "dpo", "preset": "demo", "config": {"seed": 1}}
    made = caller.post("runs/", body | {"inputs": {name: str(row.uuid) for name, row in inputs.items()}}, expect=201)
    assert (made["stage"], made["state"]) == ("dpo", "queued")
    assert {one["name"] for one in made["inputs"]} == set(inputs)
    problem = caller.post("runs/", body | {"inputs": {}}, expect=400)
    assert set(problem["fields"]) & {"ranking", "base", "sft"}


def test_a_field_out_of_range_is_refused_with_what_is_allowed(caller, project, corpus):
    problem = launch(caller, project, corpus, expect=400, epochs=1_000)
    assert problem["code"] == "bad_config"
    assert "1 to 100" in problem["fields"]["epochs"]
    assert not Run.objects.exists()


def test_a_missing_input_is_refused_by_name(caller, project):
    body = {"project": str(project.uuid), "stage": "pretrain", "preset": "smoke", "inputs": {}, "config": {"seed": 1}}
    problem = caller.post("runs/", body, expect=400)
    assert (problem["code"], list(problem["fields"])) == ("wrong_input", ["corpus"])


def test_the_fields_of_a_stage_carry_unit_limits_and_a_sentence(caller, project):
    found = caller.get("runs/fields?stage=ppo&preset=demo")
    kl = next(field for field in found["fields"] if field["name"] == "kl_coef")
    assert (kl["unit"], kl["default"]) == ("per nat", 0.05)
    assert [need["name"] for need in found["needs"] if not need["optional"]] == ["prompts", "base", "sft", "reward"]
    assert found["preset"]["kl_coef"] == 0.05


def test_a_run_tells_what_is_new_since_a_cursor(caller, run):
    report(run, 0, line(1, 4.0))
    first = caller.get(f"runs/{run.uuid}/live")
    report(run, 100, line(2, 3.0))
    second = caller.get(f"runs/{run.uuid}/live?after={first['cursor']}")
    assert (first["reset"], first["points"]["eval/nll"]) == (True, [[1, 4.0, None]])
    assert (second["reset"], second["points"]["eval/nll"]) == (False, [[2, 3.0, None]])


def test_a_run_that_does_not_move_is_not_sent_again(caller, run):
    report(run, 0, line(1, 4.0))
    seen = caller.ask("GET", f"runs/{run.uuid}/live")
    again = caller.ask("GET", f"runs/{run.uuid}/live", **{"If-None-Match": seen["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_unchanged_run_costs_no_more_queries_the_longer_it_is(caller, run, django_assert_max_num_queries):
    def unchanged():
        tag = caller.ask("GET", f"runs/{run.uuid}/live")["ETag"]
        with django_assert_max_num_queries(50) as found:
            assert caller.ask("GET", f"runs/{run.uuid}/live", **{"If-None-Match": tag}).status_code == 304
            return len(found)

    before = unchanged()
    for number in range(50):
        report(run, number, line(number, 1.0))
    assert unchanged() == before


def test_whole_series_are_asked_by_name(caller, run):
    report(run, 0, line(1, 4.0), line(2, 3.0))
    found = caller.get(f"runs/{run.uuid}/series?keys=eval/nll,eval/none")["series"]
    assert found == {"eval/nll": [[1, 4.0, None], [2, 3.0, None]], "eval/none": []}


def test_a_queued_run_is_cancelled_at_once(caller, run):
    assert caller.post(f"runs/{run.uuid}/cancel")["state"] == "cancelled"


def test_a_run_that_has_ended_cannot_be_cancelled(caller, run):
    Run.objects.update(state="finished")
    assert caller.post(f"runs/{run.uuid}/cancel", expect=409)["code"] == "not_active"


def test_a_cancelled_run_goes_on(caller, run):
    caller.post(f"runs/{run.uuid}/cancel")
    assert caller.post(f"runs/{run.uuid}/resume")["state"] == "queued"


def test_a_run_goes_on_without_the_monitors_that_are_named(caller, run):
    caller.post(f"runs/{run.uuid}/cancel")
    assert caller.post(f"runs/{run.uuid}/resume", {"monitors_off": ["kl"]}, expect=400)["code"] == "bad_config"
    found = caller.post(f"runs/{run.uuid}/resume", {"monitors_off": ["loss_spike"]})
    assert found["config"]["monitors_off"] == ["loss_spike"]


def test_a_run_that_runs_cannot_be_resumed(caller, run):
    assert caller.post(f"runs/{run.uuid}/resume", expect=409)["code"] == "not_resumable"


def test_a_finished_run_shows_its_figures_and_models(caller, run, tmp_path):
    Run.objects.update(state="finished", result={"final": {"perplexity": 44.0}})
    model = make_model(run.project, tmp_path, run=run)
    found = caller.get(f"runs/{run.uuid}/")
    assert found["metrics"] == {"perplexity": 44.0}
    assert [(one["kind"], one["id"]) for one in found["outputs"]] == [("base", str(model.uuid))]


def test_a_list_of_runs_costs_as_many_queries_with_30_rows_as_with_1(
    caller, project, corpus, django_assert_max_num_queries
):
    launch(caller, project, corpus)
    with django_assert_max_num_queries(50) as one:
        caller.get(f"runs/?project={project.uuid}")
        cost = len(one)
    for _ in range(29):
        launch(caller, project, corpus)
    with django_assert_max_num_queries(cost):
        assert len(caller.get(f"runs/?project={project.uuid}")["results"]) == 30


def test_a_snapshot_is_begun_and_followed(caller, project, source):
    make_document(project, "A document to keep.", source=source)
    begun = caller.post("snapshots/", {"project": str(project.uuid), "kind": "corpus", "settings": {}}, expect=201)
    live = caller.get(f"snapshots/{begun['id']}/live")
    assert (begun["number"], live["state"]) == (1, "freezing")


def test_nothing_is_frozen_where_nothing_stands(caller, project):
    body = {"project": str(project.uuid), "kind": "corpus"}
    assert caller.post("snapshots/", body, expect=400)["code"] == "nothing_to_freeze"
    assert not Snapshot.objects.exists()


def test_a_preview_counts_and_writes_nothing(caller, project, source):
    make_document(project, "A document to keep.", source=source)
    found = caller.post("snapshots/preview", {"project": str(project.uuid), "kind": "corpus"})
    assert (found["train"], found["heldout"]) == (1, 0)
    assert not Snapshot.objects.exists()


def test_a_file_of_a_snapshot_is_as_it_was_frozen(caller, corpus):
    response = caller.ask("GET", f"snapshots/{corpus.uuid}/files/corpus.jsonl")
    rows = b"".join(response.streaming_content).splitlines()
    assert len(rows) == 20
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["manifest.json", "..%2f..%2fdb.sqlite3", "%2e%2e", "corpus.jsonl%00"])
def test_a_file_that_the_snapshot_does_not_name_is_not_there(caller, corpus, name):
    assert caller.ask("GET", f"snapshots/{corpus.uuid}/files/{name}").status_code == 404


def test_a_model_walks_back_to_its_snapshot(caller, run, corpus, tmp_path):
    model = make_model(run.project, tmp_path, run=run)
    found = caller.get(f"lineage/model/{model.uuid}")
    assert [node["type"] for node in found["nodes"]] == ["model", "run", "snapshot"]
    assert [f"run-{run.uuid}", f"model-{model.uuid}"] in found["edges"]
    assert found["decisions"][0]["kind"] == "corpus"


def test_a_text_walks_forward_to_what_it_reached(caller, project, ada, source, tmp_path):
    text = make_document(project, "A document.", source=source)
    rows = [{"id": str(text.pk), "split": "train", "text": text.body}]
    snapshot = make_snapshot(project, ada, tmp_path, rows=rows)
    found = caller.get(f"lineage/text/{text.uuid}")
    assert [node["uuid"] for node in found["snapshots"]] == [str(snapshot.uuid)]


@pytest.fixture
def source(project, ada):
    return project.sources.create(name="docs", kind="upload", licence="PSF-2.0", added_by=ada)


def test_what_a_run_wrote_comes_with_prompt_and_split(caller, run, project, tmp_path):
    prompt = make_prompt(project, "What does min do?")
    text = make_text(project, "It returns the least.", parent=prompt)
    Generation.objects.create(
        run=run, model=make_model(project, tmp_path), text=text, prompt=prompt, sample_index=0, temperature=1.0,
        seed=1, finished=True, tokens=5,
    )  # fmt: skip
    (row,) = caller.get(f"generations/?run={run.uuid}")["results"]
    assert (row["prompt"], row["text"], row["split"]) == ("What does min do?", "It returns the least.", "train")


def test_a_worker_that_went_silent_is_not_alive(caller, project):
    Worker.objects.create(name="old", queues="train", heartbeat_at=now() - timedelta(minutes=5))
    Worker.objects.create(name="new", queues="train", heartbeat_at=now())
    found = caller.get(f"workers/?project={project.uuid}")
    assert [(row["name"], row["alive"]) for row in found] == [("new", True), ("old", False)]


def test_a_projects_live_state_counts_what_waits(caller, project, run):
    live = caller.get(f"projects/{project.uuid}/live")
    assert live["state"] == "running"
    assert live["runs"][0]["state"] == "queued"
    assert live["flagging"]["total"] == 0


def test_an_assessor_sees_no_run_in_the_live_state(ana, project, run):
    live = Caller(ana).get(f"projects/{project.uuid}/live")
    assert (live["runs"], live["snapshots"], live["state"]) == ([], [], "waiting")


def test_a_project_that_does_not_move_is_not_sent_again(caller, project, run):
    path = f"projects/{project.uuid}/live"
    tag = caller.ask("GET", path)["ETag"]
    assert caller.ask("GET", path, **{"If-None-Match": tag}).status_code == 304
    Run.objects.update(state="running")
    assert caller.ask("GET", path, **{"If-None-Match": tag}).status_code == 200
