"""A person of the demo at the REST API of the running service, and nothing but that API.

Connections go to the loopback address that the demo itself opened (`spec/security.md` 2 lists this file).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any  # JSON as the API answers it

Json = dict[str, Any]
PATIENCE_S = 60.0


class Refused(Exception):
    """An answer of 4xx or 5xx, with the sentence of the service."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(f"{status}: {answer.get('detail') or answer.get('code')}")
        self.status, self.answer = status, answer


class Person:
    """One person with a token of their own.

    Each request opens a connection of its own: any number of threads may ask, and whichever web process is free
    answers. Two people whose kept connections had met in one process waited for each other while the other idled.
    """

    def __init__(self, *, name: str, token: str, port: int) -> None:
        self.name = name
        self._token, self._port = token, port

    def get(self, path: str) -> Json:
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: Json, *, key: str | None = None) -> Json:
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        return self._ask("POST", path, json.dumps(body).encode(), headers)

    def patch(self, path: str, body: Json) -> Json:
        return self._ask("PATCH", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def upload(self, path: str, fields: dict[str, str], file: Path) -> Json:
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n'
        body = "".join(parts).encode() + head.encode() + b"Content-Type: application/octet-stream\r\n\r\n"
        body += file.read_bytes() + f"\r\n--{mark}--\r\n".encode()
        return self._ask("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={mark}"})

    def rows(self, path: str) -> Iterator[Json]:
        """Each row of a list, page by page."""
        joint = "&" if "?" in path else "?"
        page = self.get(path)
        while True:
            yield from page["results"]
            if not page.get("next"):
                return
            page = self.get(f"{path}{joint}cursor={page['next']}")

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Json:
        """One request, sent again while the service is away: each write here carries a key or may be repeated."""
        deadline = time.monotonic() + PATIENCE_S
        headers = {"Authorization": f"Bearer {self._token}", "Connection": "close", **headers}
        while True:
            try:
                with closing(HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)) as connection:
                    connection.request(method, f"/api/v1/{path}", body, headers)
                    answer = connection.getresponse()
                    content = answer.read()
                break
            except (OSError, HTTPException):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        found: Json = json.loads(content) if content else {}
        if answer.status >= 400:
            raise Refused(answer.status, found)
        return found
