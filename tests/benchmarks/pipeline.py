"""From files to questions on `scrape/`: what it finds, what it costs, and which stage costs it.

python -m tests.benchmarks.pipeline

Everything runs twice: as a user starts it (`manage.py up`, two workers), for the time to the first question;
and in this one process, for each stage's share and for the scores. The truth is read only after that.
"""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import django
import numpy as np
from django.core.management import call_command

from inference.core.cluster_scores import bcubed, pairwise
from tests.benchmarks.clustering import interval
from tests.benchmarks.shared_data import SHARED_DATA, share

SCRAPE = SHARED_DATA / "scrape"
PORT = 8199


@contextmanager
def timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    spent[stage] = time.perf_counter() - started


def as_a_user() -> float:
    """Seconds from the command to questions waiting."""
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        command = [sys.executable, "manage.py", "up", "--until-ready", "--port", str(PORT)]
        command += ["--photos", str(SCRAPE / "photos"), "--manifest", str(SCRAPE / "manifest.csv")]
        started = time.perf_counter()
        done = subprocess.run(
            command, env=os.environ | {"DAGER_DATA": data}, check=True, capture_output=True, text=True
        )
        spent = time.perf_counter() - started
        print(done.stdout.strip().splitlines()[-2])
        return spent


def stages() -> dict[str, float]:
    """Seconds for each stage, one after the other, in this process with one thread."""
    from annotation import clustering, duplicates, embeddings, faces, intake  # noqa: PLC0415  Django is set up by now
    from annotation.models import Face, Photo  # noqa: PLC0415
    from inference import registry  # noqa: PLC0415

    version, spent = registry.ensure_live(), dict[str, float]()
    source = intake.create_source(name="scrape", by=None)
    delivery = intake.start_intake(source=source, kind="manifest", path=str(SCRAPE / "manifest.csv"), by=None)
    with timed(spent, "intake"):
        intake.take_in(delivery.pk)
    with timed(spent, "faces"):
        faces.seek(list(Photo.objects.without_faces_sought()))
    with timed(spent, "embeddings"):
        embeddings.embed(list(Face.objects.without_vector(version).select_related("photo")), version)
    with timed(spent, "duplicates"):
        duplicates.find(version)
    with timed(spent, "clusters and questions"):
        clustering.keep_up()
    return spent


def scores() -> None:
    from annotation.models import Copy, Face, Photo, Refusal  # noqa: PLC0415  Django is set up by now

    truth = {row["file"]: row for row in csv.DictReader((SCRAPE / "truth.csv").read_text().splitlines())}
    of = {
        fault: [file for file, row in truth.items() if row["fault"] == fault]
        for fault in {r["fault"] for r in truth.values()}
    }
    photos = {photo.file: photo for photo in Photo.objects.all()}
    received = photos | {copy.file: copy.photo for copy in Copy.objects.select_related("photo")}
    refused = set(Refusal.objects.values_list("file", flat=True))
    print("truncated files refused:      ", share(len(refused & set(of["truncated"])), len(of["truncated"])))
    print("other files refused:          ", len(refused - set(of["truncated"])))
    none = Face.objects.filter(photo__file__in=of["no-face"]).count()
    print(f"faces in {len(of['no-face'])} pictures without:  ", none)
    people = [file for file, row in truth.items() if row["identity"] and file in photos]
    chosen = set(Face.objects.filter(chosen=True, photo__file__in=people).values_list("photo__file", flat=True))
    print("chosen face found:            ", share(len(chosen), len(people)))
    same = [received[file].pk == received[truth[file]["of"]].pk for file in of["exact-duplicate"]]
    print("exact duplicates known:       ", share(sum(same), len(same)))
    near_duplicates(truth, of["near-duplicate"], photos, received)
    groups(truth, received)


def near_duplicates(truth: dict, files: list[str], photos: dict, received: dict) -> None:  # type: ignore[type-arg]
    root: Callable = lambda photo: photo.duplicate_of_id or photo.pk  # type: ignore[type-arg]  # noqa: E731
    hit = [root(received[file]) == root(received[truth[file]["of"]]) for file in files]
    print("near-duplicates found:        ", share(sum(hit), len(hit)))
    planted = {frozenset((received[file].pk, received[truth[file]["of"]].pk)) for file in files}
    pairs = [(photo.pk, photo.duplicate_of_id) for photo in photos.values() if photo.duplicate_of_id]
    beyond = sum(frozenset(pair) not in planted for pair in pairs)
    print(f"pairs found in all:            {len(pairs)}, {beyond} of them not planted: look at those by eye")


def groups(truth: dict, received: dict) -> None:  # type: ignore[type-arg]
    """How well the files, copies among them, are grouped by their chosen faces before anybody has answered."""
    from annotation import clustering  # noqa: PLC0415  Django is set up by now
    from annotation.models import Face, Membership  # noqa: PLC0415
    from inference.core.cluster import SETTINGS, cluster  # noqa: PLC0415

    run = clustering.current()
    assert run is not None
    together = dict(Membership.objects.filter(run=run).values_list("face_id", "cluster_id"))
    corpus = clustering.load(run.version)
    unaided = cluster(corpus.vectors, replace(corpus.evidence, query=np.full_like(corpus.evidence.query, -1)), SETTINGS)
    alone = dict(zip(corpus.faces.tolist(), unaided.labels.tolist(), strict=True))

    face_of = {face.photo_id: face for face in Face.objects.filter(chosen=True)}
    named = [file for file, row in truth.items() if row["identity"] and file in received]
    known = [
        (face_of[received[file].pk], int(truth[file]["identity"])) for file in named if received[file].pk in face_of
    ]
    people = np.array([person for _, person in known])
    print(f"\n| evidence, n = {len(known)} files | BCubed F (95 % CI) | precision | recall | pairwise F |")
    print("| --- " * 5 + "|")
    for name, labels in (
        ("vectors alone", [alone[face.duplicate_of_id or face.pk] for face, _ in known]),
        ("vectors and search term", [together[face.pk] for face, _ in known]),
    ):
        _, found = np.unique(labels, return_inverse=True)
        score, (low, high) = bcubed(found, people), interval(found, people)
        cells = f"{score.f:.4f} ({low:.3f}–{high:.3f}) | {score.precision:.3f} | {score.recall:.3f}"
        print(f"| {name} | {cells} | {pairwise(found, people).f:.3f} |")


def main() -> None:
    first = as_a_user()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "OMP_NUM_THREADS": "1", "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        spent = stages()
        files = sum(1 for _ in (SCRAPE / "photos").rglob("*.*"))
        print(f"\n`up` to questions waiting: {first:.0f} s, {files / first:.1f} photos/s, {os.cpu_count()} cores")
        print(f"one process, one thread: {sum(spent.values()):.0f} s, {files / sum(spent.values()):.1f} photos/s\n")
        print("| stage | seconds | share | ms a photo |\n| --- | --- | --- | --- |")
        for stage, seconds in spent.items():
            print(f"| {stage} | {seconds:.1f} | {seconds / sum(spent.values()):.0%} | {1000 * seconds / files:.1f} |")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"\npeak memory: {peak:.0f} MB in this process, {child:.0f} MB in its largest child\n")
        scores()


if __name__ == "__main__":
    main()
