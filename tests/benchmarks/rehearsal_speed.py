"""How long a rehearsal of many faces takes: made-up ones, with vectors and proposals like real ones.

python -m tests.benchmarks.rehearsal_speed [--faces 20000]
"""

import argparse
import os
import tempfile
import time

import django
import numpy as np
from django.core.management import call_command

RIGHT = 0.92  # of the network's proposals, as of gender on UTKFace


def make(faces: int):  # type: ignore[no-untyped-def]
    """A source of labelled faces, each with a vector that tells its gender as well as the backbone's do."""
    from annotation import ledger  # noqa: PLC0415  Django is set up by now
    from annotation.models import Decision, Embedding, Face, NetworkOutput, Photo, Proposal, Source  # noqa: PLC0415
    from annotation.proposals import packed  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415

    version, rng = registry.ensure_live(), np.random.default_rng(0)
    source = Source.objects.create(name="made up")
    bare = {"format": "jpg", "size": 1, "width": 100, "height": 100}
    photos = [Photo(source=source, sha256=f"{number:064x}", file=f"{number}.jpg", **bare) for number in range(faces)]
    box = {"x": 1, "y": 1, "width": 90, "height": 90, "score": 1, "points": [], "landmarks": [], "chosen": True}
    seen = {
        "yaw": 0,
        "pitch": 0,
        "roll": 0,
        "sharpness": 100,
        "brightness": 0.5,
        "gray": False,
        "truncated": False,
        "transform": [],
    }
    rows = Face.objects.bulk_create(
        Face(photo=photo, number=0, usable=True, **box, **seen) for photo in Photo.objects.bulk_create(photos, 500)
    )
    truth, logit = rng.random(faces) < 0.5, rng.normal(2.4, 1.6, faces)
    vectors = rng.normal(0, 1, (faces, version.dimensions))
    vectors[:, 0] += np.where(truth, 2.0, -2.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    Embedding.objects.bulk_create(
        (
            Embedding(face=face, version=version, vector=each.astype("<f2").tobytes())
            for face, each in zip(rows, vectors, strict=True)
        ),
        500,
    )
    male = 1 / (1 + np.exp(np.where(truth, -logit, logit)))
    Proposal.objects.bulk_create(
        (
            Proposal(
                face=face,
                attribute="gender",
                value="male" if each > 0.5 else "female",
                confidence=max(each, 1 - each),
                belief=[1 - each, each],
                evidence={"network": [1 - each, each]},
            )
            for face, each in zip(rows, male.tolist(), strict=True)
        ),
        500,
    )
    network = registry.network_of("gender")
    NetworkOutput.objects.bulk_create(
        (
            NetworkOutput(face=face, version=network, belief=packed([1 - each, each]))
            for face, each in zip(rows, male.tolist(), strict=True)
        ),
        500,
    )
    lines = [
        Decision(kind="value", face=face, attribute="gender", value="male" if each else "female", by="import")
        for face, each in zip(rows, truth, strict=True)
    ]
    for start in range(0, faces, 5_000):
        ledger.write(lines[start : start + 5_000])
    print(f"{faces} faces; the network is right of {np.mean((male > 0.5) == truth):.3f}")
    return source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        from annotation.rehearsal import Plan, rehearse  # noqa: PLC0415

        source = make(asked.faces)
        started, of_core = time.perf_counter(), time.process_time()
        told = rehearse(source, Plan(("gender",)))
        spent, of_core = time.perf_counter() - started, time.process_time() - of_core
        last = told.last
        print(f"rehearsed in {spent / 60:.1f} minutes, {of_core / 60:.1f} of a core: ", end="")
        labelled, right = (of["gender"] for of in (last.labelled, last.right))
        print(f"{last.actions} actions, {labelled} labels, {right / labelled:.4f} right")


if __name__ == "__main__":
    main()
