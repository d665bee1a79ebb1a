"""What a model is worth on rows that it never learns from: reports that stages write into evaluation.json.

Measuring never touches training state (E6): no gradient, no randomness of torch's own, no switch that stays.
Letters: N counted tokens.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch

from trainer import data, losses
from trainer.base import Model, head_weight, trunk
from trainer.data import Example

# --- E1: nll


@dataclass(frozen=True)
class Nll:
    """How surprised a model is by held-out rows; of rows whose prompt does not count, by their answers."""

    nats_per_token: float
    perplexity: float
    bits_per_byte: float
    accuracy: float
    tokens: int

    def values(self, name: str) -> dict[str, float]:
        """The metrics, each key with its unit, under `eval/<name>_…`."""
        return {f"eval/{name}_{key}": float(value) for key, value in asdict(self).items()}


@torch.no_grad()
def nll(model: Model, examples: Sequence[Example], *, budget: int, chunk: int, stop: Callable[[], None]) -> Nll:
    """The mean loss over the counted tokens of the examples, by the adapter in use; every row weighs 1 (E1).

    Bits per byte count the text's own bytes, so that tokenizers compare. stop is called before each batch.
    """
    lengths = [len(example.ids) for example in examples]
    total, right, tokens = 0.0, 0, 0
    for rows in data.micro_batches_in_order(lengths, budget=budget):
        stop()
        batch = data.collate(examples, rows).to(model.device)
        at, targets, _ = batch.counted()
        hidden = trunk(model, batch.ids, batch.attention).flatten(0, 1)[at]
        ones = torch.ones_like(targets, dtype=torch.float32)
        loss, correct = losses.linear_cross_entropy(hidden, head_weight(model), targets, ones, chunk=chunk)
        total, right, tokens = total + float(loss), right + int(correct.sum()), tokens + len(targets)
    mean = total / max(1, tokens)
    size = sum(example.size for example in examples)
    return Nll(
        nats_per_token=mean,
        perplexity=math.exp(min(mean, 700.0)),
        bits_per_byte=total / math.log(2) / max(1, size),
        accuracy=right / max(1, tokens),
        tokens=tokens,
    )
