"""What curators want asked comes first, and what one person said can be asked of others."""

from uuid import uuid4

import pytest

from annotation.answers import record_answer, undo_answer
from annotation.errors import BadAct
from annotation.models import Answer, AttributeLabel, Face, Label, Question
from annotation.queue import take_next
from annotation.wanted import ask, due, reassign, take_back
from tests.factories import a_cluster, a_face, a_grid, a_pair, a_person, a_question, a_single, a_user, an_annotator

pytestmark = pytest.mark.django_db


def faces(*these: Face):
    return Face.objects.filter(pk__in=[face.pk for face in these])


def say(question: Question, who, **content: object) -> Answer:
    return record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content=content)


def test_faces_that_a_curator_sends_are_asked_about_first():
    a_question(3, worth=24.0)
    wanted, other = a_face(), a_face()

    act = ask(faces=faces(wanted, other), what="emotion", by=a_user())

    assert act.content["count"] == 2
    first = take_next(an_annotator(), ahead=2)
    assert {question.purpose for question in first} == {"wanted"}
    assert {question.faces.get() for question in first} == {wanted, other}


def test_what_was_sent_is_asked_no_more_once_that_is_undone_but_for_what_was_answered():
    wanted, answered = a_face(), a_face()
    act = ask(faces=faces(wanted, answered), what="emotion", by=a_user())
    an_annotator()
    say(Question.objects.get(faces=answered), an_annotator(), verdict="value", value="happy")

    undo_answer(answer_id=act.pk, by=act.annotator)

    assert not Question.objects.filter(faces=wanted, state="open").exists()
    assert Question.objects.get(faces=answered).answers.count() == 1


def test_of_an_attribute_of_the_person_one_face_of_each_is_asked():
    person, alone = a_person(3), a_face()

    act = ask(faces=Face.objects.all(), what="gender", by=a_user())

    asked = set(Question.objects.filter(pk__in=act.content["questions"]).values_list("faces", flat=True))
    assert len(asked) == 2
    assert alone.pk in asked
    assert asked & set(person.labels.values_list("face_id", flat=True))


def test_a_question_that_waits_already_is_put_first_instead_of_asked_twice():
    face = a_face()
    waiting = a_single(face)

    ask(faces=faces(face), what="gender", by=a_user())

    assert Question.objects.get() == waiting
    waiting.refresh_from_db()
    assert (waiting.purpose, waiting.worth > 24) == ("wanted", True)


def test_pages_that_ask_who_somebody_is_come_first():
    a_question(3, worth=24.0)
    face = a_face()
    page = a_question([face, a_face()], worth=1.0)

    ask(faces=faces(face), what="identity", by=a_user())

    assert take_next(an_annotator()) == [page]


@pytest.mark.parametrize(
    ("what", "complaint"),
    [("real_age", "Nobody is asked about real_age"), ("shoe_size", "no attribute 'shoe_size'"),
     ("identity", "No open question asks"), ("gender", "None of these faces is left to ask about")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_the_reason(what: str, complaint: str):
    with pytest.raises(BadAct, match=complaint):
        ask(faces=faces(a_face(usable=False)), what=what, by=a_user())


def test_labelled_faces_are_asked_about_only_if_that_is_wanted():
    say(a_single(a_face()), a_user(), verdict="value", value="female")
    labelled = faces(*Face.objects.filter(attribute_labels__attribute="gender"))
    assert labelled.exists()

    with pytest.raises(BadAct):
        ask(faces=labelled, what="gender", by=a_user())
    assert ask(faces=labelled, what="gender", by=a_user(), labelled_too=True).content["count"] == 1


# ---- others are asked instead


def test_what_only_one_person_said_is_asked_of_others_and_not_of_them():
    question, ann, bob = a_question(3), an_annotator("ann"), an_annotator("bob")
    say(question, ann, verdict="one_person")
    assert Label.objects.count() == 3

    assert reassign(person=ann.pk, by=a_user("carol")) == 1
    assert due().count() == 1
    assert take_back() == 1

    assert not Label.objects.exists()
    assert not due().exists()
    assert take_next(ann) == []
    assert take_next(bob) == [question]
    assert Answer.objects.get(annotator=ann).reassigned_by.username == "carol"


def test_labels_that_others_carry_stand_and_are_not_asked_again():
    face, ann, others = a_face(), an_annotator("ann"), [an_annotator() for _ in range(5)]
    for who in (ann, *others):
        say(a_grid([face, a_face()]), who, verdict="marked")
    assert AttributeLabel.objects.get(face=face).value == "female"

    reassign(person=ann.pk, by=a_user())
    take_back()

    assert AttributeLabel.objects.get(face=face).value == "female"
    assert not Question.objects.filter(faces=face, kind="value", state="open").exists()


def test_answers_to_known_questions_and_skips_stay_theirs():
    ann = an_annotator("ann")
    say(a_single(purpose="gold", value="male"), ann, verdict="value", value="male")
    say(a_question(2), ann, verdict="skip")

    assert reassign(person=ann.pk, by=a_user()) == 0
    assert not Answer.objects.filter(content__act="reassign").exists()


def test_only_one_kind_or_only_the_latest_are_reassigned():
    ann = an_annotator("ann")
    early = say(a_question(2), ann, verdict="one_person")
    late = say(a_grid([a_face(), a_face()]), ann, verdict="marked")

    assert reassign(person=ann.pk, by=a_user(), kind="pair") == 0
    assert reassign(person=ann.pk, by=a_user(), since=late.at) == 1
    take_back()

    early.refresh_from_db(), late.refresh_from_db()
    assert early.undone_at is None
    assert late.undone_at is not None


def test_whose_grid_was_reassigned_is_not_asked_about_its_faces_again():
    ann, face = an_annotator("ann"), a_face()
    say(a_grid([face, a_face()]), ann, verdict="marked")
    reassign(person=ann.pk, by=a_user())
    take_back()

    single = a_single(face)

    assert take_next(ann) == []
    assert single in take_next(an_annotator(), ahead=5)


def test_taking_back_twice_at_once_takes_back_once():
    ann = an_annotator("ann")
    pair = a_pair(a_person(1), a_person(1))
    a_cluster([a_face()])
    say(pair, ann, verdict="different")
    reassign(person=ann.pk, by=a_user())

    assert (take_back(), take_back()) == (1, 0)
    pair.refresh_from_db()
    assert pair.state == "open"
