"""How long annotators wait for their questions and for their answers to be kept.

python -m tests.services -- python -m tests.benchmarks.desk                           (PostgreSQL, 50 annotators)
python -m tests.services -- python -m tests.benchmarks.desk --claims 100000           (is anything held twice?)
python -m tests.benchmarks.desk --open 100000 --annotators 1                          (SQLite)
python -m tests.services -- python -m tests.benchmarks.desk --open 100000 --profile 300   (where does the time go?)

A site with made-up faces and open questions of three kinds is served by gunicorn. Each annotator keeps ten questions
ahead, as the page does, thinks for about a second, answers. Each has answered two thousand of the most worthwhile
questions before, which are still open for others: what has to be passed over is what makes a queue slow.
"""

import argparse
import cProfile
import http.client
import io
import json
import multiprocessing
import os
import pstats
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
    faces = _faces()
    people = _people(PEOPLE, faces)
    counts = {kind: int(open_ * share) for kind, share in SHARES.items()}
    _singles(counts["value"], faces)
    grids = [
        Question(kind="grid", attribute="emotion", value="happy", worth=worth)
        for worth in rng.random(counts["grid"]).tolist()
    ]
    _store(grids)
    of, place = f"(k - {counts['value']}) / 20", f"(k - {counts['value']}) % 20"
    face = f"{faces[0]} + ({of} * 7919 % {FACES // 20}) * 20 + {place}"
    count = counts["value"] + 20 * counts["grid"]
    multiply(QuestionFace, count, question_id=f"{grids[0].pk} + {of}", face_id=face, place=place)
    ends = np.sort(rng.integers(0, PEOPLE - 1, (counts["pair"], 2)), axis=1)
    ends[:, 1] += 1  # nobody is asked about beside themselves
    worths = rng.random(counts["pair"]).tolist()
    _store(
        Question(kind="pair", identity_id=people[low], other_identity_id=people[high], worth=worth)
        for (low, high), worth in {tuple(each): w for each, w in zip(ends.tolist(), worths, strict=True)}.items()
    )
    users = [User.objects.create_user(f"annotator{number}").pk for number in range(annotators)]
    top = Question.objects.filter(kind="value").order_by("-worth", "id")[:TOP]
    singles = list(top.values_list("pk", "shown__face", "attribute"))
    for user in users:
        done = [each for each in singles if rng.random() < ANSWERED]
        said = [Answer(question_id=pk, annotator_id=user, client_id=uuid4(), content={}, actions=1) for pk, *_ in done]
        _store(said)
        _store(
            Vote(answer=answer, annotator_id=user, face_id=face, attribute=attribute, value="cannot_tell")
            for answer, (_, face, attribute) in zip(said, done, strict=True)
        )
    return users


# Of what there are a million of, some are built and the others made of them by SQL alone: one by one it takes an hour.
ROWS = 9_000  # of each table, that are built; photos and faces repeat after as many


def multiply(model: Any, count: int, **changed: str) -> None:
    """Rows like those that there are, in turns, until there are so many; `changed` is what each has of its own, as SQL
    of its number k. The ids go on."""
    from django.core.management.color import no_style  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    table, first, made = model._meta.db_table, first_of(model), model.objects.count()
    columns = [field.column for field in model._meta.concrete_fields if not field.primary_key]
    values = ", ".join(changed.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    counted = f"WITH RECURSIVE n(k) AS (SELECT {made} UNION ALL SELECT k + 1 FROM n WHERE k + 1 < {count})"
    if made >= count:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (id, {names}) {counted}"
            f" SELECT {first} + k, {values} FROM n JOIN {table} t ON t.id = {first} + k % {made}"
        )
        for reset in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(reset)


def first_of(model: Any) -> int:
    from django.db.models import Min  # noqa: PLC0415

    return int(model.objects.aggregate(first=Min("pk"))["first"])


def _singles(count: int, faces: range) -> None:
    """In the order of their worth, about three attributes of a face each."""
    from annotation.models import Question, QuestionFace  # noqa: PLC0415

    _store(Question(kind="value", attribute=ATTRIBUTES[k % 3], worth=1 - k / count) for k in range(min(ROWS, count)))
    multiply(Question, count, worth=f"1 - k * 1.0 / {count}")
    first = first_of(Question)
    _store(
        QuestionFace(question_id=first + k, face_id=faces[k // 3], place=0, belief=0) for k in range(min(ROWS, count))
    )
    multiply(QuestionFace, count, question_id=f"{first} + k", face_id=f"{faces[0]} + k / 3 % {len(faces)}")


def _faces() -> range:
    from annotation.models import Face, Photo, Source  # noqa: PLC0415

    source = Source.objects.create(name="made up")
    bare = {"format": "jpg", "size": 1, "width": 100, "height": 100}
    photos = [
        Photo(
            source=source,
            sha256=f"{k:064}",
            file=f"{k}.jpg",
            query=f"Term {k % 5_000}",
            taken_at=date(2000, 1, 1) + timedelta(days=k),
            faces_sought_at=timezone.now(),
            face_count=1,
            **bare,
        )
        for k in range(min(ROWS, FACES))
    ]
    _store(photos)
    rng = np.random.default_rng(1)
    landmarks = [rng.uniform(0, 480, (68, 2)).round(2).tolist() for _ in range(500)]
    box = {"x": 1, "y": 1, "score": 1, "points": landmarks[0][:5]}
    pose = {"yaw": 0, "pitch": 0, "roll": 0, "truncated": False, "transform": []}
    _store(
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
    )
    digest = f"substr('{64 * '0'}' || k, 1 + length(CAST(k AS text)), 64)"
    multiply(Photo, FACES, sha256=digest, file="k || '.jpg'")
    multiply(Face, FACES, photo_id=f"{first_of(Photo)} + k")
    return range(first_of(Face), first_of(Face) + FACES)


def _people(count: int, faces: range) -> range:
    """Each of them is somebody in as many of these faces as the others, by lines of the ledger and labels."""
    from annotation.models import Decision, Face, Identity, Label  # noqa: PLC0415

    some = len(faces) // count
    _store(Identity(name=f"Somebody {k}", face_count=some) for k in range(min(ROWS, count)))
    multiply(Identity, count, name="'Somebody ' || k")
    person = first_of(Identity)
    few = range(min(ROWS, len(faces)))
    _store(Decision(kind="label", face_id=faces[k], identity_id=person + k % count, by="import") for k in few)
    multiply(Decision, len(faces), face_id=f"{faces[0]} + k", identity_id=f"{person} + k % {count}")
    line = first_of(Decision)
    _store(
        Label(face_id=faces[k], identity_id=person + k % count, verdict="identity", decision_id=line + k) for k in few
    )
    named = {"face_id": f"{faces[0]} + k", "identity_id": f"{person} + k % {count}", "decision_id": f"{line} + k"}
    multiply(Label, len(faces), **named)
    Face.objects.filter(pk__in=Label.objects.values("face")).update(labelled=True)
    return range(person, person + count)


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
        self.ahead = deque[dict[str, Any]]()
        self.waits: dict[str, list[tuple[float, float]]] = {"next": [], "answer": []}
        self.answered: list[int] = []
        self.refused = 0

    def work(self, until: float, thought: float) -> None:
        time.sleep(self._chance.random() * thought)
        while time.perf_counter() < until:
            self.ask_ahead()
            time.sleep(self._chance.uniform(0.5, 1.5) * thought)
            self.answer()

    def ask_ahead(self) -> None:
        """As the page does: once half of what it had ahead is answered."""
        if len(self.ahead) <= AHEAD / 2:
            known = ",".join(str(each["id"]) for each in self.ahead)
            told = self._call("next", "GET", f"/api/v1/questions/next?ahead={AHEAD}&known={known}")
            self.ahead.extend(told["questions"])

    def answer(self) -> None:
        question = self.ahead.popleft()
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


# As README has a team serve: as many requests in a process as it has threads, each on a line of its own. All others
# wait in the one queue of the system, of which a process that is free takes the first; a line that is kept stays with
# the process that it came to.
SERVE = ("--threads", "4", "--worker-connections", "4", "--keep-alive", "0")


@contextmanager
def served(workers: int) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "dager_site.wsgi", "--bind", f"127.0.0.1:{port}", *SERVE]
    server = subprocess.Popen([*command, "--workers", str(workers), "--log-level", "error"])
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


@contextmanager
def settling() -> Iterator[None]:
    """What a worker does meanwhile because of the answers: it settles them, and seals the audit log."""
    from django.conf import settings  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    connection.close()  # a forked process must not share it
    process = multiprocessing.get_context("fork").Process(target=_settle, args=(settings.SETTLE_SECONDS,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _settle(pause: float) -> None:
    from annotation import answers, audit  # noqa: PLC0415

    while True:
        time.sleep(pause)
        answers.settle_kept()
        audit.seal()


def work(users: Sequence[int], seconds: float, thought: float, workers: int) -> None:
    from annotation.models import Question  # noqa: PLC0415

    with served(workers) as port, settling():
        desks = [Desk(port, cookies_of(user), seed) for seed, user in enumerate(users)]
        begun = time.perf_counter()
        until = begun + WARM + seconds
        threads = [threading.Thread(target=desk.work, args=(until, thought)) for desk in desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answered = sum(at >= begun + WARM for desk in desks for at, _ in desk.waits["answer"])
    waiting = Question.objects.kept().count()
    print(f"{answered} answers, {60 * answered / seconds / len(users):.0f} a minute and person; ", end="")
    print(f"{sum(desk.refused for desk in desks)} refused; at the end {waiting} waited to be settled")
    print("| | n | median, ms | p95 | p99 |\n| --- | --- | --- | --- | --- |")
    for name in ("next", "answer"):
        waits = 1000 * np.array([wait for desk in desks for at, wait in desk.waits[name] if at >= begun + WARM])
        low, high, worst = np.percentile(waits, (50, 95, 99))
        print(f"| {name} | {len(waits)} | {low:.0f} | {high:.0f} | {worst:.0f} |")


# ---- where does the time go?


class AtOnce(Desk):
    """The same within this process: what it costs, statement by statement and function by function."""

    def __init__(self, application: Any, cookies: dict[str, str], seed: int) -> None:
        super().__init__(0, cookies, seed)
        self._application = application
        self.spent: dict[str, list[float]] = {"next": [], "answer": []}  # seconds of a core

    def _call(self, name: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        started = time.process_time()
        told = super()._call(name, method, path, body)
        self.spent[name].append(time.process_time() - started)
        return told

    def _send(self, method: str, path: str, body: object) -> dict[str, Any]:
        sent = json.dumps(body).encode() if body else b""
        address, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": address,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(sent)),
            "CONTENT_TYPE": "application/json",
            "HTTP_COOKIE": self._headers["Cookie"],
            "HTTP_X_CSRFTOKEN": self._headers["X-CSRFToken"],
            "wsgi.input": io.BytesIO(sent),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }
        answer = self._application(environ, lambda status, headers: None)
        told: dict[str, Any] = json.loads(b"".join(answer))
        answer.close()
        return told


def profile(users: Sequence[int], turns: int) -> None:
    """One after the other: what a call costs this process, its statements, its functions."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    application = get_wsgi_application()
    desks = [AtOnce(application, cookies_of(user), seed) for seed, user in enumerate(users)]
    steps = {"next": Desk.ask_ahead, "answer": Desk.answer}
    looked = {name: cProfile.Profile() for name in steps}
    for turn in range(2 * turns):  # first what it takes, then at what
        for name, step in steps.items():
            if turn < turns:
                step(desks[turn % len(desks)])
            else:
                looked[name].runcall(step, desks[turn % len(desks)])
        if turn == turns - 1:
            _tell_spent(desks)
    desk = desks[0]
    while len(desk.ahead) > AHEAD / 2:
        desk.ahead.popleft()
    for name, step in steps.items():
        print(f"## {name}")
        with CaptureQueriesContext(connection) as asked:
            step(desk)
        for query in asked.captured_queries:
            print(f"{1000 * float(query['time']):5.1f} ms  {query['sql'][:600]}")
        pstats.Stats(looked[name]).sort_stats("cumulative").print_stats(80)


def _tell_spent(desks: Sequence[AtOnce]) -> None:
    for name in ("next", "answer"):
        spent = 1000 * np.array([each for desk in desks for each in desk.spent[name]])
        waits = 1000 * np.array([each for desk in desks for _, each in desk.waits[name]])
        print(f"{name}: {np.median(spent):.1f} ms of this process's core, {np.median(waits):.1f} ms in all", flush=True)


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
    parser.add_argument("--workers", type=int, default=4, help="web processes")
    parser.add_argument("--claims", type=int, default=0)
    parser.add_argument("--profile", type=int, default=0, metavar="TURNS")
    parser.add_argument("--again", action="store_true", help="the site is there from an earlier time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415

        from annotation.models import User  # noqa: PLC0415

        if not asked.again:
            call_command("migrate", verbosity=0)
        users = list(User.objects.values_list("pk", flat=True)) if asked.again else make(asked.open, asked.annotators)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(f"{connection.vendor}, {asked.open} open questions, {asked.annotators} annotators", flush=True)
        if asked.profile:
            profile(users, asked.profile)
        elif asked.claims:
            claim(users, asked.claims)
        else:
            work(users, asked.seconds, asked.thought, asked.workers)


if __name__ == "__main__":
    main()
