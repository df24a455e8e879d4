"""`manage.py hold place|lift|list`: what may not be erased."""

import json
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation import holds
from annotation.errors import AnnotationError
from annotation.management.commands.erase import admin_named
from annotation.models import LegalHold


class Command(BaseCommand):
    help = "Place a legal hold on a source, a photo or a person; lift one; list those that stand."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        place = acts.add_parser("place")
        place.add_argument("kind", choices=holds.KINDS)
        place.add_argument("id", type=int)
        place.add_argument("--until", type=date.fromisoformat, help="the last day that it holds, as 2027-01-31")
        lift = acts.add_parser("lift")
        lift.add_argument("id", type=int)
        for act in (place, lift):
            act.add_argument("--because", required=True)
            act.add_argument("--by", required=True, help="name of an admin")
        acts.add_parser("list").add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['act']}")(options)
        except AnnotationError as error:
            raise CommandError(str(error)) from error

    def _place(self, options: dict[str, Any]) -> None:
        on = holds.about(options["kind"], options["id"])
        by = admin_named(options["by"])
        hold = holds.place(on=on, because=options["because"], until=options["until"], by=by)
        self.stdout.write(f"{hold} stands.")

    def _lift(self, options: dict[str, Any]) -> None:
        hold = LegalHold.objects.filter(pk=options["id"]).first()
        if hold is None:
            raise CommandError(f"There is no hold {options['id']}.")
        holds.lift(hold=hold, because=options["because"], by=admin_named(options["by"]))
        self.stdout.write(f"{hold} is lifted.")

    def _list(self, options: dict[str, Any]) -> None:
        rows = [
            {
                "id": hold.pk,
                "on": str(hold).partition(" on ")[2],
                "because": hold.because,
                "until": str(hold.until or ""),
                "by": hold.by.username,
            }
            for hold in holds.standing().select_related("by").order_by("pk")
        ]
        told = [
            f"{row['id']}  {row['on']}  {row['until'] or 'until lifted'}  {row['by']}: {row['because']}" for row in rows
        ]
        self.stdout.write(json.dumps(rows, indent=2) if options["json"] else "\n".join(told))
