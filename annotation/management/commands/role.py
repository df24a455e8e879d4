"""`manage.py role NAME ROLE`: what somebody may do and see, changed by whoever sits at the server.

The last admin stays one.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from annotation import accounts
from annotation.errors import AccountRefused
from annotation.models import Source, User


class Command(BaseCommand):
    help = "Give an account another role, restrict it to some sources, or switch it off or on. All its sessions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the account")
        parser.add_argument("role", nargs="?", choices=[str(role) for role in User.Role], help="left out: as it is")
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument("--off", action="store_true", help="it comes in no more")
        switch.add_argument("--on", action="store_true", help="it may come in again")
        sees = parser.add_mutually_exclusive_group()
        sees.add_argument("--sources", nargs="+", metavar="SOURCE", help="it sees only what came from these")
        sees.add_argument("--all-sources", action="store_true", help="it sees everything")

    def handle(self, *args: Any, **options: Any) -> None:
        account = User.objects.filter(username=options["name"]).first()
        if account is None:
            raise CommandError(f"There is no account {options['name']!r}.")
        try:
            with transaction.atomic():
                self._change(account, options)
        except AccountRefused as error:
            raise CommandError(str(error)) from error
        seen = ", ".join(map(str, account.sources.all())) or "none"
        sees = f"; sees only these sources: {seen}" if account.restricted else ""
        self.stdout.write(f"{account}: {account.role}, {'active' if account.is_active else 'switched off'}{sees}.")

    def _change(self, account: User, options: dict[str, Any]) -> None:
        if options["all_sources"]:  # before the role: an admin sees everything
            accounts.restrict(account, None, by=None)
        account.role = options["role"] or account.role
        account.is_active = options["on"] or (account.is_active and not options["off"])
        accounts.keep(account, by=None)
        if options["sources"]:  # after it: who is no admin any more may be restricted
            accounts.restrict(account, _named(options["sources"]), by=None)


def _named(names: list[str]) -> list[Source]:
    found = {source.name: source for source in Source.objects.filter(name__in=names)}
    if missing := [name for name in names if name not in found]:
        there = ", ".join(Source.objects.values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no source {missing[0]!r}. There are: {there}.")
    return list(found.values())
