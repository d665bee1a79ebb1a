"""Steps 1 to 8 of PPO: a rollout is written, scored, and turned into what policy and value have to learn from it.

Letters: B answers of a rollout, R tokens of the longest.
"""

import math
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from trainer import data, losses, measure, policies
from trainer.contract.configs import PpoConfig
from trainer.contract.errors import TrainerError
from trainer.contract.seeds import seed_for
from trainer.roles import POLICY, REFERENCE, Stage

Shown = dict[str, Any]  # Any: JSON


@dataclass
class Batch:
    """A scored rollout: what the epochs learn from. [B, R], but lengths, finished and prompts (places in `train`) [B].

    values, returns: empty where no value is learned. rewards [B, M]: normalised, by head; head 0's is what counts.
    """

    ids: Tensor
    lengths: Tensor
    finished: Tensor
    prompts: Tensor
    logp: Tensor
    ref_logp: Tensor
    values: Tensor
    advantage: Tensor
    returns: Tensor
    rewards: Tensor

    @property
    def mask(self) -> Tensor:
        return torch.arange(self.ids.shape[1]) < self.lengths[:, None]

    @property
    def spread(self) -> Tensor:
        """[B]: the deviation of an answer's rewards over the heads; of one head, not a number."""
        return self.rewards.double().std(1)

    def answer(self, row: int) -> Tensor:
        return self.ids[row, : self.lengths[row]]

    def flat(self, x: Tensor, rows: list[int]) -> Tensor:
        """[N]: what a [B, R] tensor holds at these rows' answer tokens."""
        return x[rows][self.mask[rows]]

    def tensors(self) -> dict[str, Tensor]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass
class Progress:
    """Where training stands between two minibatches: what a checkpoint keeps beside weights, moments and rollout."""

    rollout: int = 0  # whole rollouts done
    minibatch: int = 0  # minibatches done of the next one
    beta: float = 0.0
    gains: list[float] = field(default_factory=lambda: [1.0])  # of raw scores, by head (P5)
    biases: list[float] = field(default_factory=lambda: [0.0])
    spread: float = 1.0  # of this rollout's advantages before whitening
    skip: bool = False  # the rest of this rollout's policy steps (P15)
    values: dict[str, float] = field(default_factory=dict)  # this rollout's metrics of steps 1 to 8
    tally: dict[str, float] = field(default_factory=dict)  # sums over this rollout's minibatches
    report: measure.Report = field(default_factory=dict)  # the last evaluation; the first is the start's with itself
    notable: dict[str, list[Shown]] = field(default_factory=dict)  # answers of the last rollout that people should see

    def normed(self, raw: Tensor) -> Tensor:
        """The rewards of raw scores, both [B, M]: r = g·s + b."""
        return torch.tensor(self.gains) * raw + torch.tensor(self.biases)


def roll_out(stage: Stage, progress: Progress) -> Batch:
    """Answers to the next prompts, and what policy and value have to learn from them."""
    config = stage.config
    # (1) prompts
    prompts, seeds = prompts_of(stage, progress.rollout)
    rows = [stage.train[i] for i in prompts]
    # (2) generate
    rollout = stage.sample(rows, seeds, POLICY)
    mask = rollout.mask
    # (3) score: policy, reference, value, reward
    learns = progress.rollout >= config.warmup_rollouts
    logp, entropy = stage.logprobs_to_learn(rows, rollout) if learns else stage.logprobs(rows, rollout, POLICY)
    ref_logp, _ = stage.logprobs(rows, rollout, REFERENCE)
    values = stage.values(rows, rollout) if config.learns_value else logp.new_zeros(0)
    raw = stage.raw_scores(rows, rollout)
    # (4) normalise, clip, end-token rule
    rewards, score = scores_of(
        progress, raw, rollout.finished, clip=config.score_clip, missing_eos_penalty=config.missing_eos_penalty
    )
    # (5) KL
    kl = torch.where(mask, losses.kl(logp, ref_logp, "k1"), 0.0)
    check_kl(kl.sum(1))
    beta = progress.beta if config.kl_in == "reward" else 0.0
    if config.learns_value:
        advantage, returns, progress.spread = by_value(config, score, kl, values, mask, beta=beta)
    else:
        advantage, progress.spread = by_group(config, score - beta * kl.sum(1), mask), 1.0
        returns = values

    batch = Batch(
        ids=rollout.ids,
        lengths=rollout.lengths,
        finished=rollout.finished,
        prompts=torch.tensor(prompts),
        logp=logp,
        ref_logp=ref_logp,
        values=values,
        advantage=advantage,
        returns=returns,
        rewards=rewards,
    )
    progress.values = {
        **_of_learning(config, progress, batch, kl, score),
        **_of_answers(stage, batch, raw),
        "objective/entropy": _mean(entropy[mask]),
        "rollout/logprob_gap": _mean((rollout.logprob - logp)[mask].abs()),
    }
    return batch


def by_value(
    config: PpoConfig, score: Tensor, kl: Tensor, values: Tensor, mask: Tensor, *, beta: float
) -> tuple[Tensor, Tensor, float]:
    """(advantage, returns, both [B, R]; the deviation that whitening took from the advantages) by GAE."""
    # (6) rewards
    rewards = losses.token_rewards(score, kl, mask, beta=beta)
    if config.whiten_rewards:
        rewards = losses.whiten(rewards, mask, shift_mean=False)
    # (7) GAE
    advantage, returns = losses.gae(rewards, values, mask, gamma=config.gamma, lam=config.lam)
    # (8) whiten
    spread = float(advantage[mask].std(unbiased=False)) or 1.0
    return losses.whiten(advantage, mask, shift_mean=True), returns, spread


def by_group(config: PpoConfig, reward: Tensor, mask: Tensor) -> Tensor:
    """[B, R]: each answer's advantage over the others to its prompt, on all of its tokens (P20). reward [B]."""
    kind: losses.GroupKind = "rloo" if config.advantage == "rloo" else "grpo"
    groups = losses.group_advantage(reward.view(-1, config.samples_per_prompt), kind=kind)
    return torch.where(mask, groups.view(-1, 1), 0.0)


def _of_learning(config: PpoConfig, progress: Progress, batch: Batch, kl: Tensor, score: Tensor) -> dict[str, float]:
    """What the policy is rewarded for, and what of it the value foresaw (P19)."""
    mask, per_answer = batch.mask, kl.sum(1)
    values = {
        "objective/kl": _mean(per_answer),
        "objective/kl_token": _mean(kl[mask]),
        "objective/kl_k3": _mean(losses.kl(batch.logp, batch.ref_logp, "k3")[mask]),
        "objective/scores": _mean(score),
        "objective/rlhf_reward": _mean(score - progress.beta * per_answer),
        "objective/non_score_reward": _mean(-progress.beta * per_answer),
        "kl_coef": progress.beta,
    }
    if len(batch.returns):
        unexplained = (batch.returns - batch.values)[mask].var(unbiased=False) / batch.returns[mask].var(unbiased=False)
        values["val/explained_var"] = 1 - float(unexplained)
    else:
        groups = batch.advantage[:, 0].view(-1, config.samples_per_prompt)
        values["group/flat"] = _mean((groups == 0).all(1))
    return values


def _of_answers(stage: Stage, batch: Batch, raw: Tensor) -> dict[str, float]:
    """What the answers are like, and how they please the reward model: what the monitors watch. raw [B, M]."""
    r = batch.rewards[:, 0].clamp(-stage.config.score_clip, stage.config.score_clip)
    answers = [batch.answer(row).tolist() for row in range(len(batch.lengths))]
    values = {
        "objective/scores_raw": _mean(raw[:, 0]),
        "answer/length": _mean(batch.lengths),
        "answer/eos_rate": _mean(batch.finished),
        "answer/distinct_2": policies.distinct_2(answers),
        "answer/repeated": sum(map(policies.repeats, answers)) / len(answers),
        "reward/mean": _mean(r),
        "reward/deviation": float(r.double().std(unbiased=False)),
        "reward/length_corr": _correlation(r, batch.lengths),
    }
    if stage.scorer.usual is not None:
        low, high = stage.scorer.usual
        values["reward/outside"] = _mean((raw[:, 0] < low) | (raw[:, 0] > high))
    if raw.shape[1] > 1:
        values["reward/head_gap"] = _mean(batch.rewards[:, 0]) - _mean(batch.rewards[:, 1:])
        values["reward/spread"] = _mean(batch.spread)
    return values


def prompts_of(stage: Stage, rollout: int) -> tuple[list[int], list[int]]:
    """(train prompts, one an answer; their seeds) of a rollout: consecutive prompts of the permuted ones (P17)."""
    config, everyone = stage.config, len(stage.train)
    first, last = rollout * config.rollout_prompts, (rollout + 1) * config.rollout_prompts
    epochs = range(first // everyone, (last - 1) // everyone + 1)
    line = [prompt for epoch in epochs for prompt in order_of(stage, epoch=epoch)]
    start = first - epochs.start * everyone
    chosen = [p for p in line[start : start + config.rollout_prompts] for _ in range(config.samples_per_prompt)]
    times: Counter[int] = Counter()
    seeds = []
    for prompt in chosen:
        seeds.append(seed_for(config.seed, "sample", stage.train[prompt].id, times[prompt], rollout))
        times[prompt] += 1
    return chosen, seeds


def order_of(stage: Stage, *, epoch: int) -> list[int]:
    """The permutation of the train prompts in an epoch."""
    everyone = [1] * len(stage.train)
    return data.steps_of(everyone, epoch=epoch, seed=stage.config.seed, batch=len(everyone))[0]


def scores_of(
    progress: Progress, raw: Tensor, finished: Tensor, *, clip: float, missing_eos_penalty: float
) -> tuple[Tensor, Tensor]:
    """(rewards r = g·s + b of each head [B, M]; scores [B]: head 0's, clipped, less the penalty of no end) (P4)."""
    rewards = progress.normed(raw)
    return rewards, rewards[:, 0].clamp(-clip, clip) - missing_eos_penalty * ~finished


def check_kl(kl: Tensor) -> None:
    """Refuse a mean KL [B] that no sampling error explains: τ, PAD, dropout or an adapter is wrong (P9)."""
    error = float(kl.double().std() / math.sqrt(len(kl))) if len(kl) > 1 else 0.0
    limit = -max(3 * error, 0.05)
    if (mean := _mean(kl)) < limit:
        sentence = f"The mean KL is {mean:.3f} nats an answer; by chance it is not below {limit:.3f}. This is a defect."
        raise TrainerError("negative_kl", sentence)


def norm_of(stage: Stage) -> tuple[list[float], list[float]]:
    """(gains, biases) of raw scores by head: 256 reference answers to train prompts get mean 0 and deviation 1 (P5)."""
    if stage.config.score_norm == "none":
        return [1.0], [0.0]
    if stage.config.score_norm == "saved":
        return stage.scorer.gains.tolist(), stage.scorer.biases.tolist()
    places = [divmod(i, len(stage.train)) for i in range(stage.config.norm_samples)]
    order = order_of(stage, epoch=0)
    prompts = [stage.train[order[place]] for _, place in places]
    seeds = [
        seed_for(stage.config.seed, "sample", prompt.id, j, "norm")
        for prompt, (j, _) in zip(prompts, places, strict=True)
    ]
    raw = stage.raw_scores(prompts, stage.sample(prompts, seeds, REFERENCE))
    scales = [losses.fit_norm(head) for head in raw.T]
    return [gain for gain, _ in scales], [bias for _, bias in scales]


def _mean(x: Tensor) -> float:
    return float(x.double().mean())


def _correlation(x: Tensor, y: Tensor) -> float:
    """Pearson's, 0 where one of both does not vary."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    size = float(x.norm() * y.norm())
    return float(x @ y) / size if size > 0 else 0.0
