"""`manage.py import_labelled`: a labelled set, in its own layout, into photos with imported labels."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.models import Count
from django.urls import reverse
from rich.progress import track

from annotation import faces, intake
from annotation.core.batches import batched
from annotation.core.datasets.readers import READERS
from annotation.errors import AnnotationError
from annotation.models import AttributeLabel, Intake, Label, Photo, Refusal, Source

BATCH = 16  # photos between two steps of the bar
REASONS = 5  # why files were refused, the most frequent, that are told here


class Command(BaseCommand):
    help = "Take in a labelled set in its own layout. Its labels are kept as imported; run again, it goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="the set's folder, or the CSV of one's own")
        parser.add_argument("--layout", required=True, choices=sorted(READERS))
        parser.add_argument("--source", help="name of the source (default: the name of the folder)")
        parser.add_argument("--licence", default="", help="the licence of the set")
        parser.add_argument("--legal-basis", default="", help="the legal basis for working on it")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if Source._meta.db_table not in connection.introspection.table_names():
            raise CommandError(
                "The database has no tables yet. Start the site once (`make run`), or `manage.py migrate`."
            )
        path = Path(options["path"]).expanduser().resolve()
        try:
            source = _source(options["source"] or path.stem, options["licence"], options["legal_basis"])
            delivery = intake.start_intake(
                source=source, kind=Intake.Kind.LABELLED, path=str(path), layout=options["layout"], by=None
            )
        except (AnnotationError, OSError) as error:
            raise CommandError(str(error)) from error
        intake.take_in(delivery.pk)
        delivery.refresh_from_db()
        if delivery.state == Intake.State.FAILED:
            raise CommandError(delivery.error)
        if delivery.state != Intake.State.DONE:
            raise CommandError("A worker is taking this set in at this moment. Run it again when it is done.")
        _find_faces(source, quiet=options["json"])
        report = _report(delivery)
        self.stdout.write(json.dumps(report, indent=2) if options["json"] else _told(report))


def _source(name: str, licence: str, legal_basis: str) -> Source:
    found = Source.objects.filter(name=name).first()
    if found is None:
        return intake.create_source(name=name, licence=licence, legal_basis=legal_basis, by=None)
    intake.state_rights(
        source_id=found.pk,
        licence=licence or found.licence,
        legal_basis=legal_basis or found.legal_basis,
        retention_until=found.retention_until,
        by=None,
    )
    return found


def _find_faces(source: Source, *, quiet: bool) -> None:
    """Workers do this, too, where some run; whoever comes second to a photo leaves it alone."""
    due = list(Photo.objects.without_faces_sought().filter(source=source).order_by("pk").values_list("pk", flat=True))
    batches = list(batched(due, BATCH))
    for batch in track(batches, "Faces", disable=quiet or not batches):
        faces.seek(list(Photo.objects.without_faces_sought().filter(pk__in=batch)))


def _report(delivery: Intake) -> dict[str, Any]:
    photos = Photo.objects.filter(source=delivery.source)
    labels = AttributeLabel.objects.filter(face__photo__source=delivery.source)
    refusals = Refusal.objects.filter(source=delivery.source)
    codes = refusals.values_list("code").annotate(count=Count("pk"))
    reasons = refusals.values_list("reason").annotate(count=Count("pk"))
    return {
        "source": delivery.source.name,
        "photos": delivery.taken + delivery.known,
        "copies": delivery.copies,
        "refused": dict(codes.order_by("code")),
        "reasons": dict(reasons.order_by("-count", "reason")[:REASONS]),
        "refusals": reverse("refusals", args=[delivery.source_id]),
        "without_a_face": photos.exclude(faces_sought_at=None).filter(faces=None).count(),
        "identities": Label.objects.filter(face__photo__source=delivery.source, verdict="identity").count(),
        "attributes": dict(labels.values_list("attribute").annotate(count=Count("pk")).order_by("attribute")),
    }


def _told(report: dict[str, Any]) -> str:
    refused = ", ".join(f"{count} {code}" for code, count in report["refused"].items()) or "none"
    labels = {"identity": report["identities"]} | report["attributes"]
    said = ", ".join(f"{count} {name}" for name, count in labels.items() if count) or "none"
    return (
        f"{report['source']}: photos: {report['photos']}, exact copies: {report['copies']}; refused: {refused}.\n"
        f"{_why(report)}"
        f"{report['without_a_face']} photos in which no face was found keep what the set says, but have no label.\n"
        f"Labels, all imported: {said}."
    )


def _why(report: dict[str, Any]) -> str:
    if not report["refused"]:
        return ""
    told = "".join(f"  {count}: {reason}\n" for reason, count in report["reasons"].items())
    rest = sum(report["refused"].values()) - sum(report["reasons"].values())
    others = f"  {rest}: other reasons\n" if rest else ""
    return f"{told}{others}Each file and its reason: the source's page Refused, {report['refusals']}\n"
