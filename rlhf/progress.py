"""How far a run is and how long it will take, from what its metric lines say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

ESTIMATING = 5  # steps that an attempt needs before its rate is shown
UNITS = {"ppo": "rollouts", "generate": "batches", "evaluate": "models", "map": "rounds"}
TOLD_BY = {"map": "system"}  # its other lines count in steps of the run that made the base
COUNTED = ("evaluate",)  # its lines name the step of what it looked into, not its own
Json = dict[str, Any]  # Any: a JSON object


class Progress:
    """How far an attempt is, from the metric lines' own shares."""

    def __init__(self, stage: str) -> None:
        self.unit = UNITS.get(stage, "steps")
        self._told_by = TOLD_BY.get(stage)
        self._counted, self._lines = stage in COUNTED, 0
        self._least = 1 if self._counted else ESTIMATING
        self._first: tuple[float, int, float] | None = None
        self._last: tuple[float, int, float] | None = None
        self.needs: Json = {}

    def expect(self, told: Json) -> None:
        """Take what the trainer says that the run needs (`estimate.json`)."""
        self.needs = {key: told.get(key) for key in ("memory_bytes", "seconds")}

    def read(self, line: Json) -> None:
        if line.get("progress") and self._told_by in (None, line.get("kind")):
            at = datetime.fromisoformat(line["clock"]["at"]).timestamp()
            self._lines += 1
            self._last = (float(line["progress"]), self._lines if self._counted else int(line["step"]), at)
            self._first = self._first or self._last

    def shown(self) -> Json:
        """{done, total, unit, rate, eta_s, note}; the rate is per second, and unknown below five steps.

        Before the first line {note, eta_s}, by the trainer's estimate, where there is one. estimate: {memory_bytes,
        seconds} that the run needs on its machine, null where its base tells no shape.
        """
        told: Json = {"estimate": self.needs} if self.needs else {}
        return self._counted_so_far() | told

    def _counted_so_far(self) -> Json:
        if not self._first or not self._last:
            seconds = self.needs.get("seconds")
            return {"note": "estimating"} | ({} if seconds is None else {"eta_s": round(seconds)})
        (share0, step0, at0), (share, step, at) = self._first, self._last
        shown: Json = {"done": step, "total": max(step, round(step / share)), "unit": self.unit, "note": ""}
        if step - step0 < self._least and share < 1:
            return shown | {"rate": None, "eta_s": None, "note": "estimating"}
        seconds = max(at - at0, 1e-3)
        left = (1 - share) * seconds / max(share - share0, 1e-9)
        return shown | {"rate": (step - step0) / seconds, "eta_s": round(left) if share < 1 else 0}
