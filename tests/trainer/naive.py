"""The formulas of training in plain float64 loops, written from the specification; nothing of the trainer is used.

Slow and obvious on purpose: the goldens of the real functions are made here.
"""

import math
from itertools import combinations, pairwise


def softmax(logits):
    peak = max(logits)
    weights = [math.exp(z - peak) for z in logits]
    return [w / sum(weights) for w in weights]


def head_logits(state, head, temperature=1.0):
    return [sum(h * w for h, w in zip(state, row, strict=True)) / temperature for row in head]


def cross_entropy(hidden, head, targets, weights):
    rows = zip(hidden, targets, weights, strict=True)
    return sum(-w * math.log(softmax(head_logits(state, head))[y]) for state, y, w in rows)


def logprob_and_entropy(hidden, head, targets, temperature):
    out = []
    for state, y in zip(hidden, targets, strict=True):
        p = softmax(head_logits(state, head, temperature))
        out.append((math.log(p[y]), -sum(q * math.log(q) for q in p)))
    return out


def log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > 0 else x - math.log1p(math.exp(x))


def ranking_loss(scores, groups, ties, center, margin=0.0, smoothing=0.0):
    """Mean over the pairs of one ranking; margin and smoothing are those of its strict pairs."""
    terms = []
    for i, better in enumerate(groups):
        for worse in groups[i + 1 :]:
            terms += [(scores[a], scores[b], 1.0 - smoothing, margin) for a in better for b in worse]
    if ties == "half":
        for group in groups:
            terms += [(scores[a], scores[b], 0.5, 0.0) for a, b in combinations(group, 2)]
    total = 0.0
    for a, b, p, m in terms:
        total -= p * log_sigmoid(a - b - m) + (1 - p) * log_sigmoid(b - a + m)
        total += center * (a + b) ** 2
    return total / len(terms)


def plackett_luce_loss(scores):
    """Of scores in the order that people gave: at each place, how likely the next one was among those left."""
    total = 0.0
    for k in range(len(scores) - 1):
        total -= scores[k] - math.log(sum(math.exp(s) for s in scores[k:]))
    return total / (len(scores) - 1)


def line_loss(scores, above, line):
    terms = [-log_sigmoid(s - line if a else line - s) for s, a in zip(scores, above, strict=True)]
    return sum(terms) / len(terms)


def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta, smoothing=0.0):
    """Of one pair of log-probabilities, as published, with conservative smoothing."""
    gap = beta * ((chosen - rejected) - (ref_chosen - ref_rejected))
    return -(1 - smoothing) * log_sigmoid(gap) - smoothing * log_sigmoid(-gap)


def kl_estimates(delta):
    return delta, delta**2 / 2, math.exp(-delta) - 1 + delta


def token_rewards(score, kl, beta):
    return [-beta * k + (score if t == len(kl) - 1 else 0.0) for t, k in enumerate(kl)]


def gae(rewards, values, gamma, lam):
    """A_t as the explicit sum Σ (γλ)^u δ_{t+u}, not as a recursion."""
    after = [*values, 0.0]
    deltas = [r + gamma * later - now for r, (now, later) in zip(rewards, pairwise(after), strict=True)]
    size = len(rewards)
    return [sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, size)) for t in range(size)]


def whiten(xs):
    mean = sum(xs) / len(xs)
    variance = sum((x - mean) ** 2 for x in xs) / len(xs)
    return [(x - mean) / math.sqrt(variance + 1e-8) for x in xs]


def policy_term(advantage, log_ratio, clip, dual_clip=0.0):
    ratio = math.exp(log_ratio)
    clipped = min(max(ratio, 1 - clip), 1 + clip)
    loss = max(-ratio * advantage, -clipped * advantage)
    return min(loss, -dual_clip * advantage) if dual_clip and advantage < 0 else loss


def value_term(value, old_value, target, clip):
    clipped = min(max(value, old_value - clip), old_value + clip)
    return max((value - target) ** 2, (clipped - target) ** 2) / 2


def next_beta(beta, kl, answers, target, horizon):
    error = min(max(kl / target - 1, -0.2), 0.2)
    return beta * (1 + error * answers / horizon)


def group_advantages(rewards, kind):
    """Each answer of one prompt against the others: rloo by the mean of the others, grpo in deviations (n − 1)."""
    if kind == "rloo":
        return [r - (sum(rewards) - r) / (len(rewards) - 1) for r in rewards]
    mean = sum(rewards) / len(rewards)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1))
    return [(r - mean) / (deviation + 1e-4) for r in rewards]
