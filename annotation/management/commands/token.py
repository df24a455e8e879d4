"""`manage.py token make|list|revoke`: keys for programs."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation import tokens
from annotation.errors import BadToken
from annotation.models import AccessToken, User


class Command(BaseCommand):
    help = "Make a token for a program, which is shown this once; list those there are; revoke one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        make = acts.add_parser("make", help="a new token; its key is printed, and kept nowhere")
        make.add_argument("name", help="by which you know it again")
        make.add_argument("--owner", required=True, help="name of the account that it acts for, and may no more than")
        make.add_argument("--scopes", nargs="+", required=True, choices=[str(scope) for scope in AccessToken.Scope])
        make.add_argument("--days", type=int, help="that it is valid; left out: until it is revoked")
        make.add_argument("--calls-a-minute", type=int, help="for each scope; left out: as everybody's are")
        listed = acts.add_parser("list", help="all tokens, the latest first")
        listed.add_argument("--json", action="store_true")
        revoke = acts.add_parser("revoke", help="it opens nothing from now on")
        revoke.add_argument("id", type=int, help="as `list` tells it")

    def handle(self, *args: Any, **options: Any) -> None:
        {"make": self._make, "list": self._list, "revoke": self._revoke}[options["act"]](options)

    def _make(self, options: dict[str, Any]) -> None:
        owner = User.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"There is no account {options['owner']!r}.")
        try:
            said = {name: options[name] for name in ("name", "scopes", "days", "calls_a_minute")}
            _, key = tokens.make(owner=owner, **said)
        except BadToken as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)

    def _list(self, options: dict[str, Any]) -> None:
        rows = [_told(token) for token in AccessToken.objects.select_related("owner")]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            used = row["last_used_at"] or "never"
            self.stdout.write(
                f"{row['id']}  {row['prefix']}…  {row['state']:<8} {row['owner']}: {row['name']} "
                f"({', '.join(row['scopes'])}; used: {used}; until: {row['expires_at'] or 'revoked'})"
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        token = AccessToken.objects.filter(pk=options["id"]).first()
        if token is None:
            raise CommandError(f"There is no token {options['id']}. `manage.py token list` tells which there are.")
        tokens.revoke(token)
        self.stdout.write(f"{token} opens nothing any more.")


def _told(token: AccessToken) -> dict[str, Any]:
    times = {name: getattr(token, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    return {
        "id": token.pk,
        "owner": token.owner.username,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": token.scopes,
        "calls_a_minute": token.calls_a_minute,
        "state": token.state,
    } | {name: at and at.isoformat(timespec="seconds") for name, at in times.items()}
