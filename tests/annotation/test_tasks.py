"""The belt with a real worker, a real Redis and a real PostgreSQL, and many people at one queue."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client

from annotation import intake, progress
from annotation.answers import record_answer, settle_kept
from annotation.core.drawn import draw_sample
from annotation.errors import QuestionClosed, QuestionHeld
from annotation.models import Answer, Decision, Embedding, Face, Identity, Photo, Question, Reliability, Source, Vote
from annotation.queue import take_next
from tests.factories import a_face, a_proposal, a_question, a_single, a_user, an_annotator

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def in_threads(work, items):
    def closing(item):
        try:
            return work(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(closing, items))


def test_of_many_who_ask_at_once_no_two_hold_one_question():
    for _ in range(60):
        a_question(1)
    people = [an_annotator() for _ in range(8)]

    held = in_threads(lambda who: [question.pk for question in take_next(who, ahead=10)], people)

    taken = [pk for mine in held for pk in mine]
    assert len(taken) == len(set(taken)) == 60


def test_whoever_finds_the_first_questions_locked_gets_the_next_ones():
    best = [a_question(1, worth=9.0) for _ in range(3)]
    rest = [a_question(1, worth=1.0) for _ in range(3)]
    who = an_annotator()

    with transaction.atomic():
        list(Question.objects.filter(pk__in=[each.pk for each in best]).select_for_update())
        (taken,) = in_threads(lambda person: take_next(person, ahead=2), [who])

    assert taken == rest[:2]


def test_of_many_who_answer_at_once_one_settles_it():
    question = a_question(3)
    people = [an_annotator() for _ in range(8)]

    def answer(who):
        try:
            record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content={"verdict": "one_person"})
        except (QuestionClosed, QuestionHeld):
            return False
        return True

    assert sum(in_threads(answer, people)) == 1
    assert Decision.objects.filter(kind="label").count() == 3
    assert Identity.objects.count() == 1


def test_answers_that_are_kept_while_others_are_settled_are_settled_once():
    faces = [a_face() for _ in range(24)]
    for face in faces:
        a_proposal(face, [0.95, 0.05])
    singles = [a_single(face) for face in faces]
    people = [an_annotator() for _ in range(8)]
    for person in people:
        Reliability.objects.create(
            annotator=person, attribute="gender", confusion=[[0.99, 0.01], [0.01, 0.99]], votes=100
        )

    def answer_and_settle(number):
        record_answer(
            question_id=singles[number].pk,
            annotator=people[number % 8],
            client_id=uuid4(),
            content={"verdict": "value", "value": "female"},
            settle_later=True,
        )
        settle_kept()

    in_threads(answer_and_settle, range(24))
    settle_kept()

    assert set(Question.objects.values_list("state", flat=True)) == {"settled"}
    assert Vote.objects.count() == 24
    assert sorted(Decision.objects.values_list("face_id", flat=True)) == [face.pk for face in faces]


def test_one_answer_sent_many_times_at_once_counts_once():
    question, who, client_id = a_question(3), an_annotator(), uuid4()

    def answer(_):
        said = record_answer(
            question_id=question.pk, annotator=who, client_id=client_id, content={"verdict": "one_person"}
        )
        return said.pk

    assert len(set(in_threads(answer, range(8)))) == 1
    assert Answer.objects.count() == 1
    assert Decision.objects.filter(kind="label").count() == 3


def test_one_request_sent_many_times_at_once_under_one_key_is_done_once():
    curator = a_user("carol", role="curator")

    def send(name: str):
        client = Client()
        client.force_login(curator)
        return client.post("/api/v1/sources", {"name": name}, "application/json", headers={"Idempotency-Key": "one"})

    told = in_threads(send, ["Spring"] * 8)

    assert Source.objects.count() == 1
    assert {each.status_code for each in told} <= {201, 409}
    assert {each.json()["error"]["code"] for each in told if each.status_code == 409} <= {"key_in_hand"}
    assert {each.json()["id"] for each in told if each.status_code == 201} == {Source.objects.get().pk}
    assert send("Spring").headers["Idempotent-Replayed"] == "true"
    assert send("Autumn").status_code == 422


@pytest.mark.timeout(300)
def test_a_worker_takes_photos_all_the_way_to_questions(tmp_path: Path):
    draw_sample(tmp_path / "sample", people=4, photos_each=4)
    source = intake.create_source(name="belt", by=a_user())
    delivery = intake.start_intake(source=source, kind="folder", path=str(tmp_path / "sample" / "photos"), by=None)
    database = settings.DATABASES["default"]
    address = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    environment = os.environ | {
        "DATABASE_URL": f"{address}/{connection.settings_dict['NAME']}",
        "DAGER_SWEEP_SECONDS": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "celery", "-A", "dager_site", "worker", "--concurrency", "2", "--beat"]
    command += ["--queues", "default,vision", "--schedule", str(tmp_path / "beat")]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 200
            while not (progress.steps(delivery)[1] and Question.objects.exists()):
                assert worker.poll() is None, (tmp_path / "log").read_text()[-3000:]
                assert time.monotonic() < end, (tmp_path / "log").read_text()[-3000:]
                time.sleep(0.2)
        finally:
            worker.terminate()
            worker.wait(30)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.seen) == ("done", delivery.total)
    assert Photo.objects.filter(faces_sought_at=None).count() == 0
    assert Embedding.objects.count() == Face.objects.count() > 0
