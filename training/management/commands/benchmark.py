"""`manage.py benchmark`: one of the paper's protocols on a set in its official layout. Needs no database."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.progress import Progress

from inference.core.bundle import BadBundle
from inference.core.embed import UnusableBackbone
from training.core.benchmarks.contestants import LINEAR, contestant
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome
from training.core.benchmarks.registry import BENCHMARKS, UnknownBenchmark, WrongModel, measure
from training.core.benchmarks.report import pictures, told
from training.core.config import PRESETS, BadConfig
from training.models import BenchmarkResult

NOT_MEASURED = 3  # exit status: neither a figure nor a mistake of the caller


class Command(BaseCommand):
    help = "Judge a backbone or a network of an attribute by one of the paper's protocols, beside published figures."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="a protocol; --list names them")
        parser.add_argument("--list", action="store_true", help="the protocols, and what each expects of the folder")
        parser.add_argument("--data", help="the set's folder, in its official layout")
        parser.add_argument("--json", help="write the outcome to this file")
        parser.add_argument("--out", help="write report.md, outcome.json and pictures into this folder")
        parser.add_argument("--keep", action="store_true", help="put the outcome on the leader board")
        parser.add_argument("--embedder", help="folder of a backbone's bundle (default: the one that ships)")
        parser.add_argument(
            "--model", help="folder of an attribute network's bundle (default: the first ones that ship)"
        )
        parser.add_argument(
            "--fine-tune",
            choices=(LINEAR, *PRESETS),
            default=LINEAR,
            help="what learns from the set's own part: a linear head on the backbone, or a whole network by a preset",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self.stdout.write(_listed())
            return
        if not options["name"] or not options["data"]:
            raise CommandError("Name a protocol and give --data, the folder of its set. --list names the protocols.")
        with Progress(transient=True) as bar:
            task = bar.add_task(options["name"], total=None)
            judged = _contestant(options, lambda done, of: bar.update(task, completed=done, total=of))
            try:
                outcome = measure(options["name"], Path(options["data"]).expanduser(), judged)
            except (UnknownBenchmark, WrongModel) as error:
                raise CommandError(str(error)) from error
            except NotMeasured as error:
                self._write(options, {"measured": False, "protocol": options["name"], "reason": str(error)})
                raise CommandError(f"{options['name']}: not measured. {error}", returncode=NOT_MEASURED) from error
        report = told(outcome)
        self._write(options, outcome.as_json())
        if options["keep"]:
            keep(outcome)
        if options["out"]:
            folder = Path(options["out"])
            drawn = pictures(outcome, folder)
            shown = "".join(f"\n![{path.stem}]({path.relative_to(folder).as_posix()})\n" for path in drawn)
            (folder / "report.md").write_text(report + shown, encoding="utf-8")
        self.stdout.write(report)

    def _write(self, options: dict[str, Any], outcome: dict[str, Any]) -> None:
        files = [Path(options["json"])] if options["json"] else []
        if options["out"]:
            files.append(Path(options["out"], "outcome.json"))
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(outcome, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def keep(outcome: Outcome) -> BenchmarkResult:
    """For the leader board. The scores of all pairs stay in the file; a number that is none becomes null."""
    told = json.loads(json.dumps({**outcome.as_json(), "scores": {}}), parse_constant=lambda name: None)
    return BenchmarkResult.objects.create(protocol=outcome.protocol, outcome=told)


def _contestant(options: dict[str, Any], tick: Callable[[int, int], None]) -> Contestant:
    each = BENCHMARKS.get(options["name"])
    learns = each.judges[-1] if each and each.learns else None
    if options["fine_tune"] != LINEAR and each and not each.learns:
        raise CommandError(f"{options['name']} learns nothing from its set. Leave --fine-tune out.")
    brought = {name: Path(options[name]).expanduser() if options[name] else None for name in ("embedder", "model")}
    try:
        return contestant(**brought, fine_tune=options["fine_tune"], learns=learns, tick=tick)
    except (BadBundle, BadConfig, UnusableBackbone) as error:
        raise CommandError(str(error)) from error


def _listed() -> str:
    lines = []
    for name, each in BENCHMARKS.items():
        judged = " or ".join(attribute.name for attribute in each.judges) or "the backbone"
        learns = "; fine-tunes on the set's own part" if each.learns else ""
        lines.append(f"{name:16} {each.what}\n{'':16} judges {judged}{learns}\n{'':16} --data: {each.layout}")
    return "\n".join(lines)
