"""How many tokens a text is, offline: exact where the vocabulary is at hand, else an estimate."""

from collections.abc import Callable
from functools import lru_cache

try:
    import bpe_openai
except ImportError:  # the extra `tokens`
    bpe_openai = None

MESSAGE_OVERHEAD = 4  # role and separators around each message in OpenAI's chat format
_ASCII_PER_TOKEN = 3.6  # English prose is 4 to 4.5, code and numbers less: an estimate should not be low
_O200K = ("gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4", "chatgpt-4o")
_CL100K = ("gpt-4", "gpt-3.5")


@lru_cache(maxsize=64)
def counter_for(model: str) -> tuple[Callable[[str], int], bool]:
    """Return the function that counts for `model`, and whether it is exact."""
    name = model.rpartition("/")[2]
    if bpe_openai is not None:
        if name.startswith(_O200K):
            return bpe_openai.o200k_base().count, True
        if name.startswith(_CL100K):
            return bpe_openai.cl100k_base().count, True
    return estimate, False


def estimate(text: str) -> int:
    """Guess, a little high: about one token a Chinese character, one for 3.6 ASCII characters.

    UTF-8's extra bytes tell the scripts apart without a look at each character: a Han character
    has two, an emoji three, a Cyrillic or accented letter one.
    """
    wide = (len(text.encode("utf-8", "replace")) - len(text)) / 2
    return int(wide + max(0.0, len(text) - wide) / _ASCII_PER_TOKEN) + 1
