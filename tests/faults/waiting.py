"""How tests wait: for the thing, with a limit for a machine that does ten other things."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 90.0


async def eventually(is_so: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait until something is so that nobody tells of, such as a row."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.05)
