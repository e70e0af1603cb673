"""Which module files a page will ask for, so that it can ask for all of them at once.

Without a build step a browser learns of a module only when it has read the one that imports it: a chain
of round trips before the page works.
"""

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings

from chatbot import assets

IMPORT = re.compile(r'^(?:import|export)\b[^"]*?\bfrom "(\.[^"]+)";$|^import "(\.[^"]+)";$', re.MULTILINE)


def modules_of(start: str) -> Sequence[str]:
    """Return the names ("js/timeline.js") that `start` imports by path, and theirs, nearest first."""
    return _find(start) if settings.DEBUG else _find_once(start)


def _find(start: str) -> tuple[str, ...]:
    files = assets.files()
    found = [start]
    for name in found:
        for first, second in IMPORT.findall(files[name].read_text("utf-8")):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(name), first or second))
            if imported not in found:
                found.append(imported)
    return tuple(found[1:])


_find_once = lru_cache(maxsize=32)(_find)
