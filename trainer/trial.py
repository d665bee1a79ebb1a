"""The trial pass (M5): before its first step an attempt sends its largest micro-batch forward and backward once.

Lack of memory shows at once then, and not hours later in the step that holds the longest rows. Nothing else comes of
the pass: no gradient stays, no randomness is consumed, no line is written, no step's time has it in it.
What is not here: the estimate before anything is allocated (`contract.estimate`), and what a stage plans.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from trainer.contract.configs import LearningConfig
from trainer.contract.errors import TrainerError
from trainer.contract.exits import lacks_memory
from trainer.contract.rundir import Run
from trainer.metrics import Clock
from trainer.optimizer import AdamW

T = TypeVar("T")


def pass_largest(
    plan: Iterable[tuple[int, T]],
    backward: Callable[[T], object],
    *,
    run: Run,
    config: LearningConfig,
    optimizers: Sequence[AdamW],
    clock: Clock,
) -> None:
    """Send the micro-batch with the most tokens through, the first of equals; none where no step is left.

    plan: (tokens, micro-batch) of the steps to come. backward: adds the gradient of one, as a step does. Room for
    moments that only the first step makes is held meanwhile. Raises out_of_memory, with what to lower; Stopped.
    """
    run.check_stop()
    found = max(plan, key=lambda one: one[0], default=None)
    if found is None:
        return
    tokens, largest = found
    device = optimizers[0].weight.device
    held: list[Tensor] = []
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            held += [room for own in optimizers for room in own.room()]
            backward(largest)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise TrainerError("out_of_memory", _sentence(config, tokens, step=run.step + 1)) from error
    for own in optimizers:
        own.zero()
    clock.lap()


def _sentence(config: LearningConfig, tokens: int, *, step: int) -> str:
    """What did not fit, and what to lower; neither microbatch_tokens nor recompute_activations changes a result."""
    again = "" if config.recompute_activations else " or recompute_activations"
    if tokens > config.microbatch_tokens:
        found, way = f"what is never divided, {tokens} tokens", f"A shorter context{again} needs less."
    else:
        found = f"the largest micro-batch, {tokens} tokens"
        way = f"A smaller microbatch_tokens{again} needs less and changes no result."
    return f"microbatch_tokens is {config.microbatch_tokens}; before step {step} {found}, did not fit in memory. {way}"
