"""Releases at scale: is memory constant, and how long does each step take?

    python -m tests.benchmarks.releases [--rows 2000 20000] [--plan 100000]

Writing, checking and exporting run in a process of their own each, which reports its peak of memory: it must not grow
with the rows, but for some 33 bytes a face that the search for leaks keeps. `--plan` deals out so many made-up faces,
in a scratch database: this is what the preview of the page waits for.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from annotation.core.release import FaceRow, open_release, write_release
from annotation.core.release_diff import diff
from annotation.core.release_formats.formats import FORMATS, stream
from tests.annotation.core.releases import a_row

SIDE = 384


def rows(count: int) -> Iterator[FaceRow]:
    """Noise under a blur: a JPEG of about the size of a real face's crop."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(16):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), (0, 0), 1.2)
        pictures.append(cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    for face in range(1, count + 1):
        yield a_row(face, image=pictures[face % 16] + face.to_bytes(8, "big"))


def step(name: str, folder: Path, count: int) -> dict[str, float]:
    """One step, in this process; its seconds and the peak of this process's memory."""
    start = time.perf_counter()
    if name == "write":
        write_release(folder, rows(count), name="r", query={})
    elif name == "verify":
        open_release(folder).verify()
    elif name == "diff":
        release = open_release(folder)
        diff(release, release)
    elif name == "labels":
        for _ in open_release(folder).rows(["face", "split", "real_age", "gender"]):
            pass
    elif name == "faces":
        for _ in open_release(folder).faces():
            pass
    else:
        for _ in stream(open_release(folder), FORMATS[name]):
            pass
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024}


def measured(name: str, folder: Path, count: int) -> dict[str, float]:
    words = [sys.executable, "-m", "tests.benchmarks.releases", "--step", name, str(folder), str(count)]
    told = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(told))


def table(sizes: list[int]) -> None:
    steps = ["write", "verify", "labels", "faces", "diff", *FORMATS]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        found = {}
        for count in sizes:
            folder = Path(scratch) / str(count)
            for name in steps:
                found[name, count] = measured(name, folder, count)
            size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
            print(f"{count} rows: {size / 1e6:.0f} MB, {size / count / 1e3:.1f} kB a face")
        print("| step | " + " | ".join(f"{count}: s | MB" for count in sizes) + " |")
        print("| --- |" + " --- | --- |" * len(sizes))
        for name in steps:
            cells = [f"{found[name, n]['seconds']:.1f} | {found[name, n]['megabytes']:.0f}" for n in sizes]
            print(f"| {name} | " + " | ".join(cells) + " |")


def plan(count: int) -> None:
    """Deal out made-up faces: a tenth of them without a person, five of each person, a third labelled by emotion."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DAGER_DATA"] = scratch
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], check=True, env=os.environ | {})
        words = [sys.executable, "-m", "tests.benchmarks.releases", "--plan-here", str(count)]
        subprocess.run(words, check=True, env=os.environ | {})


def plan_here(count: int) -> None:
    import django  # noqa: PLC0415  the settings read the scratch folder from the environment

    django.setup()
    from annotation import releases  # noqa: PLC0415
    from annotation.core.release_query import ReleaseQuery  # noqa: PLC0415
    from tests.benchmarks.release_rows import made_up  # noqa: PLC0415

    made_up(count)
    start = time.perf_counter()
    query = ReleaseQuery(attributes=("gender", "real_age"))
    counts = releases.preview(query)
    print(f"preview, one face in {counts['one_in']}: {time.perf_counter() - start:.1f} s, {counts['splits']}")
    start = time.perf_counter()
    found = releases.plan(query)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(f"plan of {len(found.faces)} faces: {time.perf_counter() - start:.1f} s, {peak:.0f} MB")
    print(json.dumps(found.counts["splits"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=[2_000, 20_000])
    parser.add_argument("--plan", type=int)
    parser.add_argument("--plan-here", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(step(asked.step[0], Path(asked.step[1]), int(asked.step[2]))))
    elif asked.plan_here:
        plan_here(asked.plan_here)
    elif asked.plan:
        plan(asked.plan)
    else:
        table(asked.rows)
