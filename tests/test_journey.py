"""From a dirty document to a PPO answer on a CPU: the whole loop, through the running service, on a little text."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import pytest

ROOT = Path(__file__).parent.parent
VERBS = ["opens", "closes", "reads", "writes", "copies", "moves", "checks", "counts", "sorts", "joins"]
NOUNS = ["file", "folder", "socket", "queue", "table", "string", "number", "page", "record", "window"]
ENDS = ["at once", "by its name", "when asked", "and says so"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """400 documents, some of them again or nearly so, and 200 pairs."""
    made = tmp_path_factory.mktemp("texts")
    said = [(verb, noun, end) for verb in VERBS for noun in NOUNS for end in ENDS]
    texts = [
        f"This function {verb} the {noun} {end}. It returns nothing that was not there." for verb, noun, end in said
    ]
    documents = [*texts, texts[0], "Too short", "Write to ada@home.org, please, and wait for an answer of some words."]
    (made / "documents.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    pairs = [
        {"instruction": f"What does {verb}_{noun} do {end}?", "answer": f"It {verb} the {noun} {end}."}
        for verb, noun, end in said[::2]
    ]
    (made / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return made


@pytest.fixture(scope="module")
def home(folder, tmp_path_factory):
    """The state of a service in which the demo's people went round once."""
    state = tmp_path_factory.mktemp("home")
    with demo(folder, state) as running:
        said, _ = running.communicate(timeout=540)
    assert running.returncode == 0, said[-6_000:]
    return state


def demo(folder: Path, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--no-serve", "--data", folder, "--preset", "smoke"],
        cwd=ROOT,
        env=os.environ | {"TOUCHSTONE_HOME": str(home), "APP_ENV": "dev", "DJANGO_SETTINGS_MODULE": "rlhf.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rows(home, statement):
    with closing(sqlite3.connect(home / "db.sqlite3")) as database:
        return database.execute(statement).fetchall()


def test_each_stage_leaves_a_model_that_names_its_base(home):
    kinds = rows(home, "SELECT kind, base_id IS NOT NULL FROM rlhf_model ORDER BY id")
    assert [kind for kind in kinds if kind[0] != "value"] == [("base", 0), ("sft", 1), ("reward", 1), ("policy", 1)]


def test_every_run_finished_at_its_first_attempt(home):
    found = rows(home, "SELECT stage, state, attempt FROM rlhf_run ORDER BY number")
    stages = ["pretrain", "sft", "generate", "reward", "ppo", "generate"]
    assert found == [(stage, "finished", 1) for stage in stages]


def test_an_exact_repeat_is_seen_again_and_not_stored_again(home):
    assert rows(home, "SELECT COUNT(*) FROM annotate_sighting") == [(1,)]


def test_what_the_ppo_model_wrote_waits_as_new_comparisons(home):
    waiting = rows(
        home,
        "SELECT COUNT(*) FROM annotate_task t JOIN annotate_queue q ON q.id = t.queue_id "
        "WHERE q.kind = 'rank' AND t.state IN ('held', 'admitted')",
    )
    assert waiting[0][0] > 0


def test_scripts_are_called_so_in_the_data(home):
    by_people = rows(
        home,
        "SELECT COUNT(*) FROM annotate_judgement j JOIN annotate_user u ON u.id = j.user_id WHERE NOT u.scripted",
    )
    assert by_people == [(0,)]


def test_a_decision_taken_back_is_a_revision_and_not_a_deletion(home):
    assert rows(home, "SELECT COUNT(*) FROM annotate_revision WHERE kind = 'undo'")[0][0] >= 1


def learning(home):
    try:
        return rows(home, "SELECT 1 FROM rlhf_run WHERE state = 'running'")
    except sqlite3.OperationalError:  # not migrated yet
        return []


@pytest.mark.full
def test_ctrl_c_ends_the_demo_while_its_people_work(folder, tmp_path):
    with demo(folder, tmp_path) as running:
        until = monotonic() + 120
        while not learning(tmp_path):
            assert monotonic() < until
            sleep(0.1)
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "Stopped." in said
    assert rows(tmp_path, "SELECT state FROM rlhf_run") == [("cancelled",)]
