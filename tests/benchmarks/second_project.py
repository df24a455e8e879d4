"""What a second project saves: emotion on one half of FER+, by the first network and by one that learnt from the other.

python -m tests.benchmarks.second_project [--seeds 5] [--data FOLDER] [--network BUNDLE] [--preset full|quick]

The first 8,400 files of the set are rehearsed; of all others a release is frozen, with their ten voters' word, and a
network learns from it: no file and no near duplicate is in both halves. A network that was trained elsewhere, as by
`python -m training.core.run` on a machine with a GPU from the release in FOLDER, is named by --network. Both
networks then see the same faces. The second row is no cold start: it begins with what other people's faces cost.
"""

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path

import django
import numpy as np
import torch
from django.apps import apps
from django.core.management import call_command

from inference.core.calibrate import reliability
from tests.benchmarks.attribute_rehearsals import STUDIES, curve, manage, mean, one, ways
from tests.benchmarks.shared_data import SHARED_DATA

EMOTION = STUDIES["emotion"]
OTHERS = "others"
REHEARSED = 8_400  # files
CONTROL, SLICES = 600, 5
RIGHTS = ("--licence", "research only", "--legal-basis", "research")


def halve(data: Path) -> dict[str, Path]:
    """The set in two folders of its own layout, by the order of its files."""
    header, *rows = csv.reader((SHARED_DATA / EMOTION.path / "votes.csv").open())
    halves = {EMOTION.set: rows[:REHEARSED], OTHERS: rows[REHEARSED:]}
    for name, part in halves.items():
        images = data / "halves" / name / "images"
        images.mkdir(parents=True, exist_ok=True)
        with (images.parent / "votes.csv").open("w") as file:
            csv.writer(file).writerows([header, *part])
        for file_name, *_ in part:
            link = images / file_name
            if not link.exists():
                link.symlink_to(SHARED_DATA / EMOTION.path / "images" / file_name)
    return {name: data / "halves" / name for name in halves}


def prepare(data: Path) -> None:
    """Both halves in one site, so that the engine finds who is in both; the other one frozen."""
    if (data / "dager.sqlite3").exists():
        return
    manage(data, "migrate", "--verbosity", "0")
    for name, folder in halve(data).items():
        manage(data, "import_labelled", str(folder), "--layout", "ferplus", "--source", name, *RIGHTS)
    os.environ |= {"DAGER_DATA": str(data), "DAGER_LOG_LEVEL": "WARNING"}
    os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
    django.setup()
    from annotation import duplicates, embeddings  # noqa: PLC0415  Django is set up by now
    from annotation.core.batches import batched  # noqa: PLC0415
    from annotation.models import Face  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415

    version = registry.ensure_live()
    for piece in batched(list(Face.objects.filter(usable=True).values_list("pk", flat=True)), 64):
        embeddings.embed(list(Face.objects.filter(pk__in=piece).select_related("photo")), version)
    print(f"{duplicates.find(version)} faces are a near duplicate of another one: of each group one is used")
    shares = [0.85, 0.1, 0.05]  # to learn from, to choose by and to judge by: judged is by rehearsing
    call_command("release", OTHERS, attributes=["emotion"], sources=[OTHERS], purpose="A second project", shares=shares)


def rehearsed(data: Path, seeds: int, title: str) -> None:
    all_told = [one(EMOTION, data, seed) for seed in range(seeds)]
    by_way = [ways(told, EMOTION.attribute) for told in all_told]
    faces, scored = all_told[0]["faces"], all_told[0]["known"][EMOTION.attribute]
    print(f"\n{title}: {faces} faces, {scored} scored, {seeds} seeds\n\n| way | actions per label | right |")
    print("| --- | --- | --- |")
    for name in by_way[0]:
        actions, right = ([told[name][column] for told in by_way] for column in range(2))
        print(f"| {name} | {mean(actions)} | {mean(right)} |")
    held = [sum(each["accepted"] > 0 for each in told["certificates"]) for told in all_told]
    print(f"\ncertificates that accepted anything: {np.mean(held):.1f} a seed")
    curve(all_told, EMOTION.attribute)


def lessons(data: Path) -> None:
    """What it would cost if the control slice were learnt: a calibrator fitted on faces that taught the network."""
    if not apps.ready:
        os.environ |= {"DAGER_DATA": str(data), "DJANGO_SETTINGS_MODULE": "dager_site.settings"}
        django.setup()
    from annotation import proposals  # noqa: PLC0415  Django is set up by now
    from annotation.core.batches import batched  # noqa: PLC0415
    from annotation.models import Face  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415
    from inference.core.attributes import EMOTION as emotion  # noqa: PLC0415

    for piece in batched(list(proposals.without_proposal(Face.objects.select_related("photo"))), 256):
        proposals.propose(piece)
    table = proposals._load(emotion, registry.ensure_live(), registry.network_of(emotion.name))
    part = np.array([each.face.split for each in table.proposals])
    usable = np.array([each.face.duplicate_of_id is None for each in table.proposals]) & (table.truth >= 0)
    taught, unseen = np.flatnonzero(usable & (part == "train")), np.flatnonzero(usable & (part == ""))
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(SLICES):
        chance = np.random.default_rng(seed)
        held_out, judged = np.split(chance.permutation(unseen), [CONTROL])
        for name, rows in {
            "that it never saw": held_out,
            "that it learnt from": chance.permutation(taught)[:CONTROL],
        }.items():
            belief = proposals._fit(emotion, table.said[rows], table.truth[rows]).fuse(table.said[judged])
            sure, right = belief.max(axis=1), belief.argmax(axis=1) == table.truth[judged]
            loss = -np.log(belief[np.arange(len(judged)), table.truth[judged].astype(int)]).mean()
            found.setdefault(name, []).append(
                (float(loss), reliability(sure, right).error, float((sure - right).mean()))
            )
    print(f"\nA calibrator fitted on {CONTROL} faces, judged on {len(judged)} others; {SLICES} draws, mean ± 95 %\n")
    print("| control faces | log loss | calibration error | surer than right, by |\n| --- | --- | --- | --- |")
    for name, rows in found.items():
        print(f"| {name} | " + " | ".join(mean(list(column)) for column in zip(*rows, strict=True)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, help="the folder of a site that was prepared before, or will be now")
    parser.add_argument("--network", type=Path, help="a bundle that learnt from the release; else one is trained here")
    parser.add_argument("--preset", help="of the training, where none is named: quick, and full with a GPU")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as scratch:
        data = asked.data or Path(scratch)
        prepare(data)
        rehearsed(data, asked.seeds, "the network that ships")
        model = (
            str(asked.network)
            if asked.network
            else _trained(data, asked.preset or ("full" if torch.cuda.is_available() else "quick"))
        )
        print(manage(data, "promote", model))
        rehearsed(data, asked.seeds, "a network that learnt from the other half")
        lessons(data)


def _trained(data: Path, preset: str) -> str:
    told = json.loads(manage(data, "train", "emotion", "--release", OTHERS, "--preset", preset, "--json"))
    print(f"trained in {told['epochs']} epochs: {told['bundle']}")
    return str(told["version"])


if __name__ == "__main__":
    main()
