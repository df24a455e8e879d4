"""`manage.py audit verify|export|head`: the log of who did what, checked and taken along."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation import audit


def moment(word: str) -> datetime:
    try:
        at = datetime.fromisoformat(word)
    except ValueError as error:
        raise ArgumentTypeError(f"{word!r} is no time such as 2026-11-25 or 2026-11-25T14:30:00.") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Verify the chain of the audit log, export the log as JSON lines, or tell its last hash to write down."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        verify = acts.add_parser("verify", help="look at every line; exit status 1 and the first that is broken")
        verify.add_argument("--head", default="", help="a hash that was told earlier: it must be there, too")
        verify.add_argument("--json", action="store_true")
        export = acts.add_parser("export", help="all sealed lines, an object a line, the first first")
        export.add_argument("--since", type=moment, help="only from this time on (UTC unless it says otherwise)")
        export.add_argument("--json", action="store_true", help="as always: JSON lines")
        acts.add_parser("head", help="number and hash of the last line; keep them outside of this machine")

    def handle(self, *args: Any, **options: Any) -> None:
        {"verify": self._verify, "export": self._export, "head": self._head}[options["act"]](options)

    def _verify(self, options: dict[str, Any]) -> None:
        found = audit.verify(head=options["head"])
        if options["json"]:
            told = {"whole": found.whole, "lines": found.lines, "head": found.head, "broken": found.broken}
            self.stdout.write(json.dumps(told | {"unsealed": found.unsealed}))
        if not found.whole:
            raise CommandError(found.broken)
        if not options["json"]:
            self.stdout.write(f"{found.lines:,} lines hold; the last hash is {found.head}.")
            if found.unsealed:
                self.stdout.write(f"{found.unsealed:,} lines came meanwhile and are not sealed yet.")

    def _export(self, options: dict[str, Any]) -> None:
        audit.seal()
        written = 0
        for line in audit.lines(options["since"]):
            self.stdout.write(json.dumps(line, sort_keys=True))
            written += 1
        details = {"lines": written, "since": options["since"] and options["since"].isoformat()}
        audit.write(audit.Action.AUDIT, by=None, subject="export", details=details)
        number, last = audit.head()
        self.stderr.write(f"{written:,} lines. The log ends at line {number:,}: {last}")

    def _head(self, options: dict[str, Any]) -> None:
        audit.seal()
        number, last = audit.head()
        self.stdout.write(f"{number} {last}")
