"""The one error of annotate: a code for programs, a sentence for people."""

from __future__ import annotations


class AnnotateError(Exception):
    """Raised by actions. code is stable; sentence says what was found, what is allowed, what to do.

    status: the HTTP status that the API and the pages answer with.
    facts: what a program may need beside the code (ids, limits), JSON-able.
    """

    def __init__(self, code: str, sentence: str = "", *, status: int = 400, **facts: object) -> None:
        super().__init__(sentence or code)
        self.code = code
        self.sentence = sentence or code.replace("_", " ").capitalize() + "."
        self.status = status
        self.facts = facts
