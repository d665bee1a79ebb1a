"""Layers' own functions against the originals they stand in for, in value, gradient and what they keep."""

from dataclasses import replace
from types import MethodType

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from trainer import adapters, base, layers
from trainer.layers import Live

IDS = torch.randint(0, 512, (2, 24), generator=torch.Generator().manual_seed(3))
SHAPE = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
}


@pytest.mark.parametrize("config", [LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config])
def test_x4_norm_and_gated_product_equal_the_originals_in_value_and_every_gradient(config):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(**SHAPE))
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data += torch.rand_like(parameter)
    theirs = model(IDS).logits
    theirs.square().mean().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    layers.install(model)
    ours = model(IDS).logits
    ours.square().mean().backward()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_x4_norm_and_gated_product_pass_finite_differences():
    draw = torch.Generator().manual_seed(0)
    x, y, weight = (torch.randn(s, generator=draw).double().requires_grad_() for s in ((2, 3, 5), (2, 3, 5), (5,)))
    assert torch.autograd.gradcheck(lambda x, weight: layers._RmsNorm.apply(x, weight, 1e-5)[0], (x, weight))
    assert torch.autograd.gradcheck(layers._Gated.apply, (x, y))


def test_x4_every_norm_and_gated_block_of_a_base_has_our_function():
    own = [module for module in base.make("toy", vocab=512, seed=1).modules() if "forward" in vars(module)]
    assert len(own) == 2 * 3 + 1  # two norms and a gated block in each of two layers, and the last norm


def test_x4_an_unknown_class_runs_as_it_is():
    class Norm(torch.nn.Module):
        pass

    Norm.__name__ = "LlamaRMSNorm"
    module = Norm()
    layers.install(module)
    assert "forward" not in vars(module)


def test_x4_a_bfloat16_norm_equals_the_original_bitwise():
    x = torch.randn(5, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    norm = base.make("toy", vocab=512, seed=1).bfloat16().model.norm
    assert torch.equal(layers.rms_norm(norm, x), type(norm).forward(norm, x))


def kept_bytes(model):
    """What a forward pass keeps for its backward pass, each storage once, without parameters."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), adapters.using(model, "sft"):
        out = model.model(IDS, use_cache=False).last_hidden_state
    assert out.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


def test_x4_neither_normalised_inputs_nor_the_product_are_kept():
    model = base.make("toy", vocab=512, seed=1)
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    ours = kept_bytes(model)
    theirs = kept_bytes(uninstalled(model))
    # per token and layer two inputs of width 64 and, of four tensors of width 176 in the block, two
    assert theirs - ours >= 2 * (2 * 64 + 2 * 176) * 4 * IDS.numel() * 0.9


def uninstalled(model):
    for module in model.modules():
        if type(module).__name__ in layers.FORWARDS:
            module.forward = MethodType(type(module).forward, module)
    return model


FEW, MANY = 3, 6  # tokens: thin products pay, or W + sBA does, as 6·(4 + 5) > 2·4·5


def parts(count, tokens=FEW):
    draw = torch.Generator().manual_seed(0)
    make = lambda *shape: torch.randn(shape, generator=draw, dtype=torch.float64)  # noqa: E731
    x = make(tokens, 5).requires_grad_()
    lives = [
        Live(make(4, 5), make(4), make(2, 5).requires_grad_(), make(4, 2).requires_grad_(), 1.5) for _ in range(count)
    ]
    return x, lives


@pytest.mark.parametrize("tokens", [FEW, MANY])
@pytest.mark.parametrize("count", [1, 3])
def test_l6_the_layers_gradient_passes_finite_differences(count, tokens):
    x, lives = parts(count, tokens)
    learned = [part for live in lives for part in (live.a, live.b)]
    assert torch.autograd.gradcheck(lambda *_: layers.adapted_together(x, lives), [x, *learned])


@pytest.mark.parametrize("tokens", [FEW, MANY])
def test_l6_layers_that_see_one_input_answer_as_each_alone(tokens):
    x, lives = parts(3, tokens)
    for together, live in zip(layers.adapted_together(x, lives), lives, strict=True):
        plain = F.linear(x, live.weight, live.bias) + 1.5 * x @ live.a.T @ live.b.T
        torch.testing.assert_close(together, plain)


def test_l6_a_pass_without_gradients_answers_bit_for_bit_as_one_with_them():
    x, lives = parts(3, MANY)
    with torch.no_grad():
        scored = layers.adapted_together(x, lives)
    assert all(map(torch.equal, scored, layers.adapted_together(x, lives)))


def test_l6_many_tokens_meet_one_product_and_few_none_of_their_own(monkeypatch):
    made = []
    whole = layers._whole

    def counted(*given):
        made.append(given)
        return whole(*given)

    monkeypatch.setattr(layers, "_whole", counted)
    for tokens in (FEW, MANY):
        x, lives = parts(1, tokens)
        layers.adapted_together(x, lives)[0].sum().backward()
    assert len(made) == 2  # forward and backward of the many


def test_l6_g5_an_adapter_is_never_rounded_into_a_base_of_less_precision():
    x, lives = parts(1, MANY)
    half = [replace(live, weight=live.weight.bfloat16(), a=live.a.float(), b=live.b.float()) for live in lives]
    assert not layers._whole_pays(x.bfloat16(), half)


def test_l6_a_sibling_never_answers_for_another_input_or_another_adapter():
    model = base.make("toy", vocab=512, seed=1)
    for name in ("sft", "other"):
        adapters.attach(model, name, rank=4, alpha=8.0, seed=len(name))
        for parameter in adapters.parameters(model, name):
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(name)))
    attention = model.model.layers[0].self_attn
    x, y = torch.randn(2, 1, 6, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        with adapters.using(model, "sft"):
            attention.q_proj(x)
        with adapters.using(model, "other"):
            expected = layers.adapted(x, attention.k_proj.live)
            torch.testing.assert_close(attention.k_proj(x), expected, rtol=1e-4, atol=1e-4)
            attention.q_proj(y)
            torch.testing.assert_close(attention.k_proj(x), expected, rtol=1e-4, atol=1e-4)
