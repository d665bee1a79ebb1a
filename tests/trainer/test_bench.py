"""The benches of the trainer: what they lay out is a run that the trainer takes."""

import gzip
import json

import pytest
from transformers import AutoTokenizer

from bench import runs
from bench.bases import Shape
from bench.jobs import JOBS, Bench
from bench.training import laid
from tests.trainer.runs import sentence
from trainer.__main__ import main

TOLD = "\n\nHuman: {}\n\nAssistant: Go on.\n\nHuman: And then?\n\nAssistant: {}"


@pytest.fixture
def data(tmp_path):
    """A folder of the form of the real data, with short texts."""
    (tmp_path / "dolly").mkdir()
    (tmp_path / "hh").mkdir()
    pairs = [{"instruction": f"{sentence(n, words=4)} {n}?", "answer": sentence(n + 100)} for n in range(200)]
    runs.write_lines(tmp_path / "dolly" / "pairs.jsonl", pairs)
    models = ("human", "flan-t5-xl", "flan-t5-large", "flan-t5-base", "flan-t5-small")
    with gzip.open(tmp_path / "dolly" / "outputs.jsonl.gz", "wt") as packed:
        for pair in pairs:
            said = [{"model": model, "text": f"{pair['answer']} {model}"} for model in models]
            packed.write(json.dumps({"instruction": pair["instruction"], "outputs": said}) + "\n")
    with gzip.open(tmp_path / "hh" / "harmless-base.jsonl.gz", "wt") as packed:
        for n, pair in enumerate(pairs):
            chosen, rejected = (TOLD.format(pair["instruction"], sentence(n + more)) for more in (300, 600))
            packed.write(json.dumps({"chosen": chosen, "rejected": rejected}) + "\n")
    return tmp_path


@pytest.fixture
def bench(data, toy_base):
    """A speed bench of two steps on the toy."""
    words = AutoTokenizer.from_pretrained(toy_base, local_files_only=True)

    def tokens(messages):
        open_ = messages[-1]["role"] == "user"
        return len(words.apply_chat_template(messages, add_generation_prompt=open_, tokenize=True, return_dict=False))

    shape = Shape(vocab=512, width=64, layers=2, heads=2, inner=176)
    return Bench("toy", toy_base, data, 2, 256, "float32", tokens, shape)


@pytest.mark.parametrize("name", JOBS)
def test_the_trainer_takes_the_run_that_the_bench_lays_out(name, bench, toy_base, tmp_path, capsys):
    try:
        job = JOBS[name](bench)
    except runs.Missing as reason:
        pytest.skip(str(reason))
    assert main(["check", str(laid(bench, job, toy_base, tmp_path / "run"))]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", ["sft", "reward", "rankings"])
def test_a_peer_gets_the_rows_in_the_order_of_our_steps(name, bench, toy_base, tmp_path):
    job = JOBS[name](bench)
    path = laid(bench, job, toy_base, tmp_path / "run")
    assert main([job.stage, str(path)]) == 0
    shown = json.loads((path / "first_batch.json").read_text())["rows"]
    texts = ["".join(token["text"] for token in row["tokens"]) for row in shown]
    of_first_step = {_said(row) for row in job.peer_rows[: len(job.peer_rows) // 2]}
    assert len(texts) > 1
    assert all(any(said in text for said in of_first_step) for text in texts)


def test_a_dialogue_is_read_into_turns():
    found = runs.turns("\n\nHuman: What?\n\nAssistant: That.\n\nHuman: Why?\n\nAssistant: Because.")
    assert [(turn["role"], turn["content"]) for turn in found] == [
        ("user", "What?"),
        ("assistant", "That."),
        ("user", "Why?"),
        ("assistant", "Because."),
    ]


def _said(row):
    messages = row["messages"] if "messages" in row else [*row["prompt"], *row["chosen"]]
    return messages[0]["content"]
