"""Certificates under attack: marks that are slips, answers that are taken back, people who are paused, crashes."""

from collections.abc import Sequence
from uuid import uuid4

import pytest

from annotation import certificates, ledger, reliabilities, routing, votes
from annotation.answers import record_answer, undo_answer
from annotation.models import (
    Answer,
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Face,
    Question,
    Reliability,
    User,
)
from annotation.queue import take_next
from inference.core.attributes import GENDER
from tests.factories import a_face, a_grid, a_proposal, a_single, a_version, an_annotator

pytestmark = pytest.mark.django_db

SURE = [[0.995, 0.005], [0.005, 0.995]]
TARGET = 0.1  # so that some fifty audits are enough
AUDITED = 60


@pytest.fixture(autouse=True)
def _set(settings) -> None:
    settings.CONTROL_SHARE = 0.0
    settings.TARGET_ERROR = TARGET
    settings.AUDIT_SHARE = 1.0
    a_version()


def somebody() -> User:
    user = an_annotator()
    Reliability.objects.create(annotator=user, attribute="gender", confusion=SURE, votes=100)
    return user


def calibrated() -> Calibration:
    return Calibration.objects.create(
        attribute="gender", sources=["network"], weights=[1.0], bias=[0.0, 0.0], answers=60, sequences={"female": [0.9]}
    )


def proposed(count: int, calibration: Calibration) -> list[Face]:
    faces = [a_face() for _ in range(count)]
    for face in faces:
        a_proposal(face, [0.95, 0.05], calibration=calibration, evidence={"network": [0.95, 0.05]})
    return faces


def an_audit(faces: Sequence[Face], **fields: object) -> Question:
    return a_grid(faces, purpose="audit", drawn_above=0.9, **fields)


def look_over(grid: Question, by: User, marks: Sequence[Face] = (), mark: str = "male") -> Answer:
    content = {"verdict": "marked", "marks": {str(face.pk): mark for face in marks}}
    return record_answer(question_id=grid.pk, annotator=by, client_id=uuid4(), content=content)


def certified(by: User, waiting: int = 10) -> tuple[Certificate, Calibration, Answer, list[Face]]:
    """A certificate that one answer of this person gave, and the faces that it accepted."""
    held = calibrated()
    audited, others = proposed(AUDITED, held), proposed(waiting, held)
    answer = look_over(an_audit(audited, calibration=held), by)
    (certificate,) = certificates.review(GENDER, held)
    return certificate, held, answer, others


def said_alone(face: Face, value: str) -> None:
    """Two people, of whom each was asked about this face by itself."""
    for _ in range(2):
        question = Question.objects.filter(kind="value", state="open", faces=face).first() or a_single(face)
        content = {"verdict": "value", "value": value}
        record_answer(question_id=question.pk, annotator=somebody(), client_id=uuid4(), content=content)


def by_machine() -> set[int]:
    return set(AttributeLabel.objects.filter(decision__by="machine").values_list("face_id", flat=True))


def test_undoing_the_answer_that_gave_a_certificate_takes_it_and_its_labels_back():
    certificate, held, answer, others = certified(somebody())
    assert by_machine() == {face.pk for face in others}

    undo_answer(answer_id=answer.pk, by=answer.annotator)
    assert certificates.review(GENDER, held) == []

    certificate.refresh_from_db()
    assert certificate.state == "lapsed"
    assert by_machine() == set()
    routing.route(GENDER, held)
    asked = Question.objects.filter(state="open").values_list("shown__face", flat=True)
    assert {face.pk for face in others} <= set(asked)


def test_other_answers_may_give_it_again():
    certificate, held, answer, others = certified(person := somebody())
    undo_answer(answer_id=answer.pk, by=person)
    certificates.review(GENDER, held)
    look_over(Question.objects.get(purpose="audit"), somebody())

    (again,) = certificates.review(GENDER, held)

    assert again.pk != certificate.pk
    assert by_machine() == {face.pk for face in others}


def test_a_certificate_that_a_paused_person_gave_goes_with_their_answers():
    certificate, held, answer, _ = certified(somebody())
    somebody()

    reliabilities.pause(answer.annotator_id, "12 of 40 were right.")
    certificates.review(GENDER, held)

    certificate.refresh_from_db()
    assert (certificate.state, by_machine()) == ("lapsed", set())


def test_audits_that_turn_out_wrong_take_the_certificate_back():
    certificate, held, answer, _ = certified(somebody())
    wrong = list(Question.objects.get(purpose="audit").faces.all()[:15])
    ledger.write(
        [Decision(kind="value", face=face, attribute="gender", value="male", person=answer.annotator) for face in wrong]
    )
    certificates.review(GENDER, held)
    certificate.refresh_from_db()
    assert certificate.state == "lapsed"


def test_later_audits_do_not_unsettle_what_sufficed_once():
    """Evidence is a martingale: having sufficed at one time is enough, and the audits go on by other faces."""
    certificate, held, _, _ = certified(somebody())
    faces = proposed(20, held)
    look_over(an_audit(faces, calibration=held), somebody(), faces[:2])
    certificates.review(GENDER, held)
    certificate.refresh_from_db()
    assert certificate.state == "valid"


def test_a_mark_on_what_was_accepted_is_asked_of_somebody_else_and_no_slip_revokes():
    certificate, held, _, others = certified(somebody(), waiting=20)
    first, second = somebody(), somebody()
    routing.route(GENDER, held)
    grid = Question.objects.get(certificate=certificate)
    assert set(grid.faces.all()) == set(others)

    look_over(grid, first, others[:6], mark="other")
    certificates.review(GENDER, held)
    certificate.refresh_from_db()
    assert (certificate.state, certificate.audited_since, certificate.wrong_since) == ("valid", 14, 0)

    routing.route(GENDER, held)
    again = take_next(second, ahead=10)
    assert {question.faces.get() for question in again} == set(others[:6])
    for question in again:
        said = {"verdict": "value", "value": "female"}
        record_answer(question_id=question.pk, annotator=second, client_id=uuid4(), content=said)
    for question in take_next(somebody(), ahead=10):  # one against one: a third decides
        person = User.objects.get(leases=question)
        record_answer(question_id=question.pk, annotator=person, client_id=uuid4(), content=said)
    certificates.review(GENDER, held)
    certificate.refresh_from_db()
    assert (certificate.state, certificate.audited_since, certificate.wrong_since) == ("valid", 20, 0)


def test_a_failing_audit_revokes_and_what_was_accepted_is_asked():
    certificate, held, _, others = certified(somebody(), waiting=20)
    routing.route(GENDER, held)
    grid = Question.objects.get(certificate=certificate)
    look_over(grid, somebody(), others[:12])
    for question in take_next(person := somebody(), ahead=20):
        said = {"verdict": "value", "value": "male"}
        record_answer(question_id=question.pk, annotator=person, client_id=uuid4(), content=said)

    assert certificates.review(GENDER, held) == []

    certificate.refresh_from_db()
    assert (certificate.state, certificate.audited_since, certificate.wrong_since) == ("revoked", 20, 12)
    assert by_machine() == set()
    # The same audits give it no second time.
    assert certificates.review(GENDER, held) == []


def test_accepting_stops_where_somebody_revokes(monkeypatch):
    certificate, _, _, _ = certified(somebody())
    certificates.revoke(certificate, "A curator looked.")
    faces = proposed(3, certificate.calibration)
    stale = Certificate.objects.get(pk=certificate.pk)
    stale.state = "valid"  # as another worker read it, a moment before
    assert certificates.accept(stale) == 0
    assert not by_machine() & {face.pk for face in faces}


def test_a_crash_between_issuing_and_accepting_is_made_good(monkeypatch):
    held = calibrated()
    audited, others = proposed(AUDITED, held), proposed(10, held)
    look_over(an_audit(audited, calibration=held), somebody())

    def crash(certificate: Certificate) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(certificates, "accept", crash)
        with pytest.raises(KeyboardInterrupt):
            certificates.review(GENDER, held)
    assert by_machine() == set()

    certificates.review(GENDER, held)
    assert by_machine() == {face.pk for face in others}
    assert Certificate.objects.get().accepted == 10


def test_new_thresholds_are_never_certified_by_old_audits():
    """A new calibration's thresholds are fixed before any of its own audits, and only those count."""
    certificate, _, _, _ = certified(somebody())
    newer = calibrated()
    assert certificates.review(GENDER, newer) == []
    assert certificates.audit_of(newer, "female").wrong.tolist() == []
    certificate.refresh_from_db()
    assert certificate.state == "replaced"
    assert len(by_machine()) == 10  # what was promised holds on


def test_what_was_audited_before_is_not_drawn_again():
    _, held, _, _ = certified(somebody())
    newer = calibrated()
    proposed(130, newer)
    certificates.review(GENDER, newer)
    routing.route(GENDER, newer)
    seen = set(Question.objects.filter(calibration=held).values_list("shown__face", flat=True))
    drawn = set(Question.objects.filter(calibration=newer).values_list("shown__face", flat=True))
    assert drawn
    assert not drawn & seen


def test_the_control_slice_says_blind_how_right_a_certificate_is(settings):
    certificate, held, _, _ = certified(somebody())
    settings.CONTROL_SHARE = 1.0
    faces = proposed(5, held)
    for number, face in enumerate(faces):
        said_alone(face, "male" if number == 0 else "female")
    certificates.review(GENDER, held)
    certificate.refresh_from_db()
    assert (certificate.blind, certificate.blind_wrong) == (5, 1)


def test_what_was_seen_in_a_grid_or_of_another_face_and_a_mere_record_are_no_control_answers(settings):
    settings.CONTROL_SHARE = 1.0
    held = calibrated()
    alone, shown, recorded, voted = proposed(4, held)
    crowd = {"votes": {"female": 9, "male": 1}}
    somebody()
    look_over(a_grid([shown]), somebody())
    said_alone(alone, "female")
    ledger.write(
        [
            Decision(kind="value", face=recorded, attribute="gender", by="import", value="female"),
            Decision(kind="value", face=voted, attribute="gender", by="import", value="female", detail=crowd),
        ]
    )
    assert set(votes.control_said(GENDER)) == {alone.pk, voted.pk}

    routing.route(GENDER, held)
    asked = Question.objects.filter(purpose="control", state="open")
    assert set(asked.values_list("shown__face", flat=True)) == {
        recorded.pk
    }  # it is answered blind, as all of the slice
    said_alone(recorded, "male")
    assert votes.control_said(GENDER)[recorded.pk] == "male"
    routing.route(GENDER, held)
    assert not Question.objects.filter(purpose="control", state="open").exists()
