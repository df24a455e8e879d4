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
STEPS = 10  # rows of what was reached on the way
WHAT = [rehearsal.IDENTITY, *(name for name, each in ATTRIBUTES.items() if each.asked and not each.in_years)]


class Command(BaseCommand):
    help = "Replay a labelled source as people's answers to the engine, on a scratch database, and report what it took."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="the name of a source whose labels are known (see import_labelled)")
        parser.add_argument("--what", nargs="+", choices=WHAT, help="default: all of these that the source knows")
        parser.add_argument("--annotators", type=int, default=5)
        parser.add_argument(
            "--slips", type=float, default=0.02, help="share of wrong answers, where the set has no votes"
        )
        parser.add_argument(
            "--bare",
            type=float,
            default=0.2,
            help='share of the marks in grids that say only "not this", as a click does, not what it is instead',
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--stop-at", type=float, default=1.0, help="share of the faces labelled that is enough")
        parser.add_argument(
            "--people-known", action="store_true", help="who everybody is stands from the start, as the source says it"
        )
        parser.add_argument("--out", help="folder of the report (default: rehearsals/ in the data folder)")
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        source = Source.objects.filter(name=options["source"]).first()
        if source is None:
            names = ", ".join(Source.objects.values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no source {options['source']!r}. There are: {names}.")
        plan = self._plan(options | {"what": options["what"] or _known(source, options)})
        try:
            truth = rehearsal.truth_of(source, plan.what)  # asked before vectors are made, which takes minutes
            _prepare(source, quiet=options["json"])
            with Progress(disable=options["json"], transient=True) as bar:
                total = max(len(known) for known in (truth.person, *truth.value.values()))
                step = bar.add_task("Rehearsal", total=total)
                outcome = rehearsal.rehearse(
                    source, plan, lambda moment: bar.update(step, completed=min(moment.settled.values()))
                )
        except AnnotationError as error:
            raise CommandError(str(error)) from error
        folder = Path(
            options["out"] or settings.DATA_DIR / "rehearsals" / f"{source.pk}-{timezone.now():%Y%m%d-%H%M%S}"
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "outcome.json").write_text(json.dumps(outcome.as_json(), indent=2))
        rehearsal_plots(outcome.as_json(), folder)
        told = report_of(source.name, outcome)
        (folder / "report.md").write_text(
            told + "".join(f"\n![{path.stem}]({path.name})\n" for path in sorted(folder.glob("*.png")))
        )
        self.stdout.write(
            json.dumps(outcome.as_json(), indent=2) if options["json"] else f"{told}\nWritten to {folder}"
        )

    def _plan(self, options: dict[str, Any]) -> rehearsal.Plan:
        if options["annotators"] < 1:
            raise CommandError(f"--annotators {options['annotators']}: at least one is needed.")
        for name in ("slips", "bare", "stop_at"):
            if not 0 <= options[name] <= 1:
                raise CommandError(f"--{name.replace('_', '-')} {options[name]}: a share from 0 to 1 is needed.")
        if options["people_known"] and rehearsal.IDENTITY in options["what"]:
            raise CommandError("--people-known leaves nothing to rehearse of identity. Leave one of the two out.")
        return rehearsal.Plan(
            what=tuple(dict.fromkeys(options["what"])),
            annotators=options["annotators"],
            slips=options["slips"],
            bare=options["bare"],
            seed=options["seed"],
            stop_at=options["stop_at"],
            people_known=options["people_known"],
        )


def _known(source: Source, options: dict[str, Any]) -> list[str]:
    """What the source knows; all there is, if that is nothing, to be told so."""
    wanted = [what for what in WHAT if what != rehearsal.IDENTITY or not options["people_known"]]
    return [what for what in wanted if rehearsal.knows(source, what)] or wanted


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


def report_of(name: str, outcome: rehearsal.Outcome) -> str:
    plan = outcome.plan
    slips = f"{plan.slips:.1%} of their answers are slips" + (
        f"; of {', '.join(outcome.with_votes)} they answer as people voted." if outcome.with_votes else "."
    )
    bare = f" Of their marks in grids {plan.bare:.0%} say only what a face is not." if plan.bare else ""
    lines = [
        f"# Rehearsal on {name}",
        "",
        f"{outcome.faces} faces, {plan.annotators} annotators, seed {plan.seed}. {slips}{bare}"
        + (" Who is who is known." if plan.people_known else ""),
        "",
        "An action is one key or click. Compared with the source are the faces of which it clearly knows the answer; "
        "what costs no action asks nobody.",
    ]
    for what in plan.what:
        lines += [
            "",
            f"## {what}",
            "",
            *_ways(what, outcome),
            "",
            *_on_the_way(what, outcome),
            "",
            *_asked(what, outcome),
        ]
    return "\n".join(lines) + "\n"


def _ways(what: str, outcome: rehearsal.Outcome) -> list[str]:
    last, actions = outcome.last, outcome.actions_for[what]
    rows = [("**the engine**", actions, last.settled[what], last.labelled[what], last.right[what])]
    rows += [
        (each.name, each.actions, each.labelled, each.labelled, each.right)
        for each in outcome.baselines
        if each.attribute == what
    ]
    return [
        f"| {what}: way of labelling | actions | for each label | compared with the source | right |",
        "| --- | --- | --- | --- | --- |",
        *(_row(*row) for row in rows),
    ]


def _row(way: str, actions: int, labels: int, compared: int, right: int) -> str:
    if compared == 0:
        return f"| {way} | – | – | 0 | – |"
    return f"| {way} | {actions} | {actions / max(labels, 1):.3f} | {compared} | {right / compared:.4f} |"


def _on_the_way(what: str, outcome: rehearsal.Outcome) -> list[str]:
    """What was reached with how many actions: ten rows, evenly over the faces labelled."""
    moments = [each for each in outcome.moments if each.labelled[what]]
    if not moments:
        return ["Nothing was labelled."]
    most = moments[-1].labelled[what]
    picked = {
        moment.actions: moment
        for share in range(1, STEPS + 1)
        for moment in [next(each for each in moments if each.labelled[what] * STEPS >= most * share)]
    }
    of_all = " about all of these" if len(outcome.plan.what) > 1 else ""
    return [
        f"| after so many actions{of_all} | of all faces labelled | right | accepted by certificate |",
        "| --- | --- | --- | --- |",
        *(
            f"| {moment.actions} | {moment.settled[what] / max(outcome.faces, 1):.3f} "
            f"| {moment.right[what] / moment.labelled[what]:.4f} | {moment.by_machine.get(what, '–')} |"
            for moment in picked.values()
        ),
    ]


def _asked(what: str, outcome: rehearsal.Outcome) -> list[str]:
    counts = [(kind, count) for kind, count in outcome.asked.most_common() if kind.split()[0] == what]
    told = ", ".join(f"{count} {' '.join(kind.split()[1:])}" for kind, count in counts) or "none"
    lines = [f"Questions answered: {told}."]
    for held in outcome.certificates:
        if held["attribute"] == what:
            lines.append(
                f"- certificate for {held['value']}: confidence from {held['threshold']:.3f}, "
                f"{held['wrong']} wrong of {held['audited']} audited, error at most {held['bound']:.4f}, "
                f"{held['accepted']} accepted, {held['state']}"
            )
    return lines
