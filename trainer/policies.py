"""What training changed in a policy's answers to the same prompts (E4), and what answers are like."""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from trainer.contract.seeds import seed_for
from trainer.measure import Report, interval, mean


@dataclass(frozen=True)
class Answered:
    """What a policy did with one prompt: ids, normalised reward, KL to the reference in nats, and whether it ended."""

    ids: list[int]
    reward: float
    kl: float
    finished: bool


def policy_report(before: list[Answered], after: list[Answered], *, beta: float, seed: int) -> Report:
    """What training changed on the same held-out prompts (E4), gains with their paired 95 % intervals over prompts."""
    seed = seed_for(seed, "bootstrap")
    gain = [b.reward - a.reward for a, b in zip(before, after, strict=True)]
    net = [(b.reward - beta * b.kl) - (a.reward - beta * a.kl) for a, b in zip(before, after, strict=True)]
    low, high = interval(gain, seed=seed)
    net_low, net_high = interval(net, seed=seed)
    return {
        "heldout_prompts": len(after),
        **{f"{name}_before": value for name, value in _policy_means(before, beta=beta).items()},
        **{f"{name}_after": value for name, value in _policy_means(after, beta=beta).items()},
        "reward_gain": mean(gain),
        "reward_gain_low": low,
        "reward_gain_high": high,
        "net_reward_gain": mean(net),
        "net_reward_gain_low": net_low,
        "net_reward_gain_high": net_high,
        "better": mean([(1 + (x > 0) - (x < 0)) / 2 for x in gain]),
        "bootstrap_seed": seed,
    }


def _policy_means(answers: list[Answered], *, beta: float) -> dict[str, float]:
    return {
        "reward": mean([one.reward for one in answers]),
        "net_reward": mean([one.reward - beta * one.kl for one in answers]),
        "kl": mean([one.kl for one in answers]),
        "length": mean([float(len(one.ids)) for one in answers]),
        "eos_rate": mean([float(one.finished) for one in answers]),
        "distinct_2": distinct_2([one.ids for one in answers]),
    }


def distinct_2(answers: list[list[int]]) -> float:
    """The share of pairs of neighbouring tokens, over all answers, that are not the repeat of another."""
    pairs = [pair for ids in answers for pair in pairwise(ids)]
    return len(set(pairs)) / len(pairs) if pairs else math.nan


def repeats(ids: list[int], *, width: int = 4, times: int = 5) -> bool:
    """Whether an answer says one run of `width` tokens at least `times` times."""
    runs = Counter(tuple(ids[start : start + width]) for start in range(len(ids) - width + 1))
    return max(runs.values(), default=0) >= times
