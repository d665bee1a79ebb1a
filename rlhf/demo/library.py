"""The demo's text: the documentation that Python's standard library carries.

Run as `python -m rlhf.demo.library <folder>` it imports every standard module, so it is a process of its own: what a
module prints or leaves behind goes with it. It writes documents.jsonl (`text`, `address`, `group`) and pairs.jsonl
(`instruction`, `answer`, `group`); a pair stands in the group of the document that it was taken from.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from types import ModuleType
from typing import TextIO

# These open a browser, a window or a prompt, or hold tests and old Python; their text is not worth that.
LEFT_OUT = {"antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3", "ensurepip", "__main__"}
MOST_CHARACTERS = 600
SHORTEST_ANSWER, LONGEST_ANSWER = 4, 40  # words


def main(folder: Path) -> None:
    """Write both files into folder. Some 10,900 documents and 6,000 pairs, in a second or two."""
    first: dict[str, str] = {}  # text -> the name that it was first found under: equal texts share a group
    answered: set[str] = set()
    with (
        (folder / "documents.jsonl").open("w", encoding="utf-8") as documents,
        (folder / "pairs.jsonl").open("w", encoding="utf-8") as pairs,
    ):
        for name, doc in described():
            text = doc[:MOST_CHARACTERS].strip()
            group = first.setdefault(text, name)
            write(documents, {"text": text, "address": name, "group": group})
            answer = " ".join(doc.split("\n\n")[0].split())
            if (
                is_question(name)
                and SHORTEST_ANSWER <= len(answer.split()) <= LONGEST_ANSWER
                and answer not in answered
            ):
                answered.add(answer)
                write(pairs, {"instruction": f"What does {name} do?", "answer": answer, "group": group})


def write(file: TextIO, row: dict[str, str]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def is_question(name: str) -> bool:
    """False for topics, and for the private twins of public modules."""
    return not name.startswith("_") and not name.endswith("(topic)")


def described() -> Iterator[tuple[str, str]]:
    """(qualified name, documentation), each name once, in the order of the alphabet."""
    found: dict[str, str] = {}
    for module in modules():
        keep(found, module.__name__, module)
        for name, thing in sorted(vars(module).items(), key=lambda item: item[0]):
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            keep(found, f"{module.__name__}.{name}", thing)
            if inspect.isclass(thing):
                for method, function in sorted(vars(thing).items(), key=lambda item: item[0]):
                    if callable(function) or isinstance(function, property | classmethod | staticmethod):
                        keep(found, f"{module.__name__}.{name}.{method}", function)
    for topic, text in topics.items():
        found[f"{topic} (topic)"] = text
    yield from sorted(found.items())


def keep(found: dict[str, str], name: str, thing: object) -> None:
    doc = getattr(thing, "__doc__", None)
    if isinstance(doc, str) and doc.strip():
        found.setdefault(name, inspect.cleandoc(doc))


def modules() -> Iterator[ModuleType]:
    """Every standard module that can be imported here, packages walked."""
    names = sorted(sys.stdlib_module_names - LEFT_OUT)
    while names:
        name = names.pop(0)
        if set(name.split(".")) & LEFT_OUT or name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit):  # a module for another system, or one that needs what is not installed
            continue
        yield module
        if hasattr(module, "__path__"):
            names[:0] = [f"{name}.{part.name}" for part in pkgutil.iter_modules(module.__path__)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(Path(sys.argv[1]))
