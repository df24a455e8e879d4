"""What an attribute of a face is, as the ledger has it."""

import pytest

from annotation import ledger, people
from annotation.answers import undo_answer
from annotation.errors import BadAct
from annotation.models import AttributeLabel, Decision, Face
from tests.factories import a_face, a_person, a_user

pytestmark = pytest.mark.django_db


def a_line(face: Face, value: str, by: str = "import", attribute: str = "gender") -> Decision:
    line = Decision(kind="value", face=face, attribute=attribute, value=value, by=by)
    ledger.write([line])
    return line


def said(face: Face, attribute: str = "gender") -> str | None:
    return AttributeLabel.objects.filter(face=face, attribute=attribute).values_list("value", flat=True).first()


def test_what_is_said_of_a_person_holds_for_all_their_faces_also_later_ones():
    first, later = a_face(), a_face()
    person = a_person([first])

    people.describe(identity_id=person.pk, attribute="gender", value="female", by=a_user())
    assert (said(first), said(later)) == ("female", None)
    people.assign(face_ids=[later.pk], identity_id=person.pk, by=a_user())

    assert said(later) == "female"


def test_a_face_that_leaves_a_person_leaves_their_gender():
    face = a_face()
    person = a_person([face, a_face()])
    people.describe(identity_id=person.pk, attribute="gender", value="female", by=a_user())

    people.remove(identity_id=person.pk, face_ids=[face.pk], by=a_user())

    assert said(face) is None


def test_what_was_said_of_a_merged_person_comes_along_and_goes_with_the_merge():
    mine, theirs = a_face(), a_face()
    one, other = a_person([mine]), a_person([theirs])
    people.describe(identity_id=other.pk, attribute="gender", value="male", by=a_user())

    merged = people.merge(identity_ids=[other.pk], into_id=one.pk, by=a_user(name="merger"))
    assert (said(mine), said(theirs)) == ("male", "male")
    undo_answer(answer_id=merged.pk, by=merged.annotator)

    assert (said(mine), said(theirs)) == (None, "male")


@pytest.mark.parametrize("order", [("person", "import", "machine"), ("machine", "import", "person")])
def test_a_person_outweighs_a_set_and_a_set_the_machine_in_whatever_order(order: tuple[str, ...]):
    face = a_face()
    person = a_person([face])
    for by in order:
        if by == "person":
            people.describe(identity_id=person.pk, attribute="gender", value="female", by=a_user())
        else:
            a_line(face, "male", by)

    assert said(face) == "female"


def test_a_face_of_a_duplicate_photo_has_the_label_of_the_face_that_stands_for_it():
    original = a_face()
    twin = a_face(duplicate_of=original)

    a_line(original, "happy", attribute="emotion")

    assert said(twin, "emotion") == "happy"


def test_what_is_not_a_face_has_no_attributes():
    face = a_face()
    a_line(face, "happy", attribute="emotion")

    people.not_a_face(face_ids=[face.pk], by=a_user())

    assert said(face, "emotion") is None


@pytest.mark.parametrize(
    ("attribute", "value", "because"),
    [
        ("gender", "happy", "gender cannot be 'happy'"),
        ("mood", "happy", "There is no attribute 'mood'"),
        ("real_age", "30", "real_age is no matter of a person"),
        ("emotion", "happy", "emotion is no matter of a person"),
    ],
)
def test_nonsense_about_a_person_is_refused(attribute: str, value: str, because: str):
    with pytest.raises(BadAct, match=because):
        people.describe(identity_id=a_person().pk, attribute=attribute, value=value, by=a_user())
