"""People of whom different things were said, and who then were called one."""

from uuid import uuid4

import pytest

from annotation import contradictions, people
from annotation.answers import record_answer, undo_answer
from annotation.models import AttributeLabel, Face, Question
from annotation.words import against
from inference.core.attributes import attribute
from tests.factories import a_face, a_person, a_user

pytestmark = pytest.mark.django_db
GENDER = attribute("gender")


def merged(*values: str) -> list[Face]:
    """A face of each of these people, who are one now."""
    faces = [a_face() for _ in values]
    persons = [a_person([face]) for face in faces]
    curator = a_user()
    for person, value in zip(persons, values, strict=True):
        people.describe(identity_id=person.pk, attribute="gender", value=value, by=curator)
    people.merge(identity_ids=[each.pk for each in persons[1:]], into_id=persons[0].pk, by=curator)
    return faces


def open_questions() -> list[Question]:
    return list(Question.objects.filter(attribute="gender", state="open"))


def test_people_of_different_gender_who_are_one_are_asked_about_and_a_verdict_holds_for_all():
    one, other = merged("female", "male")

    assert contradictions.ask(GENDER) == 1
    assert contradictions.ask(GENDER) == 0  # once
    (question,) = open_questions()
    assert question.purpose == "verdict"
    assert "female" in against(question.reason)
    assert "male" in against(question.reason)
    assert "undo the merge" in against(question.reason)

    record_answer(
        question_id=question.pk, annotator=a_user(), client_id=uuid4(), content={"verdict": "value", "value": "female"}
    )
    labels = AttributeLabel.objects.filter(face__in=[one, other])
    assert {label.value for label in labels} == {"female"}
    assert contradictions.ask(GENDER) == 0
    assert open_questions() == []


def test_people_of_the_same_gender_and_those_who_cannot_be_told_contradict_nothing():
    merged("female", "female", "cannot_tell")
    assert contradictions.ask(GENDER) == 0


def test_what_a_curator_says_of_the_merged_person_settles_it_until_another_merge():
    one, _ = merged("female", "male")
    person = AttributeLabel.objects.get(face=one).face.label.identity
    people.describe(identity_id=person.pk, attribute="gender", value="male", by=a_user())
    assert contradictions.ask(GENDER) == 0

    third = a_person([a_face()])
    people.describe(identity_id=third.pk, attribute="gender", value="female", by=a_user())
    people.merge(identity_ids=[third.pk], into_id=person.pk, by=a_user())
    assert contradictions.ask(GENDER) == 1


def test_where_the_merge_is_undone_nothing_contradicts_and_nobody_is_asked():
    merged("female", "male")
    contradictions.ask(GENDER)
    act = people.Answer.objects.get(content__act="merge")
    undo_answer(answer_id=act.pk, by=act.annotator)
    assert contradictions.ask(GENDER) == 0
    assert open_questions() == []
