"""Counted randomness: a seed is a function of names, so that resume and re-sharding draw the same numbers."""

import hashlib
import json


def seed_for(seed: int, *names: str | int) -> int:
    """The 64-bit seed of one named use of randomness, e.g. `seed_for(seed, "order", epoch)`.

    The first 8 bytes, big-endian, of the SHA-256 of the compact JSON list of seed and names.
    """
    text = json.dumps([seed, *names], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
