"""`manage.py rehearse`: what a corpus like a labelled source will take, known before anybody is hired."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.progress import Progress, track

from annotation import embeddings, proposals, rehearsal
from annotation.core.batches import batched
from annotation.core.plots import rehearsal_plots
from annotation.errors import AnnotationError
from annotation.models import Face, Source
from inference import registry
from inference.core.attributes import ATTRIBUTES

BATCH = 64
WHAT = [rehearsal.IDENTITY, *(name for name, each in ATTRIBUTES.items() if each.asked and not each.in_years)]


class Command(BaseCommand):
    help = "Replay a labelled source as people's answers to the engine, on a scratch database, and report what it took."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="the name of a source whose labels are known (see import_labelled)")
        parser.add_argument("--what", nargs="+", required=True, choices=WHAT)
        parser.add_argument("--annotators", type=int, default=5)
        parser.add_argument(
            "--slips", type=float, default=0.02, help="share of wrong answers, where the set has no votes"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--stop-at", type=float, default=1.0, help="share of the faces labelled that is enough")
        parser.add_argument(
            "--people-known", action="store_true", help="who everybody is stands from the start, as the source says it"
        )
        parser.add_argument("--out", help="folder of the report (default: rehearsals/ in the data folder)")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = self._plan(options)
        source = Source.objects.filter(name=options["source"]).first()
        if source is None:
            names = ", ".join(Source.objects.values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no source {options['source']!r}. There are: {names}.")
        _prepare(source, quiet=options["json"])
        try:
            with Progress(disable=options["json"], transient=True) as bar:
                total = max(
                    (len(values) for values in rehearsal.truth_of(source, plan.what).value.values()), default=None
                )
                step = bar.add_task("Rehearsal", total=total)
                outcome = rehearsal.rehearse(
                    source, plan, lambda moment: bar.update(step, completed=min(moment.labelled.values()))
                )
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        folder = Path(
            options["out"] or settings.DATA_DIR / "rehearsals" / f"{source.pk}-{timezone.now():%Y%m%d-%H%M%S}"
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outcome.json").write_text(json.dumps(outcome.as_json(), indent=2))
        rehearsal_plots(outcome.as_json(), folder)
        told = _told(source.name, outcome)
        (folder / "report.md").write_text(
            told + "".join(f"\n![{path.stem}]({path.name})\n" for path in sorted(folder.glob("*.png")))
        )
        self.stdout.write(
            json.dumps(outcome.as_json(), indent=2) if options["json"] else f"{told}\nWritten to {folder}"
        )

    def _plan(self, options: dict[str, Any]) -> rehearsal.Plan:
        if options["annotators"] < 1:
            raise CommandError(f"--annotators {options['annotators']}: at least one is needed.")
        for name in ("slips", "stop_at"):
            if not 0 <= options[name] <= 1:
                raise CommandError(f"--{name.replace('_', '-')} {options[name]}: a share from 0 to 1 is needed.")
        if options["people_known"] and rehearsal.IDENTITY in options["what"]:
            raise CommandError("--people-known leaves nothing to rehearse of identity. Leave one of the two out.")
        return rehearsal.Plan(
            what=tuple(dict.fromkeys(options["what"])),
            annotators=options["annotators"],
            slips=options["slips"],
            seed=options["seed"],
            stop_at=options["stop_at"],
            people_known=options["people_known"],
        )


def _prepare(source: Source, *, quiet: bool) -> None:
    """Vectors and the networks' proposals, where workers have not made them yet."""
    version = registry.ensure_live()
    faces = Face.objects.filter(photo__source=source, usable=True)
    for title, due, act in (
        ("Vectors", faces.without_vector(version), lambda piece: embeddings.embed(piece, version)),
        ("Proposals", proposals.without_proposal(faces), proposals.propose),
    ):
        ids = list(due.order_by("pk").values_list("pk", flat=True))
        for piece in track(list(batched(ids, BATCH)), title, disable=quiet or not ids):
            act(list(Face.objects.filter(pk__in=piece).select_related("photo")))


def _told(name: str, outcome: rehearsal.Outcome) -> str:
    plan, last = outcome.plan, outcome.last
    lines = [
        f"# Rehearsal on {name}",
        "",
        f"{outcome.faces} faces, {plan.annotators} annotators, seed {plan.seed}. "
        "Scored are the labels of faces whose answer the set clearly knows. "
        f"{plan.slips:.1%} slips where the set has no votes." + (" Who is who is known." if plan.people_known else ""),
        "",
        "| what | way | actions | actions per label | scored | right |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for what in plan.what:
        per = outcome.actions_for[what] / max(last.settled[what], 1)
        lines.append(
            _row(what, "**the engine**", outcome.actions_for[what], per, last.labelled[what], last.right[what])
        )
        for each in outcome.baselines:
            if each.attribute == what:
                per = each.actions / max(each.labelled, 1)
                lines.append(_row(what, each.name, each.actions, per, each.labelled, each.right))
    lines += [
        "",
        "Questions asked: " + ", ".join(f"{count} {kind}" for kind, count in outcome.asked.most_common()) + ".",
    ]
    for held in outcome.certificates:
        lines.append(
            f"- certificate for {held['attribute']} {held['value']}: confidence from {held['threshold']:.3f}, "
            f"{held['wrong']} wrong of {held['audited']} audited, error at most {held['bound']:.4f}, "
            f"{held['accepted']} accepted, {held['state']}"
        )
    return "\n".join(lines) + "\n"


def _row(what: str, way: str, actions: int, per: float, scored: int, right: int) -> str:
    if scored == 0:
        return f"| {what} | {way} | – | – | 0 | – |"
    return f"| {what} | {way} | {actions} | {per:.3f} | {scored} | {right / max(scored, 1):.4f} |"
