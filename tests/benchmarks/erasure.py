"""How long it takes to forget one person among very many faces, and what a search then still finds of them.

python -m tests.services -- python -m tests.benchmarks.erasure [--faces 100000]      # PostgreSQL
python -m tests.benchmarks.erasure [--faces 100000]                                  # SQLite

Made-up rows and files: twenty faces a person, each with a photo and a crop of random bytes, landmarks, a vector, a
label, what a network says, a proposal, a cluster, a grid with an answer, a vote. One person has forty. What is searched
for is all that is theirs alone: name, words, digests, bytes of pictures, vectors in two widths, their mean, landmarks.
It is searched for in all files of the data folder, in every value of every table, and in the files of the database
itself; before, so that it is known to be found, and after.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
import numpy as np
from django.core.management import call_command

A_PERSON, THEIRS, SOURCES, DIMENSIONS = 20, 40, 20, 128
NAME, WORDS = "Berta Querfurt-Zielinska", "berta querfurt by the lake"
WINDOW = 16  # bytes of what is searched for: so many at once are nowhere by chance
AT_ONCE = 2_000
FEW = 50


def make(count: int) -> tuple[Any, Any, set[bytes]]:
    """The admin, the person who is to be erased, and what is theirs alone."""
    from django.conf import settings  # noqa: PLC0415  Django is set up by now
    from django.utils import timezone  # noqa: PLC0415

    from annotation import gallery, labels  # noqa: PLC0415
    from annotation import models as m  # noqa: PLC0415
    from inference.core.attributes import GENDER  # noqa: PLC0415
    from tests import factories as f  # noqa: PLC0415

    rng, now = np.random.default_rng(0), timezone.now()
    admin, live = f.a_user("ada", role="admin"), f.a_version(dimensions=DIMENSIONS)
    network = f.a_version(task=GENDER.name, name="network")
    annotator, run = f.an_annotator(), f.a_run(live)
    sources = [f.a_source(f"Source {number}") for number in range(SOURCES)]
    people = m.Identity.objects.bulk_create([m.Identity(face_count=A_PERSON) for _ in range(count // A_PERSON)])
    berta = m.Identity.objects.create(name=NAME, face_count=THEIRS)
    clusters = m.Cluster.objects.bulk_create(
        [m.Cluster(run=run, identity=who, face_count=A_PERSON) for who in [*people, berta]]
    )
    looked_for = {NAME.encode(), WORDS.encode()}
    centres = rng.normal(size=(len(clusters), DIMENSIONS))
    like = f.a_face()
    kept = {each.attname: getattr(like, each.attname) for each in m.Face._meta.concrete_fields if each.name != "id"}
    like.photo.delete()
    number = 0
    for start in range(0, count + THEIRS, AT_ONCE):
        whose = [
            place // A_PERSON if place < count else len(people)
            for place in range(start, min(start + AT_ONCE, count + THEIRS))
        ]
        content = [rng.bytes(1_500) for _ in whose]
        photos = m.Photo.objects.bulk_create(
            f_photo(
                m, sources[place % SOURCES], each, WORDS if who == len(people) else f"term {who}", now, place + start
            )
            for place, (who, each) in enumerate(zip(whose, content, strict=True))
        )
        faces = m.Face.objects.bulk_create(
            m.Face(
                **kept
                | {"photo_id": photo.pk, "landmarks": rng.uniform(0, 480, (68, 2)).round(4).tolist(), "labelled": True}
            )
            for photo in photos
        )
        vectors = centres[whose] + 0.5 * rng.normal(size=(len(whose), DIMENSIONS))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
        _rows(m, whose, faces, vectors, [*people, berta], clusters, run, live, network, annotator, rng)
        for photo, face, each in zip(photos, faces, content, strict=True):
            for key, data in ((photo.key, each), (face.crop_key, rng.bytes(600))):
                path = Path(settings.MEDIA_ROOT) / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                if whose[number - start] == len(people):
                    looked_for.add(data[:])
            if whose[number - start] == len(people):
                vector = vectors[number - start]
                looked_for |= {photo.sha256.encode(), vector.tobytes(), vector.astype("<f4").tobytes()}
                looked_for |= {f"{x}, {y}".encode() for x, y in face.landmarks}
            number += 1
    line = m.Decision.objects.create(kind="name", identity=berta, value=NAME, by="person", person=admin)
    labels.derive(identities=[line.identity_id or 0])
    gallery.keep_up()
    mean = gallery.current()
    looked_for.add(mean.means[np.flatnonzero(mean.people == berta.pk)[0]].tobytes())
    return admin, berta, looked_for


def f_photo(m: Any, source: Any, content: bytes, query: str, now: Any, number: int) -> Any:
    import hashlib  # noqa: PLC0415

    return m.Photo(
        sha256=hashlib.sha256(content).hexdigest(),
        source=source,
        file=f"{number}.jpg",
        format="jpg",
        size=len(content),
        width=480,
        height=360,
        query=query,
        caption=query,
        faces_sought_at=now,
        face_count=1,
    )


def _rows(
    m: Any, whose: Sequence[int], faces: Sequence[Any], vectors: Any, people: Sequence[Any], clusters: Sequence[Any],
    run: Any, live: Any, network: Any, annotator: Any, rng: Any,
) -> None:  # fmt: skip
    """What is known of these faces."""
    from django.utils import timezone  # noqa: PLC0415

    pairs = list(zip(whose, faces, strict=True))
    m.Embedding.objects.bulk_create(
        m.Embedding(face=face, version=live, vector=vector.tobytes())
        for face, vector in zip(faces, vectors, strict=True)
    )
    m.Membership.objects.bulk_create(
        m.Membership(run=run, cluster=clusters[who], face=face, belief=0.9) for who, face in pairs
    )
    lines = m.Decision.objects.bulk_create(
        m.Decision(kind="label", face=face, identity=people[who], by="person", person=annotator) for who, face in pairs
    )
    m.Label.objects.bulk_create(
        m.Label(face=face, identity=people[who], verdict="identity", decision=line)
        for (who, face), line in zip(pairs, lines, strict=True)
    )
    belief = rng.dirichlet((1, 1), len(faces)).round(5)
    m.NetworkOutput.objects.bulk_create(
        m.NetworkOutput(face=face, version=network, belief=each.astype("<f4").tobytes())
        for face, each in zip(faces, belief, strict=True)
    )
    m.Proposal.objects.bulk_create(
        m.Proposal(
            face=face,
            attribute="gender",
            value="female",
            confidence=each.max(),
            belief=each.tolist(),
            evidence={"network": each.tolist()},
            network=network,
        )
        for face, each in zip(faces, belief, strict=True)
    )
    for page in (faces[start : start + A_PERSON] for start in range(0, len(faces), A_PERSON)):
        grid = m.Question.objects.create(
            kind="grid", attribute="gender", value="female", worth=1.0, state="settled", settled_at=timezone.now()
        )
        m.QuestionFace.objects.bulk_create(
            m.QuestionFace(question=grid, face=face, place=place, belief=0.9) for place, face in enumerate(page)
        )
        marks = {str(page[0].pk): "male"}
        said = m.Answer.objects.create(
            question=grid, annotator=annotator, content={"verdict": "marked", "marks": marks}, actions=2
        )
        m.Vote.objects.bulk_create(
            m.Vote(answer=said, annotator=annotator, face=face, attribute="gender", value="female") for face in page
        )
        values = m.Decision.objects.bulk_create(
            m.Decision(
                kind="value", face=face, attribute="gender", value="female", by="person", person=annotator, answer=said
            )
            for face in page
        )
        m.AttributeLabel.objects.bulk_create(
            m.AttributeLabel(face=line.face, attribute="gender", value="female", decision=line) for line in values
        )


# ---- searched


def window(pattern: bytes) -> bytes | None:
    """So much of it as `grep` takes a line of: no newline, no zero."""
    for start in range(len(pattern) - WINDOW + 1):
        piece = pattern[start : start + WINDOW]
        if b"\n" not in piece and b"\0" not in piece:
            return piece
    return None


def in_files(patterns: Iterable[bytes], *folders: Path) -> int:
    """How often one of these is in a file below these folders."""
    lines = b"\n".join(sorted({piece for each in patterns if (piece := window(each)) is not None})) + b"\n"
    with tempfile.NamedTemporaryFile() as file:
        file.write(lines)
        file.flush()
        command = ["grep", "-raoFh", "-f", file.name, *map(str, folders)]
        found = subprocess.run(
            command, stdout=subprocess.PIPE, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, check=False
        )
    if found.returncode > 1:
        raise SystemExit(f"grep failed: {found.returncode}")
    _tell(found.stdout.split(b"\n")[:-1])
    return found.stdout.count(b"\n")


def _tell(found: Sequence[bytes]) -> None:
    """Where little is left, what that is."""
    if 0 < len(found) < FEW:
        print(f"    {sorted(set(found))[:5]}", flush=True)


def in_tables(patterns: Iterable[bytes]) -> int:
    """How often one of these is in a value of a table."""
    from django.db import connection  # noqa: PLC0415

    pieces = sorted({piece for each in patterns if (piece := window(each)) is not None})
    # Text and bytes as they are, all of a table at a time: `in` of one long value is as fast as a search can be.
    found = list[bytes]()
    for value in _values(connection):
        for piece in pieces:
            found += [piece] * value.count(piece)
    _tell(found)
    return len(found)


def _values(connection: Any) -> Iterator[bytes]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            while rows := cursor.fetchmany(20_000):
                yield b"\x00".join(
                    bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    for row in rows
                    for value in row
                )


def database_folder() -> Path | None:
    """PostgreSQL's own, where it is on this machine and may be read."""
    from django.db import connection  # noqa: PLC0415

    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        return Path(cursor.fetchone()[0])


def look(patterns: set[bytes], data: Path, when: str) -> None:
    begun = time.perf_counter()
    own = database_folder()
    if own is not None:
        _checkpoint()
    places = {
        "files of the data folder" + ("" if own else ", the database's file among them"): lambda: in_files(
            patterns, data
        ),
        "values of all tables": lambda: in_tables(patterns),
    }
    if own is not None:
        places["PostgreSQL's tables and indexes on disk"] = lambda: in_files(patterns, own / "base", own / "global")
        places["its log of writes (pg_wal)"] = lambda: in_files(patterns, own / "pg_wal")
    for name, search in places.items():
        print(f"| {name} | {when} | {search():,} |", flush=True)
    print(f"    searched in {time.perf_counter() - begun:.0f} s", flush=True)


def _checkpoint() -> None:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from annotation import erasure  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        begun = time.perf_counter()
        admin, berta, patterns = make(asked.faces)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(
            f"{connection.vendor}, {asked.faces + THEIRS:,} faces, made in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
        print("| searched | when | found |\n| --- | --- | --- |", flush=True)
        look(patterns, Path(data), "before")
        begun = time.perf_counter()
        foreseen = erasure.dry_run(erasure.draft(kind="person", ids=[berta.pk], by=admin))
        took, rows = time.perf_counter() - begun, sum(foreseen.rows.values())
        print(f"dry run: {foreseen.count} photos, {rows} rows, {took:.1f} s", flush=True)
        begun = time.perf_counter()
        made = erasure.carry_out(erasure.request(kind="person", ids=[berta.pk], reason="a benchmark", by=admin).pk)
        print(f"erased in {time.perf_counter() - begun:.1f} s: {made and made.report}", flush=True)
        look(patterns, Path(data), "after")
        erasure.sweep(timezone.now() + timedelta(hours=2))  # the list of files that had to go, which names digests
        look(patterns, Path(data), "after, an hour later")


if __name__ == "__main__":
    main()
