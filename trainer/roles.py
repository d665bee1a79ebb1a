"""What the steps of PPO stand on: the resident base with its four roles, the rows, and the optimizers of a run.

Sampling, scoring and the training forward of a role are here; what is done with them is in `rollout` and `update`.

Letters: B answers of a rollout, R tokens of the longest, N counted tokens, D width.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer import adapters, base, checkpoint, data, measure, metrics, optimizer, packing, sampling, tokenizer
from trainer.contract.configs import PpoConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.data import Prompt
from trainer.sampling import Rollout, Settings
from trainer.tokenizer import Tokenizer

POLICY, REFERENCE, VALUE, REWARD = "policy", "reference", "value", "reward"


class Stage:
    """The resident base with its four roles, the rows, and the optimizers of a run."""

    def __init__(self, config: PpoConfig, run: Run) -> None:
        self.config, self.run = config, run
        self.device = base.prepare(config)
        run.write_json("environment.json", base.environment(self.device))
        self.model = base.resident(run, config, self.device)
        self.exact = self.model.dtype == torch.float32
        self.words: Tokenizer = tokenizer.of_run(run, template=config.template)
        context = base.context_of(self.model, config)
        prompts = data.prompts(run, config, self.words, context=context)
        self.train = [prompt for prompt in prompts if prompt.split == "train"]
        self.heldout = [prompt for prompt in prompts if prompt.split == "heldout"]
        self.dialogues = data.dialogues(run, config, self.words, context=context).train if config.ptx_coef else []
        if config.ptx_coef and not self.dialogues:
            sentence = (
                f"ptx_coef is {config.ptx_coef:g}; data/ holds no usable SFT row to learn from. Add some, or set 0."
            )
            raise TrainerError("bad_data", sentence)
        self.settings = Settings(
            max_new_tokens=config.max_new_tokens, temperature=config.temperature, stop_ids=self.words.stop_ids()
        )
        self.rollouts = min(filter(None, (config.rollouts, config.max_steps)))
        self.milestones = checkpoint.milestones(self.rollouts)
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.keeper = checkpoint.Keeper(steps=config.checkpoint_steps, seconds=config.checkpoint_s)
        self.kept: tuple[Tensor, Tensor] | None = None  # the policy's log-probabilities and entropies with their graph
        self.roles: dict[str, str | None] = {role: role for role in (POLICY, REFERENCE, VALUE, REWARD)}
        self._prepare_roles()

    def _prepare_roles(self) -> None:
        """Policy: a trainable copy of the reference; where a value is learned, it is one of the reward (L2, P14)."""
        config, model = self.config, self.model
        if config.parent_adapter:
            place = self.run.parent(config.parent_adapter)
            adapters.load_adapter(model, place, REFERENCE, base_sha256=config.base_sha256)
            adapters.copy(model, REFERENCE, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
        else:
            self.roles[REFERENCE] = None
            adapters.attach(model, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
        place = self.run.parent(config.reward_adapter)
        self.scorer = measure.load_scorer(model, place, REWARD, base_sha256=config.base_sha256)
        trained = {POLICY: adapters.parameters(model, POLICY)}
        if config.learns_value:
            trained[VALUE] = self._value()
        self.optimizers = {role: optimizer.AdamW(own, eps=optimizer.REWARD_EPS) for role, own in trained.items()}
        self.shadow = self.optimizers[POLICY].weight.clone() if config.ema else None
        weights = sum(one.weight.numel() * 4 for one in self.optimizers.values())
        checkpoint.require_space(self.run, weights=weights, outputs=weights)

    def _value(self) -> list[Parameter]:
        """The value's parameters; its head is at 0 until the scale of rewards is known."""
        config, model = self.config, self.model
        if config.value_from == "reward":
            adapters.copy(model, REWARD, VALUE)
        else:
            adapters.attach(model, VALUE, rank=config.rank, alpha=config.alpha, seed=config.seed)
        self.value_weight = Parameter(torch.zeros_like(self.scorer.head))
        self.value_bias = Parameter(self.scorer.head.new_zeros(1))
        return [*adapters.parameters(model, VALUE), self.value_weight, self.value_bias]

    def start_value(self, *, gain: float, bias: float) -> None:
        """Let the value begin as the reward that the policy will be given (P14)."""
        if self.config.learns_value and self.config.value_from == "reward":
            with torch.no_grad():
                self.value_weight.copy_(gain * self.scorer.head)
                self.value_bias.fill_(bias)

    def using(self, role: str) -> AbstractContextManager[None]:
        return adapters.using(self.model, self.roles[role])

    def sample(self, prompts: Sequence[Prompt], seeds: list[int], role: str) -> Rollout:
        return sampling.sample(
            self.model,
            [torch.tensor(prompt.ids) for prompt in prompts],
            role=self.roles[role],
            settings=self.settings,
            seeds=seeds,
            decode_rows=self.config.decode_rows,
            stop=self.run.check_stop,
        )

    # scoring, without gradients

    def logprobs(self, prompts: Sequence[Prompt], rollout: Rollout, role: str) -> tuple[Tensor, Tensor]:
        """(log-probabilities, entropies), both [B, R], of a role by the training forward (P2)."""
        logp, entropy = self._each(prompts, rollout, role, self.logprobs_of)
        return logp, entropy

    def logprobs_to_learn(self, prompts: Sequence[Prompt], rollout: Rollout) -> tuple[Tensor, Tensor]:
        """As `logprobs` of the policy. Where one pass is the rollout and the first minibatch alike, its graph stays in
        `kept`, so that the ratio is 1 exactly and a forward is saved (P2).
        """
        groups = self._groups(prompts, rollout)
        if self.config.minibatches > 1 or len(groups) > 1:
            return self.logprobs(prompts, rollout, POLICY)
        answers, (group,) = rollout.answers(), groups
        self.run.check_stop()
        with self.using(POLICY):
            self.kept = self.logprobs_of([torch.tensor(prompts[i].ids) for i in group], [answers[i] for i in group])
        logp, entropy = (_placed(part.detach(), group, rollout.mask) for part in self.kept)
        return logp, entropy

    def values(self, prompts: Sequence[Prompt], rollout: Rollout) -> Tensor:
        """[B, R]: what the value role expects before each token (P3)."""
        (values,) = self._each(prompts, rollout, VALUE, lambda prompts, answers: (self.values_of(prompts, answers),))
        return values

    def raw_scores(self, prompts: Sequence[Prompt], rollout: Rollout) -> Tensor:
        """[B, M]: the raw scores of the reward model's heads, read at each answer's last token (R1, P4)."""
        answers = rollout.answers()
        rows = [torch.cat([torch.tensor(p.ids), ids]) for p, ids in zip(prompts, answers, strict=True)]
        return measure.scores_by_head(
            self.model, rows, self.scorer, budget=self.config.microbatch_tokens, stop=self.run.check_stop
        )

    @torch.no_grad()
    def _each(
        self,
        prompts: Sequence[Prompt],
        rollout: Rollout,
        role: str,
        read: Callable[[list[Tensor], list[Tensor]], tuple[Tensor, ...]],
    ) -> list[Tensor]:
        """What `read` finds at the answer tokens of micro-batches, put together as [B, R], 0 where masked."""
        answers, mask = rollout.answers(), rollout.mask
        out: list[Tensor] = []
        with self.using(role):
            for group in self._groups(prompts, rollout):
                self.run.check_stop()
                found = read([torch.tensor(prompts[i].ids) for i in group], [answers[i] for i in group])
                parts = [_placed(part, group, mask) for part in found]
                out = [whole + part for whole, part in zip(out, parts, strict=True)] if out else parts
        return out

    def _groups(self, prompts: Sequence[Prompt], rollout: Rollout) -> data.Step:
        """The passes of a rollout, as a minibatch of all of it would have them."""
        lengths = rollout.lengths.tolist()
        budget = self.config.microbatch_tokens
        return packing.answer_batches([prompt.ids for prompt in prompts], lengths, range(len(lengths)), budget=budget)

    # the training forward, with the role in use

    def logprobs_of(self, prompts: list[Tensor], answers: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(log-probability, entropy), both [N], of the answers' tokens."""
        return sampling.answer_logprobs(
            self.model, prompts, answers, temperature=self.config.temperature, chunk=self.config.head_chunk
        )

    def values_of(self, prompts: list[Tensor], answers: list[Tensor]) -> Tensor:
        """[N]: the value at the position before each of the answers' tokens."""
        hidden = sampling.answer_hidden(self.model, prompts, answers)
        return (hidden.float() @ self.value_weight.T)[:, 0] + self.value_bias

    # the policy's weights

    def follow(self) -> None:
        """Move the shadow copy towards the policy (P16)."""
        if self.shadow is not None:
            self.shadow.lerp_(self.optimizers[POLICY].weight, 1 - self.config.ema)

    def take_shadow(self) -> None:
        """Make the shadow copy the policy, where there is one."""
        if self.shadow is not None:
            self.optimizers[POLICY].load_weight(self.shadow)

    def save_policy(self, place: str) -> None:
        """Write the policy's adapter below the run directory."""
        with self.run.folder(place) as folder:
            adapters.save_adapter(self.model, POLICY, folder, facts=self.facts(POLICY))

    def facts(self, kind: str) -> dict[str, Any]:  # Any: JSON
        """What an adapter's manifest says of where it comes from."""
        return {
            "kind": kind,
            "base_sha256": self.config.base_sha256,
            "template_sha256": self.words.template_sha256,
            "parent_sha256": self.run.parents.get(self.config.parent_adapter, ""),
            "reward_sha256": self.run.parents[self.config.reward_adapter],
        }


def _placed(found: Tensor, rows: list[int], mask: Tensor) -> Tensor:
    """[B, R]: what was found at the answer tokens of these rows, 0 elsewhere."""
    whole = torch.zeros(mask.shape)
    whole[rows] = torch.zeros(len(rows), mask.shape[1]).masked_scatter(mask[rows], found.cpu())
    return whole
