"""Answers about attributes: weighed together, settled or asked of somebody else."""

from uuid import uuid4

import numpy as np
import pytest
from django.db import connection

from annotation import ledger, people, votes
from annotation.answers import record_answer, settle_kept, undo_answer
from annotation.errors import AnnotatorPaused, BadAnswer, QuestionClosed
from annotation.models import Answer, AttributeLabel, AuditEvent, Decision, Face, Question, Reliability, User, Vote
from annotation.questions import withdraw
from annotation.queue import take_next
from annotation.reliabilities import pause
from annotation.votes import follow_people, settle_clear
from inference.core.attributes import attribute
from tests.factories import a_face, a_grid, a_person, a_proposal, a_single, a_user, an_annotator

pytestmark = pytest.mark.django_db

GOOD = [[0.97, 0.03], [0.03, 0.97]]
FAIR = [[0.9, 0.1], [0.1, 0.9]]
SURE = [[0.995, 0.005], [0.005, 0.995]]


@pytest.fixture(autouse=True)
def _no_control_slice(settings) -> None:
    settings.CONTROL_SHARE = 0.0


def somebody(confusion: list[list[float]] = GOOD, attribute: str = "gender") -> User:
    user = an_annotator()
    Reliability.objects.create(annotator=user, attribute=attribute, confusion=confusion, votes=100)
    return user


def say(question: Question, by: User, **content: object) -> Answer:
    return record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=content)


def value_of(face: Face, attribute: str = "gender") -> str | None:
    return AttributeLabel.objects.filter(face=face, attribute=attribute).values_list("value", flat=True).first()


def proposed(*confidence: float) -> list[Face]:
    faces = [a_face() for _ in confidence]
    for face, each in zip(faces, confidence, strict=True):
        a_proposal(face, [each, 1 - each])
    return faces


def test_faces_left_unmarked_in_a_grid_are_settled_together_with_the_machine():
    faces = proposed(0.95, 0.95, 0.95)
    grid = a_grid(faces)
    somebody()

    say(grid, somebody(), verdict="marked", marks={str(faces[2].pk): "other"})

    assert [value_of(face) for face in faces] == ["female", "female", None]
    line = AttributeLabel.objects.get(face=faces[0]).decision
    assert line.by == "person"
    assert line.evidence["machine"] == [0.95, 0.05]
    assert line.evidence["belief"] > 0.99


@pytest.fixture
def no_grid_pays(monkeypatch) -> None:
    """As if every face were too doubtful for a grid: what is left open is asked alone, at once."""
    monkeypatch.setattr(votes, "grid_pays", lambda confidence: False)


@pytest.mark.usefixtures("no_grid_pays")
def test_a_marked_face_is_asked_of_somebody_else_and_settled_once_two_agree():
    (face,) = proposed(0.9)
    first, second = somebody(FAIR), somebody(SURE)
    say(a_grid([face]), first, verdict="marked", marks={str(face.pk): "male"})
    assert value_of(face) is None

    assert take_next(first) == []
    (again,) = take_next(second)
    assert (again.kind, again.purpose) == ("value", "again")
    say(again, second, verdict="value", value="male")

    assert value_of(face) == "male"
    assert not Question.objects.filter(state="open").exists()


def test_an_unsettled_question_waits_for_other_people_and_then_for_a_curator():
    face = a_face()
    single = a_single(face)
    people = [somebody(FAIR) for _ in range(8)]
    for number, person in enumerate(people[:7]):
        assert take_next(person) == [single]
        say(single, person, verdict="value", value=["female", "male"][number % 2])
        assert take_next(person) == []

    single.refresh_from_db()
    assert (single.state, single.purpose) == ("open", "verdict")
    assert take_next(people[7]) == []
    curator = a_user()
    assert take_next(curator) == [single]
    say(single, curator, verdict="value", value="male")
    assert value_of(face) == "male"
    assert AttributeLabel.objects.get(face=face).decision.evidence["verdict"] is True


def test_what_strangers_agreed_on_is_settled_once_they_are_known():
    face = a_face()
    single = a_single(face)
    people = [an_annotator() for _ in range(5)]  # the fifth is yet to be asked
    for person in people[:4]:
        say(single, person, verdict="value", value="female")
    assert value_of(face) is None
    for person in people:
        Reliability.objects.create(annotator=person, attribute="gender", confusion=GOOD, votes=100)

    assert settle_clear(attribute("gender")) == 1

    assert value_of(face) == "female"
    assert AttributeLabel.objects.get(face=face).decision.answer.annotator == people[3]
    assert not Question.objects.filter(state="open").exists()
    assert settle_clear(attribute("gender")) == 0


def test_of_the_control_slice_two_people_say_each_face_whatever_the_first_one_says(settings):
    """Else only those would be compared whose first answer is doubtful, as that of a rare value is."""
    settings.CONTROL_SHARE = 1.0
    first, second = somebody(SURE), somebody(SURE)
    question = a_single()
    face = question.faces.get()

    say(question, first, verdict="value", value="female")
    assert settle_clear(attribute("gender")) == 0
    assert value_of(face) is None
    question.refresh_from_db()
    assert question.state == "open"

    say(question, second, verdict="value", value="female")
    assert value_of(face) == "female"


def test_a_team_of_one_is_not_asked_for_a_second_opinion_that_nobody_has():
    alone = somebody()
    User.objects.exclude(pk=alone.pk).update(is_active=False)
    single = a_single()

    say(single, alone, verdict="value", value="female")

    single.refresh_from_db()
    assert single.state == "settled"


def test_an_answer_about_a_known_person_holds_for_all_of_their_faces():
    mine = [a_face(), a_face()]
    person = a_person(mine)
    a_proposal(mine[0], [0.02, 0.98])

    say(a_grid([mine[0]], value="male"), somebody(), verdict="marked")

    assert [value_of(face) for face in mine] == ["male", "male"]
    assert Decision.objects.get(kind="value").identity == person


def test_two_who_cannot_tell_are_believed():
    face = a_face()
    single = a_single(face)
    for person in (somebody(), somebody(), somebody()):
        if take_next(person):
            say(single, person, verdict="cannot_tell")

    assert value_of(face) == "cannot_tell"
    assert single.answers.count() == 2


def test_emotion_keeps_what_everybody_said_and_control_faces_are_said_more_of(settings):
    settings.CONTROL_SHARE = 1.0
    face = a_face()
    single = a_single(face, attribute="emotion")
    people = [somebody((0.8 * np.eye(7) + 0.2 / 7).tolist(), "emotion") for _ in range(5)]
    for person, value in zip(people, ("sad", "neutral", "sad"), strict=False):
        say(single, person, verdict="value", value=value)

    label = AttributeLabel.objects.get(face=face, attribute="emotion")
    assert (label.value, label.detail["votes"]) == ("sad", {"sad": 2, "neutral": 1})

    settings.CONTROL_SHARE = 0.0
    other = a_face()
    say(a_single(other, attribute="emotion"), people[0], verdict="value", value="sad")
    assert value_of(other, "emotion") == "sad"


def test_more_may_be_asked_about_a_matter_of_opinion(settings):
    settings.OPINIONS, settings.OPINION_BELIEF = 4, 0.999
    confusion = [[0.4 if said == true else 0.1 for said in range(7)] for true in range(7)]
    people = [somebody(confusion, "emotion") for _ in range(6)]
    single = a_single(face := a_face(), attribute="emotion")
    for person, value in zip(people, ("sad", "happy", "sad"), strict=False):
        say(single, person, verdict="value", value=value)
        assert value_of(face, "emotion") is None
    say(single, people[3], verdict="value", value="sad")
    assert value_of(face, "emotion") == "sad"


def test_what_nobody_said_is_nobody_s_label_however_sure_the_machine_is(settings):
    """Somebody else is asked; in the end it is the most believed of what was said."""
    settings.OPINIONS = 3
    face, people = a_face(), [somebody((0.5 * np.eye(7) + 0.5 / 7).tolist(), "emotion") for _ in range(4)]
    sad, happy = (attribute("emotion").index(value) for value in ("sad", "happy"))
    a_proposal(face, [0.98 if value == happy else 0.02 / 6 for value in range(7)], "emotion")
    single = a_single(face, attribute="emotion")
    for person, value in zip(people, ("sad", "neutral"), strict=False):
        say(single, person, verdict="value", value=value)
        assert value_of(face, "emotion") is None
        assert settle_clear(attribute("emotion")) == 0
    assert take_next(people[2]) == [single]
    say(single, people[2], verdict="value", value="sad")

    label = AttributeLabel.objects.get(face=face, attribute="emotion")
    assert (label.value, label.detail["votes"]) == ("sad", {"sad": 2, "neutral": 1})
    assert label.decision.evidence["belief"] == pytest.approx(
        votes.believed_of([face.pk], attribute("emotion"))[0][sad], abs=1e-3
    )


def test_a_person_is_not_called_what_only_the_machine_says():
    (face,) = proposed(0.98)
    person, single = a_person([face]), a_single(face)
    somebody()
    say(single, an_annotator(), verdict="value", value="male")
    assert value_of(face) is None
    assert not Decision.objects.filter(kind="value", identity=person).exists()
    single.refresh_from_db()
    assert single.state == "open"


def test_whoever_cannot_tell_says_nothing_that_the_machine_could_make_a_label_of():
    face = a_face()
    a_proposal(face, [0.98, *[0.02 / 6] * 6], "emotion")
    single = a_single(face, attribute="emotion")
    somebody()
    say(single, an_annotator(), verdict="cannot_tell")
    assert value_of(face, "emotion") is None
    single.refresh_from_db()
    assert single.state == "open"


def test_apparent_age_takes_ten_people_and_keeps_their_mean_and_deviation():
    face = a_face()
    single = a_single(face, attribute="apparent_age")
    for years in (30, 32, 34, 30, 32, 34, 30, 32, 34):
        say(single, an_annotator(), verdict="value", value=years)
    assert value_of(face, "apparent_age") is None

    say(single, an_annotator(), verdict="value", value=32)

    label = AttributeLabel.objects.get(face=face, attribute="apparent_age")
    assert (label.value, label.detail) == ("32.00", {"deviation": 1.633, "guesses": 10})


def test_what_is_no_face_is_nothing_else():
    faces = proposed(0.95, 0.95)
    elsewhere = a_single(faces[1])

    say(a_grid(faces), somebody(), verdict="marked", marks={str(faces[1].pk): "not_a_face"})

    assert faces[1].label.verdict == "not_a_face"
    elsewhere.refresh_from_db()
    assert elsewhere.state == "withdrawn"
    assert not Vote.objects.filter(face=faces[1]).exists()


def test_a_marked_face_of_whom_a_grid_would_pay_waits_for_the_engine_to_make_one():
    (face,) = proposed(0.9)
    somebody()
    say(a_grid([face]), somebody(FAIR), verdict="marked", marks={str(face.pk): "male"})
    assert value_of(face) is None
    assert not Question.objects.filter(state="open").exists()


@pytest.mark.usefixtures("no_grid_pays")
def test_undoing_an_answer_takes_back_what_it_settled_with_others():
    (face,) = proposed(0.9)
    first, second = somebody(FAIR), somebody(SURE)
    grid = a_grid([face])
    marked = say(grid, first, verdict="marked", marks={str(face.pk): "other"})
    say(take_next(second)[0], second, verdict="value", value="male")
    assert value_of(face) == "male"

    undo_answer(answer_id=marked.pk, by=first)

    assert value_of(face) is None
    assert Question.objects.filter(kind="value", state="open", faces=face).count() == 1
    grid.refresh_from_db()
    assert grid.state == "open"


def test_an_answer_to_gold_settles_nothing():
    face = a_face()

    say(a_single(face, purpose="gold"), somebody(), verdict="value", value="male")

    assert value_of(face) is None
    assert Vote.objects.filter(face=face).count() == 1


def test_nobody_counts_while_they_are_paused():
    face = a_face()
    single = a_single(face)
    spammer, *people = [somebody(FAIR) for _ in range(5)]
    say(single, spammer, verdict="value", value="male")
    User.objects.filter(pk=spammer.pk).update(paused_at="2026-01-01T00:00Z")

    for person in people:
        say(single, person, verdict="value", value="female")
        single.refresh_from_db()
        if single.state == "settled":
            break

    label = AttributeLabel.objects.get(face=face)
    assert (label.value, label.decision.evidence["votes"]) == ("female", Vote.objects.count() - 1)


def test_a_value_that_the_attribute_does_not_have_is_refused_and_nothing_is_kept():
    single = a_single()

    with pytest.raises(BadAnswer, match="female, male"):
        say(single, an_annotator(), verdict="value", value="happy")

    assert not Vote.objects.exists()


def marked_male(face: Face) -> Answer:
    """One person says so of this face, and that is enough."""
    somebody()
    return say(a_single(face), somebody(SURE), verdict="value", value="male")


def test_what_was_said_of_a_person_goes_with_the_face_that_was_looked_at():
    """Who turns out to be somebody else took the word about them along: the others are asked about anew."""
    stays, leaves = proposed(0.5, 0.02)
    person = a_person([stays, leaves])
    marked_male(leaves)
    assert [value_of(face) for face in (stays, leaves)] == ["male", "male"]

    people.remove(face_ids=[leaves.pk], identity_id=person.pk, by=a_user())
    assert follow_people(attribute("gender")) == 1

    assert [value_of(face) for face in (stays, leaves)] == [None, "male"]
    assert follow_people(attribute("gender")) == 0


@pytest.mark.parametrize("act", ["not a face", "removed"])
def test_what_was_said_of_a_person_is_said_of_them_again_once_their_face_is_back(act: str):
    stays, leaves = proposed(0.5, 0.02)
    person = a_person([stays, leaves])
    marked_male(leaves)
    curator = a_user()
    if act == "removed":
        gone = people.remove(face_ids=[leaves.pk], identity_id=person.pk, by=curator)
    else:
        gone = people.not_a_face(face_ids=[leaves.pk], by=curator)
    follow_people(attribute("gender"))
    assert value_of(stays) is None

    undo_answer(answer_id=gone.pk, by=curator)
    assert follow_people(attribute("gender")) == 1

    assert [value_of(face) for face in (stays, leaves)] == ["male", "male"]
    assert follow_people(attribute("gender")) == 0


def test_what_was_said_of_a_face_alone_goes_for_the_person_that_it_turns_out_to_be_if_nothing_else_does():
    alone, silent, one, other = proposed(0.02, 0.5, 0.02, 0.02)
    undone = marked_male(alone)
    marked_male(one)
    say(a_single(other), somebody(SURE), verdict="value", value="female")
    say(a_single(other), somebody(SURE), verdict="value", value="female")
    assert [value_of(face) for face in (one, other)] == ["male", "female"]
    a_person([alone, silent])
    a_person([one, other])

    assert follow_people(attribute("gender")) == 1
    assert [value_of(face) for face in (alone, silent, one, other)] == ["male", "male", "male", "female"]

    undo_answer(answer_id=undone.pk, by=undone.annotator)
    assert [value_of(face) for face in (alone, silent)] == [None, None]


def test_however_many_people_are_known_no_statement_names_all_of_them():
    known = [a_person([a_face()]) for _ in range(30)]
    said = {"kind": "value", "attribute": "gender", "value": "male", "by": "import"}
    ledger.write([Decision(identity=person, **said) for person in known])
    named = [0]

    def count(execute, sql, params, many, context):
        named.append(len(params or ()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        assert follow_people(attribute("gender")) == 0

    assert max(named) < len(known)


def test_what_was_said_of_two_people_stands_while_they_are_one_and_goes_with_their_merge():
    one, other = proposed(0.5, 0.02)
    first, second = a_person([one]), a_person([other])
    merge = people.merge(identity_ids=[second.pk], into_id=first.pk, by=a_user())
    marked_male(other)
    assert follow_people(attribute("gender")) == 0
    assert [value_of(face) for face in (one, other)] == ["male", "male"]

    undo_answer(answer_id=merge.pk, by=merge.annotator)
    follow_people(attribute("gender"))
    assert [value_of(face) for face in (one, other)] == [None, "male"]


def test_an_answer_about_a_person_is_undone_also_after_they_were_merged():
    one, other = proposed(0.5, 0.5)
    first, second = a_person([one]), a_person([other])
    early, late = somebody(FAIR), somebody(FAIR)
    question = a_single(other)
    undone = say(question, early, verdict="value", value="male")
    say(question, late, verdict="value", value="male")
    people.merge(identity_ids=[second.pk], into_id=first.pk, by=a_user())
    assert value_of(one) == "male"

    undo_answer(answer_id=undone.pk, by=early)

    assert (value_of(one), value_of(other)) == (None, None)


def test_a_grid_answered_after_two_of_its_people_were_merged_is_about_one_person():
    one, other = proposed(0.9, 0.9)
    first, second = a_person([one]), a_person([other])
    grid = a_grid([one, other])
    (held,) = take_next(person := somebody(SURE))
    people.merge(identity_ids=[second.pk], into_id=first.pk, by=a_user())

    say(held, person, verdict="marked", marks={})

    assert held == grid
    assert [value_of(face) for face in (one, other)] == ["female", "female"]
    assert {line.identity_id for line in Decision.objects.filter(kind="value")} == {first.pk}


def test_each_face_is_signed_for_by_an_answer_about_it():
    """Weighed again because somebody is paused, no label rests on an answer about another face or attribute."""
    faces = proposed(0.5, 0.5)
    spammer, good, other = somebody(FAIR), somebody(SURE), somebody(SURE)
    for face in faces:
        say(a_single(face), spammer, verdict="value", value="female")
    for face, by in zip(faces, (good, other), strict=True):
        say(Question.objects.get(state="open", faces=face), by, verdict="value", value="male")
        say(a_single(face, attribute="emotion"), good, verdict="value", value="happy")

    pause(spammer.pk, "0 of 40 were right.")

    for face, by in zip(faces, (good, other), strict=True):
        label = AttributeLabel.objects.get(face=face, attribute="gender")
        assert (label.value, label.decision.person) == ("male", by)
        assert label.decision.answer.question.attribute == "gender"


def test_whoever_is_paused_while_they_answer_is_not_heard():
    face, *_ = proposed(0.9)
    person = somebody(SURE)
    question = a_single(face)
    as_they_came_in = User.objects.get(pk=person.pk)
    pause(person.pk, "0 of 40 were right.")
    with pytest.raises(AnnotatorPaused, match="0 of 40"):
        say(question, as_they_came_in, verdict="value", value="female")
    assert not Vote.objects.exists()


def test_a_mark_on_what_a_certificate_accepted_is_asked_at_once():
    """The engine makes no grid of what has a label: who doubts one would never be heard."""
    (face,) = proposed(0.97)
    ledger.write([Decision(kind="value", face=face, attribute="gender", value="female", by="machine")])
    somebody()
    say(a_grid([face]), somebody(FAIR), verdict="marked", marks={str(face.pk): "other"})
    assert Question.objects.get(state="open").faces.get() == face


def test_what_a_certificate_accepted_is_a_persons_once_their_word_weighs_enough():
    (face,) = proposed(0.9)
    ledger.write([Decision(kind="value", face=face, attribute="gender", value="female", by="machine")])
    somebody()
    say(a_grid([face]), weak := somebody([[0.7, 0.3], [0.3, 0.7]]), verdict="marked", marks={})
    assert AttributeLabel.objects.get(face=face).decision.by == "machine"

    Reliability.objects.filter(annotator=weak).update(confusion=SURE)
    settle_clear(attribute("gender"))
    assert AttributeLabel.objects.get(face=face).decision.by == "person"


def test_a_person_who_is_asked_three_times_does_not_outvote_the_bar_alone():
    """Their answers are one voice: else whoever is asked again agrees with themselves."""
    (face,), person = proposed(0.6), somebody()
    somebody()  # there is somebody else to ask
    for _ in range(3):
        say(a_single(face), person, verdict="value", value="female")
    story = votes.told([face.pk], attribute("gender"))[face.pk]
    assert (story.voters, len(story.said)) == ([person.pk], 1)
    assert value_of(face) is None

    say(a_single(face), person, verdict="value", value="male")
    assert votes.told([face.pk], attribute("gender"))[face.pk].named == {"male": 1}


def test_the_ten_voices_that_came_with_a_set_count_with_those_of_who_is_asked_later():
    face, another = a_face(), a_face()
    crowds = {face: {"happy": 8, "neutral": 2}, another: {"angry": 5, "sad": 5}}
    lines = [
        Decision(kind="value", face=each, attribute="emotion", value=value, by="import", detail={"votes": crowds[each]})
        for each, value in ((face, "happy"), (another, "cannot_tell"))
    ]
    ledger.write(lines)

    for each in (face, another):
        say(a_single(each, attribute="emotion"), somebody(np.eye(7).tolist(), "emotion"), verdict="value", value="sad")

    assert (value_of(face, "emotion"), value_of(another, "emotion")) == ("happy", "sad")
    label = AttributeLabel.objects.get(face=face, attribute="emotion")
    assert label.detail == {"votes": {"happy": 8, "neutral": 2, "sad": 1}}
    assert not Reliability.objects.filter(attribute="emotion", votes__gt=100).exists()
    say(a_single(face, attribute="emotion", purpose="verdict"), a_user(), verdict="value", value="sad")
    assert value_of(face, "emotion") == "sad"


# ---- kept now, settled a moment later


def keep(question: Question, by: User, **content: object) -> Answer:
    """As the API does: nobody waits for what follows from it."""
    said = record_answer(question_id=question.pk, annotator=by, client_id=uuid4(), content=content, settle_later=True)
    question.refresh_from_db()
    return said


def test_what_is_kept_is_in_nobodys_hands_until_it_is_settled_as_it_would_have_been_at_once():
    faces = proposed(0.95, 0.95, 0.95, 0.95)
    grid, single = a_grid(faces[:3]), a_single(faces[3])
    first, second = somebody(), somebody()

    on_grid = keep(grid, first, verdict="marked", marks={str(faces[2].pk): "other"})
    on_single = keep(single, second, verdict="value", value="female")

    assert Vote.objects.count() == 4
    assert {grid.state, single.state} == {"open"}
    assert not AttributeLabel.objects.exists()
    assert take_next(somebody()) == []
    assert withdraw(Question.objects.all()) == 0
    assert settle_clear(attribute("gender")) == 0  # it is left to whoever settles what was kept
    with pytest.raises(QuestionClosed, match="answered by you already"):
        keep(grid, first, verdict="marked", marks={})

    assert settle_kept() == 2

    assert [value_of(face) for face in faces] == ["female", "female", None, "female"]
    signed = {line.face_id: (line.person, line.answer) for line in Decision.objects.all()}
    assert signed == {faces[0].pk: (first, on_grid), faces[1].pk: (first, on_grid), faces[3].pk: (second, on_single)}
    told = AuditEvent.objects.filter(action="decide").values_list("by", flat=True)
    assert sorted(told) == [first.pk, second.pk]  # each in their own line
    for question in (grid, single):
        question.refresh_from_db()
        assert (question.state, question.leased_to, question.leased_until) == ("settled", None, None)
    assert settle_kept() == 0


def test_what_does_not_settle_it_is_asked_of_somebody_else():
    (face,) = proposed(0.5)
    single, first, second = a_single(face), somebody(FAIR), somebody(SURE)
    keep(single, first, verdict="value", value="male")

    settle_kept()

    assert take_next(first) == []
    assert take_next(second) == [single]
    keep(single, second, verdict="value", value="male")
    settle_kept()
    assert value_of(face) == "male"


def test_one_question_of_many_settles_a_face_that_several_asked_about():
    (face,) = proposed(0.95)
    somebody()
    single, again = a_single(face), a_single(face)
    keep(single, somebody(), verdict="value", value="female")

    settle_kept()

    assert value_of(face) == "female"
    assert not Question.objects.filter(pk=again.pk).exists()  # nobody saw it


def test_what_is_taken_back_before_it_is_settled_settles_nothing():
    faces = proposed(0.95, 0.95)
    kept, taken_back = a_single(faces[0]), a_single(faces[1])
    keep(kept, somebody(), verdict="value", value="female")
    answer = keep(taken_back, who := somebody(), verdict="value", value="female")

    undo_answer(answer_id=answer.pk, by=who)

    assert take_next(who) == [taken_back]
    settle_kept()
    assert [value_of(face) for face in faces] == ["female", None]
    assert take_next(who) == [taken_back]


def test_what_is_taken_back_afterwards_is_asked_again():
    (face,) = proposed(0.95)
    single, who = a_single(face), somebody()
    answer = keep(single, who, verdict="value", value="female")
    settle_kept()
    assert value_of(face) == "female"

    undo_answer(answer_id=answer.pk, by=who)

    assert value_of(face) is None
    assert take_next(who) == [single]


def test_who_is_paused_before_it_is_settled_has_not_spoken():
    (face,) = proposed(0.95)
    single, who = a_single(face), somebody()
    keep(single, who, verdict="value", value="female")

    pause(who.pk, "too fast")
    settle_kept()

    assert value_of(face) is None
    assert take_next(somebody()) == [single]


def test_what_holds_by_itself_does_not_wait():
    faces = proposed(0.95, 0.95)
    curator = a_user("carol")

    keep(a_single(faces[0]), somebody(), verdict="not_a_face")
    keep(a_single(faces[1], purpose="verdict"), curator, verdict="value", value="male")

    assert faces[0].label.verdict == "not_a_face"
    assert value_of(faces[1]) == "male"
    assert settle_kept() == 0


def test_guesses_at_years_are_kept_until_there_are_enough_of_them():
    wanted = attribute("apparent_age")
    single = a_single(attribute="apparent_age")
    for guess in range(wanted.answers):
        keep(single, an_annotator(), verdict="value", value=30 + guess % 3)
        settle_kept()

    single.refresh_from_db()
    assert single.state == "settled"
    assert AttributeLabel.objects.get(attribute="apparent_age").detail["guesses"] == wanted.answers


def test_an_erased_face_leaves_nothing_to_settle():
    faces = proposed(0.95, 0.95)
    grid = a_grid(faces)
    keep(grid, somebody(), verdict="marked", marks={})
    faces[0].delete()

    settle_kept()

    grid.refresh_from_db()
    assert grid.state == "settled"
    assert value_of(faces[1]) == "female"


def test_what_two_denied_is_no_third_value_that_nobody_said(settings):
    settings.CONTROL_SHARE, settings.OPINIONS = 0.0, 2
    an_annotator()
    face, belief = a_face(), {"happy": 0.55, "neutral": 0.2, "sad": 0.1, "surprised": 0.06, "angry": 0.05}
    a_proposal(face, [belief.get(value, 0.02) for value in attribute("emotion").values], "emotion")
    for value in ("happy", "neutral"):
        grid = a_grid([face], attribute="emotion", value=value)
        content = {"verdict": "marked", "marks": {str(face.pk): "other"}}
        record_answer(question_id=grid.pk, annotator=an_annotator(), client_id=uuid4(), content=content)
    assert not AttributeLabel.objects.filter(face=face, attribute="emotion").exists()
