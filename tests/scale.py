"""How many rounds the repeated tests run: a sample in `make test`, the full size in `make test-long`."""

import os

SCALE = os.environ.get("TEST_SCALE", "sample")


def count(sample: int, full: int) -> int:
    """Choose the number of rounds for this run."""
    return full if SCALE == "full" else sample
