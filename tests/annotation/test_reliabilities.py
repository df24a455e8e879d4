"""What is learnt of annotators besides whom to believe: how far they agree, who is hasty, who guesses old."""

import random
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation import ledger, reliabilities, votes
from annotation.answers import record_answer
from annotation.models import Agreement, AttributeLabel, Decision, Label, Question, Reliability, User
from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER
from tests.factories import a_face, a_proposal, a_question, a_single, an_annotator, some_gold

pytestmark = pytest.mark.django_db


def say(question: Question, by: User, value: str, elapsed_ms: int = 2000) -> None:
    said = {"verdict": "value", "value": value}
    record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=said, elapsed_ms=elapsed_ms)


def test_agreement_is_measured_on_the_faces_that_chance_drew(settings):
    settings.CONTROL_SHARE = 1.0
    people = [an_annotator() for _ in range(4)]
    for number in range(20):
        question = a_single(a_face())
        for person in people[:2]:
            say(question, person, "female" if number % 2 else "male")
    reliabilities.learn(GENDER)
    told = Agreement.objects.get(attribute="gender")
    assert (told.measure, told.value, told.faces) == ("alpha", pytest.approx(1.0), 20)

    settings.CONTROL_SHARE = 0.0
    reliabilities.learn(GENDER)
    told = Agreement.objects.get(attribute="gender")
    assert (told.value, told.faces) == (None, 0)


def test_how_far_opinions_can_be_believed_is_learnt_where_two_speak_whatever_the_first_one_says(settings):
    """Whoever speaks alone of another face, which the machine is unsure of, would be proved right by their word."""
    settings.CONTROL_SHARE = 0.5
    people, faces = [an_annotator() for _ in range(2)], [a_face() for _ in range(60)]
    drawn = votes.in_control([face.pk for face in faces])
    for number, face in enumerate(face for face in faces if face.pk in drawn):
        for person in people:
            say(a_single(face, attribute="emotion"), person, "sad" if number % 2 else "angry")
    reliabilities.learn(EMOTION)
    before = {row.annotator: (row.votes, row.confusion) for row in Reliability.objects.all()}
    alone = [face for face in faces if face.pk not in drawn]
    for face in alone:
        say(a_single(face, attribute="emotion"), people[0], "fearful")

    reliabilities.learn(EMOTION)

    after = {row.annotator: (row.votes, row.confusion) for row in Reliability.objects.all()}
    assert after == before | {people[0]: (before[people[0]][0] + len(alone), before[people[0]][1])}


def test_who_answers_without_looking_and_who_drifts_is_shown():
    careful, hasty = an_annotator(), an_annotator()
    for number in range(120):
        say(some_gold(), careful, "female", elapsed_ms=2000)
        say(some_gold(), hasty, "female" if number < 60 else "male", 200)

    reliabilities.learn(GENDER)

    found = {row.annotator: row for row in Reliability.objects.all()}
    assert (found[careful].too_fast, found[hasty].too_fast) == (0, 120)
    assert (found[careful].drifted, found[hasty].drifted) == (False, True)


def test_of_ages_the_agreement_and_everybodys_bias_in_years_are_kept():
    older, *others = [an_annotator() for _ in range(4)]
    for years in (10, 20, 30, 40, 50, 60):
        question = a_single(a_face(), attribute="apparent_age")
        say(question, older, str(years + 6))
        for each in others:
            say(question, each, str(years))

    reliabilities.learn(APPARENT_AGE)

    found = {row.annotator: row for row in Reliability.objects.all()}
    assert found[older].bias == pytest.approx(6.0)
    assert found[others[0]].bias == pytest.approx(-2.0)
    told = Agreement.objects.get(attribute="apparent_age")
    assert told.measure == "icc"
    assert told.faces == 6
    assert 0.9 < told.value < 1.0


def test_who_is_paused_has_their_pages_of_people_asked_again_and_others_stand():
    mistrusted, other = an_annotator(), an_annotator()
    pages = [a_question(3), a_question(3)]
    for page, person in zip(pages, (mistrusted, other), strict=True):
        record_answer(
            question_id=page.pk, annotator=person, client_id=uuid4(), content={"verdict": "one_person", "marks": {}}
        )
    assert Label.objects.count() == 6

    reliabilities.pause(mistrusted.pk, "12 of 40 answers about gender that are known were right.")

    for page in pages:
        page.refresh_from_db()
    assert [page.state for page in pages] == ["open", "settled"]
    assert set(Label.objects.values_list("face_id", flat=True)) == set(pages[1].faces.values_list("pk", flat=True))
    line = Decision.objects.filter(kind="undo").first()
    assert (line.by, line.person) == ("machine", None)


def test_whoever_is_asked_twice_about_a_face_counts_once_with_what_they_said_last():
    person, other = an_annotator(), an_annotator()
    face, another = a_face(), a_face()
    for value in ("male", "male", "female"):
        say(a_single(face), person, value)
    say(a_single(another), person, "female")
    say(a_single(face), other, "female")

    reliabilities.learn(GENDER)

    assert {row.annotator: row.votes for row in Reliability.objects.all()} == {person: 2, other: 1}
    assert sorted(reliabilities._latest(GENDER)) == [
        (face.pk, person.pk, "female", False),
        (face.pk, other.pk, "female", False),
        (another.pk, person.pk, "female", False),
    ]


def test_gold_whose_label_is_another_since_is_held_against_nobody():
    annotator, faces = an_annotator(), [a_face() for _ in range(40)]
    for face in faces:
        say(some_gold(face=face), annotator, "male")
    corrected = faces[2:]
    ledger.write([Decision(kind="value", face=f, attribute="gender", value="male", by="import") for f in corrected])

    reliabilities.learn(GENDER)

    row = Reliability.objects.get(annotator=annotator)
    assert (row.gold, row.gold_right) == (2, 0)  # the two whose answer still holds
    annotator.refresh_from_db()
    assert annotator.paused_at is None


def test_who_is_let_back_is_judged_by_what_they_answer_from_now_on():
    annotator = an_annotator()
    for _ in range(40):
        say(some_gold(), annotator, "male")
    reliabilities.learn(GENDER)
    annotator.refresh_from_db()
    assert annotator.paused_at is not None

    reliabilities.let_back(annotator.pk)
    say(some_gold(), annotator, "female")
    reliabilities.learn(GENDER)
    annotator.refresh_from_db()
    assert annotator.paused_at is None  # the old answers paused them again at once

    for _ in range(40):
        say(some_gold(), annotator, "male")
    reliabilities.learn(GENDER)
    annotator.refresh_from_db()
    assert annotator.paused_because.startswith("1 of 41 answers")


def test_nobody_is_paused_for_what_was_known_before_they_were_let_back():
    annotator, known_at = an_annotator(), timezone.now()
    reliabilities.pause(annotator.pk, "0 of 40")
    reliabilities.let_back(annotator.pk)

    reliabilities.pause(annotator.pk, "0 of 40 of another attribute", known_at=known_at)

    annotator.refresh_from_db()
    assert annotator.paused_at is None


def test_letting_back_somebody_who_is_not_paused_forgives_nothing():
    annotator = an_annotator()

    assert reliabilities.let_back(annotator.pk) == 0

    annotator.refresh_from_db()
    assert annotator.let_back_at is None


def test_gold_whose_label_was_taken_back_is_held_against_nobody():
    """Two who are paused by now had settled it wrongly."""
    annotator, faces = an_annotator(), [a_face() for _ in range(40)]
    for face in faces:
        say(some_gold(face=face), annotator, "male")
    ledger.undo(Decision.objects.filter(attribute="gender"), person=None)
    assert not AttributeLabel.objects.exists()

    reliabilities.learn(GENDER)

    row = Reliability.objects.get(annotator=annotator)
    assert (row.gold, row.gold_right) == (0, 0)
    annotator.refresh_from_db()
    assert annotator.paused_at is None


def test_nothing_is_learnt_from_what_somebody_paused_said():
    paused, other = an_annotator(), an_annotator()
    for _ in range(20):
        question = a_single()
        say(question, paused, "male")
        say(question, other, "female")
    User.objects.filter(pk=paused.pk).update(paused_at=timezone.now())

    reliabilities.learn(GENDER)

    assert list(Reliability.objects.values_list("annotator", "votes")) == [(other.pk, 20)]


def test_a_slip_about_a_rare_value_weighs_less_where_the_machine_says_nothing():
    people = [an_annotator() for _ in range(3)]
    for number in range(60):
        question = a_single()
        for person in people:
            say(question, person, "male" if number < 6 else "female")
    proposed, silent = a_face(), a_face()
    a_proposal(proposed, [0.4, 0.6])
    alone = an_annotator()  # of whom nothing is known
    for face in (proposed, silent):
        say(a_single(face), alone, "male")
    assert votes.believed_of([silent.pk], GENDER)[0][1] == pytest.approx(0.7)

    reliabilities.learn(GENDER)
    Reliability.objects.filter(annotator=alone).delete()

    assert votes.believed_of([silent.pk], GENDER)[0][1] < 0.4
    assert votes.believed_of([proposed.pk], GENDER)[0][1] == pytest.approx(0.42 / 0.54)
    assert Agreement.objects.get().frequency == [pytest.approx(57 / 68, abs=0.02), pytest.approx(11 / 68, abs=0.02)]


def guessed(annotators: list[User], typing: User, faces: int) -> None:
    """Each of so many faces by ten people: nine who see it alike, and one who types what comes."""
    for number in range(faces):
        looks = 20 + number % 40
        question = a_single(a_face(), attribute="apparent_age")
        for place, each in enumerate(annotators):
            say(question, each, str(looks + place % 5 - 2))
        say(question, typing, str(7 * number % 90))


def test_who_types_ages_at_random_is_paused_and_others_are_asked_in_their_place():
    honest, typing = [an_annotator() for _ in range(9)], an_annotator()
    guessed(honest, typing, 24)
    assert AttributeLabel.objects.filter(attribute="apparent_age").count() == 24

    reliabilities.learn(APPARENT_AGE)

    typing.refresh_from_db()
    assert typing.paused_at is not None
    assert typing.paused_because.endswith("of 24 guesses of an age that ten people agree on were in line with theirs.")
    assert not User.objects.filter(pk__in=[each.pk for each in honest], paused_at__isnull=False).exists()
    told = {row.annotator: row for row in Reliability.objects.all()}
    assert (told[honest[0]].gold, told[honest[0]].gold_right) == (24, 24)
    assert not AttributeLabel.objects.filter(attribute="apparent_age").exists()
    assert Question.objects.filter(attribute="apparent_age", state="open").count() == 24


@pytest.mark.parametrize("typed", ["same", "random"])
def test_who_is_let_back_begins_anew_with_guesses(typed: str):
    rng = random.Random(1)
    honest, typing = [an_annotator() for _ in range(9)], an_annotator()

    def guessed(looks: int, theirs: int) -> None:
        question = a_single(attribute="apparent_age")
        for place, each in enumerate(honest):
            say(question, each, looks + place % 5 - 2)
        say(question, typing, theirs)

    def say(question: Question, by: User, years: int) -> None:
        content = {"verdict": "value", "value": str(years)}
        record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=content)

    for n in range(30):
        guessed(15 + n % 30, 60 if typed == "same" else rng.randrange(100))
    reliabilities.learn(APPARENT_AGE)
    typing.refresh_from_db()
    assert typing.paused_at is not None
    reliabilities.let_back(typing.pk)
    typing.refresh_from_db()
    for n in range(8):
        guessed(15 + 3 * n, 15 + 3 * n)
    reliabilities.learn(APPARENT_AGE)
    typing.refresh_from_db()
    assert typing.paused_at is None
