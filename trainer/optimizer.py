"""AdamW over one flat buffer a role, the clip, and the learning rate as a function of the step (G6 to G8)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

ADAPTER_BETAS = (0.9, 0.999)
PRETRAIN_BETAS = (0.9, 0.95)
EPS = 1e-8
REWARD_EPS = 1e-5  # reward and PPO: torch's default makes early steps larger than the reference's (Huang et al. 2023)


class AdamW:
    """AdamW whose parameters and gradients are views into two flat buffers, so that a step is one fused call.

    weight, grad: [n] float32, all parameters in order. names: what a parameter is called where one is not finite.
    decayed: which parameters weight_decay applies to; by default none.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        *,
        betas: tuple[float, float] = ADAPTER_BETAS,
        eps: float = EPS,
        weight_decay: float = 0.0,
        decayed: Sequence[bool] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self._parameters = list(parameters)
        self._names = list(names) if names else [f"parameter {place}" for place in range(len(self._parameters))]
        sizes = [parameter.numel() for parameter in self._parameters]
        device = self._parameters[0].device
        self.weight = torch.empty(sum(sizes), dtype=torch.float32, device=device)
        self.grad = torch.zeros_like(self.weight)
        self._take(sizes)
        marks = decayed or [False] * len(sizes)
        groups = [
            {"params": [self._slice(start, end)], "weight_decay": weight_decay if decay else 0.0}
            for start, end, decay in _runs(sizes, marks)
        ]
        self._inner = torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=eps, fused=True)

    def zero(self) -> None:
        """Forget the gradients, in place."""
        self.grad.zero_()

    def room(self) -> list[Tensor]:
        """Memory as both moments will take it from the first step on; none once they are there."""
        return [] if self._inner.state else [torch.empty_like(self.weight) for _ in range(2)]

    def clip(self, limit: float) -> float:
        """Scale the gradient to a norm of at most `limit`; returns the norm before (G7). Waits for the device."""
        norm = float(torch.linalg.vector_norm(self.grad))
        if norm > limit and math.isfinite(norm):
            self.grad.mul_(limit / norm)
        return norm

    def step(self, lr: float) -> None:
        """Apply the gradient at a learning rate."""
        for group in self._inner.param_groups:
            group["lr"] = lr
        self._inner.step()

    def first_not_finite(self) -> str:
        """The name of the first parameter whose gradient is not finite; empty where all are."""
        for parameter, name in zip(self._parameters, self._names, strict=True):
            if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                return name
        return ""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside the weights: both moments and the count of steps."""
        moments: dict[str, list[Tensor]] = {"first": [], "second": [], "steps": []}
        for group in self._inner.param_groups:
            state = self._inner.state.get(group["params"][0], {})
            flat = group["params"][0]
            moments["first"].append(state.get("exp_avg", torch.zeros_like(flat)))
            moments["second"].append(state.get("exp_avg_sq", torch.zeros_like(flat)))
            moments["steps"].append(state.get("step", torch.zeros((), device=flat.device)).reshape(1))
        return {name: torch.cat(parts).detach() for name, parts in moments.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        start = 0
        for place, group in enumerate(self._inner.param_groups):
            flat = group["params"][0]
            span = slice(start, start + flat.numel())
            self._inner.state[flat] = {
                "step": state["steps"][place].to(flat.device).clone(),
                "exp_avg": state["first"][span].to(flat.device).clone(),
                "exp_avg_sq": state["second"][span].to(flat.device).clone(),
            }
            start += flat.numel()

    def load_weight(self, weight: Tensor) -> None:
        """Set all parameters from one flat tensor, in place."""
        with torch.no_grad():
            self.weight.copy_(weight)

    def _take(self, sizes: list[int]) -> None:
        """Make each parameter and its gradient a view into the flat buffers."""
        start = 0
        for parameter, size in zip(self._parameters, sizes, strict=True):
            span = slice(start, start + size)
            self.weight[span] = parameter.detach().flatten()
            parameter.data = self.weight[span].view(parameter.shape)
            parameter.grad = self.grad[span].view(parameter.shape)
            start += size

    def _slice(self, start: int, end: int) -> Parameter:
        flat = Parameter(self.weight[start:end])
        flat.grad = self.grad[start:end]
        return flat


def _runs(sizes: Sequence[int], marks: Sequence[bool]) -> list[tuple[int, int, bool]]:
    """(start, end, mark) of neighbours with equal marks, in one flat buffer."""
    runs: list[tuple[int, int, bool]] = []
    start = 0
    for size, mark in zip(sizes, marks, strict=True):
        if runs and runs[-1][2] == mark:
            runs[-1] = (runs[-1][0], start + size, mark)
        else:
            runs.append((start, start + size, mark))
        start += size
    return runs


def rate(step: int, *, total: int, lr: float, schedule: str, warmup_share: float, final_lr_share: float) -> float:
    """The learning rate of step 0 … total−1: linear from 0 over the warm-up, then as the schedule says (G8).

    linear falls to 0, cosine to final_lr_share of lr, constant stays. A pure function: there is no scheduler state.
    """
    warm = round(warmup_share * total)
    if step < warm:
        return lr * (step + 1) / warm
    if schedule == "constant":
        return lr
    gone = (step - warm) / max(1, total - warm)
    if schedule == "linear":
        return lr * (1 - gone)
    return lr * (final_lr_share + (1 - final_lr_share) * 0.5 * (1 + math.cos(math.pi * gone)))
