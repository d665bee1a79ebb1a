"""Every stage with the real trainer, each on what the one before left: what a stage writes, the next can read."""

import random
import threading

import pytest

from annotate.models import Group, Task, TaskText, Text
from rlhf import execution, generator, registry
from rlhf.launching import launch
from rlhf.models import Generation, Run
from rlhf.playground import ALIVE, ask
from tests.rlhf.conftest import make_snapshot

pytestmark = pytest.mark.full
WORDS = ["the", "clock", "module", "returns", "a", "number", "of", "seconds", "since", "some", "moment", "or", "list"]


@pytest.fixture
def take(project, ada, settings):
    """Runs a stage to its end."""
    settings.WORKER_THREADS = 1

    def to_the_end(stage: str, config: dict, **inputs) -> Run:
        config = {"seed": 1, **config}
        run = launch(project=project, stage=stage, preset="smoke", config=config, inputs=inputs, by=ada)
        execution.execute(run.pk, execution.claim(run.pk, attempt=0) or 0)
        run.refresh_from_db()
        assert (run.state, run.failure) == ("finished", None)
        return run

    return to_the_end


@pytest.fixture
def say():
    source = random.Random(1)
    return lambda: f"{' '.join(source.choices(WORDS, k=8)).capitalize()}."


@pytest.fixture
def prompts(project, say) -> list[Text]:
    made = []
    for number in range(60):
        split = "heldout" if number % 4 == 0 else "train"
        group = Group.objects.create(project=project, first_sha256=f"{number:064}", split=split)
        body = f"What is this? {say()}"
        text = Text(project=project, kind="prompt", body=body, sha256=str(number), origin="import", group=group)
        text.save()
        made.append(text)
    return made


def asked(prompt: Text) -> dict:
    return {"split": prompt.group.split, "messages": [{"role": "user", "content": prompt.body}]}


def answered(prompt: Text, text: str) -> dict:
    row = {"id": f"1{prompt.pk}", "prompt_id": str(prompt.pk), "weight": 1.0, "source": "write", **asked(prompt)}
    return {**row, "messages": [*row["messages"], {"role": "assistant", "content": text}]}


def ranked(task: Task) -> dict:
    prompt = task.texts.get(kind="prompt")
    answers = [row.text for row in task.task_texts.filter(part=TaskText.Part.ANSWER).select_related("text")]
    return {
        "id": str(task.pk),
        "prompt_id": str(prompt.pk),
        **asked(prompt),
        "answers": [{"id": str(text.pk), "text": text.body} for text in answers],
        "groups": [[place] for place in range(len(answers))],
        "unplaced": [],
        "acceptable_groups": None,
        "strength": None,
        "weight": 1.0,
        "source": "rank",
    }


def test_the_circle_closes(project, ada, tmp_path, take, say, prompts):
    def freeze(kind, type, name, rows):
        return make_snapshot(project, ada, tmp_path, kind=kind, type=type, name=name, rows=rows)

    documents = [{"id": str(i), "split": "heldout" if i % 10 == 0 else "train", "text": say()} for i in range(400)]
    corpus = freeze("corpus", "CorpusRow", "corpus.jsonl", documents)
    base = take("pretrain", {"size": "toy", "batch_tokens": 512, "max_steps": 10}, corpus=corpus).outputs.get()
    pairs = freeze("sft", "SftRow", "sft.jsonl", [answered(prompt, say()) for prompt in prompts])
    sft = take("sft", {"max_steps": 4}, sft=pairs, base=base).outputs.get()
    questions = freeze("prompt", "PromptRow", "prompts.jsonl", [{"id": str(one.pk), **asked(one)} for one in prompts])
    take("generate", {"max_new_tokens": 12}, prompts=questions, base=base, sft=sft)
    rankings = freeze("ranking", "RankingRow", "ranking.jsonl", [ranked(task) for task in Task.objects.all()])
    reward = take("reward", {"max_steps": 4}, ranking=rankings, base=base, sft=sft).outputs.get()
    config = {"rollouts": 2, "max_new_tokens": 12, "rollout_prompts": 8}
    ppo = take("ppo", config, prompts=questions, base=base, sft=sft, reward=reward)
    policy = ppo.outputs.get(kind="policy")
    groups = {**config, "advantage": "rloo", "samples_per_prompt": 2}
    compared = take("ppo", groups, prompts=questions, base=base, sft=sft, reward=reward)
    assert [model.kind for model in compared.outputs.all()] == ["policy"]
    before = Task.objects.count()
    take("generate", {"max_new_tokens": 12}, prompts=questions, base=base, policy=policy)
    assert Task.objects.count() > before
    assert set(Generation.objects.values_list("model__kind", flat=True)) == {"sft", "policy"}
    formed_by = {node["kind"] for node in registry.lineage(policy)["nodes"]}
    assert formed_by == {"policy", "ppo", "base", "pretrain", "corpus", "sft", "prompt", "reward", "ranking"}


def test_rankings_become_a_policy_without_a_reward_model(project, ada, tmp_path, take, say, prompts):
    documents = [{"id": str(i), "split": "heldout" if i % 10 == 0 else "train", "text": say()} for i in range(400)]
    corpus = make_snapshot(project, ada, tmp_path, rows=documents)
    base = take("pretrain", {"size": "toy", "batch_tokens": 512, "max_steps": 10}, corpus=corpus).outputs.get()
    rows = [answered(prompt, say()) for prompt in prompts]
    pairs = make_snapshot(project, ada, tmp_path, kind="sft", type="SftRow", name="sft.jsonl", rows=rows)
    sft = take("sft", {"max_steps": 4}, sft=pairs, base=base).outputs.get()
    rows = [compared(prompt, say(), say()) for prompt in prompts]
    named = {"kind": "ranking", "type": "RankingRow", "name": "ranking.jsonl"}
    rankings = make_snapshot(project, ada, tmp_path, rows=rows, **named)
    run = take("dpo", {"max_steps": 2}, ranking=rankings, base=base, sft=sft)
    policy = run.outputs.get()
    assert (policy.kind, policy.base) == ("policy", base)
    assert run.result["final"]["heldout_prompts"] == 15
    assert {output["kind"] for output in run.result["outputs"]} == {"policy", "evaluation", "milestone"}
    formed_by = {node["kind"] for node in registry.lineage(policy)["nodes"]}
    assert formed_by == {"policy", "dpo", "base", "pretrain", "corpus", "sft", "ranking"}


def compared(prompt: Text, better: str, worse: str) -> dict:
    answers = [{"id": f"{prompt.pk}-{place}", "text": text} for place, text in enumerate((better, worse))]
    row = {"id": f"2{prompt.pk}", "prompt_id": str(prompt.pk), **asked(prompt), "answers": answers, "unplaced": []}
    judged = {"groups": [[0], [1]], "acceptable_groups": 1, "strength": 2, "weight": 1.0, "source": "pair"}
    return row | judged


def test_the_playground_answers_with_a_real_model(transactional_db, take, say, project, ada, tmp_path, redis_client):
    documents = [{"id": str(i), "split": "heldout" if i % 10 == 0 else "train", "text": say()} for i in range(400)]
    corpus = make_snapshot(project, ada, tmp_path, rows=documents)
    base = take("pretrain", {"size": "toy", "batch_tokens": 512, "max_steps": 4}, corpus=corpus).outputs.get()
    stop = threading.Event()
    thread = threading.Thread(target=generator.serve, args=(stop.is_set,))
    thread.start()
    try:
        while not redis_client.exists(ALIVE):
            assert thread.is_alive()
        messages = [{"role": "user", "content": "What is a clock?"}]
        chosen = {"max_new_tokens": 8, "temperature": 1.0, "seed": 3}
        *pieces, end = ask(model=base, messages=messages, settings=chosen, stop=lambda: False)
    finally:
        stop.set()
        thread.join()
    assert (end["done"], end["reason"], end["tokens"]) == (True, "length", 8)
    assert "".join(piece["text"] for piece in pieces)
