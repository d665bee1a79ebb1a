"""Stage `reward`: an adapter with heads that score answers as people ranked them.

A batch's element is a prompt: its distinct answers pass once, and every ranking of them is a set of pairs on those
scores (`rankings`). The loss is in `losses`, the report in `measure`. Head 0 trains the adapter; the others read what
it reads, and where they disagree with it, a comparison by people says most (R12).

Letters: A answers, M heads, D width.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer import (
    adapters,
    base,
    checkpoint,
    data,
    losses,
    measure,
    metrics,
    packing,
    rankings,
    samples,
    tokenizer,
    trial,
)
from trainer.checkpoint import State
from trainer.contract.configs import RewardConfig
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.measure import Scorer
from trainer.optimizer import REWARD_EPS, AdamW, rate
from trainer.rankings import Element, Rules
from trainer.tokenizer import Tokenizer

REWARD, PARENT, RELOADED = "reward", "parent", "reloaded"
HEAD, HEADS = "head", "heads"  # head 0 with the line; the others
SHOWN = 8  # held-out prompts whose scores are shown, and checked after reloading (R14)


def train(config: RewardConfig, run: Run) -> None:
    """Leave adapter/ of kind reward, and evaluation.json with its held-out accuracy."""
    # 1 the roles and the rankings
    stage = _Stage(config, run)

    # 2 where an earlier attempt stopped
    stage.restore(checkpoint.resume(run) or State(step=0))

    # 3 the steps, then the outputs
    try:
        stage.try_largest()
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


def rules_of(config: RewardConfig) -> Rules:
    """How this run reads rankings."""
    return Rules(
        ties="half" if config.ties == "half" else "drop",
        plackett_luce=config.loss == "plackett_luce",
        margin=config.margin == "strength",
        line_weight=config.line_weight,
        center=config.center,
    )


class _Stage:
    """What one run of the stage holds, and how far it is (run.step)."""

    def __init__(self, config: RewardConfig, run: Run) -> None:
        self.config, self.run = config, run
        device = base.prepare(config)
        run.write_json("environment.json", base.environment(device))
        self.model = base.resident(run, config, device)
        self.words: Tokenizer = tokenizer.of_run(run, template=config.template)
        parts = data.rankings(run, config, self.words, context=base.context_of(self.model, config))
        rules = rules_of(config)
        self.train = [rankings.element_of(ranked, rules) for ranked in parts.train]
        self.heldout = [rankings.element_of(ranked, rules) for ranked in parts.heldout]
        self.lined = any(element.sides for element in self.train)
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
        """The trunk is a copy of the parent (R2); heads give first scores of deviation 1 (R3); the line starts at 0."""
        config, model = self.config, self.model
        if config.parent_adapter:
            place = self.run.parent(config.parent_adapter)
            adapters.load_adapter(model, place, PARENT, base_sha256=config.base_sha256)
            adapters.copy(model, PARENT, REWARD, rank=config.rank, alpha=config.alpha, seed=config.seed)
            adapters.remove(model, PARENT)
        else:
            adapters.attach(model, REWARD, rank=config.rank, alpha=config.alpha, seed=config.seed)
        width, device = base.head_weight(model).shape[1], model.device
        self.head = Parameter(first_head(width, seed=config.seed).to(device))
        self.line = Parameter(torch.zeros(1, device=device))
        trained = {REWARD: adapters.parameters(model, REWARD), HEAD: [self.head, self.line]}
        others = [first_head(width, seed=config.seed, number=number) for number in range(1, config.heads)]
        self.others = [Parameter(head.to(device)) for head in others]
        if self.others:
            trained[HEADS] = self.others
        self.optimizers = {role: AdamW(own, eps=REWARD_EPS) for role, own in trained.items()}
        self.draws = {
            element.ranked.prompt_id: torch.tensor(draws_of(element.ranked.prompt_id, config)) for element in self.train
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

    def try_largest(self) -> None:
        """The trial pass (M5)."""
        trial.pass_largest(
            rankings.planned(self.train, self.steps[self.run.step :], budget=self.config.microbatch_tokens),
            lambda group: self._backward(group, group),
            run=self.run,
            config=self.config,
            optimizers=list(self.optimizers.values()),
            clock=self.clock,
        )

    def learn(self, number: int) -> None:
        """One optimizer step on the prompts of step `number`."""
        epoch, chosen = self.steps[number]
        elements = [self.train[place] for place in chosen]
        groups = rankings.micro_batches(elements, budget=self.config.microbatch_tokens)
        if number == 0:
            self._show_first(groups[0])
        for own in self.optimizers.values():
            own.zero()
        found, right, pairs = [], 0.0, 0
        for group in groups:
            self.run.check_stop()
            loss, correct = self._backward(group, elements)
            found.append(loss)
            right, pairs = right + float(correct.sum()), pairs + len(correct)
        loss_ = float(torch.stack(found).sum())
        values = {
            "loss": loss_,
            "accuracy": right / max(1, pairs),
            **({"line": self.line.item()} if self.lined else {}),
            **self._apply(number, elements, loss_),
            "epoch": float(epoch),
            "answers": float(sum(len(element.answers) for element in elements)),
        }
        self.run.step = number + 1
        self._write("train", values, tokens=sum(sum(element.lengths) for group in groups for element in group))

    def _backward(self, group: list[Element], elements: list[Element]) -> tuple[Tensor, Tensor]:
        """Add a micro-batch's share of its step, which has these elements, to all gradients.

        Returns its share of head 0's loss, and which strict pairs head 0 has right.
        """
        with adapters.using(self.model, REWARD):
            states = measure.features(self.model, [row for element in group for row in element.rows])
            loss, correct = rankings.loss((states @ self.head.T)[:, 0], group, line=self._line())
            loss = loss / (sum(element.weight for element in elements) or 1.0)
            loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
            self._teach_others(states.detach(), group, elements)
        return loss.detach(), correct

    def _line(self) -> Tensor | None:
        return self.line if self.lined else None

    def _teach_others(self, states: Tensor, group: list[Element], elements: list[Element]) -> None:
        """The other heads' gradients, each on its own draw of the prompts; nothing reaches the trunk (R12)."""
        line = None if self._line() is None else self.line.detach()
        for place, head in enumerate(self.others):
            counts = torch.stack([self.draws[element.ranked.prompt_id][place] for element in group])
            total = sum(float(self.draws[one.ranked.prompt_id][place]) * one.weight for one in elements)
            loss, _ = rankings.loss((states @ head.T)[:, 0], group, line=line, counts=counts)
            (loss / (total or 1.0)).backward()  # type: ignore[no-untyped-call]  # torch types it not

    def _apply(self, number: int, elements: list[Element], loss: float) -> dict[str, float]:
        """Clip and apply each gradient; returns norms and rates. Raises not_finite before any is applied."""
        config, values = self.config, {}
        ids = [element.ranked.prompt_id for element in elements]
        for role, own in self.optimizers.items():
            norm = own.clip(config.clip_norm)
            tensor = own.first_not_finite() if not math.isfinite(norm) else ""
            metrics.require_finite(step=number, rows=ids, what="the loss", value=loss, tensor=tensor)
            metrics.require_finite(step=number, rows=ids, what=f"the {role}'s gradient norm", value=norm, tensor=tensor)
            values[f"grad_norm/{role}"] = norm
        for role, own in self.optimizers.items():
            values[f"lr/{role}"] = rate(
                number,
                total=self.total,
                lr=config.lr if role == REWARD else config.head_lr,
                schedule=config.schedule,
                warmup_share=config.warmup_share,
                final_lr_share=config.final_lr_share,
            )
            own.step(values[f"lr/{role}"])
        return values

    def evaluate_if_due(self) -> None:
        """Measure the held-out prompts before the first step, every eval_steps, and after the last."""
        step = self.run.step
        due = step in (0, self.total) or step % self.config.eval_steps == 0
        if not due or str(step) in self.evaluations:
            return
        scores = [own[:, 0] for own in self.scores(self.heldout)]
        line = None if self._line() is None else self.line.detach().cpu()
        loss, _ = rankings.loss(torch.cat(scores), self.heldout, line=line)
        judged = [measure.judged(element.ranked, own) for element, own in zip(self.heldout, scores, strict=True)]
        values = {
            "heldout/loss": float(loss) / (sum(element.weight for element in self.heldout) or 1.0),
            "heldout/accuracy": measure.accuracy(judged),
        }
        self.evaluations[str(step)] = values
        self._write("eval", values, tokens=sum(sum(element.lengths) for element in self.heldout))

    def scores(self, elements: Sequence[Element], *, scorer: Scorer | None = None) -> list[Tensor]:
        """Each element's raw scores [A, M]."""
        rows = [row for element in elements for row in element.rows]
        flat = measure.scores_by_head(
            self.model,
            rows,
            scorer or self.scorer(),
            budget=self.config.microbatch_tokens,
            stop=self.run.check_stop,
        )
        return list(torch.split(flat, [len(element.answers) for element in elements]))

    def scorer(self) -> Scorer:
        """The heads as they are, raw."""
        heads = torch.cat([self.head, *self.others]).detach()
        return Scorer(REWARD, heads, torch.ones(len(heads)), torch.zeros(len(heads)))

    def _show_first(self, group: list[Element]) -> None:
        """Write first_batch.json: the first micro-batch, with the places where scores are read marked (D8)."""
        examples = [
            data.Example(element.ranked.answer_ids[at], row.tolist(), [False] * (len(row) - 1) + [True], element.weight)
            for element in group
            for at, row in zip(element.answers, element.rows, strict=True)
        ]
        packing.show(self.run, self.words, packing.collate(examples, range(len(examples))))

    def _write(self, kind: metrics.Kind, values: dict[str, float], *, tokens: int) -> None:
        progress = self.run.step / self.total
        self.log.write(kind, self.run.step, values, progress=progress, seconds=self.clock.lap(), tokens=tokens)


def first_head(width: int, *, seed: int, number: int = 0) -> Tensor:
    """A head [1, D] ~ N(0, 1/(D+1)): on features of unit RMS the first scores have deviation 1 (R3).

    Source: the code of Ziegler et al. 2019; the published 1/(D+1) as a deviation is a slip.
    """
    names = ("init", "head", number) if number else ("init", "head")
    draw = torch.Generator().manual_seed(seed_for(seed, *names))
    return torch.randn(1, width, generator=draw) / math.sqrt(width + 1)


def draws_of(prompt_id: str, config: RewardConfig) -> list[float]:
    """How often a prompt counts for each of the heads 1 … M−1: Poisson(1), by its id alone (R12)."""
    return [poisson(seed_for(config.seed, "bootstrap", prompt_id, m) / 2**64) for m in range(1, config.heads)]


def poisson(u: float) -> float:
    """The count whose cumulative probability, at mean 1, is the first to exceed u in [0, 1)."""
    count, term, below = 0, math.exp(-1), math.exp(-1)
    while below <= u and term > 0:
        count += 1
        term /= count
        below += term
    return float(count)


def _finish(stage: _Stage, train: list[Tensor], heldout: list[Tensor]) -> None:
    """Fix the scale of scores, show, save, reload, compare, report, and close the run."""
    run, config = stage.run, stage.config
    norms = torch.tensor([losses.fit_norm(own) for own in torch.cat(train).unbind(1)], dtype=torch.float64)
    line = float(norms[0, 0] * stage.line.item() + norms[0, 1]) if stage.lined else None
    scorer = Scorer(REWARD, stage.scorer().heads, gains=norms[:, 0], biases=norms[:, 1], line=line)
    if not stage.shown:
        _show(stage, [scorer.rewards(own)[:, 0] for own in heldout[:SHOWN]])
        stage.shown = True
        stage.save()
    own = torch.cat(train)[:, 0].double()
    facts = {
        "kind": REWARD,
        "base_sha256": config.base_sha256,
        "template_sha256": stage.words.template_sha256,
        "parent_sha256": run.parents.get(config.parent_adapter, ""),
        "heads": config.heads,
        "gain": scorer.gain,
        "bias": scorer.bias,
        "gains": scorer.gains.tolist(),
        "biases": scorer.biases.tolist(),
        "line": scorer.line,
        "percentiles": own.quantile(torch.tensor([0.001, 0.999]).double()).tolist(),
    }
    heads = {"score": stage.head, "heads": scorer.heads}
    with run.folder("adapter") as folder:
        adapters.save_adapter(stage.model, REWARD, folder, heads=heads, facts=facts)
    check_reloaded(stage, heldout[:SHOWN])
    report = _report(stage, train, heldout, scorer)
    run.write_json("evaluation.json", {"what": "ranking", **report})
    before, after = stage.evaluations["0"], stage.evaluations[str(stage.total)]
    final = measure.figures(report)
    final |= {"heldout_loss_before": before["heldout/loss"], "heldout_loss": after["heldout/loss"]}
    final |= {"accuracy_before": before["heldout/accuracy"]}
    outputs = [("adapter", REWARD, "adapter"), ("evaluation", "evaluation", "evaluation.json")]
    run.finish(outputs, final, steps=stage.total, template_sha256=stage.words.template_sha256)


def _report(stage: _Stage, train: list[Tensor], heldout: list[Tensor], scorer: Scorer) -> measure.Report:
    """R13, and which rankings had to be learned as pairs (R10)."""
    report = measure.reward_report(
        [(element.ranked, own) for element, own in zip(stage.train, train, strict=True)],
        [(element.ranked, own) for element, own in zip(stage.heldout, heldout, strict=True)],
        scorer,
        seed=stage.config.seed,
    )
    if stage.config.loss == "plackett_luce":
        used = [ranking for element in stage.train for ranking in element.rankings]
        report["rankings_learned_as_pairs"] = sum(not rankings.is_full(ranking) for ranking in used)
    return report


def check_reloaded(stage: _Stage, expected: list[Tensor]) -> None:
    """Refuse an adapter that scores otherwise once it is read from disk (R14). Raises reload_differs."""
    place = stage.run.out / "adapter"
    scorer = measure.load_scorer(stage.model, place, RELOADED, base_sha256=stage.config.base_sha256)
    found = stage.scores(stage.heldout[: len(expected)], scorer=scorer)
    adapters.remove(stage.model, RELOADED)
    ours, theirs = torch.cat(expected), torch.cat(found)
    gap = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else math.inf
    if not gap <= 1e-5:
        sentence = f"The saved adapter scores held-out answers otherwise by up to {gap:.2e}; at most 1e-05 is allowed."
        raise TrainerError("reload_differs", sentence)


def _show(stage: _Stage, rewards: list[Tensor]) -> None:
    """Write the normalised rewards of the first held-out prompts' answers to samples.jsonl."""
    for element, own in zip(stage.heldout, rewards, strict=False):
        for place, reward in enumerate(own.tolist()):
            ranked = element.ranked
            sample = samples.sample_of(
                ranked.prompt_id, ranked.messages, ranked.answers[place], stage.words, finished=True, index=place
            )
            samples.write(stage.run, sample, step=stage.total, reward=reward)
