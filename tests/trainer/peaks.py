"""The peak of each stage on one base, beside its estimate, as one line of JSON.

`python -m tests.trainer.peaks nano <empty folder> [<stage> …]`. One process imports the trainer; each
stage runs in a child of its own, whose most memory the kernel counts. Rows are as long as the context, so that
micro-batches are full: of shorter ones a run needs less than the estimate.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.trainer.looks import cloze_rows
from tests.trainer.preferences import lay, prompt_rows, ranking_rows
from tests.trainer.runs import Row, corpus_rows, lay_out, sentence, sft_rows
from trainer import base, dpo, evaluate, generate, map, ppo, pretrain, reward, sft, tokenizer  # noqa: F401  # what a child has
from trainer.__main__ import main
from trainer.contract import machine
from trainer.contract.configs import SIZES, STAGES


def in_child(work: Callable[[], object]) -> None:
    """Do it in a child process, so that this one's memory stays small."""
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        work()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"{work} failed")


def long(rows: list[Row], words: int) -> list[Row]:
    """The rows with their last texts as long as wished."""
    for place, row in enumerate(rows):
        more = " ".join(sentence(1_000 * place + part) for part in range(words // 8 + 1))
        if "text" in row:
            row["text"] += more
        for answer in row.get("answers", []):
            answer["text"] += more
        if "messages" in row and "answers" not in row:
            row["messages"][-1]["content"] = more
    return rows


def lay_all(folder: Path, name: str, tokens: int) -> None:
    """A base, an SFT and a reward adapter, and a run of each stage that fills its micro-batches."""
    size = SIZES[name]
    words = tokenizer.train_bpe([sentence(n, words=20) for n in range(200)], size=size.vocab)
    plain = folder / "base"
    base.save(base.make(name, vocab=size.vocab, seed=3), plain)
    words.save(plain)
    half, context = size.context // 3, size.context
    few: Row = {"microbatch_tokens": 512, "max_steps": 1}
    lay(folder / "first sft", {"stage": "sft", **few}, base=plain, sft=sft_rows(20))
    lay(folder / "first reward", {"stage": "reward", **few}, base=plain, ranking=ranking_rows(20))
    assert [main([stage, str(folder / f"first {stage}")]) for stage in ("sft", "reward")] == [0, 0]
    adapters = {stage: folder / f"first {stage}" / "adapter" for stage in ("sft", "reward")}
    learning: Row = {"microbatch_tokens": tokens, "max_steps": 1}
    rows = 4 * tokens // context
    lay_out(
        folder / "pretrain",
        {"stage": "pretrain", "size": name, "batch_tokens": 2 * tokens, "fim_share": 0.0, **learning},
        corpus=long(corpus_rows(25), context),
    )
    lay_out(
        folder / "sft",
        {"stage": "sft", "batch_rows": rows, **learning},
        base=plain,
        sft=long(sft_rows(rows + rows // 3), half),
    )
    lay_out(
        folder / "reward",
        {"stage": "reward", "batch_prompts": rows // 4, **learning},
        base=plain,
        ranking=long(ranking_rows(10 + rows // 3), half),
    )
    lay(
        folder / "dpo",
        {"stage": "dpo", "batch_prompts": rows // 4, "parent_adapter": "sft", **learning},
        base=plain,
        parents=adapters,
        ranking=long(ranking_rows(10 + rows // 3), half),
    )
    answers: Row = {"max_new_tokens": context // 4, "decode_rows": rows}
    lay(
        folder / "ppo",
        {"stage": "ppo", "rollouts": 1, "rollout_prompts": rows, "epochs": 1, "minibatches": 1, "norm_samples": 16}
        | {"value_warmup_rollouts": 0, "microbatch_tokens": tokens, "reward_adapter": "reward", "parent_adapter": "sft"}
        | answers,
        base=plain,
        parents=adapters,
        prompts=prompt_rows(12),
    )
    lay(
        folder / "generate",
        {"stage": "generate", "adapters": ["sft"], **answers},
        base=plain,
        parents=adapters,
        prompts=long(prompt_rows(8 + rows), context // 2),
    )
    lay(
        folder / "evaluate",
        {"stage": "evaluate", "reward_adapter": "reward", "microbatch_tokens": tokens},
        base=plain,
        parents=adapters,
        cloze=cloze_rows(),
        ranking=long(ranking_rows(12), half),
    )
    lay_out(
        folder / "map",
        {"stage": "map", "kind": "documents", "points": 50, "microbatch_tokens": tokens},
        base=plain,
        corpus=long(corpus_rows(80), context // 2),
    )


def peak_of(run: Path) -> None:
    """Do the run, and leave its peak beside it."""
    code = main([run.name, str(run)])
    told = json.loads((run / "estimate.json").read_text())
    (run / "peak.json").write_text(
        json.dumps({"code": code, "peak": machine.peak_bytes(), "estimate": told["memory_bytes"]})
    )


if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2])
    os.environ["TOUCHSTONE_HOME"] = str(folder)
    in_child(lambda: lay_all(folder, name, 8 * SIZES[name].context))
    found = {}
    for stage in sys.argv[3:] or STAGES:
        in_child(partial(peak_of, folder / stage))
        found[stage] = json.loads((folder / stage / "peak.json").read_text())
    sys.stdout.write(json.dumps(found) + "\n")
