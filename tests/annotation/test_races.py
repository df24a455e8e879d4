"""The engine and its people at the same time, on PostgreSQL: two who think, one who revokes, one who is paused."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest
from django.db import connection

from annotation import certificates, engine, feedback, labels, people, proposals, reliabilities, routing, wanted
from annotation.answers import record_answer, undo_answer
from annotation.errors import AnnotationError
from annotation.models import (
    Answer,
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Face,
    Feedback,
    Identity,
    Label,
    Question,
    QuestionFace,
    Thought,
    User,
    Vote,
)
from annotation.queue import take_next
from annotation.turns import beginning_again
from inference.core.attributes import GENDER
from tests.factories import a_face, a_grid, a_person, a_proposal, a_single, a_user, a_version, an_annotator

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
        thread.join(60)
    return raised


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
    people, taken = [an_annotator() for _ in range(6)], list[tuple[int, int]]()

    def work(person: User) -> None:
        for _ in range(4):
            for question in take_next(person, ahead=2):
                taken.append((question.pk, person.pk))
                say(question, person)

    raised = at_once(*[lambda person=person: work(person) for person in people], lambda: routing.route(GENDER, held))

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
