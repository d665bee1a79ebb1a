"""The service's settings and one more address, for `bench/queue.py` alone."""

from rlhf.settings import *  # noqa: F403 all of them

ROOT_URLCONF = "bench.bare"
