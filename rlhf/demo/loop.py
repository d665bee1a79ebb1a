"""The whole loop, each step through the running service: what `make demo` shows.

All that happens here is a request to the REST API by a scripted person with a token of their own.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import mean
from threading import Event

from rlhf.demo import people
from rlhf.demo.client import Json, Person
from rlhf.demo.progress import Line, Stages

STAGES = 15
PROMPTS = {"train": 450, "heldout": 200}
LAST_PROMPTS = {"train": 40, "heldout": 200}  # what the PPO model answers, to close the circle
POLL_S = 0.5
FINAL = {"finished", "failed", "cancelled", "paused", "frozen"}


class StageFailed(Exception):
    """The sentence of the run, snapshot or import that did not do what it should."""


@dataclass(frozen=True)
class Cast:
    admin: Person
    reviewers: list[Person]
    assessors: list[Person]


@dataclass(frozen=True)
class Material:
    """What to import. references: prompt → the answer that a writer knows."""

    documents: list[Path]
    asked: Path
    pairs: Path | None
    references: dict[str, str]
    known: frozenset[str]
    source: str
    licence: str


@dataclass
class Loop:
    project: str
    cast: Cast
    material: Material
    seed: int
    preset: str
    stages: Stages = field(default_factory=lambda: Stages(STAGES))
    figures: dict[str, float] = field(default_factory=dict)
    sample: tuple[str, str, str] | None = None
    stopping: Event = field(default_factory=Event)

    def run(self) -> None:
        """All stages in order. Whoever stops the loop stops its run too, or the next loop would wait behind it.

        Raises Refused or StageFailed with the service's own sentence.
        """
        try:
            self.go_round()
        except KeyboardInterrupt:
            for run in self.cast.admin.rows(f"runs/?project={self.project}"):
                if run["state"] not in FINAL:
                    self.cast.admin.post(f"runs/{run['id']}/cancel", {})
            raise

    def go_round(self) -> None:
        self.collect()
        self.clean()
        corpus = self.freeze("corpus", {}, "Freeze the corpus")
        with self.side_by_side(1) as beside:
            writing = beside.submit(self.write_and_review)
            base = self.pretrain(corpus, writing)
        answers = self.freeze("sft", {}, "Freeze the answers")
        tuned = self.tune(answers, base)
        drawn = self.generate(tuned, base, name="sft", prompts=PROMPTS, title="The SFT model answers, four a prompt")
        self.rank()
        rankings = self.freeze("ranking", {}, "Freeze the rankings")
        judge = self.learn_preferences(rankings, base, tuned)
        policy = self.reinforce(drawn["prompts"], base, tuned, judge)
        closing = self.generate(
            policy, base, name="policy", prompts=LAST_PROMPTS, title="The PPO model answers: the circle"
        )
        self.compare(drawn["run"], closing["run"])

    # 1 to 3: documents

    def collect(self) -> None:
        with self.stages.stage("Import documents, flag them") as line:
            totals = dict.fromkeys(("new", "repeated", "refused"), 0)
            for file in self.material.documents:
                done = self.import_file(file, what="documents", options={}, line=line)
                totals = {key: totals[key] + done[key] for key in totals}
            self.follow(lambda: self.flagging(), line)
            waiting = self.queue("clean")["waiting"]
            line.changed = (
                f"{totals['new']:,} documents, {totals['repeated']:,} exact duplicates, "
                f"{totals['refused']:,} refused; {waiting:,} flagged for people"
            )

    def import_file(self, file: Path, *, what: str, options: Json, line: Line) -> Json:
        form = FORMATS[file.suffix]
        fields = {
            "project": self.project, "source": self.material.source, "licence": self.material.licence,
            "what": what, "format": form,
        }  # fmt: skip
        taken = self.cast.admin.upload("imports/", fields | ({"ask": "true"} if options.get("ask") else {}), file)
        return self.follow(lambda: self.cast.admin.get(f"imports/{taken['id']}/live"), line)

    def flagging(self) -> Json:
        progress = self.cast.admin.get(f"projects/{self.project}/live")["flagging"]
        return {"state": "finished" if progress["done"] == progress["total"] else "running", "progress": progress}

    def clean(self) -> None:
        with self.stages.stage("Reviewers keep, reject or edit what is flagged") as line:
            tally: dict[str, int] = {}

            def decide(task: Json) -> Json:
                body = people.clean(task)
                tally[body["decision"]] = tally.get(body["decision"], 0) + 1
                return body

            done = self.work("clean", self.cast.reviewers, decide, line, undo_first=True)
            line.changed = f"{done:,} decisions: " + ", ".join(
                f"{count:,} {name}" for name, count in sorted(tally.items())
            )

    # 4 and 5: a base, and answers

    def pretrain(self, corpus: Json, writing: Future[str]) -> Json:
        with self.stages.stage("Pretrain a small language model, while people write") as line:
            base = self.train("pretrain", {"corpus": corpus["id"]}, line)
            written = writing.result()
            line.changed = "held-out perplexity {heldout_perplexity_before:,.0f} → {heldout_perplexity:.1f}; ".format(
                **base["metrics"]
            )
            line.changed += written
            self.keep(base, "heldout_perplexity_before", "heldout_perplexity")
        return base

    def write_and_review(self) -> str:
        """People answer the prompts in the queue, and review each other, while the base learns."""
        quiet = Line(0, 0, "")
        quiet.said = float("inf")
        self.import_file(self.material.asked, what="prompts", options={"ask": True}, line=quiet)
        imported = 0
        if self.material.pairs is not None:
            imported = self.import_file(self.material.pairs, what="pairs", options={}, line=quiet)["new"]
        written = reviewed = 0
        while True:
            wrote = self.work("write_answer", self.cast.assessors, self.write, quiet)
            looked = self.work("review_answer", self.cast.reviewers, people.review, quiet)
            written, reviewed = written + wrote, reviewed + looked
            if not wrote and not looked:
                return f"{written} answers written, {reviewed} reviewed, {imported:,} pairs imported"

    def write(self, task: Json) -> Json:
        return people.write(task, reference=self.material.references[task["prompt"][-1]["text"]])

    def tune(self, answers: Json, base: Json) -> Json:
        with self.stages.stage("SFT with LoRA on the answers") as line:
            tuned = self.train("sft", {"sft": answers["id"], "base": base["id"]}, line)
            line.changed = "held-out answer loss {heldout_nll_before:.2f} → {heldout_nll:.2f} nats a token".format(
                **tuned["metrics"]
            )
            self.keep(tuned, "heldout_nll_before", "heldout_nll")
        return tuned

    # 6 to 8: comparisons

    def generate(self, model: Json, base: Json, *, name: str, prompts: dict[str, int], title: str) -> Json:
        snapshot = self.freeze("prompt", {"splits": prompts}, "Freeze prompts")
        with self.stages.stage(title) as line:
            inputs = {"prompts": snapshot["id"], "base": base["id"], name: model["id"]}
            run = self.launch("generate", inputs)
            done = self.finish(run, line)
            waiting = self.queue("rank")["waiting"]
            line.changed = f"{done['metrics'].get('answers', 0):,.0f} answers; {waiting:,} blind comparisons wait"
        return {"run": run["id"], "prompts": snapshot}

    def rank(self) -> None:
        with self.stages.stage("Assessors rank and rate, blind") as line:
            ties = 0

            def decide(task: Json) -> Json:
                nonlocal ties
                body = people.rank(task, known=self.material.known)
                ties += any(len(group) > 1 for group in body["groups"])
                return body

            done = self.work("rank", self.cast.assessors, decide, line)
            line.changed = f"{done:,} rankings, {ties:,} with ties"

    def learn_preferences(self, rankings: Json, base: Json, tuned: Json) -> Json:
        with self.stages.stage("Reward model with LoRA on the rankings") as line:
            inputs = {"ranking": rankings["id"], "base": base["id"], "sft": tuned["id"]}
            judge = self.train("reward", inputs, line)
            line.changed = (
                "held-out pairwise accuracy {accuracy:.3f} [{accuracy_low:.3f}, {accuracy_high:.3f}], "
                "length alone {length_accuracy:.3f}"
            ).format(**judge["metrics"])
            self.keep(judge, "accuracy", "accuracy_low", "accuracy_high", "length_accuracy")
        return judge

    # 9 and 10: PPO, and round again

    def reinforce(self, prompts: Json, base: Json, tuned: Json, judge: Json) -> Json:
        with self.stages.stage("PPO with LoRA against the reward model") as line:
            inputs = {"prompts": prompts["id"], "base": base["id"], "sft": tuned["id"], "reward": judge["id"]}
            policy = self.train("ppo", inputs, line)
            line.changed = (
                "held-out reward {reward_before:+.2f} → {reward_after:+.2f}, gain [{reward_gain_low:.2f}, "
                "{reward_gain_high:.2f}] standard deviations; KL {kl_after:.1f} nats; {eos_rate_after:.0%} end"
            ).format(**policy["metrics"])
            self.keep(policy, "reward_before", "reward_after", "reward_gain_low", "kl_after", "eos_rate_after")
        return policy

    def compare(self, before: str, after: str) -> None:
        """Before and after PPO on held-out prompts, by the rule that the scripted people rank by."""
        with self.stages.stage("Compare before and after, by the people's rule") as line:
            old, new = self.answers(before), self.answers(after)
            shared = sorted(old.keys() & new.keys())
            wins = [mean(better(a, b) for a in scored(new[p], self) for b in scored(old[p], self)) for p in shared]
            low, high = interval(wins, seed=self.seed)
            self.figures |= {"win_rate": mean(wins), "win_low": low, "win_high": high}
            means = [mean(point for p in shared for point in scored(side[p], self)) for side in (old, new)]
            self.figures |= {"points_before": means[0], "points": means[1]}
            self.sample = (shared[0], old[shared[0]][0], new[shared[0]][0]) if shared else None
            line.changed = (
                f"rule {means[0]:.2f} → {means[1]:.2f} of 5 points; win rate {mean(wins):.2f} [{low:.2f}, {high:.2f}] "
                f"on {len(shared)} held-out prompts"
            )

    def answers(self, run: str) -> dict[str, list[str]]:
        """Held-out prompt → what the run's model answered."""
        rows = self.cast.admin.rows(f"generations/?run={run}")
        heldout = sorted((row["prompt"], row["text"]) for row in rows if row["split"] == "heldout")
        return {prompt: [text for _, text in group] for prompt, group in groupby(heldout, key=lambda pair: pair[0])}

    # what the stages share

    def keep(self, model: Json, *names: str) -> None:
        self.figures |= {name: model["metrics"][name] for name in names}

    def queue(self, kind: str) -> Json:
        rows = self.cast.admin.rows(f"queues/?project={self.project}")
        return next(row for row in rows if row["kind"] == kind)

    def freeze(self, kind: str, settings: Json, title: str) -> Json:
        with self.stages.stage(title) as line:
            body = {"project": self.project, "kind": kind, "settings": settings}
            begun = self.cast.admin.post("snapshots/", body, key=uuid.uuid4().hex)
            snapshot = self.follow(lambda: self.cast.admin.get(f"snapshots/{begun['id']}/"), line)
            rows = snapshot["counts"]
            line.changed = (
                f"{rows['train']:,} rows to learn from, {rows['heldout']:,} held out; {snapshot['sha256'][:8]}"
            )
        return snapshot

    def launch(self, stage: str, inputs: dict[str, str]) -> Json:
        asked = {"stage": stage, "preset": self.preset, "inputs": inputs, "config": {"seed": self.seed}}
        return self.cast.admin.post("runs/", {"project": self.project, **asked}, key=uuid.uuid4().hex)

    def train(self, stage: str, inputs: dict[str, str], line: Line) -> Json:
        """The model that a run of the stage leaves."""
        run = self.finish(self.launch(stage, inputs), line)
        return next(model for model in run["outputs"] if model["kind"] != "value")

    def finish(self, run: Json, line: Line) -> Json:
        """Follow a run to its end."""
        self.follow(lambda: self.cast.admin.get(f"runs/{run['id']}/live"), line)
        return self.cast.admin.get(f"runs/{run['id']}/")

    def follow(self, look: Callable[[], Json], line: Line) -> Json:
        """Look until the thing has come to its end; show its progress on the way."""
        while True:
            found = look()
            if found["state"] in FINAL:
                break
            progress = found.get("progress") or {}
            share = progress["done"] / progress["total"] if progress.get("total") else None
            line.say(share=share, left_s=progress.get("eta_s"))
            if self.stopping.wait(POLL_S):
                raise StageFailed(f"{line.title}: stopped")
        if found["state"] not in {"finished", "frozen"}:
            raise StageFailed(f"{line.title}: {found.get('failure') or found['state']}")
        return found

    @contextmanager
    def side_by_side(self, threads: int) -> Iterator[ThreadPoolExecutor]:
        """Threads for people at work. Ctrl-C, or what goes wrong for one, ends the work of all."""
        with ThreadPoolExecutor(threads) as pool:
            try:
                yield pool
            except BaseException:
                self.stopping.set()
                raise

    def work(
        self, kind: str, who: Iterable[Person], decide: Callable[[Json], Json], line: Line, *, undo_first: bool = False
    ) -> int:
        """These people answer the queue of a kind until nothing is left for them. How many answers they gave."""
        queue = self.queue(kind)
        if not queue["waiting"]:
            return 0
        with self.side_by_side(len(list(who))) as pool:
            counts = [0] * len(list(who))

            def day(number: int, person: Person) -> None:
                task = person.post(f"queues/{queue['id']}/claim", {})["task"]
                while task is not None and not self.stopping.is_set():
                    reply = send(person, task, decide(task))
                    if undo_first and number == 0 and not counts[0]:
                        task = person.post(f"judgements/{reply['judgement']}/undo", {})["task"]
                        reply = send(person, task, decide(task))
                    counts[number] += 1
                    line.say(share=sum(counts) / max(queue["waiting"], sum(counts)))
                    task = reply["next"]["task"]

            for future in [pool.submit(day, number, person) for number, person in enumerate(who)]:
                future.result()
        return sum(counts)


FORMATS = {".jsonl": "jsonl", ".txt": "text", ".md": "markdown", ".html": "html"}


def send(person: Person, task: Json, body: Json) -> Json:
    answer = {"token": task["token"], "body": body, "times": {"active_ms": None, "hidden_ms": None, "by": "api"}}
    return person.post(f"slots/{task['slot']}/submit", answer, key=uuid.uuid4().hex)


def scored(answers: list[str], loop: Loop) -> list[int]:
    return [people.points(answer, known=loop.material.known) for answer in answers]


def better(new: int, old: int) -> float:
    return 0.5 if new == old else float(new > old)


def interval(values: list[float], *, seed: int, draws: int = 2_000) -> tuple[float, float]:
    """95 % interval of the mean, by bootstrap over the values."""
    source = random.Random(seed)
    means = sorted(mean(source.choices(values, k=len(values))) for _ in range(draws))
    return means[int(draws * 0.025)], means[int(draws * 0.975)]
