"""A baseline without LoRA for bench/quality.py: `python full_tuning.py <job.json>` tunes all weights of the base.

Plain transformers and torch: the same rows in the same order, the same batch and number of steps, the same loss (per
answer token of a step), AdamW. Writes the held-out loss before and after to result.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

Rows = list[tuple[list[int], list[int]]]  # ids, and 1 where the assistant speaks


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(job["base"])
    train, held = (encoded(words, Path(job[name])) for name in ("train", "held"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=job["lr"], weight_decay=0.0)
    steps = [train[start : start + job["batch"]] for start in range(0, len(train), job["batch"])]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(steps), eta_min=0.1 * job["lr"])
    before = mean_loss(model, held)
    for rows in steps:
        loss, count = summed(model, rows)
        optimizer.zero_grad()
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    found = {"before": before, "after": mean_loss(model, held), "steps": len(steps)}
    Path(job["out"], "result.json").write_text(json.dumps(found))


def encoded(words: Any, path: Path) -> Rows:
    found = []
    for row in map(json.loads, path.read_text().splitlines()):
        told = words.apply_chat_template(
            row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        found.append((list(told["input_ids"]), list(told["assistant_masks"])))
    return found


def summed(model: Any, rows: Rows) -> tuple[Tensor, int]:
    """(summed loss, count) over the answer tokens of right-padded rows."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    spoken = torch.tensor([mask + [0] * (longest - len(mask)) for _, mask in rows]).bool()[:, 1:]
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][spoken]
    return F.cross_entropy(model.lm_head(hidden), ids[:, 1:][spoken], reduction="sum"), int(spoken.sum())


@torch.no_grad()
def mean_loss(model: Any, rows: Rows) -> float:
    ordered = sorted(rows, key=lambda row: len(row[0]))
    found = [summed(model, ordered[start : start + 16]) for start in range(0, len(ordered), 16)]
    return float(sum(loss for loss, _ in found)) / sum(count for _, count in found)


if __name__ == "__main__":
    main()
