"""Stage `pretrain`: a tokenizer and a small base from a corpus, by next token, filling in the middle and putting right.

The mathematics is in `losses`; here is the order of events. N counted tokens, D width.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from trainer import (
    base,
    checkpoint,
    corrections,
    data,
    losses,
    measure,
    metrics,
    objectives,
    packing,
    tokenizer,
    trial,
    usage,
)
from trainer.checkpoint import State
from trainer.contract.configs import PretrainConfig
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Example
from trainer.measure import Nll
from trainer.objectives import Document
from trainer.optimizer import PRETRAIN_BETAS, AdamW, rate
from trainer.tokenizer import Tokenizer


def train(config: PretrainConfig, run: Run) -> None:
    """Leave model/, with its tokenizer: a base whose held-out perplexity fell."""
    # 1 the corpus, the tokenizer, the model: all functions of the seed and the rows
    device = base.prepare(config)
    parts = data.documents(run, config)
    _check_context(config)
    words = tokenizer.train_bpe((text for _, text in parts.train), size=config.vocab_size)
    model = base.make(config.size, vocab=config.vocab_size, seed=config.seed, context=config.context_tokens)
    model.to(device)  # type: ignore[arg-type]  # transformers wraps the method and loses its type
    if config.recompute_activations:
        base.recompute(model)
    train, heldout = (objectives.encode(side, words) for side in (parts.train, parts.heldout))
    stage = _Stage(config, run, model, words, train, heldout)
    run.write_json("environment.json", base.environment(device))
    checkpoint.require_space(run, weights=stage.optimizer.weight.nbytes, outputs=2 * stage.optimizer.weight.nbytes)

    # 2 where an earlier attempt stopped
    state = checkpoint.resume(run) or State(step=0)
    stage.restore(state)

    # 3 the steps, then the outputs
    try:
        stage.try_largest()
        stage.evaluate_if_due()
        for number in range(run.step, stage.total):
            stage.learn(number)
            stage.mark_if_due()
            stage.evaluate_if_due()
            stage.keep_if_due()
    except Stopped:
        stage.save()
        raise
    stage.save()
    _finish(stage)


def _check_context(config: PretrainConfig) -> None:
    longest = 131_072
    if config.context_tokens > longest:
        raise TrainerError("context_too_long", f"context is {config.context}; allowed: at most {longest}.")


class _Stage:
    """What one run of the stage holds, and how far it is (run.step)."""

    def __init__(
        self,
        config: PretrainConfig,
        run: Run,
        model: base.Model,
        words: Tokenizer,
        documents: list[Document],
        heldout: list[Document],
    ) -> None:
        self.config, self.run, self.model, self.words, self.documents = config, run, model, words, documents
        named = list(model.named_parameters())
        self.optimizer = AdamW(
            [parameter for _, parameter in named],
            betas=PRETRAIN_BETAS,
            weight_decay=config.weight_decay,
            decayed=[parameter.dim() == 2 for _, parameter in named],
            names=[name for name, _ in named],
        )
        self.steps = data.steps_of_run(
            [len(document.ids) + 2 for document in documents],
            epochs=config.epochs,
            limit=config.max_steps,
            seed=config.seed,
            batch=config.batch_tokens,
            by="tokens",
        )
        self.total = len(self.steps)
        self.log, self.clock = metrics.Log(run), metrics.Clock()
        self.keeper = checkpoint.Keeper(steps=config.checkpoint_steps, seconds=config.checkpoint_s)
        self.milestones = checkpoint.milestones(self.total)
        self.evaluations: dict[str, dict[str, dict[str, float]]] = {}  # by step, by objective
        self.heldout = {"next": self._pieces(heldout)}
        if config.fim_share:
            self.heldout["fim"] = self._gaps(heldout)
        self.corrections = self._corrections(heldout) if config.fix_share else None

    def restore(self, state: State) -> None:
        """Go on after the state's last whole step."""
        self.run.step = state.step
        if state.roles:
            self.optimizer.load_weight(state.roles["base"]["weight"])
            self.optimizer.load(state.optimizers["base"])
            self.evaluations = state.phase["evaluations"]

    def save(self) -> None:
        """Save the last whole step."""
        state = State(
            step=self.run.step,
            epoch=self.steps[self.run.step - 1][0] if self.run.step else 0,
            phase={"evaluations": self.evaluations},
            roles={"base": {"weight": self.optimizer.weight}},
            optimizers={"base": self.optimizer.state()},
        )
        checkpoint.save(self.run, state)
        self.keeper.saved()

    def mark_if_due(self) -> None:
        """Leave a milestone where the step asks for one; before anything that a stop may interrupt."""
        if self.run.step in self.milestones:
            with self.run.folder(f"milestones/step-{self.run.step:08d}") as folder:
                self.leave(folder)

    def keep_if_due(self) -> None:
        """Leave a checkpoint where the step asks for one; the last step's is left at the end."""
        if self.run.step < self.total and self.keeper.due(self.run.step):
            self.save()

    def leave(self, folder: Path) -> None:
        """Write the model with its tokenizer as a plain transformers folder."""
        base.save(self.model, folder)
        self.words.save(folder)

    def try_largest(self) -> None:
        """The trial pass (M5), by the largest micro-batch of one step.

        Which step is told by its documents: what they are turned into is made step by step, and to make all of it now
        would take as long as the corpus took to encode, each epoch.
        """
        heaviest = max(range(self.run.step, self.total), key=self._promise, default=None)
        if heaviest is None:
            return
        examples, groups = self._planned(heaviest)
        trial.pass_largest(
            ((sum(len(examples[row].ids) for row in rows), rows) for rows in groups),
            lambda rows: self._backward(examples, rows, 1.0),
            run=self.run,
            config=self.config,
            optimizers=[self.optimizer],
            clock=self.clock,
        )

    def _promise(self, number: int) -> int:
        """Tokens that a step's largest micro-batch has at most and nearly: the budget, or all, or one row above it."""
        lengths = [len(self.documents[row].ids) + 2 for row in self.steps[number][1]]
        return max(
            min(max(lengths), self.config.context_tokens),
            min(sum(lengths), self.config.microbatch_tokens),
        )

    def _planned(self, number: int) -> tuple[list[Example], data.Step]:
        """The examples of step `number`, and which of them share a pass."""
        epoch, documents = self.steps[number]
        examples = self._examples([self.documents[row] for row in documents], epoch)
        lengths = [len(example.ids) for example in examples]
        return examples, packing.micro_batches(lengths, range(len(examples)), budget=self.config.microbatch_tokens)

    def learn(self, number: int) -> None:
        """One optimizer step on the documents of step `number`."""
        config, epoch = self.config, self.steps[number][0]
        examples, groups = self._planned(number)
        counted = data.counted_weight(examples, range(len(examples)))
        if number == 0:
            packing.show(self.run, self.words, packing.collate(examples, groups[0]))
        self.optimizer.zero()
        losses_: list[torch.Tensor] = []
        for rows in groups:
            self.run.check_stop()
            losses_.append(self._backward(examples, rows, counted))
        loss = float(torch.stack(losses_).sum())
        norm = self.optimizer.clip(config.clip_norm)
        lr = rate(
            number,
            total=self.total,
            lr=config.peak_lr,
            schedule=config.schedule,
            warmup_share=config.warmup_share,
            final_lr_share=config.final_lr_share,
        )
        metrics.require_finite_step(
            step=number + 1,
            rows=[example.id for example in examples],
            loss=loss,
            norm=norm,
            first_not_finite=self.optimizer.first_not_finite,
        )
        self.optimizer.step(lr)
        self.run.step = number + 1
        tokens = sum(len(example.ids) for example in examples)
        values = {"loss": loss, "grad_norm": norm, "lr": lr, "epoch": float(epoch), "tokens": float(tokens)}
        self._write("train", values, tokens=tokens)

    def _backward(self, examples: list[Example], rows: list[int], counted: float) -> torch.Tensor:
        """Add one micro-batch's share to the gradient; returns its share of the loss."""
        batch = packing.collate(examples, rows).to(self.model.device)
        hidden = base.trunk(self.model, batch).index_select(0, batch.at)  # [N, D]
        head, chunk = base.head_weight(self.model), self.config.head_chunk
        loss, _ = losses.linear_cross_entropy(hidden, head, batch.targets, batch.weights, chunk=chunk)
        loss = loss / counted
        loss.backward()  # type: ignore[no-untyped-call]  # torch types it not
        return loss.detach()

    def evaluate_if_due(self) -> None:
        """Measure the held-out documents before the first step, every eval_steps, and after the last."""
        step = self.run.step
        due = step == 0 or step == self.total or step % self.config.eval_steps == 0
        if not due or str(step) in self.evaluations:
            return
        found = {name: self._measure(examples) for name, examples in self.heldout.items()}
        self.evaluations[str(step)] = {name: asdict(report) for name, report in found.items()}
        values = {key: value for name, report in found.items() for key, value in report.values(name).items()}
        self._write("eval", values, tokens=sum(report.tokens for report in found.values()))

    def _measure(self, examples: list[Example]) -> Nll:
        config = self.config
        return measure.nll(
            self.model,
            examples,
            budget=config.microbatch_tokens,
            chunk=config.head_chunk,
            stop=self.run.check_stop,
        )

    def _write(self, kind: metrics.Kind, values: dict[str, float], *, tokens: int) -> None:
        progress = self.run.step / self.total
        self.log.write(kind, self.run.step, values, progress=progress, seconds=self.clock.lap(), tokens=tokens)

    def _examples(self, documents: Sequence[Document], epoch: int) -> list[Example]:
        """The documents under the objectives that this epoch gives them (O4)."""
        examples: list[Example] = []
        for document in documents:
            gap = None
            if objectives.objective_of(document, fim_share=self.config.fim_share, seed=self.config.seed, epoch=epoch):
                gap = self._gap(document, epoch)
            examples += [gap] if gap else self._put_right(document, epoch) or self._pieces([document])
        return examples

    def _corrections(self, heldout: list[Document]) -> corrections.Corrections:
        """What makes correction rows; the held-out ones are people's, or noise where people made none (O3)."""
        parts, dropped = corrections.read(self.run)
        context = self.config.context_tokens
        learned = corrections.Corrections(parts.train, self.documents, self.words, context=context)
        kept = corrections.Corrections(parts.heldout, self.documents, self.words, context=context, rate=learned.rate)
        rows = kept.people() or [row for document in heldout for row in kept.of(document, seed=0, epoch=0)]
        if rows:
            self.heldout["fix"] = rows
        dropped |= {"overlong": learned.overlong + kept.overlong}
        corrections.tell(self.run, learned, kept, dropped)
        return learned

    def _put_right(self, document: Document, epoch: int) -> list[Example]:
        """The document as text to put right, where it is its turn; empty otherwise."""
        config = self.config
        shares = {"fim_share": config.fim_share, "fix_share": config.fix_share}
        if not self.corrections or not corrections.chosen(document, **shares, seed=config.seed, epoch=epoch):
            return []
        return self.corrections.of(document, seed=config.seed, epoch=epoch)

    def _pieces(self, documents: Sequence[Document]) -> list[Example]:
        context = self.config.context_tokens
        return [piece for document in documents for piece in objectives.next_token(document, context=context)]

    def _gaps(self, documents: Sequence[Document]) -> list[Example]:
        return [gap for document in documents if (gap := self._gap(document, 0))]

    def _gap(self, document: Document, epoch: int) -> Example | None:
        seed = seed_for(self.config.seed, "fim", document.id, epoch)
        return objectives.fill_in_the_middle(document, self.words, context=self.config.context_tokens, seed=seed)


def _finish(stage: _Stage) -> None:
    """Write the model, the report before and after, and last the result."""
    run = stage.run
    with run.folder("model") as folder:
        stage.leave(folder)
    before, after = stage.evaluations["0"], stage.evaluations[str(stage.total)]
    used = usage.usage(stage.documents, vocabulary=len(stage.words), origins=usage.origins(run))
    run.write_json("evaluation.json", {"what": "nll", "before": before, "after": after, "tokenizer": used})
    final = {
        "heldout_nll_before": before["next"]["nats_per_token"],
        "heldout_nll": after["next"]["nats_per_token"],
        "heldout_perplexity_before": before["next"]["perplexity"],
        "heldout_perplexity": after["next"]["perplexity"],
        "heldout_bits_per_byte": after["next"]["bits_per_byte"],
        **{f"heldout_{name}_nll": report["nats_per_token"] for name, report in after.items() if name != "next"},
    }
    outputs = [("base", "base", "model"), ("evaluation", "evaluation", "evaluation.json")]
    outputs += [
        (path.name, "milestone", f"milestones/{path.name}") for path in checkpoint.folders_of(run, "milestones")
    ]
    run.finish(outputs, final, steps=stage.total, template_sha256=stage.words.template_sha256)
