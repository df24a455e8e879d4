"""`manage.py evaluate`: how good a model is on a release's test part, beside the live one on the same faces."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import AnnotationError
from annotation.models import Release
from inference.models import ModelVersion
from training import runs
from training.core.run import Troubles
from training.errors import TrainingError
from training.models import Evaluation


class Command(BaseCommand):
    help = "Judge a model on the test part of a release, beside the live model on the same faces."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", type=int, metavar="ID", help="its number, as the page of models has it (#5)")
        parser.add_argument("--release", metavar="NAME", help="default: the latest that knows of its task")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        version = model_of(options["model"])
        told = report(judge(version, release_named(options["release"], version.task)))
        self.stdout.write(json.dumps(told, indent=2) if options["json"] else said(told))


def model_of(pk: int) -> ModelVersion:
    version = ModelVersion.objects.filter(pk=pk).first()
    if version is None:
        there = ", ".join(f"{row.pk} ({row.title})" for row in ModelVersion.objects.order_by("-pk")[:20])
        raise CommandError(f"There is no model {pk}. There are: {there or 'none yet'}.")
    return version


def release_named(name: str | None, task: str) -> Release:
    done = Release.objects.filter(state=Release.State.DONE).order_by("-pk")
    found = done.filter(name=name).first() if name else runs.latest_release(task)
    if found is None and name:
        there = ", ".join(done.values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no release {name!r} that is done. There are: {there}.")
    if found is None:
        raise CommandError("There is no release to judge on. Freeze one: `manage.py release NAME`.")
    return found


def judge(version: ModelVersion, release: Release) -> Evaluation:
    try:
        return runs.evaluate_version(version, release)
    except (TrainingError, AnnotationError, OSError, *Troubles) as error:
        raise CommandError(str(error)) from error


def report(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "model": evaluation.version_id,
        "name": evaluation.version.name,
        "release": evaluation.release.name,
        "evaluation": evaluation.measured,
        "against": evaluation.against.name if evaluation.against else None,
        "compared": evaluation.compared,
        "milliseconds": evaluation.milliseconds,
    }


def said(told: Mapping[str, Any]) -> str:
    measured, compared = told["evaluation"], told["compared"] or {}
    lines = [f"{told['name']} on the test part of {told['release']}, {told['milliseconds']:.1f} ms a face"]
    if "main" in measured:
        lines += [f"{name}: {_interval(figure)}" for name, figure in measured["metrics"].items()]
        lines.append(f"of {measured['n']} faces; calibration error {measured['calibration_error']:.4f}")
    elif measured["true_accepts"] is None:
        lines.append(f"true accepts: too few pairs among {measured['faces']} faces to say")
    else:
        share, faces = measured["false_accepts"], measured["faces"]
        lines.append(f"true accepts: {measured['true_accepts']:.4f} at false accepts of {share:g}, {faces} faces")
    if measured.get("left_out"):
        lines.append(f"{measured['left_out']} test faces are left out: one of the two learnt from the same person")
    if "main" in compared:
        beside = compared["metrics"][compared["main"]]
        lines.append(
            f"{told['against']}, which is live, on the same: {compared['main']} {beside['live']:.4f}; better by "
            f"{_interval(beside['gain'])}, p = {beside['p']:.3g} of no difference"
        )
    return "\n".join(lines)


def _interval(figure: Mapping[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.4f}"
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"
