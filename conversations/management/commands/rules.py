"""`manage.py rules import FILE | export FILE`: the rules of screening as JSON, and those we ship."""

import sys
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from conversations import rulebook, shippedrules
from conversations.moderation import rules
from conversations.moderation.rules import Rule, RuleError

BY = "manage.py rules"
_TERMINAL = "-"


class Command(BaseCommand):
    """Bring rules in, or take them along."""

    help = 'Import or export the rules of screening; a file is JSON, {"rules": [...]}, and `-` the terminal.'

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        taking = actions.add_parser("import", help="Put rules live; one of a name that is known is changed.")
        taking.add_argument("file", nargs="?", help="The file, or `-`.")
        taking.add_argument(
            "--shipped", action="store_true", help="Take the rules that come with the product."
        )
        taking.add_argument("--list", dest="word_list", default="", help="The list they belong to.")
        taking.add_argument(
            "--replace",
            action="store_true",
            help="Take out what else is in this list; without --list, in none.",
        )
        taking.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")
        giving = actions.add_parser("export", help="Write the rules that are in force.")
        giving.add_argument("file", help="The file, or `-`.")
        giving.add_argument("--list", dest="word_list", default=None, help="Only those of this list.")
        giving.add_argument("--json", action="store_true", help="JSON; it is the only form there is.")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Do it. Raises CommandError, and then nothing was changed."""
        if action == "export":
            self._export(options["file"], options["word_list"])
            return
        if options["shipped"] == bool(options["file"]):
            raise CommandError("Name a file, or say --shipped.")
        if options["shipped"] and (options["word_list"] or options["replace"]):
            raise CommandError("The shipped rules have lists of their own: leave out --list and --replace.")
        try:
            with transaction.atomic():
                if options["shipped"]:
                    done = load_shipped()
                else:
                    done = [
                        rulebook.put(
                            _read(options["file"]),
                            by=BY,
                            word_list=options["word_list"],
                            replaces_list=options["replace"],
                        )
                    ]
        except RuleError as error:
            raise CommandError(str(error)) from error
        counts = {
            "made": sum(len(each.made) for each in done),
            "changed": sum(len(each.changed) for each in done),
            "taken_out": sum(len(each.gone) for each in done),
            "unchanged": sum(len(each.same) for each in done),
        }
        if options["json"]:
            self.stdout.write(orjson.dumps(counts).decode())
        else:
            said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
            self.stderr.write(f"Rules: {said}.")

    def _export(self, file: str, word_list: str | None) -> None:
        found = rulebook.export(word_list)
        if word_list is not None and not found:
            raise CommandError(f"No rule in force belongs to a list `{word_list}`.")
        text = orjson.dumps({"rules": found}, option=orjson.OPT_INDENT_2).decode()
        if file == _TERMINAL:
            self.stdout.write(text)
            return
        try:
            Path(file).write_text(text + "\n", "utf-8")
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stderr.write(f"{len(found)} rules were written to {file}.")


def load_shipped() -> list[rulebook.Comparison]:
    """Put the shipped rules live, each list as one change."""
    return [rulebook.put(each, by=BY, word_list=name) for name, each in shippedrules.lists().items()]


def _read(file: str) -> list[Rule]:
    """Return the rules of a file. Raises CommandError, RuleError."""
    name = "What came in" if file == _TERMINAL else file
    try:
        data = sys.stdin.buffer.read() if file == _TERMINAL else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    try:
        said = orjson.loads(data)
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}.") from error
    rows = said.get("rules") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise CommandError(f'{name} is not {{"rules": [...]}}.')
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise CommandError(f"Rule {place} of {name} is not an object.")
    return rules.read(rows)
