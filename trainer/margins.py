"""How far a policy tells what people chose from what they did not: the figures of DPO's steps (Q4).

Letters: A answers, Q strict pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainer.rankings import Element, strict_pairs


@dataclass
class Margins:
    """What a step's strict pairs show: each list holds a tensor [Q] a micro-batch."""

    chosen: list[Tensor] = field(default_factory=list)
    rejected: list[Tensor] = field(default_factory=list)
    chosen_logp: list[Tensor] = field(default_factory=list)
    rejected_logp: list[Tensor] = field(default_factory=list)
    chosen_start: list[Tensor] = field(default_factory=list)
    correct: list[Tensor] = field(default_factory=list)

    def add(self, pairs: Tensor, rewards: Tensor, logp: Tensor, start: Tensor, correct: Tensor) -> None:
        """pairs [Q, 2]; rewards, logp, start [A]: of the answers they index."""
        better, worse = pairs.to(rewards.device).unbind(1)
        self.chosen.append(rewards[better])
        self.rejected.append(rewards[worse])
        self.chosen_logp.append(logp[better])
        self.rejected_logp.append(logp[worse])
        self.chosen_start.append(start[better])
        self.correct.append(correct)

    def values(self) -> dict[str, float]:
        """The field's names for their means; nothing where there was no strict pair."""
        names = {
            "rewards/chosen": self.chosen,
            "rewards/rejected": self.rejected,
            "rewards/accuracies": self.correct,
            "logps/chosen": self.chosen_logp,
            "logps/rejected": self.rejected_logp,
            "logps/chosen_start": self.chosen_start,
        }
        if not sum(map(len, self.chosen)):
            return {}
        found = {name: float(torch.cat(parts).double().mean()) for name, parts in names.items()}
        return found | {"rewards/margins": found["rewards/chosen"] - found["rewards/rejected"]}


def mean_chosen(elements: Sequence[Element], logps: Sequence[Tensor]) -> float:
    """The mean log-probability, in nats, of the better answers of all strict pairs. logps: of each element [A]."""
    return float(torch.cat(list(logps))[strict_pairs(elements)[:, 0]].double().mean())
