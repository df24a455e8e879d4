"""`manage.py backup WHERE`: rows and files, while the site runs."""

import errno
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dager_site.backup import back_up
from dager_site.backup_format import BadBackup


class Command(BaseCommand):
    help = "Write a backup: into a folder, where a later one copies only what is new, or as one file that ends in .tar."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("where", help="a folder, or a file that ends in .tar")
        parser.add_argument(
            "--with-key", action="store_true", help="the signing key, too: keep such a backup as secret"
        )
        parser.add_argument("--json", action="store_true", help="tell the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        where = Path(options["where"]).expanduser().resolve()
        tell = (lambda _: None) if options["json"] else (lambda text: self.stdout.write(text))
        try:
            made = back_up(where, with_key=options["with_key"], tell=tell)
        except BadBackup as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(told_of(error, where)) from error
        if options["json"]:
            said = {"id": made.id, "rows": made.rows, "files": made.count, "bytes": made.size}
            self.stdout.write(json.dumps(said | {"missing": made.missing_count, "key": made.has_key}))
            return
        self.stdout.write(
            f"{where}: {made.rows:,} rows, {made.count:,} files of {made.size / 1e6:,.1f} MB. It is whole."
        )
        if made.missing_count:
            some = ", ".join(made.missing[:5])
            self.stderr.write(f"{made.missing_count:,} files that rows name were not there, such as {some}.")
        if made.has_key:
            self.stderr.write("It holds the signing key: whoever has it can sign in as anybody. Keep it as secret.")
        else:
            self.stderr.write(
                f"The signing key is not in it ({settings.DATA_DIR}/secret_key, or DAGER_SECRET_KEY). Keep it, too: "
                "what was erased is known by it."
            )


def told_of(error: OSError, where: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk is full ({error.filename or where}). Free some space, and do it again; nothing half is left."
    return f"{error.filename or where}: {error.strerror or error}."
