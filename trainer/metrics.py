"""What a run tells while it lives: metric lines, and the refusal of numbers that are not finite."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run
from trainer.monitors import Alarm, Watch

Kind = Literal["train", "eval", "rollout", "system"]


class Log:
    """Writes metrics.jsonl, and shows each line to the run's monitors. values are deterministic, the clock is not (C1).

    pausing: the monitors that ask, on the last line, that the run pauses; only those of rollouts do.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._progress = 0.0
        self._watch = Watch(run)
        self.pausing: list[Alarm] = []

    def write(
        self,
        kind: Kind,
        step: int,
        values: Mapping[str, float],
        *,
        progress: float | None = None,
        seconds: float = 0.0,
        tokens: int = 0,
    ) -> None:
        """Append one line.

        progress: 0 … 1, by default the last one told. seconds, tokens: of what the line is about.
        """
        self._progress = self._progress if progress is None else min(1.0, progress)
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        line = {
            "attempt": self._run.attempt,
            "step": step,
            "kind": kind,
            "progress": round(self._progress, 6),
            "values": {name: None if name in broken else value for name, value in values.items()},
            "clock": {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "seconds": round(seconds, 4),
                "tokens_per_s": round(tokens / seconds, 1) if seconds else None,
            },
        }
        self._run.append("metrics.jsonl", {**line, "nonfinite": broken} if broken else line)
        self.pausing = self._watch.see(kind, step, values)


def require_finite(*, step: int, rows: Sequence[str], what: str, value: float, tensor: str) -> None:
    """Refuse to apply a step whose loss or gradient norm is not finite (G10). Raises not_finite."""
    if not math.isfinite(value):
        named = ", ".join(rows[:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")
        sentence = (
            f"{what} is {value} at step {step}; first in {tensor or 'the loss'}; rows {named}. "
            "The step was not applied; lower lr or look at these rows, then resume."
        )
        raise TrainerError("not_finite", sentence)


def require_finite_step(
    *, step: int, rows: Sequence[str], loss: float, norm: float, first_not_finite: Callable[[], str]
) -> None:
    """`require_finite` for a step's loss and its gradient's norm; names the first parameter at fault."""
    if not (math.isfinite(loss) and math.isfinite(norm)):
        tensor = first_not_finite()
        require_finite(step=step, rows=rows, what="the loss", value=loss, tensor=tensor)
        require_finite(step=step, rows=rows, what="the gradient's norm", value=norm, tensor=tensor)


class Clock:
    """Seconds since the last look."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.monotonic()
        gone, self._last = now - self._last, now
        return gone
