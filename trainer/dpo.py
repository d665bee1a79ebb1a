"""Stage `dpo`: a policy that prefers the answers that people preferred, without a reward model.

An answer's implicit reward is β(Σ log π − Σ log π_ref) over its tokens; the loss is the reward model's own, on these
(`rankings`, Q1). For two answers it is the published −log σ(β(Δ_π − Δ_ref)) (Rafailov et al. 2023).

Letters: A answers, Q strict pairs, N answer tokens.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from trainer import (
    adapters,
    base,
    checkpoint,
    data,
    measure,
    metrics,
    packing,
    rankings,
    samples,
    sampling,
    tokenizer,
    trial,
)
from trainer.checkpoint import State
from trainer.contract.configs import DpoConfig
from trainer.contract.errors import Stopped
from trainer.contract.rundir import Run
from trainer.data import Prompt, Ranked
from trainer.margins import Margins, mean_chosen
from trainer.optimizer import AdamW, rate
from trainer.rankings import Element, Rules
from trainer.tokenizer import Tokenizer

POLICY, REFERENCE = "policy", "reference"
CACHE = "cache/reference.safetensors"
MOST_FALL = 0.2  # of the chosen answers' log-probability; beyond it the run warns (Q4)


def train(config: DpoConfig, run: Run) -> None:
    """Leave adapter/ of kind policy, and evaluation.json with how it orders held-out answers."""
    # 1 the policy starts as the reference, which stays as it is
    stage = _Stage(config, run)

    # 2 where an earlier attempt stopped
    stage.restore(checkpoint.resume(run) or State(step=0))

    # 3 what the reference says of every answer, once (Q3); the steps, then the outputs
    try:
        stage.try_largest()
        stage.ask_reference()
        stage.evaluate_if_due()
        for number in range(run.step, stage.total):
            stage.learn(number)
            stage.mark_if_due()
            stage.evaluate_if_due()
            if run.step < stage.total and stage.keeper.due(run.step):
                stage.save()
        heldout = stage.logps(stage.heldout, POLICY)
    except Stopped:
        stage.save()
        raise
    stage.save()
    _finish(stage, heldout)


def rules_of(config: DpoConfig) -> Rules:
    """How this run reads rankings."""
    return Rules(
        ties="half" if config.ties == "half" else "drop",
        smoothing=config.label_smoothing,
        below_line="drop" if config.below_line_pairs == "drop" else "keep",
    )


class _Stage:
    """What one run of the stage holds, and how far it is (run.step)."""

    def __init__(self, config: DpoConfig, run: Run) -> None:
        self.config, self.run = config, run
        device = base.prepare(config)
        run.write_json("environment.json", base.environment(device))
        self.model = base.resident(run, config, device)
        self.words: Tokenizer = tokenizer.of_run(run, template=config.template)
        self.context = base.context_of(self.model, config)
        parts = data.rankings(run, config, self.words, context=self.context)
        rules = rules_of(config)
        self.train = [rankings.element_of(ranked, rules) for ranked in parts.train]
        self.heldout = [rankings.element_of(ranked, rules) for ranked in parts.heldout]
        self._prepare_roles()
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
        self.milestones = checkpoint.milestones(self.total)
        self.evaluations: dict[str, dict[str, float]] = {}  # by step
        self.warned = False  # whether the fall of what people chose was told
        self.reference: dict[tuple[str, ...], Tensor] = {}

    def _prepare_roles(self) -> None:
        """The policy is a trainable copy of the reference, which is the bare base where no adapter is named (Q4)."""
        config, model = self.config, self.model
        self.roles: dict[str, str | None] = {POLICY: POLICY, REFERENCE: None}
        if config.parent_adapter:
            place = self.run.parent(config.parent_adapter)
            adapters.load_adapter(model, place, REFERENCE, base_sha256=config.base_sha256)
            adapters.copy(model, REFERENCE, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
            self.roles[REFERENCE] = REFERENCE
        else:
            adapters.attach(model, POLICY, rank=config.rank, alpha=config.alpha, seed=config.seed)
        self.optimizer = AdamW(adapters.parameters(model, POLICY))
        checkpoint.require_space(
            self.run, weights=self.optimizer.weight.nbytes, outputs=2 * self.optimizer.weight.nbytes
        )

    def restore(self, state: State) -> None:
        """Go on after the state's last whole step."""
        self.run.step = state.step
        if state.roles:
            self.evaluations, self.warned = state.phase["evaluations"], state.phase["warned"]
            self.optimizer.load_weight(state.roles[POLICY]["weight"])
            self.optimizer.load(state.optimizers[POLICY])

    def save(self) -> None:
        """Save the last whole step."""
        state = State(
            step=self.run.step,
            phase={"evaluations": self.evaluations, "warned": self.warned},
            roles={POLICY: {"weight": self.optimizer.weight}},
            optimizers={POLICY: self.optimizer.state()},
        )
        checkpoint.save(self.run, state)
        self.keeper.saved()

    def mark_if_due(self) -> None:
        """Leave a milestone where the step asks for one; before anything that a stop may interrupt."""
        if self.run.step in self.milestones:
            with self.run.folder(f"milestones/step-{self.run.step:08d}") as folder:
                self.leave(folder)

    def leave(self, folder: Path) -> None:
        """Write the policy as a plain peft folder."""
        facts = {
            "kind": POLICY,
            "base_sha256": self.config.base_sha256,
            "template_sha256": self.words.template_sha256,
            "parent_sha256": self.run.parents.get(self.config.parent_adapter, ""),
        }
        adapters.save_adapter(self.model, POLICY, folder, facts=facts)

    # the reference (Q3)

    def ask_reference(self) -> None:
        """Know the reference's log-probability of every answer: from the cache, or by one pass that fills it."""
        elements = [*self.train, *self.heldout]
        place, key = self.run.out / CACHE, self._cache_key()
        flat = cached(place, key=key, answers=sum(len(element.answers) for element in elements))
        if flat is None:
            flat = torch.cat(self.logps(elements, REFERENCE))
            place.parent.mkdir(exist_ok=True)
            self.run.write_atomic(CACHE, save({"logp": flat}, metadata={"key": key}))
        if self.config.parent_adapter:
            adapters.remove(self.model, REFERENCE)
        parts = torch.split(flat, [len(element.answers) for element in elements])
        self.reference = {_name(one.ranked): own for one, own in zip(elements, parts, strict=True)}

    def _cache_key(self) -> str:
        """All that the reference's log-probabilities follow from."""
        config = self.config
        facts = [self.run.parents, self.run.data_sha256, self.words.template_sha256, self.context]
        facts += [config.parent_adapter, config.overlong, str(self.model.dtype)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def reference_of(self, elements: Sequence[Element]) -> Tensor:
        """[A]: the reference's log-probability of each answer of the elements, one after the other."""
        return torch.cat([self.reference[_name(element.ranked)][element.answers] for element in elements])

    @torch.no_grad()
    def logps(self, elements: Sequence[Element], role: str) -> list[Tensor]:
        """Each element's log-probabilities [A] by a role, on the CPU."""
        rows = [(element.ranked, at) for element in elements for at in element.answers]
        lengths = [length for element in elements for length in element.lengths]
        flat = torch.empty(len(rows))
        with adapters.using(self.model, self.roles[role]):
            for part in packing.micro_batches_in_order(lengths, budget=self.config.microbatch_tokens):
                self.run.check_stop()
                flat[part] = self.answer_logps([rows[i] for i in part]).cpu()
        return list(torch.split(flat, [len(element.answers) for element in elements]))

    def answer_logps(self, rows: Sequence[tuple[Ranked, int]]) -> Tensor:
        """[A]: the sum of log-probabilities of each answer's tokens, its end token included, by the role in use."""
        prompts = [torch.tensor(ranked.prompt) for ranked, _ in rows]
        answers = [torch.tensor(ranked.answers[at]) for ranked, at in rows]
        logp, _ = sampling.answer_logprobs(
            self.model, prompts, answers, temperature=1.0, chunk=self.config.head_chunk
        )  # [N]
        return torch.stack([own.sum() for own in torch.split(logp, [len(answer) for answer in answers])])

    # the steps

    def try_largest(self) -> None:
        """The trial pass (M5), before the reference is asked, which may take long: zeros stand for what it will say."""

        def backward(group: list[Element]) -> None:
            answers = sum(len(element.answers) for element in group)
            self._backward(group, torch.zeros(answers, device=self.model.device), 1.0)

        trial.pass_largest(
            rankings.planned(self.train, self.steps[self.run.step :], budget=self.config.microbatch_tokens),
            backward,
            run=self.run,
            config=self.config,
            optimizers=[self.optimizer],
            clock=self.clock,
        )

    def learn(self, number: int) -> None:
        """One optimizer step on the prompts of step `number`."""
        config = self.config
        epoch, chosen = self.steps[number]
        elements = [self.train[place] for place in chosen]
        total = sum(element.weight for element in elements) or 1.0
        groups = rankings.micro_batches(elements, budget=config.microbatch_tokens)
        if number == 0:
            self._show_first(groups[0])
        self.optimizer.zero()
        found, seen = [], Margins()
        for group in groups:
            self.run.check_stop()
            start = self.reference_of(group).to(self.model.device)
            loss, logp, correct = self._backward(group, start, total)
            found.append(loss)
            seen.add(rankings.strict_pairs(group), config.beta * (logp - start), logp, start, correct)
        loss_ = float(torch.stack(found).sum())
        values = {
            "loss": loss_,
            **seen.values(),
            **self._apply(number, elements, loss_),
            "epoch": float(epoch),
            "answers": float(sum(len(element.answers) for element in elements)),
        }
        self.run.step = number + 1
        self._warn_of_fall(values)
        self._write("train", values, tokens=sum(sum(part.lengths) for group in groups for part in group))

    def _backward(self, group: list[Element], start: Tensor, total: float) -> tuple[Tensor, Tensor, Tensor]:
        """Add a micro-batch's share to the gradient of a step that weighs `total`. start [A]: what the reference says.

        Returns its share of the loss, what the policy says [A], and which strict pairs it has right.
        """
        with adapters.using(self.model, POLICY):
            logp = self.answer_logps([(element.ranked, at) for element in group for at in element.answers])
            loss, correct = rankings.loss(self.config.beta * (logp - start), group)
            loss = loss / total
            loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        return loss.detach(), logp.detach(), correct

    def _apply(self, number: int, elements: list[Element], loss: float) -> dict[str, float]:
        """Clip and apply the gradient; returns its norm and the rate. Raises not_finite before it is applied."""
        norm = self.optimizer.clip(self.config.clip_norm)
        metrics.require_finite_step(
            step=number + 1,
            rows=[element.ranked.prompt_id for element in elements],
            loss=loss,
            norm=norm,
            first_not_finite=self.optimizer.first_not_finite,
        )
        lr = rate(
            number,
            total=self.total,
            lr=self.config.lr,
            schedule=self.config.schedule,
            warmup_share=self.config.warmup_share,
            final_lr_share=self.config.final_lr_share,
        )
        self.optimizer.step(lr)
        return {"grad_norm": norm, "lr": lr}

    def _warn_of_fall(self, values: dict[str, float]) -> None:
        """Say once that chosen answers became much less likely too: only the gap to the rejected ones grew (Q4)."""
        now, start = values.get("logps/chosen", 0.0), values.get("logps/chosen_start", 0.0)
        if not self.warned and now < (1 + MOST_FALL) * start:
            self.warned = True
            text = (
                f"chosen answers have a log-probability of {now:.1f} nats; they began at {start:.1f}. "
                "Both answers of a pair are becoming less likely; a smaller lr or a larger beta holds them."
            )
            self.run.event("warning", text, step=self.run.step)

    def evaluate_if_due(self) -> None:
        """Measure the held-out prompts before the first step, every eval_steps, and after the last."""
        step = self.run.step
        due = step in (0, self.total) or step % self.config.eval_steps == 0
        if not due or str(step) in self.evaluations:
            return
        logps = self.logps(self.heldout, POLICY)
        rewards = self.implicit_rewards(logps)
        loss, _ = rankings.loss(torch.cat(rewards), self.heldout)
        shown = self._answers() if step in (0, self.total) or step % self.config.sample_steps == 0 else []
        values = {
            "heldout/loss": float(loss) / (sum(element.weight for element in self.heldout) or 1.0),
            "heldout/accuracy": measure.accuracy(self.judged(rewards)),
            "heldout/logps_chosen": mean_chosen(self.heldout, logps),
        }
        self.evaluations[str(step)] = values
        for answer in shown:
            samples.write(self.run, answer, step=step)
        self._write("eval", values, tokens=sum(sum(element.lengths) for element in self.heldout))

    def implicit_rewards(self, logps: list[Tensor]) -> list[Tensor]:
        """Each held-out element's implicit rewards [A] (Q1)."""
        pairs = zip(self.heldout, logps, strict=True)
        return [self.config.beta * (own - self.reference_of([element])) for element, own in pairs]

    def judged(self, rewards: list[Tensor]) -> list[measure.Judged]:
        return [measure.judged(element.ranked, own) for element, own in zip(self.heldout, rewards, strict=True)]

    def _answers(self) -> list[samples.Sample]:
        """What the policy answers to the first held-out prompts."""
        shown = [element.ranked for element in self.heldout[: samples.SHOWN]]
        room = self.context - max(len(ranked.prompt) for ranked in shown)
        return samples.answers(
            self.model,
            [Prompt(ranked.prompt_id, "heldout", ranked.messages, ranked.prompt) for ranked in shown],
            self.words,
            role=POLICY,
            tokens=max(1, min(samples.SHOWN_TOKENS, room)),
            seed=self.config.seed,
            stop=self.run.check_stop,
        )

    def _show_first(self, group: list[Element]) -> None:
        """Write first_batch.json: the first micro-batch, with the tokens whose log-probabilities count marked (D8)."""
        examples = [
            data.Example(
                element.ranked.answer_ids[at],
                [*element.ranked.prompt, *element.ranked.answers[at]],
                [False] * len(element.ranked.prompt) + [True] * len(element.ranked.answers[at]),
                element.weight,
            )
            for element in group
            for at in element.answers
        ]
        packing.show(self.run, self.words, packing.collate(examples, range(len(examples))))

    def _write(self, kind: metrics.Kind, values: dict[str, float], *, tokens: int) -> None:
        progress = self.run.step / self.total
        self.log.write(kind, self.run.step, values, progress=progress, seconds=self.clock.lap(), tokens=tokens)


def cached(place: Path, *, key: str, answers: int) -> Tensor | None:
    """The reference's log-probabilities [answers] that a file holds under this key; None where it holds none."""
    try:
        with safe_open(place, "pt") as file:
            flat: Tensor = file.get_tensor("logp")
            return flat if (file.metadata() or {}).get("key") == key and flat.shape == (answers,) else None
    except (OSError, SafetensorError):
        return None


def _name(ranked: Ranked) -> tuple[str, ...]:
    """What tells a prompt from others, and from itself cut elsewhere."""
    return ranked.prompt_id, *map(str, ranked.prompt)


def _finish(stage: _Stage, logps: list[Tensor]) -> None:
    """Write the last weights, the report before and after, and last the result."""
    run = stage.run
    with run.folder("adapter") as folder:
        stage.leave(folder)
    by_length = [measure.judged(one.ranked, torch.zeros(len(one.answers))) for one in stage.train]
    heldout = stage.judged(stage.implicit_rewards(logps))
    report = measure.ranking_report(by_length, heldout, seed=stage.config.seed)
    before, after = stage.evaluations["0"], stage.evaluations[str(stage.total)]
    run.write_json("evaluation.json", {"what": "ranking", **report, "before": before, "after": after})
    final = measure.figures(report)
    for name in ("loss", "logps_chosen"):
        final |= {f"heldout_{name}_before": before[f"heldout/{name}"], f"heldout_{name}": after[f"heldout/{name}"]}
    outputs = [("adapter", POLICY, "adapter"), ("evaluation", "evaluation", "evaluation.json")]
    outputs += [
        (path.name, "milestone", f"milestones/{path.name}") for path in checkpoint.folders_of(run, "milestones")
    ]
    run.finish(outputs, final, steps=stage.total, template_sha256=stage.words.template_sha256)
