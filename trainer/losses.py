"""All mathematics of training that has a right answer: tensors in, tensors out, no model, no config.

Losses are *sums* over what they count (G2): the caller divides by the number of counted tokens, or the weight, of the
whole step, so that no gradient depends on how memory split the batch. All logarithms are natural: losses are in nats.

Letters: N counted tokens, V vocabulary, D width, A answers, Q pairs, B sequences, R answer tokens.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

RATIO_LIMIT = 20.0  # log-ratios are clamped to it before exp, which would overflow beyond 88
BETA_LIMITS = (1e-4, 10.0)
TABLE, LEAST_ROWS = 2**21, 256  # logits of a chunk on a CPU; rows below which products slow down

KlKind = Literal["k1", "k2", "k3"]
Ties = Literal["drop", "half"]
GroupKind = Literal["rloo", "grpo"]


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, weights: Tensor, *, chunk: int
) -> tuple[Tensor, Tensor]:
    """The weighted sum of −log softmax(hidden·weightᵀ)[target], without ever holding all logits.

    hidden [N, D]: only positions that predict a counted token; weight [V, D]: the head; targets [N]; weights [N].
    Returns (loss, correct[N] bool: the target has the greatest logit). chunk tokens' logits exist at a time.
    Derivation: d loss/d hidden = (p − 1_y)W, computed in the forward, so the logits are not kept (X1).
    """
    loss, correct = _CrossEntropy.apply(hidden, weight, targets, weights, chunk, torch.is_grad_enabled())  # type: ignore[no-untyped-call]  # torch types it not
    return loss, correct


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # torch's context holds what one likes
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        weights: Tensor,
        chunk: int,
        graded: bool,  # noqa: FBT001  # autograd passes by position
    ) -> tuple[Tensor, Tensor]:
        head = _at_least_float32(weight)
        loss = head.new_zeros(())
        correct = torch.zeros_like(targets, dtype=torch.bool)
        d_hidden = torch.zeros_like(hidden) if graded and ctx.needs_input_grad[0] else None
        d_weight = torch.zeros_like(head) if graded and ctx.needs_input_grad[1] else None
        for part in _chunks(len(targets), chunk, head):
            states, target = _at_least_float32(hidden[part]), targets[part, None]
            share = weights[part].to(head.dtype)
            p, log_total, picked, peak = _softmax(states @ head.T, target)
            loss += (share * (log_total - picked)).sum()
            correct[part] = picked == peak
            p.scatter_add_(1, target, torch.full_like(p[:, :1], -1.0)).mul_(share[:, None])
            if d_hidden is not None:
                d_hidden[part] = (p @ head).to(hidden.dtype)
            if d_weight is not None:
                d_weight.addmm_(p.T, states)
        ctx.save_for_backward(d_hidden, None if d_weight is None else d_weight.to(weight.dtype))
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        gradients = [None if part is None else part * d_loss.to(part.dtype) for part in ctx.saved_tensors]
        return gradients[0], gradients[1], None, None, None, None


def linear_logprob(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, temperature: float, chunk: int
) -> tuple[Tensor, Tensor]:
    """(log-probability [N] of each target, entropy [N]) of softmax(hidden·weightᵀ/temperature), in chunks.

    Both are differentiable in hidden and weight. Derivation: d log p_y/d hidden = (W_y − Σ p W)/τ, kept from the
    forward as [N, D]; the entropy's direction, −Σ p (log p + H) W/τ, and dW are computed again where asked for.
    """
    logprob, entropy = _LogProb.apply(hidden, weight, targets, temperature, chunk, torch.is_grad_enabled())  # type: ignore[no-untyped-call]  # torch types it not
    return logprob, entropy


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # torch's context holds what one likes
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        temperature: float,
        chunk: int,
        graded: bool,  # noqa: FBT001  # autograd passes by position
    ) -> tuple[Tensor, Tensor]:
        head = _at_least_float32(weight)
        logprob, entropy = head.new_empty(len(targets)), head.new_empty(len(targets))
        direction = head.new_empty(hidden.shape) if graded and ctx.needs_input_grad[0] else None
        parts = _chunks(len(targets), chunk, head)
        room = head.new_empty(min(parts[0].stop, len(targets)) if parts else 0, len(head))
        for part in parts:
            states, target = _at_least_float32(hidden[part]), targets[part, None]
            logits = torch.mm(states, head.T, out=room[: len(states)])
            if temperature != 1:
                logits.div_(temperature)
            picked, peak = logits.gather(1, target).squeeze(1), logits.amax(1)
            if direction is None:
                e = (logits - peak[:, None]).exp_()
                total = e.sum(1)
                mean = torch.linalg.vecdot(e, logits) / total
            else:  # the mean logit is the mean of the head's rows, times the state: no second table of logits
                e = logits.sub_(peak[:, None]).exp_()
                total = e.sum(1)
                mean_row = (e @ head).div_(total[:, None])
                mean = torch.linalg.vecdot(mean_row, states) / temperature
                direction[part] = (head[targets[part]] - mean_row).div_(temperature)
            log_total = total.log() + peak
            logprob[part], entropy[part] = picked - log_total, log_total - mean
        ctx.save_for_backward(hidden, weight, targets, direction)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.set_materialize_grads(False)
        return logprob, entropy

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_logprob: Tensor | None, d_entropy: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, targets, direction = ctx.saved_tensors
        if d_entropy is None and not ctx.needs_input_grad[1]:
            d_hidden = None if d_logprob is None or direction is None else direction * d_logprob[:, None]
            return None if d_hidden is None else d_hidden.to(hidden.dtype), None, None, None, None, None
        head = _at_least_float32(weight)
        d_hidden, d_weight = head.new_zeros(hidden.shape), torch.zeros_like(head)
        for part in _chunks(len(targets), ctx.chunk, head):
            states, target = _at_least_float32(hidden[part]), targets[part, None]
            log_p = torch.log_softmax((states @ head.T).div_(ctx.temperature), 1)
            p = log_p.exp()
            d_logits = torch.zeros_like(p)
            if d_logprob is not None:
                d_logits.scatter_(1, target, 1.0).sub_(p).mul_(d_logprob[part, None])
            if d_entropy is not None:
                d_logits -= d_entropy[part, None] * p * (log_p - (p * log_p).sum(1, keepdim=True))
            d_logits.div_(ctx.temperature)
            d_hidden[part] = d_logits @ head
            d_weight.addmm_(d_logits.T, states)
        return d_hidden.to(hidden.dtype), d_weight.to(weight.dtype), None, None, None, None


def pairs_of(groups: list[list[int]], unplaced: list[int], *, ties: Ties) -> tuple[Tensor, Tensor]:
    """The pairs that one ranking yields (R5): (pairs [Q, 2], the better answer first; p [Q], its chance to win).

    groups: answer indices, best group first, a group is a tie. unplaced answers yield nothing. With ties "half" each
    two answers of one group are a pair with p = ½.
    """
    strict = [(a, b) for i, better in enumerate(groups) for worse in groups[i + 1 :] for a in better for b in worse]
    tied = [(a, b) for group in groups for i, a in enumerate(group) for b in group[i + 1 :]] if ties == "half" else []
    if overlap := {index for pair in strict + tied for index in pair} & set(unplaced):
        raise ValueError(f"answers {sorted(overlap)} are both placed and unplaced")
    p = torch.tensor([1.0] * len(strict) + [0.5] * len(tied))
    return torch.tensor(strict + tied, dtype=torch.long).reshape(-1, 2), p


def ranking_loss(
    rewards: Tensor, pairs: Tensor, p: Tensor, weights: Tensor, *, margin: Tensor, center: float
) -> tuple[Tensor, Tensor]:
    """The weighted sum over pairs of −[p log σ(Δ) + (1 − p) log σ(−Δ)] + center·(s_a + s_b)², Δ = s_a − s_b − margin.

    rewards [A]; pairs [Q, 2] index them; p, weights, margin [Q]: a pair of ranking j of a prompt with J rankings weighs
    w_j / (J·|Q_j|) (R5, R6). Returns (loss, correct [Q]: 1 where s_a > s_b, ½ where they are equal).
    Source: Bradley-Terry over all pairs of K answers, InstructGPT 2022, section 3.5; margins: Llama 2 2023, eq. 2.
    """
    gap = rewards[pairs[:, 0]] - rewards[pairs[:, 1]]
    delta = gap - margin
    surprise = -(p * F.logsigmoid(delta) + (1 - p) * F.logsigmoid(-delta))
    loss = (weights * surprise).sum() + center * centring_loss(rewards, pairs, weights)
    return loss, (gap.detach().sign() + 1) / 2


def centring_loss(rewards: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum over pairs of (s_a + s_b)², since comparisons fix differences only (R9).

    rewards [A]; pairs [Q, 2]; weights [Q]. Source: Eisenstein et al. 2023, eq. 2.
    """
    return (weights * rewards[pairs].sum(1).square()).sum()


def plackett_luce_loss(rewards: Tensor) -> Tensor:
    """−(1/(K−1)) Σ_{k<K} [s_k − log Σ_{j≥k} exp s_j] of rewards [K] in the order in which people put them (R10).

    For K = 2 it is the loss of the one pair. Source: Plackett 1975; Luce 1959.
    """
    rest = rewards.flip(0).logcumsumexp(0).flip(0)  # [K]: log of the total of what was still to choose from
    return (rest - rewards)[:-1].sum() / (len(rewards) - 1)


def line_loss(rewards: Tensor, above: Tensor, line: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum over answers of −[a log σ(s − line) + (1 − a) log σ(line − s)] (R7).

    rewards [A]; above [A] bool: people find the answer acceptable; line: a scalar; weights [A]: of an answer of a
    ranking with N answers whose side is known, w_j / (J·N). The line is a candidate like the answers are.
    """
    delta = rewards - line
    return -(weights * F.logsigmoid(torch.where(above, delta, -delta))).sum()


def kl(logp: Tensor, ref_logp: Tensor, kind: KlKind) -> Tensor:
    """Per-token estimates of KL(π‖ref) from tokens that π drew: δ, δ²/2 or e^−δ − 1 + δ, with δ = logp − ref_logp.

    k1 and k3 are unbiased, k2 is not; k1 is never clamped at 0, which would bias it (P6).
    Source: Schulman 2020, "Approximating KL divergence".
    """
    delta = logp - ref_logp
    if kind == "k1":
        return delta
    if kind == "k2":
        return delta.square() / 2
    return torch.exp(-delta.clamp(-RATIO_LIMIT, RATIO_LIMIT)) - 1 + delta


def token_rewards(score: Tensor, kl: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    """r_t = −beta·kl_t, plus the score on the last counted token of each row (P7). score [B]; kl, mask [B, R]."""
    rewards = torch.where(mask, -beta * kl, 0.0)
    last = mask.sum(1, keepdim=True) - 1
    return rewards.scatter_add(1, last, score[:, None].to(rewards.dtype))


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """(advantage, returns), both [B, R] and 0 where masked; the value after a row's last counted token is 0 (P10).

    mask [B, R]: True on a row's leading tokens. returns = advantage + values.
    Source: Schulman et al. 2016, δ_t = r_t + γV_{t+1} − V_t, A_t = δ_t + γλA_{t+1}.
    """
    values, rewards = torch.where(mask, values, 0.0), torch.where(mask, rewards, 0.0)
    advantage = torch.zeros_like(values)
    later = torch.zeros_like(values[:, 0])
    next_value = later
    for t in reversed(range(values.shape[1])):
        later = rewards[:, t] + gamma * next_value - values[:, t] + gamma * lam * later
        advantage[:, t] = later
        next_value = values[:, t]
    return advantage, advantage + values


def whiten(x: Tensor, mask: Tensor, *, shift_mean: bool) -> Tensor:
    """x with variance 1 over its counted places, 0 at the others; with mean 0 too if shift_mean (P11).

    (x − mean)/√(var + 1e-8), biased variance; without shift_mean the mean is added back.
    """
    count = mask.sum().clamp(min=1)
    mean = torch.where(mask, x, 0.0).sum() / count
    variance = torch.where(mask, x - mean, 0.0).square().sum() / count
    whitened = (x - mean) * torch.rsqrt(variance + 1e-8)
    return torch.where(mask, whitened if shift_mean else whitened + mean, 0.0)


def group_advantage(rewards: Tensor, *, kind: GroupKind) -> Tensor:
    """How much better each of n answers is than the others to its prompt; rewards [G, n], n at least 2 (P20).

    rloo: R_i − mean of the other n − 1, which is n/(n − 1)·(R_i − mean). grpo: (R_i − mean)/(deviation + 1e-4), with
    the n − 1 deviation. Equal rewards give zeros exactly: differences to a group's first are what is averaged.
    Source: Ahmadian et al. 2024, "Back to Basics"; Shao et al. 2024, "DeepSeekMath".
    """
    gap = rewards - rewards[:, :1]
    gap = gap - gap.mean(1, keepdim=True)
    if kind == "rloo":
        count = rewards.shape[1]
        return gap * (count / (count - 1))
    return gap / (gap.std(1, keepdim=True) + 1e-4)


def policy_loss(
    *, logp: Tensor, old_logp: Tensor, advantage: Tensor, mask: Tensor, clip: float, dual_clip: float = 0
) -> Tensor:
    """The sum over counted tokens of max(−ρA, −clip(ρ, 1 ± clip)·A), ρ = exp(logp − old_logp); all [B, R] (P12).

    dual_clip c > 1: where A < 0, at most −cA, so that one huge ratio cannot own the step; 0 is off.
    Source: Schulman et al. 2017, eq. 7; dual clip: Ye et al. 2020.
    """
    gap = torch.where(mask, logp - old_logp, 0.0).clamp(-RATIO_LIMIT, RATIO_LIMIT)
    ratio = gap.exp()
    loss = torch.maximum(-ratio * advantage, -ratio.clamp(1 - clip, 1 + clip) * advantage)
    if dual_clip:
        loss = torch.where(advantage < 0, torch.minimum(loss, -dual_clip * advantage), loss)
    return torch.where(mask, loss, 0.0).sum()


def value_loss(*, value: Tensor, old_value: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensor:
    """The sum over counted tokens of ½·max((V − G)², (clip(V, V_old ± clip) − G)²); all [B, R] (P13)."""
    near = old_value + (value - old_value).clamp(-clip, clip)
    loss = torch.maximum((value - returns).square(), (near - returns).square()) / 2
    return torch.where(mask, loss, 0.0).sum()


def fit_norm(scores: Tensor) -> tuple[float, float]:
    """(gain, bias) such that gain·scores + bias has mean 0 and standard deviation 1 (R11); equal scores keep gain 1."""
    spread = scores.double().std(unbiased=False).item()
    gain = 1 / spread if spread > 1e-8 else 1.0
    return gain, -gain * scores.double().mean().item()


def next_beta(beta: float, *, kl: float, answers: int, target: float, horizon: float) -> float:
    """The KL coefficient after a rollout of so many answers with mean kl nats each (P9).

    β·(1 + clip(kl/target − 1, ±0.2)·answers/horizon), kept within BETA_LIMITS. Source: Ziegler et al. 2019, 2.2.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return min(max(beta * (1 + error * answers / horizon), BETA_LIMITS[0]), BETA_LIMITS[1])


def _softmax(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(p [N, V], which overwrites logits; log of the total [N]; the target's logit [N]; the greatest logit [N])."""
    picked = logits.gather(1, target).squeeze(1)
    peak = logits.amax(1)
    p = logits.sub_(peak[:, None]).exp_()
    total = p.sum(1)
    return p.div_(total[:, None]), total.log() + peak, picked, peak


def _chunks(count: int, size: int, head: Tensor) -> list[slice]:
    """Runs of at most `size` tokens; on a CPU of no more than a table of logits that is read and written in cache."""
    if head.device.type == "cpu":
        size = min(size, max(LEAST_ROWS, TABLE // len(head)))
    return [slice(start, start + size) for start in range(0, count, size)]


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
