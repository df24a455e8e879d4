"""One run from releases to a bundle: what the command and the Celery task both do.

    python -m training.core.run --release DIR --task gender --out BUNDLE

(or `training.core.train`) needs the folder of a release and no database.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError

from annotation.core.release import BadRelease, Release, open_release
from inference.core.bundle import TASKS, BadBundle, Bundle
from inference.core.embed import UnusableBackbone
from training.core.checkpoint import OtherRun
from training.core.config import PRESETS, BadConfig, TrainConfig, preset
from training.core.data import NothingToLearnFrom, load
from training.core.evaluate import Evaluation
from training.core.finish import OnnxDiffers, finish
from training.core.train import Diverged, EpochDone, Report, Stopped, train

Troubles = (
    *(BadRelease, BadBundle, BadConfig, UnusableBackbone, OtherRun, NothingToLearnFrom, OnnxDiffers, Diverged),
    *(OSError, SafetensorError),  # a full disk, by either name
)


@dataclass(frozen=True, eq=False)
class Finished:
    """The last report of a run that was not stopped."""

    bundle: Bundle
    evaluation: Evaluation | None  # of an attribute's network


def run(
    config: TrainConfig,
    releases: Sequence[Release],
    folder: Path,
    out: Path,
    *,
    name: str,
    licence: str = "not stated",
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Report | Finished]:
    """Learn from the releases in `folder`, which holds the run's state, and write the bundle to `out`.

    Called again after a break it goes on. Raises what `Troubles` names.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists, and a bundle is never edited. Name another folder.")
    kept = cache or folder / "crops"
    training, validation, test = (load(releases, split, config, kept) for split in ("train", "validation", "test"))
    stopped = False
    for report in train(config, training, validation, folder, stop=stop):
        stopped = isinstance(report, Stopped)
        yield report
    if stopped or os.environ.get("RANK", "0") != "0":
        return
    yield Finished(
        *finish(config, training, validation, test, folder, out, name=name, releases=releases, licence=licence)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options, console = _parser().parse_args(arguments), Console(stderr=True, soft_wrap=True)
    try:
        config = preset(options.preset, options.task, **_settings(options.set))
        releases = [open_release(folder.expanduser()) for folder in options.release]
        folder = options.folder or options.out.with_name(f"{options.out.name}.run")
        steps = run(
            config, releases, folder, options.out, name=options.name or options.out.name, licence=options.licence
        )
        finished = _watched(steps, console)
    except Troubles as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    if finished is None:
        return 0
    if options.json:
        told = finished.evaluation.as_json() if finished.evaluation else dict(finished.bundle.metrics)
        print(json.dumps({"bundle": str(finished.bundle.folder), "evaluation": told}, indent=1))
    else:
        print(finished.bundle.card)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.core.run", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--release", type=Path, action="append", required=True, help="a release's folder; may be repeated"
    )
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder, which must not exist yet")
    parser.add_argument("--preset", default="quick", choices=PRESETS, help="quick: minutes on two cores; full: a GPU")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting of it")
    parser.add_argument("--folder", type=Path, help="where the run keeps its state (default: OUT.run)")
    parser.add_argument("--name", help="of the bundle (default: its folder's)")
    parser.add_argument("--licence", default="not stated", help="of the weights")
    parser.add_argument("--json", action="store_true", help="say what was measured as JSON")
    return parser


def _settings(told: Sequence[str]) -> dict[str, Any]:
    pairs = [each.partition("=") for each in told]
    for name, equals, _ in pairs:
        if not equals:
            raise BadConfig(f"--set {name} lacks a value. Write --set {name}=VALUE.")
    try:
        return {name: json.loads(value) if value.startswith("[") else value for name, _, value in pairs}
    except ValueError as error:
        raise BadConfig(f"--set cannot be read: {error}. Write groups as [[0,2],[4,6]].") from error


def _watched(steps: Iterator[Report | Finished], console: Console) -> Finished | None:
    """Show how it goes."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Learning", total=None, said="")
        for report in steps:
            if isinstance(report, Finished):
                return report
            if isinstance(report, Stopped):
                console.print(f"Stopped after step {report.step} of {report.steps}; run it again to go on.")
            elif isinstance(report, EpochDone):
                said = ", ".join(f"{name} {value:.4f}" for name, value in report.figures.items())
                console.print(f"Epoch {report.epoch + 1} of {report.epochs}: loss {report.loss:.4f}; validation {said}")
            else:
                said = f"{report.images_per_second:.0f} faces/s, loss {report.loss:.3f}"
                bar.update(task, total=report.steps, completed=report.step, said=said)
    return None


if __name__ == "__main__":
    sys.exit(main())
