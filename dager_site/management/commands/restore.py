"""`manage.py restore WHERE`: a backup into an empty site, on whatever database."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dager_site.backup_format import BadBackup
from dager_site.management.commands.backup import told_of
from dager_site.restore import opened, restore


class Command(BaseCommand):
    help = "Restore a backup into this site, which has to be empty."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("where", help="the folder or .tar that `manage.py backup` wrote")
        parser.add_argument("--check", action="store_true", help="only look whether it is whole")
        parser.add_argument("--replace", action="store_true", help="give up all that this site holds")
        parser.add_argument("--other-key", action="store_true", help="go on though this site signs with another key")
        parser.add_argument("--erasures", help="erasures.jsonl of later than the backup: what it names is erased again")
        parser.add_argument("--finish", action="store_true", help="only the last steps, of one that stopped at them")
        parser.add_argument("--json", action="store_true", help="tell the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        where = Path(options["where"]).expanduser().resolve()
        tell = (lambda _: None) if options["json"] else (lambda text: self.stdout.write(text))
        try:
            if options["check"]:
                with opened(where) as backup:
                    backup.check()
                    self.stdout.write(f"{where} is whole: {backup.description.id}, made {backup.description.made_at}.")
                return
            later = Path(options["erasures"]).expanduser().resolve() if options["erasures"] else None
            told = {name: options[name] for name in ("replace", "other_key", "finish")}
            done = restore(where, **told, erasures=later, tell=tell)
        except BadBackup as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(told_of(error, where)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"Restored: {done.rows:,} rows, {done.files:,} files; the audit log's {done.audit_lines:,} lines hold."
        )
        if done.migrated:
            self.stdout.write("It was of an older version, and was brought up to this one.")
        if done.erased_again:
            self.stdout.write(f"{done.erased_again:,} photos or faces that had been erased since were erased again.")
        if done.missing:
            self.stderr.write(f"{done.missing:,} files were missing already when it was made.")
