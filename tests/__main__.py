"""`python -m tests`: all tests, each group in a pytest of its own, and one closing line for all.

Tests that touch a database run on SQLite and on PostgreSQL, the others once. Browser tests have a
pytest of their own: playwright leaves an event loop running, which breaks every asynchronous test
after it. The groups go in two lanes side by side, because most tests wait more than they work; what
the second lane says is shown when the first has ended.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

NOTHING_COLLECTED = 5  # pytest's exit code
WIDTH = 80


@dataclass(frozen=True, slots=True)
class Group:
    """One run of pytest. `may_be_empty` lets it find no test at all."""

    title: str
    arguments: tuple[str, ...]
    database: str = "sqlite"
    may_be_empty: bool = False


NOT_BROWSER = ("--ignore=tests/browser",)
LANES = (
    (
        Group("without a database", (*NOT_BROWSER, "-m", "not database")),
        Group("on PostgreSQL", (*NOT_BROWSER, "-m", "database"), "postgres"),
        Group(
            "in the browser, on PostgreSQL",
            ("tests/browser", "-m", "database"),
            "postgres",
            may_be_empty=True,
        ),
    ),
    (
        Group("on SQLite", (*NOT_BROWSER, "-m", "database")),
        Group("in the browser", ("tests/browser",)),
    ),
)


@dataclass(slots=True)
class Result:
    """What came out: how many tests passed, failed and so on, and which did not pass."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing failed and something ran."""
        return not self.broken and self.counts["passed"] > 0

    def closing_line(self, seconds: float) -> str:
        """Say it as pytest does."""
        words = ("failed", "passed", "skipped", "error")
        told = ", ".join(
            f"{self.counts[word]} {word}{'s' if word == 'error' and self.counts[word] > 1 else ''}"
            for word in words
            if self.counts[word]
        )
        spent = f"{seconds:.2f}s ({timedelta(seconds=int(seconds))})"
        return f" {told or 'no tests ran'} in {spent} ".center(WIDTH, "=")


def run(group: Group, arguments: Sequence[str], output: IO[bytes] | None) -> Result:
    """Run a group, writing what it says to `output`, None: to the terminal; add up what came out."""
    said = f"\nTests {group.title}\n"
    if output is None:
        print(said, end="", flush=True)
    else:
        output.write(said.encode())
        output.flush()
    result = Result()
    with tempfile.TemporaryDirectory(prefix="tests-") as directory:
        report = Path(directory) / "report.xml"
        code = subprocess.run(
            [sys.executable, "-m", "pytest", *group.arguments, f"--junit-xml={report}", *arguments],
            env={**os.environ, "TEST_DATABASE": group.database},
            stdout=output,
            stderr=output,
            check=False,
        ).returncode
        if code == NOTHING_COLLECTED and (group.may_be_empty or arguments):
            return result
        if report.exists():
            read(report, group, result)
        if code and not result.broken:
            result.counts["error"] += 1
            result.broken.append(f"{group.title}: pytest ended with {code}")
    return result


def read(report: Path, group: Group, result: Result) -> None:
    """Add up one report in JUnit's format."""
    for case in ElementTree.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            result.counts["failed" if "failure" in outcomes else "error"] += 1
            result.broken.append(f"{group.title}: {case.get('classname')}.{case.get('name')}")
        elif "skipped" in outcomes:
            result.counts["skipped"] += 1
        else:
            result.counts["passed"] += 1


def main() -> int:
    """Run all groups, whatever fails on the way; 0 when everything passed."""
    began_at = time.monotonic()
    arguments = sys.argv[1:]
    first, second = LANES
    with tempfile.TemporaryFile() as said, ThreadPoolExecutor() as threads:
        beside = threads.submit(lambda: [run(group, arguments, said) for group in second])
        results = [run(group, arguments, None) for group in first]
        print("\nTests on SQLite and in the browser go on; they are shown when they have ended.", flush=True)
        results += beside.result()
        said.seek(0)
        shutil.copyfileobj(said, sys.stdout.buffer)
    result = Result()
    for each in results:
        result.counts += each.counts
        result.broken += each.broken
    print()
    for name in result.broken:
        print(f"FAILED {name}")
    print(result.closing_line(time.monotonic() - began_at), flush=True)
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
