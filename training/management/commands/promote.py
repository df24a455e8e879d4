"""`manage.py promote`: a model through the gate and past every face to being the live one; and back."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inference import registry
from inference.core.bundle import BadBundle, load
from inference.models import ModelVersion
from training import promotion
from training.errors import NotPromotable, TrainingError
from training.management.commands.evaluate import judge, model_of, release_named
from training.models import Promotion


class Command(BaseCommand):
    help = (
        "Let a model become the live one, if it passes the gate. It looks at every face first, while the live one "
        "answers; killed in between, the workers or the same command go on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        tasks = [task for task, _ in ModelVersion.TASKS]
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "model",
            nargs="?",
            metavar="ID|FOLDER",
            help="its number (#5 on its page), or a bundle's folder",
        )
        what.add_argument("--rollback", choices=tasks, metavar="TASK", help="back to the model that was live before")
        what.add_argument("--call-off", action="store_true", help="give up the promotion under way")
        parser.add_argument("--force", default="", metavar="WHY", help="promote it against the gate, and say why")
        parser.add_argument(
            "--release", metavar="NAME", help="that a folder's bundle is judged on; default: the latest"
        )
        parser.add_argument("--queue", action="store_true", help="leave the faces to the workers")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = self._done(options)
        except NotPromotable as error:
            if options["json"] and error.promotion is not None:  # what the gate saw, for whoever reads it by program
                self.stdout.write(json.dumps(report(error.promotion), indent=2))
            raise CommandError(str(error)) from error
        except TrainingError as error:
            raise CommandError(str(error)) from error
        told = report(done)
        self.stdout.write(json.dumps(told, indent=2) if options["json"] else said(told))
        if done.state == Promotion.State.FAILED and not options["call_off"]:
            raise CommandError(done.error)

    def _done(self, options: dict[str, Any]) -> Promotion:
        if options["rollback"]:
            return promotion.rollback(options["rollback"])
        if options["call_off"]:
            return promotion.call_off()
        version = _version(options)
        going = promotion.under_way()
        if going is None or going.version_id != version.pk:
            going = promotion.promote(version, forced=options["force"])
        if not options["queue"]:
            promotion.carry_out(going.pk)
            going.refresh_from_db()
        return going


def _version(options: dict[str, Any]) -> ModelVersion:
    """The model of this number, or of a bundle's folder; that is judged first, as nobody here has."""
    named = options["model"]
    if named.isdecimal():
        return model_of(int(named))
    folder = Path(named).expanduser().resolve()
    try:
        version = registry.register(load(folder), folder=str(folder))
    except BadBundle as error:
        raise CommandError(str(error)) from error
    live = promotion.live_of(version.task)
    if version != live and not version.evaluations.filter(against=live).exists():
        try:
            judge(version, release_named(options["release"], version.task))
        except CommandError:
            if not options["force"]:
                raise
    return version


def report(done: Promotion) -> dict[str, Any]:
    return {
        "promotion": done.pk,
        "model": done.version_id,
        "name": done.version.name,
        "task": done.version.task,
        "state": done.state,
        "replaced": done.replaced.name if done.replaced else None,
        "gate": done.gate,
        "forced": done.forced,
        "prepared": done.prepared,
        "total": done.total,
        "error": done.error,
    }


def said(told: dict[str, Any]) -> str:
    lines = [f"{'passed' if each['passed'] else 'NOT PASSED'}  {each['name']}: {each['told']}" for each in told["gate"]]
    if told["forced"]:
        lines.append(f"Against the gate: {told['forced']}")
    state = {
        Promotion.State.LIVE: f"{told['name']} is live for {told['task']}; it has looked at {told['prepared']} faces.",
        Promotion.State.PREPARING: f"{told['name']} looks at the faces, {told['prepared']} of {told['total']} so far.",
        Promotion.State.ROLLED_BACK: f"{told['replaced']} is live for {told['task']} again, and {told['name']} is not.",
        Promotion.State.FAILED: f"{told['name']} is not promoted: {told['error']}",
    }
    return "\n".join([*lines, state[Promotion.State(told["state"])]])
