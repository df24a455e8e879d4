"""The engine and its people at the same time, on PostgreSQL: two who think, one who revokes, one who is erased."""

import contextlib
import hashlib
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np
import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection, transaction

from annotation import (
    accounts,
    certificates,
    clustering,
    engine,
    erasure,
    feedback,
    intake,
    labels,
    lifetimes,
    maps,
    people,
    proposals,
    questions,
    records,
    reliabilities,
    routing,
    wanted,
)
from annotation.answers import record_answer, undo_answer
from annotation.erasure import carrying_out
from annotation.errors import AnnotationError, RunOutdated
from annotation.models import (
    Answer,
    AttributeLabel,
    Calibration,
    Certificate,
    Copy,
    Decision,
    Embedding,
    Face,
    Feedback,
    Identity,
    Label,
    Membership,
    Photo,
    Proposal,
    Question,
    QuestionFace,
    Reliability,
    Source,
    Thought,
    User,
    Vote,
)
from annotation.queue import take_next
from annotation.turns import WHO_IS_WHO, beginning_again, take_turn
from inference.core.attributes import GENDER
from tests.factories import (
    a_face,
    a_grid,
    a_pair,
    a_person,
    a_photo,
    a_proposal,
    a_question,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
    some_gold,
)

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def at_once(*acts: Callable[[], object]) -> list[BaseException]:
    """Let each act in a thread of its own, from the same moment on. Returns what they raised."""
    start, raised = threading.Barrier(len(acts)), list[BaseException]()

    def play(act: Callable[[], object]) -> None:
        try:
            start.wait(10)
            act()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=play, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return [*raised, *(TimeoutError(f"{thread.name} is still at it") for thread in threads if thread.is_alive())]


def proposed(count: int, **fields: object) -> list[Face]:
    faces = [a_face() for _ in range(count)]
    for number, face in enumerate(faces):
        sure = 0.5 + 0.45 * number / count
        a_proposal(face, [sure, 1 - sure], evidence={"network": [sure, 1 - sure]}, **fields)
    return faces


def say(question: Question, by: User, value: str = "female") -> Answer:
    content = {"verdict": "marked", "marks": {}} if question.kind == "grid" else {"verdict": "value", "value": value}
    return record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=content)


def test_of_two_workers_one_thinks():
    a_version()
    proposed(40)
    done = list[bool]()
    assert at_once(*[lambda: done.append(engine.keep_up(GENDER))] * 4) == []
    assert sorted(done) == [False, False, False, True]
    assert Calibration.objects.count() == 1


def test_two_that_route_at_once_ask_about_no_face_twice():
    a_version()
    proposed(120)
    held = proposals.learn(GENDER)
    Thought.objects.create(attribute="gender", at=held.at)
    routing.route(GENDER, held)
    alone = set(QuestionFace.objects.values_list("face_id", flat=True))
    for _ in range(5):
        assert at_once(*[lambda: routing.route(GENDER, held)] * 3) == []
        shown = Counter(QuestionFace.objects.filter(question__state="open").values_list("face_id", flat=True))
        assert set(shown.values()) == {1}
        assert set(shown) == alone


def test_nobody_holds_what_somebody_else_holds_while_questions_are_replaced():
    a_version()
    proposed(200)
    held = proposals.learn(GENDER)
    Thought.objects.create(attribute="gender", at=held.at)
    routing.route(GENDER, held)
    people, taken, routed = [an_annotator() for _ in range(6)], list[tuple[int, int]](), threading.Event()

    def replace() -> None:
        try:
            routing.route(GENDER, held)
        finally:
            routed.set()

    def work(person: User) -> None:
        over = False
        while not over:  # once more after they were replaced
            over = routed.is_set()
            for question in take_next(person, ahead=2):
                taken.append((question.pk, person.pk))
                say(question, person)

    raised = at_once(*[lambda person=person: work(person) for person in people], replace)

    assert raised == []
    assert len(taken) > 6
    twice = Vote.objects.values_list("face_id", "annotator_id")
    assert set(Counter(twice).values()) == {1}


def test_whoever_is_paused_in_the_middle_of_answering_leaves_nothing_behind():
    a_version()
    for _ in range(6):
        person = an_annotator()
        faces = proposed(12)
        questions = [a_single(face) for face in faces]

        def answer_all(questions=questions, person=person) -> None:
            for question in questions:
                say(question, person)

        raised = at_once(answer_all, lambda person=person: reliabilities.pause(person.pk, "3 of 40 were right."))
        assert all(isinstance(error, AnnotationError) for error in raised), raised
        standing = Decision.objects.standing().filter(kind="value", face__in=faces)
        assert not standing.exists()
        assert not AttributeLabel.objects.filter(face__in=faces).exists()


def test_what_is_learnt_while_people_answer_are_paused_and_let_back_loses_no_face():
    """Two who learn, a curator who lets somebody back, and answers: each face ends labelled or asked about."""
    a_version()
    for _ in range(3):
        annotators, faces = [an_annotator() for _ in range(3)], [a_face() for _ in range(12)]
        failing = annotators[0]
        for _ in range(20):
            say(some_gold("male"), failing)
        questions = [a_single(face) for face in faces]

        def answer_all(person: User, questions: list[Question] = questions) -> None:
            for question in questions:
                with contextlib.suppress(AnnotationError):  # settled by others, or paused at this moment
                    say(question, person)

        def learn() -> None:
            for _ in range(4):
                reliabilities.learn(GENDER)

        def let_back(person: User = failing) -> None:
            for _ in range(4):
                reliabilities.let_back(person.pk)

        raised = at_once(*[partial(answer_all, person) for person in annotators], learn, learn, let_back)

        reliabilities.learn(GENDER)
        assert raised == []
        counted = Vote.objects.filter(face__in=faces, answer__undone_at=None, annotator__paused_at=None)
        said, people = set(counted.values_list("face", flat=True)), set(counted.values_list("annotator", flat=True))
        labelled = set(AttributeLabel.objects.filter(face__in=faces).values_list("face", flat=True))
        asked = set(Question.objects.filter(state="open", shown__face__in=faces).values_list("shown__face", flat=True))
        assert said <= labelled | asked
        assert set(Reliability.objects.values_list("annotator", flat=True)) >= people


def test_a_certificate_revoked_while_it_accepts_leaves_no_label():
    a_version()
    calibration = Calibration.objects.create(attribute="gender", sources=[], weights=[], bias=[], answers=60)
    for _ in range(4):
        faces = [a_face() for _ in range(60)]
        for face in faces:
            a_proposal(face, [0.95, 0.05], calibration=calibration)
        held = Certificate.objects.create(
            attribute="gender", value="female", threshold=0.9, target=0.01, audited=400, wrong=0, bound=0.009,
            coverage=0.6, calibration=calibration,
        )  # fmt: skip
        raised = at_once(
            lambda held=held: certificates.accept(held),
            lambda held=held: certificates.revoke(held, "A curator looked."),
            lambda held=held: certificates.revoke(held, "Another one, too."),
        )
        assert raised == []
        assert not AttributeLabel.objects.exists()
        assert Decision.objects.standing().count() == 0


def test_an_answer_and_its_undoing_and_the_engine_at_once_end_in_one_state():
    a_version()
    people = [an_annotator() for _ in range(3)]
    curator = a_user()
    faces = proposed(20)
    engine.think(GENDER)
    given = [say(a_grid([face]), people[0]) for face in faces]

    def undo() -> None:
        for answer in given:
            undo_answer(answer_id=answer.pk, by=curator)

    def others() -> None:
        for person in people[1:]:
            for question in take_next(person, ahead=10):
                try:
                    say(question, person)
                except AnnotationError:
                    continue  # withdrawn meanwhile

    assert at_once(undo, others, lambda: engine.think(GENDER)) == []
    engine.think(GENDER)
    assert Answer.objects.filter(pk__in=[answer.pk for answer in given], undone_at=None).count() == 0
    # Every label rests on a line that stands, by somebody whose answer counts.
    for label in AttributeLabel.objects.select_related("decision__answer"):
        assert label.decision in Decision.objects.standing()
        assert label.decision.answer.undone_at is None


def test_corrections_of_one_face_at_once_and_a_curator_s_wish_ask_about_it_once():
    clients, curator = [a_user(role=User.Role.CLIENT) for _ in range(4)], a_user()
    for _ in range(8):
        face = a_face()
        given = [Feedback.objects.create(photo=face.photo, attribute="gender", claimed="male", by=by) for by in clients]
        wish = partial(wanted.ask, faces=Face.objects.filter(pk=face.pk), what="gender", by=curator)
        assert at_once(*(partial(feedback._ask, each) for each in given), wish) == []
        (question,) = Question.objects.filter(shown__face=face)
        assert set(Feedback.objects.filter(face=face).values_list("state", "question")) == {("asked", question.pk)}


@pytest.mark.parametrize("seed", range(3))
def test_two_curators_who_merge_split_and_undo_the_same_people_leave_what_the_ledger_says(seed: int):
    a_version()
    faces = [a_face() for _ in range(12)]
    known = [a_person(faces[start : start + 4], f"Person {start}") for start in (0, 4, 8)]

    def work(curator: User, chance: random.Random) -> None:
        for _ in range(12):
            one, other = chance.sample(known, 2)
            try:
                match chance.randrange(4):
                    case 0 | 1:
                        people.merge(identity_ids=[one.pk], into_id=other.pk, by=curator)
                    case 2:
                        of = list(Label.objects.filter(identity=one).values_list("face_id", flat=True)[:2])
                        people.split(identity_id=one.pk, face_ids=of, by=curator)
                    case 3:
                        done = Answer.objects.filter(question=None, undone_at=None).order_by("-pk").first()
                        if done is not None:
                            undo_answer(answer_id=done.pk, by=curator)
            except AnnotationError:
                continue  # merged, split off or undone by the other one meanwhile: they are told so

    curators = [(a_user(name), random.Random(f"{name}{seed}")) for name in ("carol", "carl")]
    assert at_once(*(partial(work, *each) for each in curators)) == []

    def derived() -> tuple[object, object]:
        who = sorted(Label.objects.values_list("face_id", "identity_id", "verdict"))
        return who, sorted(Identity.objects.values_list("pk", "merged_into_id", "face_count", "name"), key=str)

    held = derived()
    labels.rebuild()
    assert derived() == held


def test_of_two_who_wait_for_each_other_one_begins_again_and_both_are_heard():
    one, other = a_user("ann"), a_user("bob")
    met, tries = threading.Barrier(2), list[str]()

    @beginning_again
    def rename(first: User, second: User, name: str) -> None:
        tries.append(name)
        User.objects.filter(pk=first.pk).update(first_name=name)
        if len(tries) < 3:
            met.wait(10)
        User.objects.filter(pk=second.pk).update(first_name=name)

    assert at_once(lambda: rename(one, other, "A"), lambda: rename(other, one, "B")) == []
    assert len(tries) == 3
    assert len(set(User.objects.values_list("first_name", flat=True))) == 1


# ---- who is erased meanwhile

OF_A_SET = {"age": [30.0, 31.0], "values": {"gender": "female"}, "votes": {}, "identity": "berta", "cropped": False}


def a_set_says(face: Face) -> None:
    """As whoever has sought a photo's faces writes down what came with it: the photo is locked first."""
    with transaction.atomic():
        photo = Photo.objects.select_for_update(of=("self",)).select_related("source").filter(pk=face.photo_id).first()
        if photo is not None:
            photo.imported = OF_A_SET
            records.write_down(photo)


def test_nobody_who_shares_the_turn_asks_for_it_alone_later():
    """Two who did would wait for each other. Whatever takes it is played here once, and looked at by its locks."""
    version = a_version()
    found = list[str]()

    def watch(execute, sql, params, many, context):
        if "pg_advisory_xact_lock(" in sql and list(params) == [WHO_IS_WHO]:
            with context["connection"].cursor() as cursor:
                cursor.execute(
                    "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = %s",
                    [WHO_IS_WHO],
                )
                if [mode for (mode,) in cursor.fetchall()] == ["ShareLock"]:
                    found.append("".join(traceback.format_stack()))
        return execute(sql, params, many, context)

    faces = proposed(12)
    for number, face in enumerate(faces):
        an_embedding(face, version, [1.0, number / 50, 0.0, 0.1])
        Photo.objects.filter(pk=face.photo_id).update(taken_at="2020-01-01", birth_date="1990-01-01")
    curator, annotator = a_user(), an_annotator()
    grid, single, page = a_grid(faces[:3]), a_single(faces[3]), a_question(faces[4:8])
    with connection.execute_wrapper(watch):
        marks = {str(faces[0].pk): "not_a_face", str(faces[1].pk): "male"}
        content = {"verdict": "marked", "marks": marks}
        given = record_answer(question_id=grid.pk, annotator=annotator, client_id=uuid4(), content=content)
        undo_answer(answer_id=given.pk, by=curator)
        say(single, annotator)
        content = {"verdict": "one_person", "marks": {str(faces[4].pk): "other"}, "name": "Somebody"}
        record_answer(question_id=page.pk, annotator=annotator, client_id=uuid4(), content=content)
        one, other = a_person(faces[8:10], by=curator), a_person(faces[10:], by=curator)
        people.describe(identity_id=one.pk, attribute="gender", value="male", by=curator)
        pair = a_pair(one, other)
        same = {"verdict": "same"}
        record_answer(question_id=pair.pk, annotator=curator, client_id=uuid4(), content=same)
        for face in faces[:3]:
            a_set_says(face)
        engine.think(GENDER)
        lifetimes.keep_up()
        clustering.keep_up()
        maps.keep_up()
        reliabilities.pause(annotator.pk, "3 of 40 were right.")
        asked = erasure.request(kind="face", ids=[faces[5].pk], reason="x", by=a_user(role="admin"))
        assert erasure.carry_out(asked.pk).state == "done"
        asked = erasure.request(kind="person", ids=[one.pk], reason="x", by=a_user(role="admin"))
        assert erasure.carry_out(asked.pk).state == "done"
    assert found == []


@pytest.mark.parametrize("seed", range(2))
def test_who_is_erased_while_everybody_writes_about_them_is_gone_and_nobody_fails(seed, monkeypatch):
    monkeypatch.setattr(carrying_out, "PIECE", 2)
    version = a_version()
    theirs, others = proposed(8), proposed(8)
    for number, face in enumerate([*theirs, *others]):
        an_embedding(face, version, [1.0, number / 9, 0.3, 0.1])
    admin, curator = a_user(role="admin"), a_user()
    berta, other = a_person(theirs, "Berta Sorge", by=curator), a_person(others, "Other Person", by=curator)
    grids = [a_grid([one, two]) for one, two in zip(theirs, others, strict=True)]
    claims = [
        Feedback.objects.create(photo=face.photo, attribute="gender", claimed="male", by=curator) for face in theirs
    ]
    asked = erasure.request(kind="person", ids=[berta.pk], reason="x", by=admin)
    photos = [face.photo_id for face in theirs]
    again = erasure.request(kind="photo", ids=photos, reason="y", by=admin)
    chance = random.Random(seed)

    def answer(person: User) -> None:
        for question in chance.sample(grids, len(grids)):
            shown = list(question.shown.values_list("face_id", flat=True))
            content = {"verdict": "marked", "marks": {str(face): "not_a_face" for face in shown[:1]}}
            try:
                record_answer(question_id=question.pk, annotator=person, client_id=uuid4(), content=content)
            except AnnotationError:
                continue  # closed meanwhile, or what was shown is gone

    def describe() -> None:
        for value in ("male", "female", "male"):
            for identity, name in ((berta, "Berta"), (other, "Other")):
                try:
                    people.rename(identity_id=identity.pk, name=name, by=curator)
                    people.describe(identity_id=identity.pk, attribute="gender", value=value, by=curator)
                except AnnotationError:
                    continue

    def think() -> None:
        feedback.ask_waiting()
        with contextlib.suppress(RunOutdated):  # decided meanwhile: the next run sees it
            clustering.keep_up()
        maps.keep_up()

    raised = at_once(
        think,
        lambda: erasure.carry_out(asked.pk),
        lambda: erasure.carry_out(again.pk),
        lambda: answer(an_annotator()),
        lambda: answer(an_annotator()),
        describe,
        lambda: [a_set_says(face) for face in chance.sample([*theirs, *others], 16)],
        lambda: engine.think(GENDER),
    )

    assert raised == []
    assert {each.state for each in (asked, again) if each.refresh_from_db() is None} == {"done"}
    gone = [face.pk for face in theirs]
    for table in (Face, Embedding, Proposal, Decision, Label, AttributeLabel, Vote, Membership, QuestionFace):
        column = "pk" if table is Face else "face"
        assert not table.objects.filter(**{f"{column}__in": gone}).exists(), table
    assert not Identity.objects.filter(pk=berta.pk).exists()
    assert not Feedback.objects.filter(pk__in=[each.pk for each in claims]).exists()
    assert asked.done + again.done == len(theirs)
    held = sorted(Label.objects.values_list("face_id", "identity_id", "verdict"))
    labels.rebuild()
    assert sorted(Label.objects.values_list("face_id", "identity_id", "verdict")) == held


def a_jpeg(seed: int) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def test_a_photo_taken_in_while_it_is_erased_does_not_come_back():
    source, other, admin = a_source(), a_source(), a_user(role="admin")
    data = a_jpeg(1)
    taken = intake.take_upload(source=source, name="one.jpg", data=data, by=admin)
    asked = erasure.request(kind="photo", ids=[taken.photo.pk], reason="x", by=admin)

    def take(of: Source) -> None:
        for number in range(12):
            intake.take_upload(source=of, name=f"{number}.jpg", data=data, by=admin)

    assert at_once(partial(take, source), partial(take, other), lambda: erasure.carry_out(asked.pk)) == []
    assert not Photo.objects.exists()
    assert not Copy.objects.exists()
    assert not default_storage.exists(taken.photo.key)


def test_of_many_who_bring_the_same_bytes_at_once_one_brings_a_photo_and_the_others_copies():
    sources, admin = [a_source() for _ in range(4)], a_user(role="admin")
    for seed in range(30, 40):
        data = a_jpeg(seed)
        upload = partial(intake.take_upload, data=data, by=admin)
        acts = [partial(upload, source=source, name=name) for source in sources for name in ("a.jpg", "b.jpg", "a.jpg")]
        assert at_once(*acts) == []
        photo = Photo.objects.get(sha256=hashlib.sha256(data).hexdigest())
        names = {(photo.source, photo.file), *((copy.source, copy.file) for copy in photo.copies.all())}
        assert len(names) == photo.copies.count() + 1 == 8
        assert default_storage.exists(photo.key)


@pytest.mark.parametrize("first", ["asked", "came again"])
def test_who_sees_the_source_that_brings_a_photo_again_while_it_is_asked_about_is_asked_too(first):
    other, admin, data = a_source(), a_user(role="admin"), a_jpeg(7)
    taken = intake.take_upload(source=a_source(), name="one.jpg", data=data, by=admin)
    face, annotator = a_face(taken.photo), an_annotator()
    accounts.restrict(annotator, [other], by=None)
    begun, done = threading.Event(), threading.Event()

    def ask() -> None:
        questions.ask_single("gender", [face.pk], Question.Purpose.WORK)

    def bring() -> None:
        intake.take_upload(source=other, name="again.jpg", data=data, by=admin)

    def begin(act: Callable[[], object]) -> None:
        with transaction.atomic():
            act()
            begun.set()
            done.wait(10)

    def follow(act: Callable[[], object]) -> None:
        begun.wait(10)
        act()
        done.set()

    one, two = (ask, bring) if first == "asked" else (bring, ask)
    assert at_once(lambda: begin(one), lambda: follow(two)) == []
    assert len(take_next(annotator)) == 1


def store_until(done: threading.Event, begun: threading.Event, face: Face) -> None:
    with transaction.atomic():
        questions.ask_single("gender", [face.pk], Question.Purpose.WORK)
        begun.set()
        done.wait(2)  # the other one waits for the end of this


def test_a_set_that_says_something_of_a_photo_that_is_asked_about_at_that_moment_waits_for_its_turn():
    data, source, by = b"known", a_source(), a_user()
    face = a_face(a_photo(source, sha256=hashlib.sha256(data).hexdigest()))
    begun, done = threading.Event(), threading.Event()

    def say_of_it() -> None:
        begun.wait(10)
        arrival = intake.Arrival("again.jpg", lambda: data, {"imported": OF_A_SET})
        assert intake.take(source, intake.upload_intake(source=source, by=by), arrival).outcome == "copy"
        done.set()

    assert at_once(lambda: store_until(done, begun, face), say_of_it) == []
    assert Label.objects.get(face=face).identity.name == "berta"


def test_a_set_that_brings_a_photo_again_waits_for_whoever_answers_about_it():
    data, by = b"known", a_user()
    face = a_face(a_photo(sha256=hashlib.sha256(data).hexdigest()))
    question, source = a_single(face), a_source()
    begun, done = threading.Event(), threading.Event()

    def answer() -> None:
        with transaction.atomic():
            Question.objects.select_for_update().get(pk=question.pk)
            begun.set()
            done.wait(2)
            take_turn()

    def bring() -> None:
        begun.wait(10)
        arrival = intake.Arrival("again.jpg", lambda: data, {"imported": OF_A_SET})
        assert intake.take(source, intake.upload_intake(source=source, by=by), arrival).outcome == "copy"

    assert at_once(answer, bring) == []
    question.refresh_from_db()
    assert question.source is None


def test_a_question_that_is_stored_while_its_face_is_erased_goes_with_it():
    face, admin = a_face(), a_user(role="admin")
    begun, done = threading.Event(), threading.Event()
    asked = erasure.request(kind="photo", ids=[face.photo_id], reason="x", by=admin)

    def erase() -> None:
        begun.wait(10)
        assert erasure.carry_out(asked.pk).state == "done"
        done.set()

    assert at_once(lambda: store_until(done, begun, face), erase) == []
    assert not Question.objects.exists()


def test_a_source_that_is_erased_while_its_photos_are_taken_in_leaves_none(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "PROGRESS_EVERY", 1)
    for number in range(12):
        (tmp_path / f"{number}.jpg").write_bytes(a_jpeg(10 + number))
    source, admin = a_source(), a_user(role="admin")
    delivery = intake.start_intake(source=source, kind="folder", path=str(tmp_path), by=admin)
    begun = threading.Event()

    def erase() -> None:
        begun.wait(10)
        asked = erasure.request(kind="source", ids=[source.pk], reason="x", by=admin)
        assert erasure.carry_out(asked.pk).state == "done"

    assert at_once(lambda: intake.take_in(delivery.pk, on_progress=begun.set), erase) == []
    assert not Source.objects.filter(pk=source.pk).exists()
    assert not Photo.objects.exists()
    kept = {path.name for path in (Path(settings.MEDIA_ROOT) / "photos").rglob("*.jpg")}
    ours = {hashlib.sha256(path.read_bytes()).hexdigest() + ".jpg" for path in tmp_path.iterdir()}
    assert not kept & ours
