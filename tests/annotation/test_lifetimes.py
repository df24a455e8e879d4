"""Dates of a person's photos: ages that they give, and the question where they contradict each other."""

from datetime import date, timedelta
from itertools import count
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation import engine, ledger, lifetimes, people
from annotation.answers import record_answer, undo_answer
from annotation.models import Answer, AttributeLabel, Decision, Face, Identity, Label, Photo, Question
from annotation.queue import give_back, take_next
from annotation.words import against
from inference.core.attributes import REAL_AGE
from tests.factories import a_face, a_user, an_annotator

pytestmark = pytest.mark.django_db


def a_dated_face(taken: int | None, *, born: int | None = None, age: int | None = None) -> Face:
    """A face of a photo taken in the middle of a year; with an age as a labelled set has it."""
    face = a_face(chosen=True)
    Photo.objects.filter(pk=face.photo_id).update(
        taken_at=taken and date(taken, 7, 1),
        taken_at_precision="day" if taken else "",
        birth_date=born and date(born, 1, 1),
        birth_date_precision="year" if born else "",
        imported={"age": [age, age + 1]} if age is not None else None,
    )
    if age is not None:
        line = Decision(kind="value", face=face, attribute="real_age", value=f"{age}.5", by="import")
        line.detail = {"low": age, "high": age + 1}
        ledger.write([line])
    return face


def one_person(*faces: Face) -> Identity:
    person = Identity.objects.create()
    ledger.write([Decision(kind="label", face=face, identity=person, by="import") for face in faces])
    return person


def ages() -> dict[int, str]:
    return dict(AttributeLabel.objects.filter(attribute="real_age").values_list("face_id", "value"))


def say(question: Question, **marks: str) -> Answer:
    content = {"verdict": "marked", "marks": {face[1:]: mark for face, mark in marks.items()}}
    return record_answer(question_id=question.pk, annotator=an_annotator(), client_id=uuid4(), content=content)


def the_question() -> Question:
    return Question.objects.get(kind="record", state="open")


def asked() -> list[Face]:
    """In the order in which they are shown."""
    return [place.face for place in the_question().shown.order_by("place")]


def test_a_birth_date_holds_for_all_photos_of_the_person():
    known, other, undated = a_dated_face(1990, born=1970), a_dated_face(2000), a_face(chosen=True)
    person = one_person(known, other, undated)

    lifetimes.keep_up()

    assert float(ages()[other.pk]) == pytest.approx(30.0, abs=0.01)  # half a year either way: only the year is known
    assert undated.pk not in ages()
    line = AttributeLabel.objects.get(face=other).decision
    assert line.detail["high"] - line.detail["low"] == pytest.approx(1.0, abs=0.01)
    assert line.evidence == {"person": person.pk, "born": "in 1970", "taken": "on 2000-07-01"}
    lines = Decision.objects.count()
    lifetimes.keep_up()
    assert Decision.objects.count() == lines


def test_an_age_goes_when_the_face_turns_out_to_be_somebody_else():
    known, other = a_dated_face(1990, born=1970), a_dated_face(2000)
    person = one_person(known, other)
    lifetimes.keep_up()
    seen = Decision.objects.latest("pk").pk

    people.remove(identity_id=person.pk, face_ids=[other.pk], by=a_user())
    lifetimes.keep_up(seen)

    assert other.pk not in ages()


def test_dates_that_contradict_the_others_are_asked_about_on_one_page():
    right = [a_dated_face(1960 + age, age=age) for age in (2, 8, 20, 33)]
    wrong_date, wrong_person = a_dated_face(1999, age=5), a_dated_face(1990, age=60)
    person = one_person(*right, wrong_date, wrong_person)
    lifetimes.keep_up()

    question = the_question()
    assert set(question.faces.all()) == {wrong_date, wrong_person}
    assert "4 other photos" in against(question.reason)
    someone = an_annotator()
    assert take_next(someone) == [question]
    give_back(someone)

    said = say(question, **{f"f{wrong_date.pk}": "wrong_date", f"f{wrong_person.pk}": "other"})

    assert said.actions == 3
    assert ages()[wrong_date.pk] == "cannot_tell"
    assert set(Label.objects.filter(identity=person).values_list("face_id", flat=True)) == {
        face.pk for face in (*right, wrong_date)
    }
    assert lifetimes.keep_up() == 0  # what is left agrees

    undo_answer(answer_id=said.pk, by=said.annotator)
    assert ages()[wrong_date.pk] == "5.5"
    assert Label.objects.filter(identity=person).count() == 6
    assert the_question() == question


def test_what_somebody_called_right_is_not_asked_again_until_another_photo_contradicts():
    person = one_person(*(a_dated_face(1960 + age, age=age) for age in (2, 8)), a_dated_face(1999, age=5))
    lifetimes.keep_up()
    say(the_question())
    assert lifetimes.keep_up() == 0

    other = a_dated_face(1980, age=60)
    ledger.write([Decision(kind="label", face=other, identity=person, by="import")])
    assert lifetimes.keep_up() == 1
    assert other in the_question().faces.all()


def test_of_more_contradictions_than_a_page_shows_each_is_asked_about(monkeypatch):
    monkeypatch.setattr(lifetimes, "MOST", 3)
    faces = [a_dated_face(1990, born=born) for born in (1950, 1970) for _ in range(4)]
    one_person(*faces)

    seen = list[Face]()
    for _ in range(3):
        assert lifetimes.keep_up() == 1
        seen += the_question().faces.all()
        say(the_question())

    assert set(seen) == set(faces)
    assert lifetimes.keep_up() == 0


def test_of_two_birth_dates_nobody_knows_which_is_wrong():
    one, other = a_dated_face(1990, born=1970), a_dated_face(1990, born=1975)
    third = a_dated_face(1995)
    one_person(one, other, third)

    lifetimes.keep_up()
    assert set(the_question().faces.all()) == {one, other}
    assert third.pk not in ages()

    say(the_question(), **{f"f{other.pk}": "wrong_date"})
    lifetimes.keep_up()
    assert float(ages()[third.pk]) == pytest.approx(25.0, abs=0.01)


def test_a_photo_from_before_the_person_was_born_is_asked_about():
    early = a_dated_face(1950)
    one_person(a_dated_face(1990, born=1970), early)
    lifetimes.keep_up()
    assert set(the_question().faces.all()) == {early}


def test_a_photo_from_before_a_birth_that_only_recorded_ages_tell_is_asked_about():
    before = a_dated_face(1950)
    one_person(a_dated_face(1980, age=10), a_dated_face(1990, age=20), before, a_dated_face(1975), a_dated_face(2080))

    lifetimes.keep_up()

    assert the_question().faces.get() == before  # of a photo from when they were 110 nobody knows better
    say(the_question(), **{f"f{before.pk}": "other"})
    assert lifetimes.keep_up() == 0


def test_a_photo_from_long_after_anybody_lives_is_asked_about():
    late = a_dated_face(2090)
    one_person(a_dated_face(1980, age=10), late)

    lifetimes.keep_up()

    assert the_question().faces.get() == late


@pytest.mark.parametrize("wrong", [{"age": 5}, {"born": 2005}, {"age": 5, "born": 2005}])
def test_one_wrong_record_is_asked_about_before_all_the_right_photos_that_it_rules_out(wrong: dict[str, int]):
    photos = [a_dated_face(year) for year in range(1980, 2004, 2)]
    record = a_dated_face(2010, **wrong)
    one_person(*photos, record)
    lifetimes.keep_up()

    assert asked() == [record, *photos]
    say(the_question(), **{f"f{record.pk}": "wrong_date"})

    assert lifetimes.keep_up() == 0


def test_a_wrong_record_that_makes_everybody_too_old_is_asked_about_too():
    photos = [a_dated_face(year) for year in (2000, 2001, 2002)]
    record = a_dated_face(1860, age=2)
    one_person(*photos, record)
    lifetimes.keep_up()

    assert asked() == [record, *photos]


def test_a_page_that_cannot_show_all_begins_with_the_record(monkeypatch):
    monkeypatch.setattr(lifetimes, "MOST", 3)
    photos, record = [a_dated_face(year) for year in range(1980, 1990)], a_dated_face(2010, age=5)
    one_person(*photos, record)
    lifetimes.keep_up()

    assert asked() == [record, *photos[:2]]
    assert against(the_question().reason) == "Their dates contradict each other."
    say(the_question(), **{f"f{record.pk}": "wrong_date"})
    assert lifetimes.keep_up() == 0


def test_what_as_many_records_tell_as_photos_gainsay_is_not_asked_about():
    photos, records = (
        [a_dated_face(year) for year in (1970, 1971)],
        [a_dated_face(2000 + age, age=age) for age in (1, 9)],
    )
    one_person(*photos, *records)
    lifetimes.keep_up()

    assert asked() == photos


def test_a_photo_that_somebody_called_right_puts_the_one_record_in_question():
    photo, record = a_dated_face(1980), a_dated_face(2010, age=5)
    one_person(photo, record)
    lifetimes.keep_up()
    assert asked() == [photo]  # of one and one the record is believed
    say(the_question())

    assert lifetimes.keep_up() == 1
    assert asked() == [record, photo]
    say(the_question())
    assert lifetimes.keep_up() == 0  # of what all is called right nobody is asked for ever


def test_what_came_before_a_wrong_record_is_not_asked_about_again():
    """Somebody called all of the page right; then the record turns out to be wrong by another way."""
    photos = [a_dated_face(year) for year in range(1980, 2004, 2)]
    record = a_dated_face(2010, age=5)
    one_person(*photos, record)
    lifetimes.keep_up()
    say(the_question())
    assert lifetimes.keep_up() == 0

    ledger.write(
        [Decision(kind="value", face=record, attribute="real_age", value="cannot_tell", by="person", person=a_user())]
    )
    assert lifetimes.keep_up() == 0


def test_an_open_page_goes_when_the_record_turns_out_wrong_elsewhere():
    photos = [a_dated_face(year) for year in range(1980, 2004, 2)]
    record = a_dated_face(2010, age=5)
    person = one_person(*photos, record)
    assert lifetimes.keep_up() == 1

    people.remove(identity_id=person.pk, face_ids=[record.pk], by=a_user())
    assert lifetimes.keep_up() == 0


def test_of_two_birth_dates_the_one_that_the_photos_gainsay_comes_first_and_they_are_not_asked_about():
    photos = [a_dated_face(year) for year in (1980, 1981, 1982)]
    right, wrong = a_dated_face(2000, born=1970), a_dated_face(2010, born=2005)
    one_person(*photos, right, wrong)
    lifetimes.keep_up()

    assert asked() == [wrong, right]


def test_a_birth_date_to_the_day_that_most_contradict_rules_out_no_photo():
    photos = [a_dated_face(year) for year in (1980, 1981, 1982)]
    right, wrong = [a_dated_face(2000, born=1970) for _ in range(3)], a_dated_face(2010, born=2005)
    Photo.objects.filter(pk=wrong.photo_id).update(birth_date_precision="day")
    one_person(*photos, *right, wrong)
    lifetimes.keep_up()

    assert asked() == [wrong]


def test_a_merge_brings_contradictions_to_light_and_its_undoing_takes_the_question_away():
    one = one_person(*(a_dated_face(1960 + age, age=age) for age in (2, 8)))
    other = one_person(a_dated_face(2010, age=5))
    assert lifetimes.keep_up() == 0
    seen = Decision.objects.latest("pk").pk

    merged = people.merge(identity_ids=[other.pk], into_id=one.pk, by=a_user())
    assert lifetimes.keep_up(seen) == 1
    seen = Decision.objects.latest("pk").pk
    undo_answer(answer_id=merged.pk, by=merged.annotator)
    assert lifetimes.keep_up(seen) == 0


def test_a_page_about_somebody_who_is_merged_is_asked_about_whom_they_are_by_now():
    photo, record = a_dated_face(1980), a_dated_face(2010, age=5)
    person, other = one_person(photo, record), one_person(a_dated_face(2015, age=10))
    lifetimes.keep_up()
    seen = Decision.objects.latest("pk").pk

    people.merge(identity_ids=[person.pk], into_id=other.pk, by=a_user())

    assert lifetimes.keep_up(seen) == 1
    assert the_question().identity == other
    say(the_question())
    people.merge(identity_ids=[other.pk], into_id=one_person(a_face()).pk, by=a_user())
    assert lifetimes.keep_up(seen) == 0  # and what was called right of whom they were is not asked about again


def test_a_page_that_is_answered_while_the_engine_thinks_is_looked_at_next_time(monkeypatch):
    photo, record = a_dated_face(1980), a_dated_face(2010, age=5)
    one_person(photo, record)
    engine.keep_up(REAL_AGE)
    monkeypatch.setattr(lifetimes, "keep_up", lambda since: say(the_question()))
    begun = timezone.now()
    minutes = (begun + timedelta(minutes=number) for number in count(1))
    monkeypatch.setattr("django.utils.timezone.now", lambda: next(minutes))

    engine.keep_up(REAL_AGE, begun)

    assert engine.behind(REAL_AGE, begun + timedelta(hours=1))


def test_the_engine_looks_at_dates_when_people_change():
    assert not engine.behind(REAL_AGE)
    one_person(a_dated_face(1990, born=1970), a_dated_face(1950))
    assert engine.behind(REAL_AGE)
    engine.keep_up(REAL_AGE)
    assert the_question()
    engine.keep_up(REAL_AGE)
    assert not engine.behind(REAL_AGE, timezone.now() + engine.PATIENCE)


def test_the_engine_goes_on_to_ask_once_all_of_a_page_was_called_right():
    """Such an answer leaves no line in the ledger: the rest of the person's photos was never asked about."""
    photo, record = a_dated_face(1980), a_dated_face(2010, age=5)
    one_person(photo, record)
    engine.keep_up(REAL_AGE)
    say(the_question())

    later = timezone.now() + engine.PATIENCE
    assert engine.behind(REAL_AGE, later)
    engine.keep_up(REAL_AGE, later)
    assert asked() == [record, photo]
    assert not engine.behind(REAL_AGE, later + engine.PATIENCE)
