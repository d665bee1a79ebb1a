"""The process behind the playground: it owns one `python -m trainer generate --serve` and passes lines to and fro.

One base is in memory at a time; another one's request waits until the answers before it have ended. After ten quiet
minutes the child ends and gives its memory back.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import redis
from django.conf import settings
from django.db import close_old_connections

from rlhf import storage
from rlhf.broker import connect
from rlhf.children import trainer_environment
from rlhf.models import Model
from rlhf.playground import ALIVE, ALIVE_S, KEEP_S, REQUESTS
from trainer.contract import configs

log = logging.getLogger(__name__)

POLL_MS = 200
IDLE_S = 600.0
RETRY_S = 2.0
ADAPTERS = (Model.Kind.SFT, Model.Kind.POLICY)
Json = dict[str, Any]  # Any: a JSON object


def serve(stop: Callable[[], bool]) -> None:
    """Answer requests until stop says so. Where Redis is away, wait for it."""
    generator = _Generator(connect())
    last = ""
    try:
        while not stop():
            try:
                last = generator.step(last or generator.newest())
            except redis.RedisError as error:
                log.warning("the message queue cannot be reached: %s", type(error).__name__)
                sleep(RETRY_S)
    finally:
        generator.close()


def command(folder: Path) -> list[str]:
    """The trainer, as a server of what stands in folder."""
    return [sys.executable, "-m", "trainer", "generate", "--serve", str(folder)]


class _Generator:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._waiting: deque[Json] = deque()
        self._child: _Child | None = None
        self._used_at = monotonic()

    def newest(self) -> str:
        """The place of the last request so far; who asked before this process lived has given up."""
        found: Any = self._client.xrevrange(REQUESTS, count=1)  # Any: redis-py types its answers loosely
        return found[0][0] if found else "0-0"

    def step(self, last: str) -> str:
        """Read what was asked, pass on what can go. Returns the place up to which requests were read."""
        self._client.set(ALIVE, "1", ex=ALIVE_S)
        found: Any = self._client.xread({REQUESTS: last}, block=POLL_MS)  # Any: redis-py types its answers loosely
        for _, entries in found:
            for place, fields in entries:
                last = place
                self._take(json.loads(fields["json"]))
        self._pass_on()
        return last

    def close(self) -> None:
        self._client.delete(ALIVE)
        if self._child:
            self._child.end()

    def _take(self, request: Json) -> None:
        if "cancel" not in request:
            self._waiting.append(request)
            return
        self._waiting = deque(one for one in self._waiting if one["id"] != request["cancel"])
        if self._child:
            self._child.write({"cancel": request["cancel"]})

    def _pass_on(self) -> None:
        """Give the child what it can answer; swap it where another base is asked for and it has nothing to do."""
        if self._child and not self._child.alive():
            self._child.fail_all()
            self._child = None
        while self._waiting and self._give(self._waiting[0]):
            self._waiting.popleft()
        if self._child and not self._child.busy() and monotonic() - self._used_at > IDLE_S:
            self._child.end()
            self._child = None

    def _give(self, request: Json) -> bool:
        """Whether the request is on its way, or refused."""
        close_old_connections()
        model = Model.objects.select_related("base").filter(uuid=request["model"]).first()
        if model is None:
            _say(self._client, request["id"], {"error": {"code": "no_model", "sentence": "This model is gone."}})
            return True
        base = model.base or model
        if self._child and self._child.base != base.sha256:
            if self._child.busy():
                return False
            self._child.end()
            self._child = None
        try:
            self._child = self._child or _Child(self._client, base)
            adapter = self._child.lay_out(model) if model.kind in ADAPTERS else None
        except (storage.MissingFile, OSError) as error:
            _say(self._client, request["id"], {"error": {"code": "no_model", "sentence": str(error)}})
            return True
        line = {key: value for key, value in request.items() if key != "model"}
        self._child.ask(line | {"adapter": adapter, "stream": True})
        self._used_at = monotonic()
        return True


class _Child:
    """One trainer that serves one base; a thread passes its lines on."""

    def __init__(self, client: redis.Redis, base: Model) -> None:
        self.base = base.sha256
        self._client = client
        self._folder = _folder_for(base)
        self._open: set[str] = set()
        self._log = (self._folder / "log.txt").open("ab")
        self._process = subprocess.Popen(
            command(self._folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=settings.SOURCE,
            env=trainer_environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lay_out(self, model: Model) -> str:
        """The name by which the child finds the adapter; its folder is made where it is not there yet."""
        folder = self._folder / "parents" / model.sha256
        if not folder.exists():
            storage.lay_out(model.files, folder)
        return model.sha256

    def ask(self, line: Json) -> None:
        self._open.add(line["id"])
        self.write(line)

    def write(self, line: Json) -> None:
        assert self._process.stdin is not None  # opened above
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # the child is dead; fail_all tells those who wait

    def busy(self) -> bool:
        return bool(self._open)

    def alive(self) -> bool:
        return self._process.poll() is None

    def fail_all(self) -> None:
        """Tell all who wait that the child has died, with its own last words."""
        self._reader.join()
        self._log.close()
        last = (self._folder / "log.txt").read_text(errors="replace").strip().rsplit("\n", 1)[-1]
        for name in list(self._open):
            _say(
                self._client, name, {"error": {"code": "lost", "sentence": f"The model could not answer. {last[:300]}"}}
            )

    def end(self) -> None:
        self.write({"quit": True})
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # opened above
        for text in self._process.stdout:
            line = json.loads(text)
            name = line.pop("id", None)
            line.pop("token_ids", None)
            if name is None:
                continue
            if "done" in line or "error" in line:
                self._open.discard(name)
            _say(self._client, name, line)


def _say(client: redis.Redis, name: str, line: Json) -> None:
    """Add a line to an answer's stream; while Redis is away the answer is lost, and its asker says so."""
    try:
        client.xadd(f"chat:{name}", {"json": json.dumps(line)})
        client.expire(f"chat:{name}", KEEP_S)
    except redis.RedisError as error:
        log.warning("a line of an answer is lost: %s", type(error).__name__)


def _folder_for(base: Model) -> Path:
    """A run directory that serves this base."""
    folder = Path(settings.HOME) / "generator" / base.sha256[:16]
    if not (folder / "config.json").exists():
        storage.lay_out(base.files, folder / "parents" / "base")
        config = configs.GenerateConfig(seed=0, base_sha256=base.sha256, adapters=[""], threads=settings.WORKER_THREADS)
        (folder / "config.json").write_text(json.dumps(configs.dump(config)), encoding="utf-8")
    return folder
