"""Rules of all stages that no stage's own tests hold: G4 of roles, and G12."""

import json

import pytest
import torch

from tests.trainer.test_adapters import stir
from trainer import adapters, base, packing


@pytest.mark.parametrize("role", ["policy", "value", "reward", "reference"])
def test_g4_a_role_answers_the_same_twice_under_train(role):
    model = base.make("toy", vocab=512, seed=1)
    adapters.attach(model, role, rank=4, alpha=8.0, seed=5)
    stir(model, role)
    model.train()
    rows = packing.pack(torch.arange(32, 72).view(2, 20).tolist())
    with adapters.using(model, role):
        first, second = (base.trunk(model, rows) for _ in range(2))
    assert torch.equal(first, second)


def test_g12_algorithms_are_deterministic_and_the_environment_says_with_what(tuned):
    assert torch.are_deterministic_algorithms_enabled()
    told = json.loads((tuned / "environment.json").read_text())
    assert told["torch"] == torch.__version__
    assert told["threads"] == 1
    assert set(told) >= {"python", "transformers", "tokenizers", "peft", "cpu_capability", "device", "code_version"}
