"""Bases: shapes, first weights, loading and its refusals, the trunk."""

import json
import math
import shutil

import pytest
import torch

from trainer import base
from trainer.contract.configs import SIZES
from trainer.contract.errors import TrainerError
from trainer.losses import linear_cross_entropy
from trainer.packing import pack

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return base.make("toy", vocab=512, seed=3)


@pytest.fixture
def folder(toy_base, tmp_path):
    """A copy of the toy's folder, to be spoilt."""
    return shutil.copytree(toy_base, tmp_path / "base")


@pytest.mark.parametrize(
    ("size", "parameters"), [("toy", 133_440), ("nano", 1_066_112), ("micro", 12_194_688), ("small", 91_245_312)]
)
def test_b1_a_size_has_as_many_parameters_as_its_table_says(size, parameters):
    shape = SIZES[size]
    with torch.device("meta"):
        model = base.make(size, vocab=shape.vocab, seed=1)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_b2_the_first_loss_is_that_of_guessing(model):
    ids = torch.randint(0, 512, (8, 64), generator=torch.Generator().manual_seed(1))
    batch = pack(ids.tolist(), counted=[[False] + [True] * 63] * 8)
    hidden, targets = base.trunk(model, batch)[batch.at], batch.targets
    loss, _ = linear_cross_entropy(hidden, base.head_weight(model), targets, torch.ones(len(targets)), chunk=64)
    assert loss.item() / len(targets) == pytest.approx(math.log(512), abs=0.1)


@pytest.mark.parametrize(("name", "deviation"), [("q_proj", 0.02), ("o_proj", 0.01), ("down_proj", 0.01)])
def test_b2_outputs_into_the_residual_stream_start_smaller(model, name, deviation):
    # toy: L = 2, so 0.02 / √4 = 0.01
    found = torch.cat([p.flatten() for n, p in model.named_parameters() if name in n]).std().item()
    assert found == pytest.approx(deviation, rel=0.05)


def test_g9_the_same_seed_gives_the_same_weights(model):
    again = base.make("toy", vocab=512, seed=3).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())


def test_b3_a_saved_base_comes_back_bit_for_bit_and_frozen(model, toy_base):
    loaded = base.load(toy_base, dtype=torch.float32, device=CPU)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_b3_only_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refusal_of(folder) == "pickled_weights"


def test_b3_no_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    assert refusal_of(folder) == "no_safetensors"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_b3_a_base_with_code_of_its_own_is_refused(folder, name):
    facts = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**facts, "auto_map": {"AutoModel": "mine.Model"}}))
    assert refusal_of(folder) == "own_code"


def test_b3_a_context_beyond_the_bases_is_refused(folder):
    assert refusal_of(folder, context=129) == "context_too_long"


def test_b3_an_unreadable_config_is_refused(folder):
    (folder / "config.json").write_text("{")
    assert refusal_of(folder) == "bad_config"


def refusal_of(path, **limits):
    with pytest.raises(TrainerError) as refusal:
        base.refuse(path, **limits)
    return refusal.value.code
