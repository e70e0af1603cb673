"""`python -m tests`: all tests, each group in a pytest of its own, and one closing line for all.

Tests that touch a database run on SQLite and on PostgreSQL, the others once. Browser tests run
alone: playwright leaves an event loop running, which breaks every asynchronous test after it.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
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
GROUPS = (
    Group("without a database", (*NOT_BROWSER, "-m", "not database")),
    Group("on SQLite", (*NOT_BROWSER, "-m", "database")),
    Group("on PostgreSQL", (*NOT_BROWSER, "-m", "database"), "postgres"),
    Group("in the browser", ("tests/browser",)),
    Group(
        "in the browser, on PostgreSQL", ("tests/browser", "-m", "database"), "postgres", may_be_empty=True
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


def run(group: Group, result: Result, arguments: list[str]) -> None:
    """Run a group, its output going straight to the terminal, and add up what came out."""
    print(f"\nTests {group.title}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tests-") as directory:
        report = Path(directory) / "report.xml"
        code = subprocess.run(
            [sys.executable, "-m", "pytest", *group.arguments, f"--junit-xml={report}", *arguments],
            env={**os.environ, "TEST_DATABASE": group.database},
            check=False,
        ).returncode
        if code == NOTHING_COLLECTED and group.may_be_empty:
            return
        if report.exists():
            read(report, group, result)
        if code and not any(name.startswith(f"{group.title}: ") for name in result.broken):
            result.counts["error"] += 1
            result.broken.append(f"{group.title}: pytest ended with {code}")


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
    result = Result()
    for group in GROUPS:
        run(group, result, sys.argv[1:])
    print()
    for name in result.broken:
        print(f"FAILED {name}")
    print(result.closing_line(time.monotonic() - began_at), flush=True)
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
