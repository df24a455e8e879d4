"""How long each query of the dashboard takes with a million faces, and how long its page does, beside a training, too.

python -m tests.services -- python -m tests.benchmarks.dashboard [--faces 1000000] [--times 5]

Made-up rows, made by PostgreSQL itself: one of each kind is written as the program writes it and then multiplied. Each
part is counted so many times, and each of its queries timed by itself; then the page and its doors are asked for as the
browser asks, without the web server, with the machine idle and with a process on each core that multiplies matrices, as
a training does.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import django
import numpy as np
from django.core.management import call_command

FIRST = 1_000_000_000  # ids of what is multiplied begin here, so that each row knows its others by its number
SOURCES = 20
ASKED = 40  # times that each page is asked for
GOAL = 300  # ms


def multiply(row: Any, count: int, **columns: str) -> None:
    """So many rows like this one; of each the id is FIRST + k, and these columns are what PostgreSQL makes of `k`."""
    from django.db import connection  # noqa: PLC0415  Django is set up by now

    made = {"id": f"{FIRST} + k"} | columns
    names = [field.column for field in row._meta.concrete_fields]
    told = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(made.get(name, f't."{name}"') for name in names)
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({told}) SELECT {values} '
            f'FROM "{table}" t, generate_series(0::bigint, {count - 1}) k '
            f'WHERE t."{row._meta.pk.column}" = {row.pk}'
        )


def make(count: int) -> Any:
    """The rows, and the curator who looks at them."""
    from django.utils import timezone  # noqa: PLC0415

    from annotation import models as m  # noqa: PLC0415
    from inference.core.attributes import ATTRIBUTES  # noqa: PLC0415
    from tests import factories as f  # noqa: PLC0415

    curator, now = f.a_user("carol"), timezone.now()
    sources = [f.a_source(f"Source {number}") for number in range(SOURCES)]
    live = f.a_version(dimensions=128)
    run, person = f.a_run(live), m.Identity.objects.create(name="Somebody", face_count=10)
    rng, face = np.random.default_rng(0), f.a_face(f.a_photo(sources[0], face_count=1))
    m.Face.objects.filter(pk=face.pk).update(landmarks=rng.uniform(0, 480, (68, 2)).round(2).tolist(), labelled=True)
    at = f"{FIRST} + k"
    of = f"{sources[0].pk} + k % {SOURCES}"
    multiply(face.photo, count, sha256="'f' || lpad(to_hex(k), 63, '0')", file="k || '.jpg'", source_id=of)
    multiply(
        face,
        count,
        photo_id=at,
        sharpness="k * 7919 % 2003",
        width="16 + k * 7919 % 401",
        brightness="(k * 31 % 100) / 100.0",
        yaw="k * 13 % 121 - 60",
        pitch="k * 17 % 121 - 60",
        gray="k % 30 = 0",
        usable="k % 20 > 0",
        unusable_because="CASE WHEN k % 20 = 0 THEN 'blurred: sharpness 2.0' ELSE '' END",
        failure="CASE WHEN k % 100000 = 0 THEN 'OSError: torn' ELSE '' END",
    )
    vector = rng.normal(size=128)
    embedding = f.an_embedding(face, live, vector)
    multiply(embedding, count, face_id=at, vector=_vectors(rng))
    cluster = f.a_cluster([face], run)
    multiply(cluster, count // 20)
    multiply(m.Membership.objects.get(), count, face_id=at, cluster_id=f"{FIRST} + k % {count // 20}")
    multiply(person, count // 10)
    line = m.Decision.objects.create(kind="label", face=face, identity=person, by="import")
    who = f"{FIRST} + k % {count // 10}"
    multiply(
        line,
        count,
        face_id=at,
        identity_id=who,
        **{"by": "CASE WHEN k % 3 = 0 THEN 'person' ELSE 'import' END"},
        person_id=str(curator.pk),
    )
    multiply(
        m.Label.objects.create(face=face, identity=person, verdict="identity", decision=line),
        count,
        face_id=at,
        identity_id=who,
        decision_id=at,
    )
    calibration = f.a_certificate().calibration
    for number, name in enumerate(("gender", "emotion", "real_age")):
        values = ATTRIBUTES[name].values
        value = (
            f"(ARRAY{list(values)}::varchar[])[(1 + k * k % {len(values)})::int]"
            if values
            else "round(k * 7919 % 9000 / 100.0, 2)::varchar"
        )
        belief = [1.0, *[0.0] * (len(values) - 1)] if values else [0.01] * 117
        row = m.Proposal.objects.create(
            face=face,
            attribute=name,
            value=values[0] if values else "30",
            confidence=0.9,
            belief=belief,
            evidence={"network": belief},
            calibration=calibration,
        )
        start = f"{FIRST} + {(number + 1) * count} + k"
        multiply(row, count, id=start, face_id=at, value=value, confidence="(k * 7919 % 1000) / 1000.0")
        line = m.Decision.objects.create(
            kind="value",
            face=face,
            attribute=name,
            value="30",
            by="machine",
            evidence={"certificate": 1, "confidence": 0.99, "face": face.pk},
        )
        multiply(line, count, id=start, face_id=at, value=value)
        label = m.AttributeLabel.objects.create(
            face=face, attribute=name, value=values[0] if values else "30", decision=line
        )
        multiply(label, count, id=start, face_id=at, decision_id=start, value=value)
    _asked(count, face, curator, now)
    for minutes in range(24 * 60 * 7, 0, -10):
        counts = {"photos": 10**6 - minutes, "faces": 10**6 - minutes, "answers": 10**5 - minutes}
        m.Snapshot.objects.create(at=now - timedelta(minutes=minutes), counts=counts)
    return curator


def _vectors(rng: Any) -> str:
    """One of a thousand people's vectors, as PostgreSQL picks it."""
    from django.db import connection  # noqa: PLC0415

    people = rng.normal(size=(1_000, 128)).repeat(5, axis=0)
    vectors = people + 0.5 * rng.normal(size=people.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE made_vectors (id int PRIMARY KEY, vector bytea)")
        for number, vector in enumerate(vectors):
            cursor.execute("INSERT INTO made_vectors VALUES (%s, %s)", [number, vector.astype("<f2").tobytes()])
    return "(SELECT vector FROM made_vectors v WHERE v.id = k * 7919 % 5000)"


def _asked(count: int, face: Any, curator: Any, now: Any) -> None:
    """A fifth as many settled questions as faces, a tenth as many open ones, an answer or two to each."""
    from annotation import models as m  # noqa: PLC0415
    from tests import factories as f  # noqa: PLC0415

    settled, waiting = count // 5, count // 10
    done = f.a_single(face, state="settled", settled_at=now)
    when = "t.settled_at - k * interval '20 seconds'"
    multiply(done, settled, settled_at=when, attribute="(ARRAY['gender', 'emotion'])[(1 + k % 2)::int]")
    multiply(done.shown.get(), settled, question_id=f"{FIRST} + k", face_id=f"{FIRST} + k")
    open_ = f.a_grid([face])
    start = f"{FIRST} + {settled} + k"
    multiply(open_, waiting, id=start, kind="(ARRAY['grid', 'value'])[(1 + k % 2)::int]")
    multiply(
        open_.shown.get(),
        10 * waiting,
        id=start,
        question_id=f"{FIRST} + {settled} + k / 10",
        face_id=f"{FIRST} + k % {count}",
    )
    said = m.Answer.objects.create(question=done, annotator=curator, content={}, actions=1, elapsed_ms=900)
    multiply(
        said,
        2 * settled,
        question_id=f"{FIRST} + k / 2",
        annotator_id=f"CASE WHEN k % 2 = 0 THEN {curator.pk} ELSE {f.an_annotator().pk} END",
        client_id="gen_random_uuid()",
        at="t.at - k * interval '10 seconds'",
    )


# ---- measured


def parts(times: int) -> None:
    """Each part, and the slowest of its queries."""
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    from annotation import maps  # noqa: PLC0415
    from annotation.figures import PARTS  # noqa: PLC0415
    from annotation.stretches import row_by_row  # noqa: PLC0415

    print(
        "| part | queries | slowest query: median, ms | at most | all of it, s |\n| --- | --- | --- | --- | --- |",
        flush=True,
    )
    for name, read in {**{name: part.read for name, part in PARTS.items()}, "map, shown": maps.shown}.items():
        slowest, whole, number, worst = [], [], 0, ("", 0.0)
        for _ in range(times):
            begun = time.perf_counter()
            with row_by_row(), CaptureQueriesContext(connection) as told:
                read()
            whole.append(time.perf_counter() - begun)
            each = [(query["sql"], 1000 * float(query["time"])) for query in told.captured_queries]
            number = len(each)
            slowest.append(max((ms for _, ms in each), default=0.0))
            worst = max([worst, *each], key=lambda query: query[1])
        print(
            f"| {name} | {number} | {np.median(slowest):.0f} | {max(slowest):.0f} | {np.median(whole):.2f} |",
            flush=True,
        )
        if worst[1] > GOAL:
            print(f"    {worst[1]:.0f} ms: {worst[0][:400]}", flush=True)


def pages(curator: Any) -> None:
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    client = Client()
    client.force_login(curator)
    etag = client.get("/dashboard/figures")["ETag"]
    doors: dict[str, Callable[[], Any]] = {
        "the page": lambda: client.get("/dashboard/"),
        "figures, changed": lambda: client.get("/dashboard/figures"),
        "figures, as they were": lambda: client.get("/dashboard/figures", headers={"If-None-Match": etag}),
        "the map": lambda: client.get("/dashboard/map"),
    }
    print("| asked for | queries | slowest query, ms | median, ms | p95 |\n| --- | --- | --- | --- | --- |", flush=True)
    for name, ask in doors.items():
        with CaptureQueriesContext(connection) as told:  # it takes longer while it is looked at
            answer = ask()
        if answer.status_code not in (200, 304):
            raise SystemExit(f"{name}: {answer.status_code}")
        number, slowest = len(told), max(1000 * float(query["time"]) for query in told.captured_queries)
        waits = []
        for _ in range(ASKED):
            begun = time.perf_counter()
            ask()
            waits.append(1000 * (time.perf_counter() - begun))
        print(
            f"| {name} | {number} | {slowest:.0f} | {np.median(waits):.0f} | {np.percentile(waits, 95):.0f} |",
            flush=True,
        )


@contextmanager
def trained_beside() -> Iterator[None]:
    """A process on each core that does what a training does most of the time."""
    busy = [
        multiprocessing.get_context("spawn").Process(target=_multiply_matrices, daemon=True)
        for _ in range(os.cpu_count() or 1)
    ]
    for each in busy:
        each.start()
    time.sleep(5)
    try:
        yield
    finally:
        for each in busy:
            each.terminate()


def _multiply_matrices() -> None:
    import torch  # noqa: PLC0415  in this process alone

    torch.set_num_threads(1)
    one = torch.rand(1024, 1024)
    while True:
        one = torch.nn.functional.normalize(one @ one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.conf import settings  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415

        from annotation import dashboard, maps  # noqa: PLC0415

        if connection.vendor != "postgresql":
            print("Only on PostgreSQL: python -m tests.services -- python -m tests.benchmarks.dashboard")
            return
        settings.ALLOWED_HOSTS.append("testserver")
        call_command("migrate", verbosity=0)
        curator = make(asked.faces)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(f"{connection.vendor}, {asked.faces:,} faces", flush=True)
        begun = time.perf_counter()
        maps.keep_up()
        print(f"the map is drawn in {time.perf_counter() - begun:.0f} s", flush=True)
        parts(asked.times)
        begun = time.perf_counter()
        dashboard.take()
        print(f"a snapshot of all parts takes {time.perf_counter() - begun:.1f} s", flush=True)
        pages(curator)
        print("beside a training:", flush=True)
        with trained_beside():
            pages(curator)


if __name__ == "__main__":
    main()
