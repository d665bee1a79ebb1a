"""What this machine can do: measured once by `doctor`, kept where every estimate finds it, corrected by finished runs.

The file is `machine.json` in TOUCHSTONE_HOME, or where that is not set in ~/.cache/touchstone.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

FIRST_EFFICIENCY = 0.5  # of the measured rate, before a run of the stage and width has shown its own (M6)
LAZY_BYTES = 30 * 2**20  # of what a stage imports only when it first loads a model
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Rate:
    """What a machine does in a second: products, as FLOP, and memory that it reads, in bytes."""

    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Machine:
    """Measured rates, and the share of them that runs have reached, by stage and width."""

    flops: float  # float32 products a second, FLOP
    bandwidth: float  # bytes a second
    efficiency: dict[str, float] = field(default_factory=dict)

    def rate(self, stage: str, width: int) -> Rate:
        """What a run of the stage may expect (M6)."""
        share = self.efficiency.get(_key(stage, width), FIRST_EFFICIENCY)
        return Rate(share * self.flops, share * self.bandwidth)

    def taught(self, stage: str, width: int, *, expected_s: float, took_s: float) -> "Machine":
        """The machine after a run that was expected to take so long, and took so long: half old, half new."""
        key = _key(stage, width)
        old = self.efficiency.get(key, FIRST_EFFICIENCY)
        found = old * expected_s / max(took_s, 1e-3)
        known = found if key not in self.efficiency else (old + found) / 2
        return replace(self, efficiency={**self.efficiency, key: known})


def path() -> Path:
    """Where the machine's measurements lie."""
    home = os.environ.get("TOUCHSTONE_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(home) if home else Path(cache).expanduser() / "touchstone") / "machine.json"


def load() -> Machine | None:
    """What `doctor` found here; None where it has not looked, or its file cannot be read."""
    try:
        known = json.loads(path().read_text(encoding="utf-8"))
        efficiency = {str(key): float(value) for key, value in known["efficiency"].items()}
        return Machine(float(known["flops"]), float(known["bandwidth"]), efficiency)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save(machine: Machine, more: Mapping[str, object] | None = None) -> None:
    """Keep it for the next estimate. more: what `doctor` reports beside it; what it has reported before stays."""
    place = path()
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    beside.write_text(json.dumps({**known, **(more or {}), **asdict(machine)}, indent=1) + "\n", encoding="utf-8")
    beside.replace(place)


def free_bytes() -> int:
    """Memory that this process may still take: what the system has available, within the limits of its groups."""
    available = _table(Path("/proc/meminfo")).get("MemAvailable", 0) * 1_024
    found = [_left(limit, used) for limit, used in _limits()]
    return min([available, *(left for left in found if left is not None)])


def resident_bytes() -> int:
    """Memory that this process holds now."""
    return _table(Path("/proc/self/status")).get("VmRSS", 0) * 1_024


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return _table(Path("/proc/self/status")).get("VmHWM", 0) * 1_024


def _key(stage: str, width: int) -> str:
    return f"{stage}/{width}"


def _table(place: Path) -> dict[str, int]:
    """The numbers of a table that the kernel writes, in KiB."""
    try:
        lines = [line.split() for line in place.read_text().splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _limits() -> list[tuple[Path, Path]]:
    """(limit, use) of memory in each control group that holds this process, of either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:
            root, files = _GROUPS, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, files = _GROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inner = root / name.lstrip("/")
        found += [
            (place / files[0], place / files[1]) for place in (inner, *inner.parents) if root in (place, *place.parents)
        ]
    return found


def _left(limit: Path, used: Path) -> int | None:
    """What a group may still take; its cached files do not count as used. None where it has no limit."""
    try:
        whole, taken = limit.read_text().strip(), int(used.read_text())
    except (OSError, ValueError):
        return None
    if not whole.isdigit():
        return None
    cached = _stat(limit.with_name("memory.stat"))
    return max(0, int(whole) - max(0, taken - cached))


def _stat(place: Path) -> int:
    try:
        lines = dict(line.split() for line in place.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(lines.get("inactive_file", 0)) + int(lines.get("active_file", 0))
