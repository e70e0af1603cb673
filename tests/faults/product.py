"""The product as it runs: its database and Redis, its processes and its visitors' clients."""

import asyncio
import subprocess
import sys
from pathlib import Path

from chatbot import children
from tests.faults.client import Client
from tests.faults.database import Database
from tests.faults.waiting import PATIENCE_S
from tests.faults.web import Address, WebProcess
from tests.redis_server import RedisServer

LIMITS = (
    "LIMIT_FRAMES_PER_10S",
    "LIMIT_TURNS_PER_MINUTE_VISITOR",
    "LIMIT_TURNS_PER_MINUTE_ADDRESS",
    "LIMIT_PARALLEL_TURNS_VISITOR",
)
CONFIG = """\
providers:
  scripted: {kind: scripted}
models:
  scripted: {provider: scripted, model: scripted, max_output_tokens: 4000, context_tokens: 128000}
routes:
  default: [scripted]
"""
# Counted at the end of every test: messages answered by two turns, and ended turns without an answer.
IMPOSSIBLE = (
    "conversations_turn a JOIN conversations_turn b ON a.conversation_id = b.conversation_id AND a.id < b.id"
    ' AND b.replaces_id IS NULL AND a."after" < b.through AND b."after" < a.through',
    "conversations_turn t LEFT JOIN conversations_message m ON m.turn_id = t.id"
    " WHERE (t.finished_at IS NULL) <> (m.id IS NULL)",
)


class Product:
    """What the processes share. `expected` are the warnings that a test's fault must cause."""

    def __init__(self, directory: Path, database: Database) -> None:
        self.directory = directory
        self.database = database
        self.redis = RedisServer()
        self.expected: set[str] = set()
        self.webs: list[WebProcess] = []
        self._clients: list[Client] = []
        self._addresses: list[Address] = []
        self._worker: subprocess.Popen[bytes] | None = None
        self.configure(CONFIG)

    # Who takes part

    def configure(self, config: str) -> None:
        """Write another config.yaml; processes started from now on read it."""
        (self.directory / "config.yaml").write_text(config)

    def address(self) -> Address:
        """Open a listening socket."""
        made = Address()
        self._addresses.append(made)
        return made

    def web(self, address: Address | None = None, **env: str) -> WebProcess:
        """Start a web process at `address`, or at one of its own."""
        log = self.directory / f"web-{len(self.webs)}.log"
        made = WebProcess(address or self.address(), log, {**self._env(), **env})
        self.webs.append(made)
        return made

    def client(self, *addresses: Address, like: Client | None = None) -> Client:
        """A visitor's tab that connects to the first of `addresses`, when it is told to."""
        made = Client(*addresses, like=like)
        self._clients.append(made)
        return made

    def start_worker(self, *more: str) -> None:
        """Start a Celery worker for the queue `after`; with `--beat` it has the schedule too."""
        words = "-A chatbot.celery worker -Q after -P threads -c 1 --without-mingle --without-gossip -n a@b"
        command = [sys.executable, "-m", "celery", *words.split(), *more]
        with (self.directory / "worker.log").open("ab") as out:
            self._worker = subprocess.Popen(
                command, **children.options(self._env()), stdout=out, stderr=subprocess.STDOUT
            )

    def kill_worker(self) -> None:
        """End the worker as a power cut would."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait(PATIENCE_S)
            self._worker = None

    async def run(self, code: str) -> None:
        """Run code as a command of the product would."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"import django; django.setup(); import chatbot.celery; {code}",
            **children.options(self._env()),
        )  # fmt: skip
        assert await process.wait() == 0

    def _env(self) -> dict[str, str]:
        return {
            "CHATBOT_VAR": str(self.directory),
            "CHATBOT_CONFIG": str(self.directory / "config.yaml"),
            "DATABASE_URL": self.database.url,
            "REDIS_URL": self.redis.url,
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "json",
            "DJANGO_SETTINGS_MODULE": "chatbot.settings",
            **dict.fromkeys(LIMITS, "0"),
        }

    # What is stored

    def stored(self, turn_id: str) -> tuple[str, str]:
        """Return an ended turn's status and the text of its answer."""
        [(status, text)] = self.database.rows(
            "SELECT t.status, m.text FROM conversations_turn t"
            f" JOIN conversations_message m ON m.turn_id = t.id WHERE t.id = '{turn_id}'"
        )
        return status, text

    def count(self, what: str) -> int:
        """Count rows: `what` stands after FROM."""
        return int(self.database.rows(f"SELECT COUNT(*) FROM {what}")[0][0])

    # The end

    async def close(self) -> None:
        """End everything in order: nobody has complained, and each process there is ends with 0."""
        try:
            await asyncio.gather(*(client.leave() for client in self._clients))
            running = [web for web in self.webs if not web.has_ended]
            for web in running:
                web.thaw()
                web.terminate()
            codes = [await web.ended() for web in running]
            complaints = [
                f"{web.log.name}: {line}" for web in self.webs for line in web.complaints(self.expected)
            ]
            assert not complaints, "\n".join(complaints)
            assert not any(codes), codes
            assert [self.count(each) for each in IMPOSSIBLE] == [0] * len(IMPOSSIBLE)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        for web in self.webs:
            if not web.has_ended:
                web.kill()
        self.kill_worker()
        for address in self._addresses:
            address.socket.close()
        self.redis.close()
        self.database.drop()
