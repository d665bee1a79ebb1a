"""Rules of all stages that no stage's own tests hold: G4 of roles, G12, G13."""

import json
from pathlib import Path

import pytest
import torch

from tests.trainer.preferences import PPO, REWARD, lay, prompt_rows, ranking_rows
from tests.trainer.test_adapters import stir
from trainer import adapters, base, measure, sampling
from trainer.__main__ import main


@pytest.mark.parametrize("role", ["policy", "value", "reward", "reference"])
def test_g4_a_role_answers_the_same_twice_under_train(role):
    model = base.make("toy", vocab=512, seed=1)
    adapters.attach(model, role, rank=4, alpha=8.0, seed=5)
    stir(model, role)
    model.train()
    ids = torch.arange(32, 72).view(2, 20)
    with adapters.using(model, role):
        first, second = (base.trunk(model, ids, ids > 0) for _ in range(2))
    assert torch.equal(first, second)


def test_g12_algorithms_are_deterministic_and_the_environment_says_with_what(tuned):
    assert torch.are_deterministic_algorithms_enabled()
    told = json.loads((tuned / "environment.json").read_text())
    assert told["torch"] == torch.__version__
    assert told["threads"] == 1
    assert set(told) >= {"python", "transformers", "tokenizers", "peft", "cpu_capability", "device", "code_version"}


@pytest.fixture
def ppo_path(tmp_path, toy_base) -> Path:
    """A PPO run of one rollout on the bare toy, whose answers are bytes that no text encodes to again."""
    first = {**REWARD, "max_steps": 1}
    path = lay(tmp_path / "reward", first, base=toy_base, ranking=ranking_rows(20))
    assert main(["reward", str(path)]) == 0
    parents = {"reward": path / "adapter"}
    config = {**PPO, "rollouts": 1, "max_new_tokens": 24, "temperature": 2.0}
    return lay(tmp_path / "ppo", config, base=toy_base, parents=parents, prompts=prompt_rows())


def test_g13_the_ids_that_were_sampled_are_scored_and_learned(ppo_path, monkeypatch):
    sampled: set[tuple[int, ...]] = set()
    scored: list[list[int]] = []
    draw, score = sampling.sample, measure.scores

    def watched(*given, **named):
        rollout = draw(*given, **named)
        lengths = rollout.lengths.tolist()
        sampled.update(tuple(ids[:length].tolist()) for ids, length in zip(rollout.ids, lengths, strict=True))
        return rollout

    def heard(model, rows, *given, **named):
        scored.extend(row.tolist() for row in rows)
        return score(model, rows, *given, **named)

    monkeypatch.setattr(sampling, "sample", watched)
    monkeypatch.setattr(measure, "scores", heard)
    assert main(["ppo", str(ppo_path)]) == 0
    shown = json.loads((ppo_path / "first_batch.json").read_text())["rows"]
    learned = [tuple(token["id"] for token in row["tokens"] if token["mask"]) for row in shown]
    assert learned
    assert set(learned) <= sampled
    assert all(any(tuple(row[-len(answer) :]) == answer for answer in sampled) for row in scored)
