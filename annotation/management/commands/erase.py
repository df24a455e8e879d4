"""`manage.py erase photo|face|person|source|list|report|verify|lift`: what must be forgotten. A dry run first."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation import audit, erasure, likeness, words
from annotation.errors import AnnotationError
from annotation.models import Erasure, Identity, Source, User
from inference.core.images import PictureRefused


class Command(BaseCommand):
    help = "Erase a photo, a face, a person or a source wholly. Without --yes it only counts what would go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        for kind in ("photo", "face", "person", "source"):
            one = acts.add_parser(kind, help=f"by id{'; also by exact name' if kind in ('person', 'source') else ''}")
            one.add_argument("what", nargs="+" if kind in ("photo", "face") else "?", help="ids, or the exact name")
            one.add_argument("--yes", action="store_true", help="do it; left out: count only")
            one.add_argument("--dry-run", action="store_true", help="count only, which is what happens without --yes")
            one.add_argument("--reason", default="", help="is kept in the report: never a name")
            one.add_argument("--legal-reference", default="", help="an article, a file number")
            one.add_argument("--by", help="name of the admin who does it")
            one.add_argument("--json", action="store_true")
            if kind == "face":
                one.add_argument("--black-out", action="store_true", help="also in the picture, which becomes another")
            if kind == "person":
                one.add_argument("--keep-others", action="store_true", help="photos of others stay, this face black")
                one.add_argument("--photo", help="an example: tells whom it shows, by id, and erases nothing")
        acts.add_parser("list", help="all erasures, the latest first").add_argument("--json", action="store_true")
        report = acts.add_parser("report", help="the signed report of one")
        report.add_argument("id", type=int)
        verify = acts.add_parser("verify", help="whether a report is as this installation signed it")
        verify.add_argument("file", type=Path)
        lift = acts.add_parser("lift", help="let the photos of an erasure come back")
        lift.add_argument("id", type=int)
        lift.add_argument("--by", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        act = options["act"]
        try:
            if act in ("list", "report", "verify", "lift"):
                getattr(self, f"_{act}")(options)
            elif options.get("photo"):
                self._search(options)
            else:
                self._erase(options)
        except (AnnotationError, PictureRefused, OSError) as error:
            raise CommandError(str(error)) from error

    def _erase(self, options: dict[str, Any]) -> None:
        asked = {
            "kind": options["act"],
            "ids": _ids(options["act"], options["what"]),
            "black_out": bool(options.get("black_out") or options.get("keep_others")),
            "legal_reference": options["legal_reference"],
        }
        if not options["yes"] or options["dry_run"]:
            made = erasure.draft(reason=options["reason"], by=None, **asked)
            foreseen = erasure.dry_run(made)
            if options["json"]:
                self.stdout.write(json.dumps({"subject": made.subject} | foreseen.as_json(), indent=2))
                return
            self._tell(made, foreseen)
            return
        made = erasure.request(reason=options["reason"], by=admin_named(options["by"]), **asked)
        done = erasure.carry_out(made.pk)
        if done is None:
            raise CommandError(f"{made} is in a worker's hands. `manage.py erase list` tells how far it is.")
        if done.state != Erasure.State.DONE:
            raise CommandError(f"{done} stopped: {done.error}")
        signed = {"report": done.report, "signature": done.signature}
        told = f"{done}: {done.done} photos and faces gone. `manage.py erase report {done.pk}` has the signed report."
        self.stdout.write(json.dumps(signed, indent=2) if options["json"] else told)

    def _tell(self, made: Erasure, foreseen: erasure.Foreseen) -> None:
        say = self.stdout.write
        say(f"Would be erased: {made.subject}" + ("" if foreseen.exact else " (of so many only the main tables)"))
        for name, count in words.erased(foreseen.rows):
            say(f"  {count:>9,}  {name}")
        say(f"  {foreseen.files:>9,}  files")
        if foreseen.handed_over:
            say(f"{foreseen.handed_over:,} photos came from another source, too, and stay under it.")
        if foreseen.guessed:
            say(
                f"Not erased: {len(foreseen.guessed)} photos that only the grouping takes for theirs: "
                f"{' '.join(map(str, foreseen.guessed[:20]))}. Confirm them first, or erase them by id."
            )
        if foreseen.duplicates:
            say(f"Not erased: near-duplicates, photos {' '.join(map(str, foreseen.duplicates))}.")
        if foreseen.releases:
            say(f"Releases that hold it and will be marked: {', '.join(foreseen.releases)}")
        say("Nothing was erased. Add --yes --reason … --by ADMIN to do it.")

    def _search(self, options: dict[str, Any]) -> None:
        by = admin_named(options["by"])
        _, sought = likeness.search(Path(options["photo"]).read_bytes(), by=by)
        found = sorted({match.identity.pk for face in sought for match in face.matches})
        audit.write(audit.Action.SEARCH, by=by, details={"page": "manage.py erase", "people": found})
        for number, face in enumerate(sought, 1):
            self.stdout.write(f"Face {number}: nobody who is known with {face.nobody:.0%}")
            for match in face.matches:
                person = match.identity
                self.stdout.write(
                    f"  person {person.pk}  {match.probability:.0%}  {person} ({person.face_count} faces)"
                )
        self.stdout.write("Nothing was erased. Look at them, then: manage.py erase person ID")

    def _list(self, options: dict[str, Any]) -> None:
        rows = [
            {
                "id": each.pk,
                "subject": each.subject,
                "state": each.state,
                "at": each.at.isoformat(timespec="seconds"),
                "done": each.done,
                "total": each.total,
                "error": each.error,
            }
            for each in Erasure.objects.all()
        ]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        for row in rows:
            self.stdout.write(f"{row['id']}  {row['at']}  {row['state']:<8} {row['subject']}  {row['error']}".rstrip())

    def _report(self, options: dict[str, Any]) -> None:
        made = _one(options["id"])
        if made.report is None:
            raise CommandError(f"{made} is {made.state}: its report is written at its end.")
        self.stdout.write(json.dumps({"report": made.report, "signature": made.signature}, indent=2))

    def _verify(self, options: dict[str, Any]) -> None:
        try:
            kept = json.loads(options["file"].read_text())
            genuine = erasure.is_genuine(kept["report"], kept["signature"])
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{options['file']} is no report of an erasure ({error}).") from error
        if not genuine:
            raise CommandError("It was changed, or signed by another installation's key.")
        self.stdout.write("Genuine: signed by this installation, and unchanged.")

    def _lift(self, options: dict[str, Any]) -> None:
        count = erasure.lift_tombstones(_one(options["id"]), by=admin_named(options["by"]))
        self.stdout.write(f"{count} photos may come back.")


def _ids(kind: str, words: list[str] | str | None) -> list[int]:
    given = [words] if isinstance(words, str) else words or []
    if all(word.isdecimal() for word in given):
        return [int(word) for word in given]
    if kind == "source":
        return _named(list(Source.objects.filter(name=given[0])), kind, given[0])
    if kind == "person":
        people = Identity.objects.filter(name=given[0], merged_into=None)
        return _named(list(people), kind, given[0])
    raise CommandError(f"{given} are no ids.")


def _named(found: list[Any], kind: str, name: str) -> list[int]:
    if not found:
        raise CommandError(f"There is no {kind} named {name!r}. Names are compared exactly.")
    if len(found) > 1:
        raise CommandError(f"{name!r} is the name of {', '.join(str(each.pk) for each in found)}: say which, by id.")
    return [found[0].pk]


def admin_named(name: str | None) -> User:
    found = User.objects.filter(username=name or "", role=User.Role.ADMIN, is_active=True).first()
    if found is None:
        raise CommandError(f"--by names an admin; there is none called {name!r}.")
    return found


def _one(pk: int) -> Erasure:
    made = Erasure.objects.filter(pk=pk).first()
    if made is None:
        raise CommandError(f"There is no erasure {pk}. `manage.py erase list` tells which there are.")
    return made
