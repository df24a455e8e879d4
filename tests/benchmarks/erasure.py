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
PIECE = 24  # bytes of what is searched for: so many at once are nowhere by chance
BITS, MIXER = 24, np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing
BLOCK = 8_000_000
AT_ONCE = 2_000
FEW = 50


def make(count: int) -> tuple[Any, Any, set[bytes], Any]:
    """The admin, the person who is to be erased, what is theirs alone, and their vectors."""
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
    theirs = list[Any]()
    looked_for = {NAME.encode(), NAME.casefold().encode(), WORDS.encode()}
    centres = rng.normal(size=(len(clusters), DIMENSIONS))
    like = f.a_face()
    kept = {
        each.attname: getattr(like, each.attname)
        for each in m.Face._meta.concrete_fields
        if each.name not in ("id", "photo")
    }
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
                **kept | {"photo": photo, "landmarks": rng.uniform(0, 480, (68, 2)).round(4).tolist(), "labelled": True}
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
                    looked_for.add(data)
            if whose[number - start] == len(people):
                vector = vectors[number - start]
                theirs.append(vector.astype("<f4"))
                looked_for |= {photo.sha256.encode(), vector.tobytes(), vector.astype("<f4").tobytes()}
                looked_for.add(", ".join(f"[{x}, {y}]" for x, y in face.landmarks).encode())
            number += 1
    line = m.Decision.objects.create(kind="name", identity=berta, value=NAME, by="person", person=admin)
    labels.derive(identities=[line.identity_id or 0])
    gallery.keep_up()
    mean = gallery.current()
    looked_for.add(mean.means[np.flatnonzero(mean.people == berta.pk)[0]].tobytes())
    return admin, berta, looked_for, np.stack(theirs)


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


class Search:
    """Finds any of these, or a part of one, in a stream of bytes.

    Each is cut into pieces, which are sought all at once by the hash of their first eight bytes. So of what is left as
    a run of 2 x PIECE - 1 bytes, at whatever place, at least one piece is found; zeros and line ends are bytes like
    any other.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self.pieces = {
            each[start : start + PIECE]: each for each in patterns for start in range(0, len(each) - PIECE + 1, PIECE)
        }
        self.hashes = np.zeros(1 << BITS, dtype=bool)
        self.hashes[self._hashed(np.array([int.from_bytes(each[:8], "little") for each in self.pieces], "<u8"))] = True

    @staticmethod
    def _hashed(words: Any) -> Any:
        return (words * MIXER) >> np.uint64(64 - BITS)

    def __call__(self, stream: Iterable[bytes]) -> list[bytes]:
        """The pieces that are in it, each as often as it is."""
        found, tail = list[bytes](), b""
        for block in _blocks(stream):
            here = tail + block
            for shift in range(min(8, max(0, len(here) - 7))):
                words = np.frombuffer(here, "<u8", (len(here) - shift) // 8, shift)
                for place in np.flatnonzero(self.hashes[self._hashed(words)]) * 8 + shift:
                    piece = here[place : place + PIECE]
                    if piece in self.pieces:
                        found.append(piece)
            tail = here[-(PIECE - 1) :]
        return found


def _blocks(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Small ones together: a search has a cost of its own."""
    kept, size = list[bytes](), 0
    for each in stream:
        kept.append(each)
        size += len(each)
        if size >= BLOCK:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join(kept)


def content_of(*folders: Path) -> Iterator[bytes]:
    """The bytes of all files below these folders, and their names."""
    for folder in folders:
        for path in folder.rglob("*"):
            yield b"\0" + str(path).encode() + b"\0"
            if path.is_file():
                with path.open("rb") as file:
                    while block := file.read(BLOCK):
                        yield block


def values() -> Iterator[bytes]:
    """Every value of every table, as it comes out of the database."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            while rows := cursor.fetchmany(20_000):
                yield b"\0".join(
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


def look(search: Search, data: Path, when: str, who: int, vectors: Any) -> None:
    from annotation import gallery  # noqa: PLC0415

    begun = time.perf_counter()
    told = [each.identity for row in gallery.recognise(vectors, len(vectors)) for each in row.candidates]
    print(f"| the index: searches by their {len(vectors)} vectors that tell of them | {when} | {told.count(who)} |")
    own = database_folder()
    places: dict[str, Iterable[bytes]] = {
        "files of the data folder" + ("" if own else ", the database's file among them"): content_of(data),
        "values of all tables": values(),
    }
    if own is not None:
        _checkpoint()
        places["PostgreSQL's tables and indexes on disk"] = content_of(own / "base", own / "global")
        places["its log of writes (pg_wal)"] = content_of(own / "pg_wal")
    for name, stream in places.items():
        found = search(stream)
        print(f"| {name} | {when} | {len(found):,} |", flush=True)
        if 0 < len(found) < FEW:
            print(f"    {sorted({(each, search.pieces[each][:60]) for each in found})[:5]}", flush=True)
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
        admin, berta, patterns, vectors = make(asked.faces)
        who = berta.pk
        search = Search(patterns)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(
            f"{connection.vendor}, {asked.faces + THEIRS:,} faces, made in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
        print("| searched | when | found |\n| --- | --- | --- |", flush=True)
        look(search, Path(data), "before", who, vectors)
        begun = time.perf_counter()
        foreseen = erasure.dry_run(erasure.draft(kind="person", ids=[who], by=admin))
        took, rows = time.perf_counter() - begun, sum(foreseen.rows.values())
        print(f"dry run: {foreseen.count} photos, {rows} rows, {took:.1f} s", flush=True)
        begun = time.perf_counter()
        made = erasure.carry_out(erasure.request(kind="person", ids=[who], reason="a benchmark", by=admin).pk)
        print(f"erased in {time.perf_counter() - begun:.1f} s: {made and made.report}", flush=True)
        look(search, Path(data), "after", who, vectors)
        erasure.sweep(timezone.now() + timedelta(hours=2))  # the list of files that had to go, which names digests
        look(search, Path(data), "after, an hour later", who, vectors)


if __name__ == "__main__":
    main()
