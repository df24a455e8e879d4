"""What attributes cost, set by set: `manage.py rehearse` over several seeds, with the mean and its interval.

python -m tests.benchmarks.attribute_rehearsals gender            (UTKFace: nobody is known)
python -m tests.benchmarks.attribute_rehearsals gender_by_person  (IMFDB: who everybody is, is known)
python -m tests.benchmarks.attribute_rehearsals emotion           (FER+: the real votes of ten annotators)

The set is imported, embedded and looked at by the networks in a scratch folder (or the one of --data, kept for the next
time); every rehearsal replays it on a scratch database of its own. The chance of a seed is who slips, and where.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from tests.benchmarks.shared_data import SHARED_DATA


@dataclass(frozen=True)
class Study:
    set: str
    path: str
    attribute: str
    options: tuple[str, ...] = ()


STUDIES = {
    "gender": Study("utkface", "utkface", "gender"),
    "gender_by_person": Study("imfdb", "imfdb", "gender", ("--people-known",)),
    "emotion": Study("ferplus", "ferplus", "emotion"),
}


def manage(data: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        env=os.environ | {"DAGER_DATA": str(data), "DAGER_LOG_LEVEL": "WARNING"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def prepare(study: Study, data: Path) -> None:
    if not (data / "dager.sqlite3").exists():
        manage(data, "migrate", "--verbosity", "0")
        manage(data, "import_labelled", str(SHARED_DATA / study.path), "--layout", study.set, "--source", study.set)


def one(study: Study, data: Path, seed: int, bare: float = 0.0) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        words = ["rehearse", study.set, "--what", study.attribute, "--seed", str(seed), "--json", "--out", out]
        words += ["--bare", str(bare)]  # all named, unless asked for: as the figures in the README have it
        told: dict[str, Any] = json.loads(manage(data, *words, *study.options))
        return told


def ways(told: dict[str, Any], attribute: str) -> dict[str, tuple[float, float]]:
    """By way of labelling: actions per label, and the share of right labels."""
    last = told["moments"][-1]
    found = {
        "the engine": (
            told["actions_for"][attribute] / last["settled"][attribute],
            last["right"][attribute] / last["labelled"][attribute],
        )
    }
    rows = [(each["name"], each["actions"], each["labelled"], each["right"]) for each in told["baselines"]]
    return found | {name: (actions / labelled, right / labelled) for name, actions, labelled, right in rows if labelled}


def mean(values: list[float]) -> str:
    """The mean, with its 95 % interval by Student's t."""
    if len(values) < 2:
        return f"{values[0]:.4f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{np.mean(values):.4f} ± {half:.4f}"


def curve(all_told: list[dict[str, Any]], attribute: str) -> None:
    """How many labels, and how right, after so many actions: the mean over the seeds."""
    print("\n| actions per face | scored ones labelled | right |\n| --- | --- | --- |")
    known, faces = all_told[0]["known"][attribute], all_told[0]["faces"]
    for at in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0):
        reached = [[each for each in told["moments"] if each["actions"] <= at * faces] for told in all_told]
        if not all(reached) or at * faces > 1.2 * max(told["moments"][-1]["actions"] for told in all_told):
            continue
        labelled, right = (sum(moments[-1][name][attribute] for moments in reached) for name in ("labelled", "right"))
        print(f"| {at} | {labelled / len(reached) / known:.3f} | {right / max(labelled, 1):.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=sorted(STUDIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--bare", type=float, default=0.0, help='share of the marks in grids that say only "not this"')
    parser.add_argument("--data", type=Path, help="the folder of a set that was imported before, or will be now")
    asked = parser.parse_args()
    study = STUDIES[asked.study]
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as scratch:
        data = asked.data or Path(scratch)
        prepare(study, data)
        all_told = [
            one(study, data, seed, asked.bare) for seed in range(asked.first_seed, asked.first_seed + asked.seeds)
        ]
    by_way = [ways(told, study.attribute) for told in all_told]
    print(f"{all_told[0]['faces']} faces, {all_told[0]['known'][study.attribute]} scored, {asked.seeds} seeds\n")
    print("| way | actions per label | right |\n| --- | --- | --- |")
    for name in by_way[0]:
        actions, right = ([told[name][column] for told in by_way] for column in range(2))
        print(f"| {name} | {mean(actions)} | {mean(right)} |")
    curve(all_told, study.attribute)


if __name__ == "__main__":
    main()
