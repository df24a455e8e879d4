"""`manage.py train`: from releases to a model version, here and now or by the workers."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Release
from inference.models import ModelVersion
from training import runs
from training.core.config import PRESETS
from training.errors import TrainingError
from training.models import Evaluation, TrainingRun


class Command(BaseCommand):
    help = "Train a network from releases; the outcome is a candidate, judged beside the live model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("task", choices=[task for task, _ in ModelVersion.TASKS])
        parser.add_argument(
            "--release", action="append", default=[], metavar="NAME", help="default: the latest that knows of the task"
        )
        parser.add_argument("--preset", default="quick", choices=PRESETS)
        parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting of it")
        parser.add_argument("--queue", action="store_true", help="leave it to the workers")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = runs.start_run(
                task=options["task"],
                releases=_releases(options["release"], options["task"]),
                preset_name=options["preset"],
                changes=dict(_pair(each) for each in options["set"]),
            )
        except TrainingError as error:
            raise CommandError(str(error)) from error
        if not options["queue"]:
            runs.carry_out(run.pk)
            run.refresh_from_db()
        if run.state == TrainingRun.State.FAILED:
            raise CommandError(run.error)
        told = report(run)
        self.stdout.write(json.dumps(told, indent=2) if options["json"] else said(told))


def _releases(names: list[str], task: str) -> list[Release]:
    if not names:
        latest = runs.latest_release(task)
        return [latest] if latest else []
    found = []
    for name in names:
        release = Release.objects.filter(name=name).first()
        if release is None:
            there = ", ".join(Release.objects.order_by("-pk").values_list("name", flat=True)[:20]) or "none yet"
            raise CommandError(f"There is no release {name!r}. There are: {there}.")
        found.append(release)
    return found


def _pair(told: str) -> tuple[str, Any]:
    name, equals, value = told.partition("=")
    if not equals:
        raise CommandError(f"--set {name} lacks a value. Write --set {name}=VALUE.")
    try:
        return name, json.loads(value) if value.startswith("[") else value
    except ValueError as error:
        raise CommandError(f"--set {told} cannot be read: {error}. Write groups as [[0,2],[4,6]].") from error


def report(run: TrainingRun) -> dict[str, Any]:
    evaluation = Evaluation.objects.filter(version=run.version).order_by("-at").first() if run.version else None
    return {
        "training": run.pk,
        "task": run.task,
        "state": run.state,
        "epochs": len(run.history),
        "bundle": run.version.folder if run.version else None,
        "version": run.version_id,
        "evaluation": evaluation.measured if evaluation else None,
        "compared": evaluation.compared if evaluation else None,
    }


def said(told: dict[str, Any]) -> str:
    if told["evaluation"] is None:
        return f"Training {told['training']} of {told['task']} is {told['state']}."
    figure = told["evaluation"].get("main")
    lines = [f"Training {told['training']} is done after {told['epochs']} epochs: {told['bundle']}"]
    if figure:
        measured = told["evaluation"]["metrics"][figure]
        lines.append(
            f"On {told['evaluation']['n']} test faces: {figure} {measured['value']:.4f} "
            f"({measured['low']:.4f}–{measured['high']:.4f})"
        )
        if told["compared"]:
            beside = told["compared"]["metrics"][figure]
            lines.append(
                f"The live model on the same faces: {beside['live']:.4f}; p = {beside['p']:.3g} of no difference."
            )
    command = f"`.venv/bin/python manage.py promote {told['version']}`"
    lines.append(f"It is model #{told['version']}: {command} makes it the live one, if it passes the gate.")
    return "\n".join(lines)
