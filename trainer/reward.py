"""Stage `reward`: an adapter with a head that scores answers as people ranked them.

A batch's element is a prompt: its distinct answers pass once, and every ranking of them is a set of pairs on those
scores. The loss is in `losses`, the report in `measure`.

Letters: A answers, Q pairs, D width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer import adapters, base, checkpoint, data, losses, measure, metrics, packing, tokenizer
from trainer.checkpoint import State
from trainer.contract.configs import RewardConfig
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Ranked
from trainer.measure import Scorer
from trainer.optimizer import REWARD_EPS, AdamW, rate
from trainer.tokenizer import Tokenizer

REWARD, PARENT, RELOADED = "reward", "parent", "reloaded"
SHOWN = 8  # held-out prompts whose scores are shown, and checked after reloading (R14)


@dataclass(frozen=True)
class Element:
    """A prompt's answers as whole rows, and the pairs that its rankings yield.

    weights [Q]: w_j / (J·|Q_j|), so that they sum to `weight` = (1/J) Σ w_j over the J rankings that have pairs (R6).
    """

    ranked: Ranked
    rows: list[Tensor]
    pairs: Tensor  # [Q, 2]
    p: Tensor  # [Q]
    weights: Tensor  # [Q]
    weight: float

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of all answers."""
        return len(self.ranked.prompt) + sum(map(len, self.ranked.answers))


def train(config: RewardConfig, run: Run) -> None:
    """Leave adapter/ of kind reward, and evaluation.json with its held-out accuracy."""
    # 1 the roles and the rankings
    stage = _Stage(config, run)

    # 2 where an earlier attempt stopped
    stage.restore(checkpoint.resume(run) or State(step=0))

    # 3 the steps, then the outputs
    try:
        stage.evaluate_if_due()
        for number in range(run.step, stage.total):
            stage.learn(number)
            stage.evaluate_if_due()
            if run.step < stage.total and stage.keeper.due(run.step):
                stage.save()
        train, heldout = stage.scores(stage.train), stage.scores(stage.heldout)
    except Stopped:
        stage.save()
        raise
    _finish(stage, train, heldout)


def element_of(ranked: Ranked, *, ties: losses.Ties) -> Element:
    """A prompt as a batch element (R4 to R6). Rankings without pairs leave both sums."""
    found = [losses.pairs_of(ranking.groups, ranking.unplaced, ties=ties) for ranking in ranked.rankings]
    used = [(ranking.weight, *pairs) for ranking, pairs in zip(ranked.rankings, found, strict=True) if len(pairs[1])]
    weights = [torch.full_like(p, weight / (len(used) * len(p))) for weight, _, p in used]
    empty = torch.zeros(0)
    return Element(
        ranked=ranked,
        rows=ranked.rows(),
        pairs=torch.cat([pairs for _, pairs, _ in used]) if used else torch.zeros(0, 2, dtype=torch.long),
        p=torch.cat([p for _, _, p in used]) if used else empty,
        weights=torch.cat(weights) if used else empty,
        weight=sum(weight for weight, _, _ in used) / max(1, len(used)),
    )


def element_groups(elements: Sequence[Element], chosen: Sequence[int], *, budget: int) -> list[list[int]]:
    """The chosen elements in micro-batches of at most budget tokens, each prompt counted once; none is split."""
    return packing.micro_batches([element.tokens for element in elements], chosen, budget=budget)


def group_loss(scores: Tensor, elements: Sequence[Element], *, center: float) -> tuple[Tensor, Tensor]:
    """(Σ_x ℓ_x, correct [Q]) of elements whose rows' scores stand one after the other in scores [A] (R6)."""
    first, pairs = 0, []
    for element in elements:
        pairs.append(element.pairs + first)
        first += len(element.rows)
    device = scores.device
    p, weights = torch.cat([one.p for one in elements]), torch.cat([one.weights for one in elements])
    return losses.ranking_loss(scores, torch.cat(pairs).to(device), p.to(device), weights.to(device), center=center)


class _Stage:
    """What one run of the stage holds, and how far it is (run.step)."""

    def __init__(self, config: RewardConfig, run: Run) -> None:
        self.config, self.run = config, run
        device = base.prepare(config)
        run.write_json("environment.json", base.environment(device))
        self.model = base.resident(run, config, device)
        self.words: Tokenizer = tokenizer.load(run.parent("base"), template=config.template)
        parts = data.rankings(run, config, self.words, context=base.context_of(self.model, config))
        ties: losses.Ties = "half" if config.ties == "half" else "drop"
        self.train = [element_of(ranked, ties=ties) for ranked in parts.train]
        self.heldout = [element_of(ranked, ties=ties) for ranked in parts.heldout]
        self._prepare_role()
        self.steps = data.steps_of_run(
            [1] * len(self.train),
            epochs=config.epochs,
            limit=config.max_steps,
            seed=config.seed,
            batch=config.batch_prompts,
        )
        self.total = len(self.steps)
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.keeper = checkpoint.Keeper(steps=config.checkpoint_steps, seconds=config.checkpoint_s)
        self.evaluations: dict[str, dict[str, float]] = {}  # by step
        self.shown = False  # whether the samples of the end are written

    def _prepare_role(self) -> None:
        """The trunk is a copy of the parent (R2); the head gives first scores of deviation 1 (R3)."""
        config, model = self.config, self.model
        if config.parent_adapter:
            place = self.run.parent(config.parent_adapter)
            adapters.load_adapter(model, place, PARENT, base_sha256=config.base_sha256)
            adapters.copy(model, PARENT, REWARD, rank=config.rank, alpha=config.alpha, seed=config.seed)
            adapters.remove(model, PARENT)
        else:
            adapters.attach(model, REWARD, rank=config.rank, alpha=config.alpha, seed=config.seed)
        self.head = Parameter(first_head(base.head_weight(model).shape[1], seed=config.seed).to(model.device))
        self.optimizers = {
            REWARD: AdamW(adapters.parameters(model, REWARD), eps=REWARD_EPS),
            "head": AdamW([self.head], eps=REWARD_EPS),
        }
        weights = sum(own.weight.nbytes for own in self.optimizers.values())
        checkpoint.require_space(self.run, weights=weights, outputs=weights)

    def restore(self, state: State) -> None:
        """Go on after the state's last whole step."""
        self.run.step = state.step
        if state.roles:
            self.evaluations, self.shown = state.phase["evaluations"], state.phase["shown"]
            for role, own in self.optimizers.items():
                own.load_weight(state.roles[role]["weight"])
                own.load(state.optimizers[role])

    def save(self) -> None:
        """Save the last whole step."""
        state = State(
            step=self.run.step,
            phase={"evaluations": self.evaluations, "shown": self.shown},
            roles={role: {"weight": own.weight} for role, own in self.optimizers.items()},
            optimizers={role: own.state() for role, own in self.optimizers.items()},
        )
        checkpoint.save(self.run, state)
        self.keeper.saved()

    def learn(self, number: int) -> None:
        """One optimizer step on the prompts of step `number`."""
        config = self.config
        epoch, chosen = self.steps[number]
        total = sum(self.train[place].weight for place in chosen) or 1.0
        if number == 0:
            self._show_first(chosen)
        for own in self.optimizers.values():
            own.zero()
        found, right, pairs, tokens = [], 0.0, 0, 0
        with adapters.using(self.model, REWARD):
            for group in element_groups(self.train, chosen, budget=config.microbatch_tokens):
                self.run.check_stop()
                elements = [self.train[place] for place in group]
                rows = [row for element in elements for row in element.rows]
                scores = measure.score(self.model, rows, self.head)
                loss, correct = group_loss(scores, elements, center=config.center)
                (loss / total).backward()  # type: ignore[no-untyped-call]  # torch types it not
                found.append(loss.detach() / total)
                right, pairs = right + float(correct.sum()), pairs + len(correct)
                tokens += sum(map(len, rows))
        values = {
            "loss": float(torch.stack(found).sum()),
            "accuracy": right / max(1, pairs),
            **self._apply(number, chosen, float(torch.stack(found).sum())),
            "epoch": float(epoch),
            "answers": float(sum(len(self.train[place].rows) for place in chosen)),
        }
        self.run.step = number + 1
        self._write("train", values, tokens=tokens)

    def _apply(self, number: int, chosen: list[int], loss: float) -> dict[str, float]:
        """Clip and apply both gradients; returns norms and rates. Raises not_finite before either is applied."""
        config, values = self.config, {}
        ids = [self.train[place].ranked.prompt_id for place in chosen]
        for role, own in self.optimizers.items():
            norm = own.clip(config.clip_norm)
            tensor = own.first_not_finite() if not math.isfinite(norm) else ""
            metrics.require_finite(step=number, rows=ids, what="the loss", value=loss, tensor=tensor)
            metrics.require_finite(step=number, rows=ids, what=f"the {role}'s gradient norm", value=norm, tensor=tensor)
            values[f"grad_norm/{role}"] = norm
        for role, lr in ((REWARD, config.lr), ("head", config.head_lr)):
            values[f"lr/{role}"] = rate(
                number,
                total=self.total,
                lr=lr,
                schedule=config.schedule,
                warmup_share=config.warmup_share,
                final_lr_share=config.final_lr_share,
            )
            self.optimizers[role].step(values[f"lr/{role}"])
        return values

    def evaluate_if_due(self) -> None:
        """Measure the held-out prompts before the first step, every eval_steps, and after the last."""
        step = self.run.step
        due = step in (0, self.total) or step % self.config.eval_steps == 0
        if not due or str(step) in self.evaluations:
            return
        scores = self.scores(self.heldout)
        loss, _ = group_loss(torch.cat(scores), self.heldout, center=0.0)
        judged = [measure.judged(element.ranked, own) for element, own in zip(self.heldout, scores, strict=True)]
        values = {
            "heldout/loss": float(loss) / (sum(element.weight for element in self.heldout) or 1.0),
            "heldout/accuracy": measure.accuracy(judged),
        }
        self.evaluations[str(step)] = values
        self._write("eval", values, tokens=sum(len(row) for element in self.heldout for row in element.rows))

    def scores(self, elements: Sequence[Element], *, scorer: Scorer | None = None) -> list[Tensor]:
        """Each element's raw scores [A]."""
        scorer = scorer or Scorer(REWARD, self.head.detach(), 1.0, 0.0)
        rows = [row for element in elements for row in element.rows]
        flat = measure.scores(self.model, rows, scorer, budget=self.config.microbatch_tokens, stop=self.run.check_stop)
        return list(torch.split(flat, [len(element.rows) for element in elements]))

    def _show_first(self, chosen: list[int]) -> None:
        """Write first_batch.json: the first micro-batch, with the places where scores are read marked (D8)."""
        group = element_groups(self.train, chosen, budget=self.config.microbatch_tokens)[0]
        examples = [
            data.Example(answer_id, row.tolist(), [False] * (len(row) - 1) + [True], self.train[place].weight)
            for place in group
            for answer_id, row in zip(self.train[place].ranked.answer_ids, self.train[place].rows, strict=True)
        ]
        packing.show(self.run, self.words, packing.collate(examples, range(len(examples))))

    def _write(self, kind: metrics.Kind, values: dict[str, float], *, tokens: int) -> None:
        progress = self.run.step / self.total
        self.log.write(kind, self.run.step, values, progress=progress, seconds=self.clock.lap(), tokens=tokens)


def first_head(width: int, *, seed: int) -> Tensor:
    """A head [1, D] ~ N(0, 1/(D+1)): on features of unit RMS the first scores have deviation 1 (R3).

    Source: the code of Ziegler et al. 2019; the published 1/(D+1) as a deviation is a slip.
    """
    draw = torch.Generator().manual_seed(seed_for(seed, "init", "head"))
    return torch.randn(1, width, generator=draw) / math.sqrt(width + 1)


def _finish(stage: _Stage, train: list[Tensor], heldout: list[Tensor]) -> None:
    """Fix the scale of scores, show, save, reload, compare, report, and close the run."""
    run, config = stage.run, stage.config
    gain, bias = losses.fit_norm(torch.cat(train))
    if not stage.shown:
        _show(stage, [gain * own + bias for own in heldout[:SHOWN]])
        stage.shown = True
        stage.save()
    facts = {
        "kind": REWARD,
        "base_sha256": config.base_sha256,
        "template_sha256": stage.words.template_sha256,
        "parent_sha256": run.parents.get(config.parent_adapter, ""),
        "heads": 1,
        "gain": gain,
        "bias": bias,
        "percentiles": torch.cat(train).double().quantile(torch.tensor([0.001, 0.999]).double()).tolist(),
    }
    with run.folder("adapter") as folder:
        adapters.save_adapter(stage.model, REWARD, folder, heads={"score": stage.head}, facts=facts)
    check_reloaded(stage, heldout[:SHOWN])
    report = measure.ranking_report(
        [measure.judged(element.ranked, own) for element, own in zip(stage.train, train, strict=True)],
        [measure.judged(element.ranked, own) for element, own in zip(stage.heldout, heldout, strict=True)],
        seed=config.seed,
    )
    run.write_json("evaluation.json", {"what": "ranking", **report})
    before, after = stage.evaluations["0"], stage.evaluations[str(stage.total)]
    final = measure.figures(report)
    final |= {"heldout_loss_before": before["heldout/loss"], "heldout_loss": after["heldout/loss"]}
    final |= {"accuracy_before": before["heldout/accuracy"]}
    outputs = [("adapter", REWARD, "adapter"), ("evaluation", "evaluation", "evaluation.json")]
    run.finish(outputs, final, steps=stage.total, template_sha256=stage.words.template_sha256)


def check_reloaded(stage: _Stage, expected: list[Tensor]) -> None:
    """Refuse an adapter that scores otherwise once it is read from disk (R14). Raises reload_differs."""
    place = stage.run.out / "adapter"
    scorer = measure.load_scorer(stage.model, place, RELOADED, base_sha256=stage.config.base_sha256)
    found = stage.scores(stage.heldout[: len(expected)], scorer=scorer)
    adapters.remove(stage.model, RELOADED)
    gap = float((torch.cat(found) - torch.cat(expected)).abs().max())
    if not gap <= 1e-5:
        sentence = f"The saved adapter scores held-out answers otherwise by up to {gap:.2e}; at most 1e-05 is allowed."
        raise TrainerError("reload_differs", sentence)


def _show(stage: _Stage, rewards: list[Tensor]) -> None:
    """Write the normalised rewards of the first held-out prompts' answers to samples.jsonl."""
    for element, own in zip(stage.heldout, rewards, strict=False):
        for place, reward in enumerate(own.tolist()):
            answer = element.ranked.answers[place]
            metrics.write_sample(
                stage.run,
                step=stage.total,
                kind="heldout",
                prompt_id=element.ranked.prompt_id,
                sample_index=place,
                prompt=element.ranked.messages[-1]["content"],
                answer=stage.words.decode(answer),
                tokens=len(answer),
                finished=True,
                reward=reward,
            )
