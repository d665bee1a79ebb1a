"""The one error of rlhf: a code for programs, a sentence for people."""

from __future__ import annotations


class LaunchError(Exception):
    """Raised before anything is queued. fields: config field → sentence, where single fields are at fault."""

    def __init__(
        self, code: str, sentence: str = "", *, status: int = 400, fields: dict[str, str] | None = None
    ) -> None:
        super().__init__(sentence or code)
        self.code = code
        self.sentence = sentence or code.replace("_", " ").capitalize() + "."
        self.status = status
        self.fields = fields or {}
