"""Character references in Markdown: `j&#97;ckpot` is read as `jackpot`."""

import re
from bisect import bisect_left
from html.entities import html5
from typing import Final

_REFERENCE: Final = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")
_BEGUN: Final = re.compile(r"&(?:#(?:[0-9]{0,7}|[xX][0-9a-fA-F]{0,6})|([A-Za-z][A-Za-z0-9]{0,31})?)\Z")
_NAMED: Final = {name[:-1]: value for name, value in html5.items() if name.endswith(";")}
_NAMES: Final = sorted(_NAMED)


def reference(text: str, at: int) -> tuple[str, int] | None:
    """Return what the reference at an `&` stands for, and where it ends; None if there is none."""
    if (found := _REFERENCE.match(text, at)) is None:
        return None
    decimal, hexadecimal, name = found.groups()
    if name is not None:
        return (_NAMED[name], found.end()) if name in _NAMED else None
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    is_character = 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return (chr(code) if is_character else "\ufffd"), found.end()


def could_become_reference(text: str, at: int) -> bool:
    """Whether what stands from an `&` to the end of the text may be the beginning of a reference."""
    if (begun := _BEGUN.match(text, at)) is None:
        return False
    name = begun[1] or ""
    place = bisect_left(_NAMES, name)
    return not name or (place < len(_NAMES) and _NAMES[place].startswith(name))
