"""How long it takes to find whom a face may be, among many people.

python -m tests.services -- python -m tests.benchmarks.by_face [--people 100000] [--faces 5]

Made-up vectors. The photo's own part, decoding it and embedding its faces, is left out: it does not grow with people.
"""

import argparse
import os
import tempfile
import time
from typing import Any

import django
import numpy as np
from django.core.management import call_command


def make(people: int, each: int) -> Any:
    """So many people of so many faces, with vectors; returns a vector that looks like somebody."""
    from annotation import models as m  # noqa: PLC0415  Django is set up by now
    from inference import registry  # noqa: PLC0415
    from tests.benchmarks import desk  # noqa: PLC0415

    live = registry.ensure_live()
    rng = np.random.default_rng(0)
    desk.FACES = people * each
    faces = desk._faces()
    somebody = [m.Identity(name=f"Somebody {k}", face_count=each) for k in range(people)]
    desk._store(somebody)
    for start in range(0, len(faces), desk.CHUNK):
        stretch = faces[start : start + desk.CHUNK]
        vectors = rng.normal(size=(len(stretch), live.dimensions))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = [vector.astype("<f2").tobytes() for vector in vectors]
        m.Embedding.objects.bulk_create(
            m.Embedding(face_id=face, version=live, vector=row) for face, row in zip(stretch, rows, strict=True)
        )
        lines = [
            m.Decision(kind="label", face_id=face, identity=somebody[k % people], by="import")
            for k, face in enumerate(stretch, start)
        ]
        m.Decision.objects.bulk_create(lines)
        m.Label.objects.bulk_create(
            m.Label(face_id=line.face_id, identity_id=line.identity_id, verdict="identity", decision=line)
            for line in lines
        )
    return vectors[:5].astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--faces", type=int, default=5, help="of each")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415

        from annotation import gallery, people  # noqa: PLC0415
        from annotation.models import Identity  # noqa: PLC0415
        from tests.factories import a_user  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        queries, curator = make(asked.people, asked.faces), a_user("carol")
        print(f"{connection.vendor}, {asked.people:,} people of {asked.faces} faces each")
        print("| five faces of a photo looked for | ms |\n| --- | --- |")

        def look(what: str) -> None:
            begun = time.perf_counter()
            gallery.recognise(queries, 8)
            print(f"| {what} | {1000 * (time.perf_counter() - begun):.0f} |", flush=True)

        look("before any worker kept the means: every vector is read")
        look("again")
        gallery.keep_up()
        gallery._held = None
        look("first by a process that begins")
        one, other = Identity.objects.order_by("pk")[:2]
        people.merge(identity_ids=[one.pk], into_id=other.pk, by=curator)
        look("after a merge")


if __name__ == "__main__":
    main()
