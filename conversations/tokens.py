"""How many tokens a text is, offline: exact where the vocabulary is at hand, else an estimate."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

MESSAGE_OVERHEAD = 4  # role and separators around each message in OpenAI's chat format
_ASCII_PER_TOKEN = 3.6  # English prose is 4 to 4.5, code and numbers less: an estimate should not be low
_VOCABULARIES = {  # the first that fits: gpt-4o is not gpt-4
    "o200k_base": ("gpt-4o", "gpt-4.1", "gpt-5", "o1", "o3", "o4", "chatgpt-4o"),
    "cl100k_base": ("gpt-4", "gpt-3.5"),
}


@lru_cache(maxsize=64)
def counter_for(model: str) -> tuple[Callable[[str], int], bool]:
    """Return the function that counts for `model`, and whether it is exact."""
    name = model.rpartition("/")[2]
    vocabulary = next((known for known, names in _VOCABULARIES.items() if name.startswith(names)), None)
    if vocabulary is None or find_spec("bpe_openai") is None:  # the extra `tokens`
        return estimate, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its own files
        import bpe_openai  # takes half a second and 75 MB: only for who asks such a model

    encode = bpe_openai.get_encoding(vocabulary).encode_ordinary
    return lambda text: len(encode(text)), True


def estimate(text: str) -> int:
    """Guess, a little high: about one token a Chinese character, one for 3.6 ASCII characters.

    UTF-8's extra bytes tell the scripts apart without a look at each character: a Han character
    has two, an emoji three, a Cyrillic or accented letter one.
    """
    wide = (len(text.encode("utf-8", "replace")) - len(text)) / 2
    return int(wide + max(0.0, len(text) - wide) / _ASCII_PER_TOKEN) + 1
