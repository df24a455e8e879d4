"""`manage.py release`: labels frozen into a dataset; or two compared, one checked, one taken along."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError
from rich.progress import Progress

from annotation import audit, releases
from annotation.core.release_diff import of_test
from annotation.core.release_formats.formats import FORMATS, export, format_named
from annotation.core.release_query import KNOWABLE, Balance, DecidedBy, ReleaseQuery
from annotation.core.splits import SPLITS
from annotation.errors import AnnotationError
from annotation.models import Release
from inference.core.attributes import ATTRIBUTES, UnknownAttribute

LISTS = ("attributes", "decided_by", "sources", "licences")
NUMBERS = {"min_confidence": float, "min_size": float, "min_sharpness": float, "max_yaw": float}


class Command(BaseCommand):
    help = "Freeze labels into a release. Or --list, --diff OLDER NEWER, --verify NAME, --export NAME --format --to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        usual = ReleaseQuery()
        parser.add_argument("name", nargs="?", help="of the new release")
        parser.add_argument("--purpose", default="", help="why it is made; the datasheet begins with it")
        parser.add_argument("--attributes", nargs="+", choices=KNOWABLE, help="of which at least one is known")
        parser.add_argument("--all-of-them", action="store_true", help="every one of these attributes must be known")
        parser.add_argument(
            "--decided-by", nargs="+", choices=get_args(DecidedBy), help="labels by others are left out"
        )
        parser.add_argument("--sources", nargs="+", help="names of sources")
        parser.add_argument("--licences", nargs="+", help="as photos or their sources state them")
        parser.add_argument("--min-confidence", type=float, help="labels that are believed less are left out (0-1)")
        parser.add_argument("--min-size", type=float, help="pixels of the shorter side of the face")
        parser.add_argument("--min-sharpness", type=float)
        parser.add_argument("--max-yaw", type=float, help="degrees to either side")
        parser.add_argument("--unusable-too", action="store_true", help="faces too poor to be asked about as well")
        parser.add_argument("--chosen-only", action="store_true", help="only the most centred face of each photo")
        parser.add_argument("--with-duplicates", action="store_true", help="not one of each group of duplicates only")
        parser.add_argument("--balance", choices=get_args(Balance), default=usual.balance, help="of ages in training")
        parser.add_argument("--cap-per-age", type=int, help="faces a year of age in training, at most")
        parser.add_argument("--seed", type=int, default=usual.seed, help="of the order in which groups are dealt out")
        parser.add_argument("--shares", nargs=3, type=float, metavar=("TRAIN", "VALIDATION", "TEST"))
        parser.add_argument("--predecessor", help="name or number; the latest release if left out")
        parser.add_argument("--preview", action="store_true", help="only count what it would hold")
        parser.add_argument("--list", action="store_true", help="the releases there are")
        parser.add_argument("--diff", nargs=2, metavar=("OLDER", "NEWER"), help="names or numbers of two releases")
        parser.add_argument("--verify", metavar="NAME", help="hash all files of a release anew")
        parser.add_argument("--export", metavar="NAME", help="lay a release out in --to as --format")
        parser.add_argument("--format", default="parquet", help=f"one of: {', '.join(FORMATS)}")
        parser.add_argument("--by", default="", choices=["", *ATTRIBUTES], help="with images: a folder a value")
        parser.add_argument("--to", help="an empty or new folder")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        acts: dict[str, Callable[[dict[str, Any]], tuple[Any, str]]] = {
            "list": _list, "diff": _diff, "verify": _verify, "export": _export, "preview": _preview,
        }  # fmt: skip
        asked = [name for name in acts if options[name]]
        if len(asked) > 1:
            raise CommandError(f"One thing at a time: --{asked[0]} or --{asked[1]}.")
        try:
            told, text = acts[asked[0]](options) if asked else _freeze(options)
        except (AnnotationError, UnknownAttribute, ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(told, indent=2) if options["json"] else text)


def _found(name: str) -> Release:
    rows = Release.objects.all()
    found = rows.filter(name=name).first() or (rows.filter(pk=int(name)).first() if name.isdecimal() else None)
    if found is None:
        there = ", ".join(rows.order_by("-pk").values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no release {name!r}. There are: {there}.")
    return found


def _query(options: dict[str, Any]) -> dict[str, Any]:
    query: dict[str, Any] = {name: list(options[name]) for name in LISTS if options[name]}
    query |= {name: options[name] for name in (*NUMBERS, "cap_per_age") if options[name] is not None}
    query |= {name: options[name] for name in ("all_of_them", "chosen_only", "with_duplicates", "balance", "seed")}
    if options["shares"]:
        query["shares"] = dict(zip(SPLITS, options["shares"], strict=True))
    return query | {"usable_only": not options["unusable_too"]}


def _freeze(options: dict[str, Any]) -> tuple[Any, str]:
    if not options["name"]:
        raise CommandError("Name the new release, or say --list, --preview, --diff, --verify or --export.")
    older = _found(options["predecessor"]) if options["predecessor"] else None
    asked = releases.create_release(
        name=options["name"], query=_query(options), purpose=options["purpose"], predecessor=older, by=None
    )
    with Progress(disable=options["json"], transient=True) as bar:
        step = bar.add_task("Faces", total=None)
        releases.build(asked.pk, on_progress=lambda done, total: bar.update(step, completed=done, total=total))
    asked.refresh_from_db()
    if asked.state == Release.State.FAILED:
        raise CommandError(asked.error)
    if asked.state != Release.State.DONE:
        raise CommandError("Another release is being built. This one is kept: a worker builds it next.")
    told = {"id": asked.pk, "name": asked.name, "checksum": asked.checksum, "folder": str(releases.folder_of(asked))}
    told |= {"counts": asked.counts, "changes": asked.changes, "warnings": releases.warnings_of(asked)}
    return told, "\n".join(
        [
            _counts(asked.name, asked.counts, releases.warnings_of(asked)),
            f"Its id is {asked.checksum}.",
            f"Written to {told['folder']}",
        ]
    )


def _counts(name: str, counts: dict[str, Any], told: list[str]) -> str:
    parts = ", ".join(f"{split} {counts['splits'][split]:,}" for split in SPLITS)
    lines = [f"{name}: {counts['faces']:,} faces ({parts}), {counts['identities']:,} known people."]
    lines.append(f"{counts['groups']:,} groups stay together; the largest has {counts['largest_group']:,} faces.")
    for attribute, of in counts["attributes"].items():
        labelled = sum(count for values in of.values() for count in values.values())
        lines.append(f"  {attribute}: {labelled:,} labels")
    lines += [f"Warning: {each}" for each in told]
    return "\n".join(lines)


def _preview(options: dict[str, Any]) -> tuple[Any, str]:
    counts = releases.preview(releases.checked_query(_query(options)))
    how = f"\nEstimated from one face in {counts['one_in']}." if counts["one_in"] > 1 else ""
    return counts, _counts("It would hold", counts, counts["warnings"]) + how + "\nNothing was frozen."


def _list(options: dict[str, Any]) -> tuple[Any, str]:
    rows = list(Release.objects.order_by("pk"))
    told = [
        {"id": each.pk, "name": each.name, "state": each.state, "faces": each.counts.get("faces"), "error": each.error}
        | {"checksum": each.checksum, "folder": str(releases.folder_of(each)), "erased_photos": each.erasures.count()}
        for each in rows
    ]
    lines = [f"{row['id']:>5}  {row['state']:<9} {row['faces'] or 0:>10,}  {row['name']}" for row in told]
    return told, "\n".join(lines) or "No release yet."


def _diff(options: dict[str, Any]) -> tuple[Any, str]:
    older, newer = map(_found, options["diff"])
    told = releases.compare(older, newer).as_json()
    gone, renamed = told["removed"]["count"], told["renamed"]["count"]
    lines = [
        f"{older.name} → {newer.name}: {told['kept']:,} kept, {told['added']['count']:,} added, "
        f"{gone:,} not in it any more, {renamed:,} known to be somebody else."
    ]
    lines += [f"  {name}: {change['count']:,}" for name, change in told["moved"].items()]
    lines += [
        f"  {name}, {kind}: {change['count']:,}" for name, of in told["labels"].items() for kind, change in of.items()
    ]
    lines.append(of_test(told))
    return told, "\n".join(lines)


def _verify(options: dict[str, Any]) -> tuple[Any, str]:
    found = _found(options["verify"])
    damage = releases.verify(found)
    if damage:
        raise CommandError(damage)
    return {"name": found.name, "checksum": found.checksum, "damage": ""}, f"{found.name} is whole: {found.checksum}"


def _export(options: dict[str, Any]) -> tuple[Any, str]:
    if not options["to"]:
        raise CommandError("Say where to with --to, an empty or new folder.")
    found, place = _found(options["export"]), Path(options["to"]).expanduser()
    opened, layout = releases.for_export(found), format_named(options["format"], by=options["by"])
    details = {"page": "manage.py release", "layout": options["format"]}
    audit.write(audit.Action.DOWNLOAD, by=None, subject=f"release {found.pk}", details=details)
    files = export(opened, layout, place)
    told = {"name": found.name, "format": options["format"], "files": files, "folder": str(place)}
    return told, f"{found.name} as {options['format']}: {files:,} files in {place}"
