"""People and programs at the API, for tests."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from annotate.actions.create_token import create_token
from annotate.models import Token, User

ROOT = "/api/v1/"


class Caller:
    """Somebody at the API: `ana.get("me/")`, `ana.post("queues/…/claim", {})`. The last answer's JSON is the result."""

    def __init__(self, user: User | None = None, *, key: str = "", csrf: bool = False) -> None:
        self.client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        if user is not None:
            self.client.force_login(user)

    def ask(self, method: str, path: str, body: Any = None, **given: str) -> Any:
        """The response."""
        headers = {**self.headers, **given}
        if body is None:
            return self.client.generic(method, ROOT + path, headers=headers)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(method, ROOT + path, data, content_type="application/json", headers=headers)

    def get(self, path: str, *, expect: int = 200, **headers: str) -> Any:
        return self._json("GET", path, None, expect, headers)

    def post(self, path: str, body: Any = None, *, expect: int = 200, **headers: str) -> Any:
        return self._json("POST", path, {} if body is None else body, expect, headers)

    def put(self, path: str, body: Any, *, expect: int = 200, **headers: str) -> Any:
        return self._json("PUT", path, body, expect, headers)

    def patch(self, path: str, body: Any, *, expect: int = 200, **headers: str) -> Any:
        return self._json("PATCH", path, body, expect, headers)

    def delete(self, path: str, *, expect: int = 204) -> Any:
        return self._json("DELETE", path, None, expect, {})

    def _json(self, method: str, path: str, body: Any, expect: int, headers: dict[str, str]) -> Any:
        response = self.ask(method, path, body, **headers)
        assert response.status_code == expect, (response.status_code, response.content[:500])
        return response.json() if response.content else None


def program(user: User, *scopes: str) -> Caller:
    """A program with a token of user."""
    _, key = create_token(user=user, name="a program", scopes=scopes or Token.Scope.values, days=1)
    return Caller(key=key)
