"""The trainer's processes: one for each run, and a spare one that has imported torch and waits for the next command.

The imports take 4 to 6 s of a core; the spare does them while the run before is under way. A worker has one spare,
which ends with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from rlhf import env

TRAINER = [sys.executable, "-m", "trainer"]

_spares: list[subprocess.Popen[bytes]] = []


def start(command: list[str], *, log: Path) -> subprocess.Popen[bytes]:
    """A process that does the command, without the service's secrets; what it prints goes to the end of the log.

    It ends when its standard input, which we hold, ends. A command of TRAINER goes to the spare, and another is made.
    """
    if command[: len(TRAINER)] != TRAINER:
        return _open(command, log)
    line = json.dumps({"argv": command[len(TRAINER) :], "log": str(log)}) + "\n"
    taken = None
    while _spares and taken is None:
        taken = _tell(_spares.pop(), line.encode())
    child = taken or _open(command, log)
    prepare()
    return child


def prepare() -> None:
    """Have a spare, if there is none; returns at once."""
    if not _spares:
        _spares.append(_open([*TRAINER, "wait"], Path("/dev/null")))


def _open(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=settings.SOURCE,
            env=trainer_environment(),
            start_new_session=True,
        )


def _tell(spare: subprocess.Popen[bytes], line: bytes) -> subprocess.Popen[bytes] | None:
    """The spare, once it has its command; None where it has ended in the meantime."""
    assert spare.stdin is not None  # opened above
    if spare.poll() is not None:
        return None
    try:
        spare.stdin.write(line)
        spare.stdin.flush()
    except BrokenPipeError:
        spare.wait()
        return None
    return spare


def trainer_environment() -> dict[str, str]:
    """What every trainer process is started with.

    Threads wait without spinning, or a busy neighbour makes training eleven times slower. Without a GPU each is also
    bound to a core of its own: two that sleep between products otherwise woke on one core, no faster than one.
    """
    on_cpu = {} if Path("/dev/nvidiactl").exists() else {"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"}
    return (
        env.for_children()
        | on_cpu
        | {
            "OMP_WAIT_POLICY": "PASSIVE",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "PYTHONUNBUFFERED": "1",
            "TOUCHSTONE_HOME": str(settings.HOME),  # where the trainer keeps what this machine can do
        }
    )
