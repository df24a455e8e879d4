"""`manage.py role NAME ROLE`: what somebody may do, changed by whoever sits at the server; the last admin stays one."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation import accounts
from annotation.errors import AccountRefused
from annotation.models import User


class Command(BaseCommand):
    help = "Give an account another role, or switch it off or on. All its sessions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the account")
        parser.add_argument("role", nargs="?", choices=[str(role) for role in User.Role], help="left out: as it is")
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument("--off", action="store_true", help="it comes in no more")
        switch.add_argument("--on", action="store_true", help="it may come in again")

    def handle(self, *args: Any, **options: Any) -> None:
        account = User.objects.filter(username=options["name"]).first()
        if account is None:
            raise CommandError(f"There is no account {options['name']!r}.")
        account.role = options["role"] or account.role
        account.is_active = options["on"] or (account.is_active and not options["off"])
        try:
            accounts.keep(account, by=None)
        except AccountRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{account}: {account.role}, {'active' if account.is_active else 'switched off'}.")
