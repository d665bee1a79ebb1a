"""JSON from outside: whatever is wrong with it is one kind of error."""

import json
from typing import Any


def loads(data: bytes) -> Any:  # Any: JSON
    """The value of UTF-8 JSON whose strings are whole characters. Raises ValueError, whatever is wrong."""
    try:
        value = json.loads(data)
        if rb"\ud" in data.lower():  # half a character, which only an escape can write
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value
