"""How far fused proposals can be believed: fitted on 2,000 control answers, judged on all other faces.

python -m tests.benchmarks.calibration utkface gender [--data folder]
python -m tests.benchmarks.calibration ferplus emotion [--data folder]

All sources speak: the network, a head and the neighbours learnt out of fold from the set's own labels, and the person's
other faces where the set knows people. The calibrator sees the control slice alone. `--data` keeps the imported set.
"""

import argparse
import os
import tempfile
from pathlib import Path

import django

from tests.benchmarks.attribute_rehearsals import Study, manage, prepare
from tests.benchmarks.shared_data import share

CONTROL = 2_000


def judge(name: str) -> None:
    from django.conf import settings  # noqa: PLC0415  Django is set up by now

    from annotation import proposals  # noqa: PLC0415
    from annotation.models import AttributeLabel  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415
    from inference.core.attributes import attribute  # noqa: PLC0415
    from inference.core.calibrate import fit, reliability  # noqa: PLC0415

    wanted = attribute(name)
    known = AttributeLabel.objects.filter(attribute=name, value__in=wanted.values).count()
    settings.CONTROL_SHARE = min(CONTROL / known, 0.5)
    table = proposals._load(wanted, registry.ensure_live(), registry.network_of(name))
    control, others = table.control, (table.truth >= 0) & ~table.control
    belief = fit(table.told[control], table.truth[control]).fuse(table.told[others])
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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as scratch:
        data = asked.data or Path(scratch)
        prepare(Study(asked.set, asked.set, asked.attribute), data)
        # One rehearsal of nothing: it makes the vectors and proposals that are missing.
        manage(
            data,
            "rehearse",
            asked.set,
            "--what",
            asked.attribute,
            "--stop-at",
            "0",
            "--json",
            "--out",
            str(data / "out"),
        )
        os.environ |= {"DAGER_DATA": str(data), "DJANGO_SETTINGS_MODULE": "dager_site.settings"}
        django.setup()
        judge(asked.attribute)


if __name__ == "__main__":
    main()
