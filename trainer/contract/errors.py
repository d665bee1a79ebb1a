"""The trainer's one error. Codes are for programs, sentences for people."""


class TrainerError(Exception):
    """A run cannot start or go on.

    code: a word from `exits.EXIT_OF`, for programs.
    sentence: the value found, what is allowed, the way out.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


class Paused(TrainerError):
    """Monitors have stopped the run after a checkpoint, so that a person looks; monitors_off names those to ignore."""

    def __init__(self, monitors: list[str], sentence: str) -> None:
        super().__init__("paused", sentence)
        self.monitors = monitors


class Stopped(Exception):
    """Someone has asked the run to stop; whoever holds a whole step saves it and lets this pass."""
