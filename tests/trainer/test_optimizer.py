"""Flat AdamW against torch's own, the clip, the schedule."""

import math

import pytest
import torch
from torch.nn import Parameter

from trainer.optimizer import AdamW, rate


def parameters():
    draw = torch.Generator().manual_seed(1)
    return [Parameter(torch.randn(shape, generator=draw)) for shape in ((3, 4), (4,), (2, 2))]


def loss_of(own, number):
    return sum(((p - number) ** 2).sum() * (place + 1) for place, p in enumerate(own))


def steps(own, optimizer, count, *, start=0):
    for number in range(start, start + count):
        optimizer.zero()
        loss_of(own, number).backward()
        optimizer.step(0.1)


def test_g6_a_flat_step_equals_torchs_adamw():
    flat, plain = parameters(), parameters()
    ours = AdamW(flat, betas=(0.9, 0.95), weight_decay=0.1, decayed=[True, False, True])
    groups = [{"params": [plain[0], plain[2]], "weight_decay": 0.1}, {"params": [plain[1]], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=0.1, betas=(0.9, 0.95), eps=1e-8)
    steps(flat, ours, 5)
    for number in range(5):
        theirs.zero_grad()
        loss_of(plain, number).backward()
        theirs.step()
    for mine, other in zip(flat, plain, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_g6_parameters_and_gradients_are_views_of_one_buffer():
    own = parameters()
    optimizer = AdamW(own)
    loss_of(own, 3).backward()
    optimizer.weight.zero_()
    assert torch.equal(optimizer.grad, torch.cat([p.grad.flatten() for p in own]))
    assert all((p == 0).all() for p in own)


def test_c10_a_loaded_optimizer_goes_on_bit_for_bit():
    whole, first, second = parameters(), parameters(), parameters()
    unbroken, before, after = (
        AdamW(own, weight_decay=0.1, decayed=[True, False, True]) for own in (whole, first, second)
    )
    steps(whole, unbroken, 6)
    steps(first, before, 3)
    after.load_weight(before.weight)
    after.load(before.state())
    steps(second, after, 3, start=3)
    assert torch.equal(after.weight, unbroken.weight)


@pytest.mark.parametrize(("limit", "scale"), [(1.0, 0.2), (10.0, 1.0)])
def test_g7_a_gradient_is_scaled_to_the_limit_and_its_norm_before_is_told(limit, scale):
    own = [Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = AdamW(own)
    optimizer.grad.copy_(torch.tensor([3.0, 4.0]))
    assert optimizer.clip(limit) == pytest.approx(5.0)
    assert optimizer.grad.tolist() == pytest.approx([3 * scale, 4 * scale])


def test_g10_the_first_parameter_with_a_broken_gradient_is_named():
    own = parameters()
    optimizer = AdamW(own, names=["a", "b", "c"])
    optimizer.grad[12 + 2] = math.nan  # the second's third number
    assert optimizer.first_not_finite() == "b"


@pytest.mark.parametrize(
    ("step", "schedule", "expected"),
    [
        (0, "linear", 0.25),  # warm-up: 0.2 · 20 = 4 steps, from 0 upwards
        (3, "linear", 1.0),
        (4, "linear", 1.0),
        (12, "linear", 0.5),
        (19, "linear", 0.0625),
        (12, "cosine", 0.55),  # half way between 1 and 0.1
        (19, "cosine", 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 15 / 16))),
        (19, "constant", 1.0),
    ],
)
def test_g8_the_rate_is_a_function_of_the_step(step, schedule, expected):
    found = rate(step, total=20, lr=1.0, schedule=schedule, warmup_share=0.2, final_lr_share=0.1)
    assert found == pytest.approx(expected)
