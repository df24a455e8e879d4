"""The quick preset on this machine: how good after how many minutes, beside the network that ships.

    python -m tests.benchmarks.training --release FOLDER --task gender --seeds 3

The release is one that `manage.py release` froze; both networks are judged on its test part, the same faces.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import numpy as np
import torch

from annotation.core.release import Release, open_release
from inference.core.attributes import ATTRIBUTES, REAL_AGE
from inference.core.bundle import open_attribute_model
from inference.core.cold_attributes import COLD, cold_age
from inference.core.types import AttributeModel, Beliefs, Crops, CropSpec, Vectors
from training.core.config import preset
from training.core.evaluate import compare, evaluate
from training.core.judge import Heard, hear
from training.core.run import Finished, run
from training.core.train import EpochDone, Progress


class ApparentAsReal:
    """The age network that ships says how old somebody looks: that is what there was for their real age, too."""

    attribute = REAL_AGE

    def __init__(self) -> None:
        self._looks = cold_age()

    @property
    def crop(self) -> CropSpec:
        return self._looks.crop

    def look(self, crops: Crops) -> tuple[Beliefs, Vectors | None]:
        return self._looks.look(crops)


def shipped(task: str) -> AttributeModel:
    return ApparentAsReal() if task == REAL_AGE.name else COLD[task].open()


def measure(release: Release, task: str, seed: int, cache: Path, changes: dict[str, str]) -> tuple[Heard, dict]:
    config = preset("quick", task, seed=seed, **changes)
    with TemporaryDirectory() as scratch:
        begun, pace = monotonic(), list[float]()
        for report in run(config, [release], Path(scratch) / "run", Path(scratch) / "bundle", name="b", cache=cache):
            if isinstance(report, Progress):
                pace.append(report.images_per_second)
            if isinstance(report, EpochDone):
                print(
                    f"  seed {seed}, epoch {report.epoch + 1}: {dict(report.figures)}, {report.seconds:.0f} s",
                    flush=True,
                )
            if isinstance(report, Finished):
                minutes = (monotonic() - begun) / 60
                ours = hear(open_attribute_model(report.bundle), release, cache)
    return ours, {"seed": seed, "minutes": round(minutes, 1), "images_per_second": float(np.median(pace or [0]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--task", choices=sorted(ATTRIBUTES), required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--cache", type=Path, default=Path(".cache/crops"))
    options = parser.parse_args()
    changes = dict(each.split("=", 1) for each in options.set)
    release = open_release(options.release)
    theirs = hear(shipped(options.task), release, options.cache)
    print(f"{options.task}: {release.counts['splits']}, {torch.get_num_threads()} threads", flush=True)
    before = evaluate(theirs.beliefs, theirs.truth)
    print(f"  shipped: {before.main} {told(before.figure)}, {theirs.milliseconds} ms a face", flush=True)
    rows = []
    for seed in range(options.seeds):
        ours, row = measure(release, options.task, seed, options.cache, changes)
        judged, beside = evaluate(ours.beliefs, ours.truth), compare(ours.beliefs, theirs.beliefs, ours.truth)
        gain = beside.metrics[beside.main]
        row |= {"figure": judged.figure.value, "calibration_error": judged.calibration_error, "p": gain.p}
        rows.append(row)
        print(
            f"  seed {seed}: {judged.main} {told(judged.figure)}, gain {told(gain.gain)}, {json.dumps(row)}", flush=True
        )
        for by, parts in judged.slices.items():
            print(
                "   ", by, {name: round(part.metrics[judged.main].value, 3) for name, part in parts.items()}, flush=True
            )
    figures = [row["figure"] for row in rows]
    print(
        f"  {before.main}: {np.mean(figures):.4f} ± {np.std(figures):.4f} (sd over {len(rows)} seeds), n = {before.n}"
    )


def told(measured) -> str:
    return f"{measured.value:.4f} ({measured.low:.4f}–{measured.high:.4f})"


if __name__ == "__main__":
    main()
