"""How long annotators wait for their questions and for their answers to be kept.

python -m tests.services -- python -m tests.benchmarks.desk                           (PostgreSQL, 50 annotators)
python -m tests.services -- python -m tests.benchmarks.desk --claims 100000           (is anything held twice?)
python -m tests.benchmarks.desk --open 100000 --annotators 1                          (SQLite)

A site with made-up faces and open questions of three kinds is served by gunicorn. Each annotator keeps ten questions
ahead, as the page does, thinks for about a second, answers. Each has answered two thousand of the most worthwhile
questions before, which are still open for others: what has to be passed over is what makes a queue slow.
"""

import argparse
import http.client
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import django
import numpy as np
from django.core.management import call_command
from django.utils import timezone

from tests.services import free_port

FACES, PEOPLE = 100_000, 10_000
SHARES = {"value": 0.85, "grid": 0.05, "pair": 0.1}
ATTRIBUTES = ("gender", "emotion", "apparent_age")
TOP, ANSWERED = 5_000, 0.4  # of the most worthwhile single questions, the share that each annotator has answered
AHEAD = 10
WARM = 10  # seconds that are not counted: everybody comes at once, to processes that have only begun
CHUNK = 5_000


# ---- a site with open questions


def make(open_: int, annotators: int) -> list[int]:
    """Faces, people and so many open questions; returns the annotators."""
    from annotation.models import Answer, Question, QuestionFace, User, Vote  # noqa: PLC0415  Django is set up by now

    rng = np.random.default_rng(0)
    faces, people = _faces(), _people()
    counts = {kind: int(open_ * share) for kind, share in SHARES.items()}
    worths = np.sort(rng.random(counts["value"]))[::-1].tolist()
    singles = [Question(kind="value", attribute=ATTRIBUTES[k % 3], worth=worth) for k, worth in enumerate(worths)]
    face_of = [faces[k // 3 % FACES] for k in range(len(singles))]
    _store(singles)
    _store(QuestionFace(question=q, face_id=face, place=0, belief=0) for q, face in zip(singles, face_of, strict=True))
    worths = rng.random(counts["grid"]).tolist()
    grids = [Question(kind="grid", attribute="emotion", value="happy", worth=worth) for worth in worths]
    _store(grids)
    _store(
        QuestionFace(question=grid, face_id=faces[face], place=place, belief=0)
        for grid in grids
        for place, face in enumerate(rng.integers(FACES // 20) * 20 + np.arange(20))
    )
    ends = np.sort(rng.integers(0, PEOPLE - 1, (counts["pair"], 2)), axis=1)
    ends[:, 1] += 1  # nobody is asked about beside themselves
    worths = rng.random(counts["pair"]).tolist()
    _store(
        Question(kind="pair", identity_id=people[low], other_identity_id=people[high], worth=worth)
        for (low, high), worth in {tuple(each): w for each, w in zip(ends.tolist(), worths, strict=True)}.items()
    )
    users = [User.objects.create_user(f"annotator{number}").pk for number in range(annotators)]
    for user in users:
        done = [k for k in range(min(TOP, len(singles))) if rng.random() < ANSWERED]
        said = [Answer(question=singles[k], annotator_id=user, client_id=uuid4(), content={}, actions=1) for k in done]
        _store(said)
        _store(
            Vote(answer=a, annotator_id=user, face_id=face_of[k], attribute=singles[k].attribute, value="cannot_tell")
            for a, k in zip(said, done, strict=True)
        )
    return users


def _faces() -> list[int]:
    from annotation.models import Face, Photo, Source  # noqa: PLC0415

    source = Source.objects.create(name="made up")
    bare = {"format": "jpg", "size": 1, "width": 100, "height": 100}
    photos = [
        Photo(
            source=source,
            sha256=f"{k:064x}",
            file=f"{k}.jpg",
            query=f"Term {k % 5_000}",
            taken_at=date(2000, 1, 1) + timedelta(days=k % 9_000),
            faces_sought_at=timezone.now(),
            face_count=1,
            **bare,
        )
        for k in range(FACES)
    ]
    _store(photos)
    rng = np.random.default_rng(1)
    landmarks = [rng.uniform(0, 480, (68, 2)).round(2).tolist() for _ in range(500)]
    box = {"x": 1, "y": 1, "score": 1, "points": landmarks[0][:5]}
    pose = {"yaw": 0, "pitch": 0, "roll": 0, "truncated": False, "transform": []}
    faces = [
        Face(
            photo=photo,
            number=0,
            width=20 + k * 7_919 % 10_007 / 20,
            height=25 + k * 7_919 % 10_007 / 20,
            landmarks=landmarks[k % 500],
            chosen=k % 1_500 > 0,
            usable=k % 20 > 0,
            gray=k % 3_000 == 0,
            sharpness=100,
            brightness=0.5,
            **box,
            **pose,
        )
        for k, photo in enumerate(photos)
    ]
    _store(faces)
    return [face.pk for face in faces]


def _people() -> list[int]:
    """Each of a tenth of all faces is somebody of ten faces."""
    from annotation import ledger  # noqa: PLC0415
    from annotation.models import Decision, Face, Identity  # noqa: PLC0415

    people = [Identity(name=f"Somebody {k}") for k in range(PEOPLE)]
    _store(people)
    faces = Face.objects.order_by("pk").values_list("pk", flat=True)
    lines = [
        Decision(kind="label", face_id=face, identity=people[k % PEOPLE], by="import") for k, face in enumerate(faces)
    ]
    for start in range(0, len(lines), CHUNK):
        ledger.write(lines[start : start + CHUNK])
    return [person.pk for person in people]


def _store(rows: Iterable[Any]) -> None:
    from annotation.core.batches import batched  # noqa: PLC0415

    for chunk in batched(rows, CHUNK):
        type(chunk[0]).objects.bulk_create(chunk)


# ---- people at work


class Desk:
    """One annotator's line to the site: asks ahead, thinks, answers."""

    def __init__(self, port: int, cookies: dict[str, str], seed: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {
            "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items()),
            "Content-Type": "application/json",
        }
        self._headers["X-CSRFToken"] = cookies["csrftoken"]
        self._chance = random.Random(seed)
        self.waits: dict[str, list[tuple[float, float]]] = {"next": [], "answer": []}
        self.answered: list[int] = []
        self.refused = 0

    def work(self, until: float, thought: float) -> None:
        ahead = deque[dict[str, Any]]()
        time.sleep(self._chance.random() * thought)
        while time.perf_counter() < until:
            if len(ahead) <= AHEAD / 2:
                known = ",".join(str(each["id"]) for each in ahead)
                ahead.extend(
                    self._call("next", "GET", f"/api/v1/questions/next?ahead={AHEAD}&known={known}")["questions"]
                )
            time.sleep(self._chance.uniform(0.5, 1.5) * thought)
            question = ahead.popleft()
            body = {"client_id": str(uuid4()), "content": _content(question)}
            said = self._call("answer", "POST", f"/api/v1/questions/{question['id']}/answer", body)
            self.refused += "error" in said
            self.answered.append(question["id"])

    def _call(self, name: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            told = self._send(method, path, body)
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            self._line.close()  # it had been idle for too long: as a browser does, once more
            told = self._send(method, path, body)
        self.waits[name].append((started, time.perf_counter() - started))
        return told

    def _send(self, method: str, path: str, body: object) -> dict[str, Any]:
        self._line.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = self._line.getresponse()
        told: dict[str, Any] = json.loads(answer.read())
        if answer.status >= 500:
            raise RuntimeError(f"{method} {path}: {answer.status} {told}")
        return told


def _content(question: dict[str, Any]) -> dict[str, Any]:
    if question["kind"] == "pair":
        return {"verdict": "different"}
    if question["kind"] == "grid":
        return {"verdict": "marked", "marks": {}}
    return {"verdict": "value", "value": question["values"][0] if question["values"] else 30}


def cookies_of(user: int) -> dict[str, str]:
    from django.test import Client  # noqa: PLC0415

    from annotation.models import User  # noqa: PLC0415

    client = Client()
    client.force_login(User.objects.get(pk=user))
    return {name: each.value for name, each in client.cookies.items()} | {"csrftoken": secrets.token_hex(16)}


@contextmanager
def served(workers: int) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "dager_site.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    server = subprocess.Popen(
        [*command, "--worker-class", "gthread", "--workers", str(workers), "--log-level", "error"]
    )
    try:
        for _ in range(600):
            try:
                line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                line.request("GET", "/")
                line.getresponse()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def work(users: Sequence[int], seconds: float, thought: float, workers: int) -> None:
    with served(workers) as port:
        desks = [Desk(port, cookies_of(user), seed) for seed, user in enumerate(users)]
        begun = time.perf_counter()
        until = begun + WARM + seconds
        threads = [threading.Thread(target=desk.work, args=(until, thought)) for desk in desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answered = sum(at >= begun + WARM for desk in desks for at, _ in desk.waits["answer"])
    print(f"{answered} answers, {60 * answered / seconds / len(users):.0f} a minute and person; ", end="")
    print(f"{sum(desk.refused for desk in desks)} refused")
    print("| | n | median, ms | p95 | p99 |\n| --- | --- | --- | --- | --- |")
    for name in ("next", "answer"):
        waits = 1000 * np.array([wait for desk in desks for at, wait in desk.waits[name] if at >= begun + WARM])
        low, high, worst = np.percentile(waits, (50, 95, 99))
        print(f"| {name} | {len(waits)} | {low:.0f} | {high:.0f} | {worst:.0f} |")


# ---- is a question ever held twice?


def claim(users: Sequence[int], claims: int) -> None:
    """Everybody takes and gives back questions as fast as they can; who holds what is written down beside."""
    from django.db import connection  # noqa: PLC0415

    from annotation.models import User  # noqa: PLC0415
    from annotation.queue import give_back, take_next  # noqa: PLC0415

    held, lock, count, twice = dict[int, int](), threading.Lock(), [0], [0]

    def run(pk: int) -> None:
        user = User.objects.get(pk=pk)
        while count[0] < claims:
            taken = [question.pk for question in take_next(user, ahead=AHEAD)]
            with lock:
                count[0] += len(taken)
                twice[0] += sum(held.get(question, pk) != pk for question in taken)
                held.update(dict.fromkeys(taken, pk))
            with lock:
                for question in taken:
                    held.pop(question, None)
            give_back(user)
        connection.close()

    started = time.perf_counter()
    threads = [threading.Thread(target=run, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started
    print(f"{count[0]} claims by {len(users)} people in {spent:.0f} s; held twice: {twice[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", type=int, default=1_000_000)
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--thought", type=float, default=1.0, help="seconds that an annotator takes for an answer, about"
    )
    parser.add_argument("--workers", type=int, default=2, help="web processes")
    parser.add_argument("--claims", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        users = make(asked.open, asked.annotators)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(f"{connection.vendor}, {asked.open} open questions, {asked.annotators} annotators", flush=True)
        if asked.claims:
            claim(users, asked.claims)
        else:
            work(users, asked.seconds, asked.thought, asked.workers)


if __name__ == "__main__":
    main()
