"""LoRA against peft's own, roles against separate models, saved folders against plain transformers and peft."""

import json
from types import MethodType

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from trainer import adapters, base
from trainer.contract.errors import TrainerError
from trainer.packing import pack

IDS = torch.tensor([[1, 40, 41, 42, 43, 2], [1, 50, 51, 2, 0, 0]])


@pytest.fixture
def model():
    return base.make("toy", vocab=512, seed=1)


@pytest.fixture
def adapted(model):
    """With adapters "sft" and "other", both unlike the base."""
    for name in ("sft", "other"):
        adapters.attach(model, name, rank=4, alpha=8.0, seed=5)
        stir(model, name)
    return model


def stir(model, name):
    draw = torch.Generator().manual_seed(len(name))
    for parameter in adapters.parameters(model, name):
        parameter.data.add_(torch.randn(parameter.shape, generator=draw), alpha=0.05)


def logits(model, name):
    with adapters.using(model, name), torch.no_grad():
        return model(IDS).logits


def gradients(model, name):
    return [None if p.grad is None else p.grad.clone() for p in adapters.parameters(model, name)]


def test_l1_a_fresh_adapter_changes_nothing(model):
    before = model(IDS).logits.detach()
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    assert torch.equal(logits(model, "sft"), before)


def test_l1_a_is_uniform_within_one_over_the_root_of_the_inputs(model):
    adapters.attach(model, "sft", rank=16, alpha=8.0, seed=5)
    a, b = adapters.parameters(model, "sft")[:2]
    # 16 × 64 uniform draws: their deviation is (1/8)/√3 = 0.0722, ± 3 %
    assert a.abs().max().item() <= 1 / 8
    assert a.std().item() == pytest.approx(0.0722, rel=0.05)
    assert not b.any()


def test_g5_adapters_are_float32_on_a_bfloat16_base(model):
    model.to(torch.bfloat16)
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    stir(model, "sft")
    assert {parameter.dtype for parameter in adapters.parameters(model, "sft")} == {torch.float32}
    with adapters.using(model, "sft"):
        model(IDS).logits.float().square().sum().backward()
    assert all(gradient.any() for gradient in gradients(model, "sft"))


def test_l1_all_linear_layers_of_the_blocks_and_no_other_are_adapted(model):
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    assert len(adapters.parameters(model, "sft")) == 2 * 2 * 7  # A and B, two blocks of seven


def test_g9_equal_seeds_give_equal_adapters(model):
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    again = base.make("toy", vocab=512, seed=1)
    torch.manual_seed(99)
    adapters.attach(again, "sft", rank=4, alpha=8.0, seed=5)
    assert all(map(torch.equal, adapters.parameters(model, "sft"), adapters.parameters(again, "sft")))


def test_l3_the_base_is_frozen_and_a_loaded_adapter_too(adapted, tmp_path):
    adapters.save_adapter(adapted, "sft", tmp_path / "a", facts={})
    adapters.load_adapter(adapted, tmp_path / "a", "reference")
    trainable = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert trainable == {n for n, _ in adapted.named_parameters() if n.endswith((".sft.weight", ".other.weight"))}


def test_l2_a_copy_equals_its_parent_and_lives_its_own_life(adapted):
    adapters.copy(adapted, "sft", "policy")
    before = logits(adapted, "sft")
    assert torch.equal(logits(adapted, "policy"), before)
    stir(adapted, "policy")
    assert torch.equal(logits(adapted, "sft"), before)
    assert not torch.equal(logits(adapted, "policy"), before)


def test_l2_a_larger_rank_does_what_its_parent_does_and_can_learn_more(adapted):
    adapters.copy(adapted, "sft", "policy", rank=6, alpha=18.0, seed=1)
    torch.testing.assert_close(logits(adapted, "policy"), logits(adapted, "sft"), rtol=0, atol=1e-5)
    a, b = adapters.parameters(adapted, "policy")[:2]
    assert (a.shape[0], b.shape[1]) == (6, 6)
    assert a[4:].any()
    assert not b[:, 4:].any()


def test_l2_a_smaller_rank_is_refused(adapted):
    with pytest.raises(TrainerError) as refusal:
        adapters.copy(adapted, "sft", "policy", rank=2, alpha=8.0)
    assert refusal.value.code == "rank_shrinks"
    assert adapters.names(adapted) == ["other", "sft"]


def test_l4_without_an_adapter_the_base_answers_bitwise(model, adapted):
    assert torch.equal(logits(adapted, None), base.make("toy", vocab=512, seed=1)(IDS).logits)


def test_l4_using_nests_and_comes_back(adapted):
    with adapters.using(adapted, "sft"), torch.no_grad():
        outer = adapted(IDS).logits
        inner = logits(adapted, "other")
        assert torch.equal(adapted(IDS).logits, outer)
    assert not torch.equal(inner, outer)


def test_l4_using_comes_back_after_an_exception(adapted):
    bare = logits(adapted, None)
    with pytest.raises(RuntimeError), adapters.using(adapted, "sft"):
        raise RuntimeError
    assert torch.equal(adapted(IDS).logits, bare)


def test_l4_two_roles_in_one_sum_get_the_gradients_of_two_separate_models(adapted):
    with adapters.using(adapted, "sft"):
        first = adapted(IDS).logits.square().mean()
    with adapters.using(adapted, "other"):
        second = adapted(IDS).logits.mean()
    (first + second).backward()
    together = gradients(adapted, "sft"), gradients(adapted, "other")
    adapted.zero_grad()
    with adapters.using(adapted, "sft"):
        adapted(IDS).logits.square().mean().backward()
    with adapters.using(adapted, "other"):
        adapted(IDS).logits.mean().backward()
    for mine, alone in zip(together, (gradients(adapted, "sft"), gradients(adapted, "other")), strict=True):
        assert all(map(torch.equal, mine, alone))
        assert any(gradient.any() for gradient in mine)


def test_l6_our_layers_equal_pefts_own_in_value_and_gradient(adapted):
    with adapters.using(adapted, "sft"):
        ours = adapted(IDS).logits
        ours.square().sum().backward()
    mine = gradients(adapted, "sft")
    adapted.zero_grad()
    for _, layer in adapters._layers(adapted):
        layer.forward = MethodType(type(layer).forward, layer)
        layer.set_adapter(["sft"])
    theirs = adapted(IDS).logits
    theirs.square().sum().backward()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for a, b in zip(mine, gradients(adapted, "sft"), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_l6_nothing_flows_below_the_first_adapted_layer(adapted):
    reached = []
    with adapters.using(adapted, "sft"):
        first = adapted.model.layers[0].input_layernorm
        first.register_forward_hook(lambda module, given, out: reached.append(out.requires_grad))
        adapted(IDS).logits.sum().backward()
    assert reached == [False]


def test_dropout_is_a_fact_of_one_use(adapted):
    adapted.train()
    torch.manual_seed(0)
    with adapters.using(adapted, "sft", dropout=0.5):
        assert not torch.equal(adapted(IDS).logits, adapted(IDS).logits)
    assert torch.equal(logits(adapted, "sft"), logits(adapted, "sft"))


def test_a8_merged_weights_answer_as_unmerged_ones_and_leave_the_base_alone(adapted):
    bare = logits(adapted, None)
    with adapters.merged(adapted, "sft"), torch.no_grad():
        fast = adapted(IDS).logits
    torch.testing.assert_close(fast, logits(adapted, "sft"), rtol=0, atol=1e-4)
    assert torch.equal(logits(adapted, None), bare)


def test_a8_a_merge_is_used_as_often_as_wanted_and_nests(adapted):
    sft, other = adapters.merge(adapted, "sft"), adapters.merge(adapted, "other")
    with sft(), torch.no_grad():
        first = adapted(IDS).logits
        with other():
            between = adapted(IDS).logits
        assert torch.equal(adapted(IDS).logits, first)
    assert not torch.equal(between, first)
    torch.testing.assert_close(between, logits(adapted, "other"), rtol=0, atol=1e-4)


def test_l9_plain_transformers_answers_as_base_and_adapter(adapted, tmp_path):
    bare = logits(adapted, None)
    adapters.save_merged(adapted, "sft", tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32, use_safetensors=True)
    with torch.no_grad():
        found = plain(IDS).logits
    torch.testing.assert_close(found, logits(adapted, "sft"), rtol=0, atol=1e-4)
    assert (found - bare).abs().max() > 0.01
    assert torch.equal(logits(adapted, None), bare)


def test_l9_a_bfloat16_base_is_summed_in_float32_and_cast_once(model, tmp_path):
    halved = model.to(torch.bfloat16)
    adapters.attach(halved, "sft", rank=4, alpha=8.0, seed=5)
    stir(halved, "sft")
    layer = halved.model.layers[0].mlp.up_proj
    a, b = layer.lora_A["sft"].weight, layer.lora_B["sft"].weight
    wanted = torch.addmm(layer.get_base_layer().weight.float(), b, a, alpha=2.0).to(torch.bfloat16)
    adapters.save_merged(halved, "sft", tmp_path / "merged")
    assert torch.equal(load_file(tmp_path / "merged/model.safetensors")["model.layers.0.mlp.up_proj.weight"], wanted)


def test_l7_a_saved_adapter_comes_back_bitwise(adapted, tmp_path):
    adapters.save_adapter(adapted, "sft", tmp_path / "a", facts={"kind": "sft", "base_sha256": "b"})
    loaded = adapters.load_adapter(adapted, tmp_path / "a", "again", base_sha256="b")
    assert torch.equal(logits(adapted, "again"), logits(adapted, "sft"))
    assert loaded.facts["kind"] == "sft"
    assert loaded.heads == {}


def test_l7_equal_adapters_are_equal_files(adapted, tmp_path):
    for name in ("a", "b"):
        adapters.save_adapter(adapted, "sft", tmp_path / name, facts={})
    for file in ("adapter_config.json", "adapter_model.safetensors", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_l7_plain_transformers_and_peft_score_as_we_do(adapted, tmp_path):
    score = torch.randn(1, 64, generator=torch.Generator().manual_seed(2))
    adapters.save_adapter(adapted, "sft", tmp_path / "reward", heads={"score": score}, facts={"kind": "reward"})
    base.save(base.make("toy", vocab=512, seed=1), tmp_path / "base")
    plain = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "base",
        num_labels=1,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    theirs = PeftModel.from_pretrained(plain, tmp_path / "reward").eval()
    with adapters.using(adapted, "sft"), torch.no_grad():
        packed = pack([IDS[0].tolist(), IDS[1, :4].tolist()])
        states = base.trunk(adapted, packed)[packed.ends]
        expected = (states @ score.T)[:, 0]
        scores = theirs(input_ids=IDS, attention_mask=(IDS > 0).long()).logits[:, 0]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-5)


def test_l7_a_value_head_keeps_its_bias(adapted, tmp_path):
    heads = {"weight": torch.ones(1, 64), "bias": torch.tensor([0.5])}
    adapters.save_adapter(adapted, "sft", tmp_path / "value", heads=heads, facts={})
    loaded = adapters.load_adapter(adapted, tmp_path / "value", "value")
    assert {key: tensor.tolist() for key, tensor in loaded.heads.items()} == {
        "weight": [[1.0] * 64],
        "bias": [0.5],
    }


def test_a_removed_adapter_leaves_the_others_as_they_were(adapted):
    before = logits(adapted, "sft")
    adapters.remove(adapted, "other")
    assert adapters.names(adapted) == ["sft"]
    assert torch.equal(logits(adapted, "sft"), before)
    assert all(parameter.requires_grad for parameter in adapters.parameters(adapted, "sft"))


# --- L8: what is refused


def spoil_config(folder, key, value):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, key: value}))


def spoil_tensors(folder, change):
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


FIRST = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
SPOILED = {
    "a missing tensor": (lambda f: spoil_tensors(f, lambda t: t.pop(FIRST)), f"{FIRST} is missing"),
    "a left-over tensor": (lambda f: spoil_tensors(f, lambda t: t.update(more=torch.ones(1))), "more is left over"),
    "another shape": (lambda f: spoil_tensors(f, lambda t: t.update({FIRST: torch.ones(4, 9)})), "shape [4, 9]"),
    "another type": (
        lambda f: spoil_tensors(f, lambda t: t.update({FIRST: t[FIRST].long()})),
        f"{FIRST} is torch.int64",
    ),
    "not finite": (lambda f: spoil_tensors(f, lambda t: t[FIRST].fill_(float("nan"))), "not finite"),
    "no LoRA": (lambda f: spoil_config(f, "peft_type", "IA3"), "IA3"),
    "DoRA": (lambda f: spoil_config(f, "use_dora", value=True), "use_dora"),
    "foreign layers": (lambda f: spoil_config(f, "target_modules", ["c_attn"]), "left over"),
    "no rank": (lambda f: spoil_config(f, "r", 0), "r is 0"),
    "no file": (lambda f: (f / "adapter_model.safetensors").unlink(), "cannot be read"),
    "no config": (lambda f: (f / "adapter_config.json").write_text("{"), "cannot be read"),
    "another base": (lambda f: (f / "manifest.json").write_text('{"base_sha256": "c"}'), "base c"),
}


@pytest.mark.parametrize("spoil", SPOILED)
def test_l8_a_bad_adapter_is_refused_by_name_and_the_model_stays_as_it_was(adapted, tmp_path, spoil):
    folder = tmp_path / "bad"
    adapters.save_adapter(adapted, "sft", folder, facts={"base_sha256": "b"})
    SPOILED[spoil][0](folder)
    with pytest.raises(TrainerError) as refusal:
        adapters.load_adapter(adapted, folder, "again", base_sha256="b")
    assert refusal.value.code == "bad_adapter"
    assert SPOILED[spoil][1] in refusal.value.sentence
    assert adapters.names(adapted) == ["other", "sft"]


def test_l8_a_pickle_beside_missing_weights_is_not_read(adapted, tmp_path):
    adapters.save_adapter(adapted, "sft", tmp_path / "bad", facts={})
    (tmp_path / "bad" / "adapter_model.safetensors").rename(tmp_path / "bad" / "adapter_model.bin")
    with pytest.raises(TrainerError) as refusal:
        adapters.load_adapter(adapted, tmp_path / "bad", "again")
    assert refusal.value.code == "bad_adapter"
