"""Answers of a model become texts, and blind comparisons."""

import json

import pytest

from annotate.actions.add_queue import add_queue
from annotate.actions.change_queue import change_queue
from annotate.models import Group, Task, Text
from rlhf import generations, storage
from rlhf.launching import launch
from rlhf.models import Generation, Run
from tests.rlhf.conftest import make_model, make_snapshot


def answer(prompt: Text, index: int, text: str, adapter="sft") -> dict:
    return {
        "prompt_id": str(prompt.pk), "sample_index": index, "adapter": adapter, "text": text, "ids": [1, 2],
        "logprob": -1.5, "finished": True, "seed": 2**63 + 5, "settings": {"temperature": 1.0},
    }  # fmt: skip


@pytest.fixture
def prompt(project) -> Text:
    group = Group.objects.create(project=project, first_sha256="0" * 64, split="heldout")
    return Text.objects.create(
        project=project, kind="prompt", body="What is a clock?", sha256="1", origin="import", group=group
    )


@pytest.fixture
def generated(project, ada, prompt, tmp_path):
    """A finished generate run whose file holds these answers."""
    base = make_model(project, tmp_path)
    sft = make_model(project, tmp_path, kind="sft", base=base)
    prompts = make_snapshot(project, ada, tmp_path, kind="prompt", type="PromptRow", name="prompts.jsonl")
    inputs = {"prompts": prompts, "base": base, "sft": sft}
    run = launch(project=project, stage="generate", preset="smoke", config={"seed": 1}, inputs=inputs, by=ada)

    def write(*lines: dict) -> Run:
        path = tmp_path / "generations.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        run.result = {"files": {"generations": storage.put_folder(path)}}
        run.save(update_fields=["result"])
        return run

    return write


def test_an_answer_becomes_a_text_of_its_prompts_group(generated, prompt):
    generations.collect(generated(answer(prompt, 0, " A thing that ticks. ")))
    text = Text.objects.get(kind="answer")
    assert (text.body, text.origin, text.parent, text.group) == ("A thing that ticks.", "model", prompt, prompt.group)


def test_its_generation_tells_how_it_was_written(generated, prompt):
    run = generated(answer(prompt, 3, "Tick."))
    generations.collect(run)
    row = Generation.objects.get()
    assert row.model is not None
    assert (row.model.kind, row.prompt, row.sample_index, row.temperature, row.tokens) == ("sft", prompt, 3, 1.0, 2)


def test_different_answers_become_one_comparison(generated, prompt):
    generations.collect(generated(*(answer(prompt, i, text) for i, text in enumerate(["A.", "B.", "A.", ""]))))
    task = Task.objects.get()
    assert sorted(task.texts.filter(kind="answer").values_list("body", flat=True)) == ["A.", "B."]
    assert task.queue.kind == "rank"


def test_open_queues_to_compare_and_rate_are_filled_and_closed_ones_are_not(generated, prompt, project):
    pairs = add_queue(project=project, kind="pair", name="Pairs")
    change_queue(queue=add_queue(project=project, kind="rate", name="Ratings"), closed=True)
    generations.collect(generated(*(answer(prompt, i, text) for i, text in enumerate(["A.", "B.", "C."]))))
    assert sorted(Task.objects.values_list("queue__kind", flat=True)) == ["pair", "rank"]
    assert pairs.tasks.get().texts.filter(kind="answer").count() == 2


def test_answers_that_are_all_the_same_make_no_comparison(generated, prompt):
    generations.collect(generated(answer(prompt, 0, "A."), answer(prompt, 1, "A.")))
    assert not Task.objects.exists()


def test_a_run_is_collected_once(generated, prompt):
    run = generated(answer(prompt, 0, "A."), answer(prompt, 1, "B."))
    assert generations.collect(run) == 2
    assert generations.collect(run) == 0
    assert (Generation.objects.count(), Task.objects.count()) == (2, 1)


def test_more_than_nine_answers_are_compared_nine_at_most(generated, prompt):
    generations.collect(generated(*(answer(prompt, i, f"Answer {i}.") for i in range(12))))
    assert Task.objects.get().texts.filter(kind="answer").count() == 9


def test_collecting_costs_as_many_queries_for_30_answers_as_for_2(generated, prompt, django_assert_max_num_queries):
    run = generated(*(answer(prompt, i, f"Answer {i}.") for i in range(30)))
    with django_assert_max_num_queries(22):
        generations.collect(run)
