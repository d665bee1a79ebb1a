"""How bodies are read: JSON of bounded depth without NaN, forms, and files that go to disk as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import JSONParser

from annotate.api.problems import Problem

DEEPEST = 20
TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[][{}]', re.DOTALL)  # a string, even one that never ends, or a bracket
OPENING, CLOSING = {"[", "{"}, {"]", "}"}


class BoundedJSON(JSONParser):
    """JSON of at most DEEPEST levels. Duplicate names, NaN and infinities are refused."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:  # Any: whatever JSON holds
        try:
            text = stream.read().decode("utf-8")
            if _depth(text) > DEEPEST:
                raise Problem("too_deep", f"The body nests deeper than {DEEPEST} levels.")
            return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
        except (ValueError, RecursionError):
            raise Problem("bad_json", "The body is not JSON in UTF-8, or a name stands twice in one object.") from None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _depth(text: str) -> int:
    """The deepest level of brackets outside of strings; found before anything is built, in linear time."""
    deepest = level = 0
    for found in TOKEN.finditer(text):
        sign = found.group()
        if sign in OPENING:
            level += 1
            deepest = max(deepest, level)
        elif sign in CLOSING:
            level -= 1
    return deepest
