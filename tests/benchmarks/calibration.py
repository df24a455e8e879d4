"""How far fused proposals can be believed: fitted on 2,000 control answers, judged on all other faces.

python -m tests.benchmarks.calibration utkface gender [--data folder]
python -m tests.benchmarks.calibration ferplus emotion [--data folder]
python -m tests.benchmarks.calibration utkface real_age [--data folder] [--control 2000]

All sources speak: the network, a head and the neighbours learnt out of fold from the set's own labels, and the person's
other faces where the set knows people. The calibrator sees the control slice alone. `--data` keeps the imported set.
Of ages five slices are drawn by chance, one after the other, and the network is judged as it is, too, and by itself.
"""

import argparse
import os
import tempfile
from pathlib import Path

import django
import numpy as np

from annotation.core.sampling import face_key, in_control_slice
from inference.core.attributes import attribute
from inference.core.calibrate import SUREST
from inference.core.years import coverage, covered, median, over_years, shares
from tests.benchmarks.attribute_rehearsals import Study, manage, mean, prepare
from tests.benchmarks.shared_data import share

CONTROL, SLICES = 2_000, 5


def judge_ages(control: int) -> None:
    from annotation import proposals  # noqa: PLC0415  Django is set up by now
    from annotation.models import NetworkOutput  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415
    from inference.core.attributes import REAL_AGE  # noqa: PLC0415

    network = registry.network_of(REAL_AGE.name)
    table = proposals._load(REAL_AGE, registry.ensure_live(), network)
    outputs = NetworkOutput.objects.filter(version=network)
    told = {face: proposals.unpacked(belief) for face, belief in outputs.values_list("face_id", "belief")}
    known = np.flatnonzero(table.truth >= 0)
    raw = np.stack([told[table.proposals[row].face_id] for row in known])
    said, truth = table.said[known], table.truth[known]
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(SLICES):
        order = np.random.default_rng(seed).permutation(len(known))
        drawn, others = order[:control], order[control:]
        alone = said.copy()
        alone[:, 1:] = np.nan
        for way, sources in (("the network alone, calibrated", alone), ("all sources, calibrated", said)):
            calibrator = proposals._fit(REAL_AGE, sources[drawn], truth[drawn])
            belief = calibrator.fuse(over_years(sources[others]))
            found.setdefault(way, []).append(figures(belief, truth[others]))
            print(f"slice {seed}, {way}: weights {calibrator.weights.round(2).tolist()}", flush=True)
        found.setdefault("the network as it is", []).append(figures(raw[others], truth[others]))
    print(f"{len(known)} faces, of which {control} are control answers; {SLICES} slices, mean ± 95 %\n")
    print("| real age | log loss | mean error of the median, years | calibration error | in the 90 % interval |")
    print("| --- " * 5 + "|")
    for way, rows in found.items():
        print(f"| {way} | " + " | ".join(mean(list(column)) for column in zip(*rows, strict=True)) + " |")


def figures(belief: np.ndarray, years: np.ndarray) -> tuple[float, ...]:
    loss = -(shares(years) * np.log(np.clip(belief, SUREST, 1))).sum(axis=1).mean()
    off = np.abs(np.array([median(each) for each in belief]) - years).mean()
    return float(loss), float(off), coverage(belief, years).error, float(covered(belief, years, (0.9,))[0])


def judge(name: str) -> None:
    from annotation import proposals  # noqa: PLC0415  Django is set up by now
    from annotation.models import AttributeLabel  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415
    from inference.core.calibrate import fit, reliability  # noqa: PLC0415

    wanted = attribute(name)
    known = AttributeLabel.objects.filter(attribute=name, value__in=wanted.values).count()
    table = proposals._load(wanted, registry.ensure_live(), registry.network_of(name))
    # The set's labels stand in for what people would say blind of the faces that chance draws.
    keys = [face_key(row.face.photo.sha256, row.face.number) for row in table.proposals]
    drawn = np.array([in_control_slice(key, min(CONTROL / known, 0.5)) for key in keys], np.bool_)
    control, others = (table.truth >= 0) & drawn, (table.truth >= 0) & ~drawn
    truth = table.truth.astype(int)
    belief = fit(table.said[control], truth[control]).fuse(table.said[others])
    right = belief.argmax(axis=1) == table.truth[others]
    judged = reliability(belief.max(axis=1), right)
    print(f"{name}: fitted on {int(control.sum())} control answers, judged on {int(others.sum())} other faces")
    print(
        f"expected calibration error {judged.error:.4f}; "
        f"the proposed value is right in {share(int(right.sum()), len(right))}"
    )
    print("\n| confidence | right | faces |\n| --- | --- | --- |")
    for confidence, share_right, count in zip(judged.confidence, judged.right, judged.count, strict=True):
        print(f"| {confidence:.3f} | {share_right:.3f} | {count} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=["utkface", "imfdb", "ferplus"])
    parser.add_argument("attribute")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--control", type=int, default=CONTROL, help="control answers, of an age")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as scratch:
        data = asked.data or Path(scratch)
        in_years = attribute(asked.attribute).in_years
        prepare(Study(asked.set, asked.set, asked.attribute), data)
        # One rehearsal of nothing: it makes the vectors and proposals that are missing.
        manage(
            data,
            "rehearse",
            asked.set,
            "--what",
            "gender" if in_years else asked.attribute,
            "--stop-at",
            "0",
            "--json",
            "--out",
            str(data / "out"),
        )
        os.environ |= {"DAGER_DATA": str(data), "DJANGO_SETTINGS_MODULE": "dager_site.settings"}
        django.setup()
        if in_years:
            judge_ages(asked.control)
        else:
            judge(asked.attribute)


if __name__ == "__main__":
    main()
