"""How a run ends, as its process tells it: exit codes, and the one that each error's code comes to (C6)."""

FINISHED, UNEXPECTED, REFUSED, NOT_FINITE, OUT_OF_MEMORY, DISK_FULL, PAUSED, CANCELLED, BUSY = range(9)
KILLED_TWICE = 143
EXIT_OF = {
    **dict.fromkeys(
        (
            "bad_config",
            "bad_data",
            "too_few_rows",
            "heldout_in_train",
            "no_heldout",
            "other_base",
            "own_code",
            "pickled_weights",
            "no_safetensors",
            "no_end_token",
            "no_template",
            "template_differs",
            "bad_adapter",
            "rank_shrinks",
            "context_too_long",
            "too_big",
            "no_space",
            "changed_run",
            "foreign_file",
            "no_device",
        ),
        REFUSED,
    ),
    "not_finite": NOT_FINITE,
    "ratio_gate": NOT_FINITE,
    "negative_kl": NOT_FINITE,
    "out_of_memory": OUT_OF_MEMORY,
    "disk_full": DISK_FULL,
    "paused": PAUSED,
    "busy": BUSY,
    "reload_differs": UNEXPECTED,
    "unexpected": UNEXPECTED,
}
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


def lacks_memory(error: Exception) -> bool:
    """Whether an error, of Python, torch or the system, says that memory did not suffice."""
    said = str(error).lower()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(word in said for word in _MEMORY_WORDS)
