"""Where people disagree: all words side by side, a curator's settles it, and nothing is settled for good."""

from uuid import uuid4

import pytest

from annotation.answers import record_answer, undo_answer
from annotation.conflicts import decide, decided, reopen, right_about_pairs, sample, shown, to_decide
from annotation.errors import BadAct, BadAnswer, NotUndoable
from annotation.models import Answer, AttributeLabel, Decision, Identity, Label, Question, Reliability, User
from annotation.queue import take_next
from annotation.votes import settle_clear
from inference.core.attributes import GENDER
from tests.factories import a_grid, a_pair, a_person, a_single, a_user, an_annotator

pytestmark = pytest.mark.django_db
ANYBODY = User()  # who is not kept to some sources


def say(question: Question, who: User, **content: object) -> Answer:
    return record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content=content)


def a_disagreement(people: int = 8) -> tuple[Question, list[User]]:
    """A face on whose gender people disagree until a curator is asked."""
    question, who = a_single(), [an_annotator() for _ in range(people)]
    a_user("boss")
    for number, person in enumerate(who):
        question.refresh_from_db()
        if question.purpose == "verdict":
            break
        say(question, person, verdict="value", value=("female", "male")[number % 2])
    return question, who


def test_what_people_cannot_agree_on_waits_for_a_curator_with_all_their_words():
    question, who = a_disagreement()
    Reliability.objects.create(
        annotator=who[0], attribute="gender", confusion=[[0.9, 0.1], [0.3, 0.7]], votes=10
    )  # fmt: skip

    assert list(to_decide(ANYBODY)) == list(to_decide(ANYBODY, "gender")) == [question]
    assert not to_decide(ANYBODY, "emotion").exists()
    (conflict,) = shown([question], ANYBODY)

    assert conflict.title == "gender"
    assert dict(conflict.tally) == {"female": 4, "male": 3}
    first = conflict.voices[0]
    assert (first.annotator, first.said) == (who[0], "female")
    assert first.right == pytest.approx(0.8)
    assert first.right_of_value == pytest.approx(0.9)
    assert conflict.voices[1].right is None


def test_whoever_was_asked_twice_about_a_face_has_one_voice_the_latest():
    question, who = a_disagreement()
    say(a_grid([question.faces.get()], value="male"), who[0], verdict="marked", marks={})
    (conflict,) = shown([question], ANYBODY)
    assert dict(conflict.tally) == {"female": 3, "male": 4}
    assert [voice.annotator for voice in conflict.voices][-1] == who[0]


def test_a_curators_word_settles_it_whoever_holds_it():
    question, _ = a_disagreement()
    take_next(a_user())

    done = decide(question_id=question.pk, content={"verdict": "value", "value": "male"}, by=a_user("carol"))

    assert AttributeLabel.objects.get().value == "male"
    assert not to_decide(ANYBODY).exists()
    assert list(decided(ANYBODY)) == [question]
    undo_answer(answer_id=done.pk, by=done.annotator)
    assert not AttributeLabel.objects.filter(value="male").exists()


def test_a_word_that_makes_no_sense_decides_nothing():
    question, _ = a_disagreement()

    with pytest.raises(BadAnswer, match="value must be one of female, male"):
        decide(question_id=question.pk, content={"verdict": "value", "value": "happy"}, by=a_user())

    question.refresh_from_db()
    assert question.state == "open"


def test_a_curator_changes_their_mind_and_has_one_voice():
    question, _ = a_disagreement()
    carol = a_user("carol")
    decide(question_id=question.pk, content={"verdict": "value", "value": "male"}, by=carol)

    decide(question_id=question.pk, content={"verdict": "value", "value": "female"}, by=carol)

    assert AttributeLabel.objects.get().value == "female"
    (conflict,) = shown([question], ANYBODY)
    assert [voice.said for voice in conflict.voices if voice.annotator == carol] == ["female"]
    assert Decision.objects.filter(kind="undo").count() == 1


def test_what_is_opened_again_is_unsettled_until_somebody_else_answers():
    question, who = a_disagreement()
    decide(question_id=question.pk, content={"verdict": "value", "value": "male"}, by=a_user())
    late = an_annotator()

    act = reopen(question_id=question.pk, by=a_user())

    question.refresh_from_db()
    assert (question.state, question.purpose) == ("open", "wanted")
    assert not AttributeLabel.objects.exists()
    settle_clear(GENDER)
    assert not AttributeLabel.objects.exists()  # no arithmetic settles what a curator opened
    assert take_next(who[0]) == []
    assert take_next(late) == [question]
    with pytest.raises(NotUndoable, match="not closed by an undo"):
        undo_answer(answer_id=act.pk, by=act.annotator)


def test_an_open_question_is_not_opened_again():
    with pytest.raises(BadAct, match="is open; only a settled one"):
        reopen(question_id=a_single().pk, by=a_user())


def test_a_pair_on_which_the_first_words_do_not_agree_is_a_conflict():
    one, other = a_person(2), a_person(3)
    pair = a_pair(one, other, belief=0.6)
    ann, bob = an_annotator("ann"), an_annotator("bob")
    an_annotator()
    say(pair, ann, verdict="same")
    say(pair, bob, verdict="different")

    assert list(to_decide(ANYBODY, "pair")) == [pair]
    (conflict,) = shown([pair], ANYBODY)
    assert conflict.title == "same person?"
    assert [(voice.annotator, voice.said) for voice in conflict.voices] == [(ann, "one person"), (bob, "two people")]

    decide(question_id=pair.pk, content={"verdict": "same"}, by=a_user())

    other.refresh_from_db()
    assert other.merged_into == one
    assert list(decided(ANYBODY, "pair")) == [pair]
    assert right_about_pairs([ann.pk, bob.pk]) == {ann.pk: 1.0, bob.pk: 0.0}


def test_a_pair_that_is_opened_again_is_two_people_until_it_is_decided():
    one, other = a_person(2), a_person(3)
    pair = a_pair(one, other)
    decide(question_id=pair.pk, content={"verdict": "same"}, by=a_user("carol"))

    reopen(question_id=pair.pk, by=a_user())
    assert not Identity.objects.exclude(merged_into=None).exists()
    decide(question_id=pair.pk, content={"verdict": "different"}, by=a_user())

    assert Decision.objects.standing().get(kind="cannot_link").other_identity == other
    assert not Identity.objects.exclude(merged_into=None).exists()


def test_a_curator_overrules_that_it_is_no_face():
    question, _ = a_disagreement()
    face = question.faces.get()
    decide(question_id=question.pk, content={"verdict": "not_a_face"}, by=a_user())
    assert Label.objects.get(face=face).verdict == "not_a_face"

    decide(question_id=question.pk, content={"verdict": "value", "value": "male"}, by=a_user())

    assert not Label.objects.filter(face=face, verdict="not_a_face").exists()
    assert AttributeLabel.objects.get().value == "male"


def test_a_pair_of_whom_one_has_no_face_left_is_not_opened_again():
    pair = a_pair(a_person(), a_person(2))
    marks = {str(pair.identity.labels.get().face_id): "not_a_face"}
    say(pair, an_annotator(), verdict="same", marks=marks)

    with pytest.raises(BadAct, match="no face of one of them is left"):
        reopen(question_id=pair.pk, by=a_user())


def test_conflicts_take_as_many_queries_for_many_as_for_one(django_assert_num_queries):
    def disagreement():
        return a_disagreement()[0]

    first = disagreement()
    User.objects.filter(username="boss").update(username="first boss")
    with django_assert_num_queries(5):
        shown([first], ANYBODY)
    more = [first, disagreement()]
    with django_assert_num_queries(5):
        shown(more, ANYBODY)


def test_a_live_sample_is_the_latest_answers_or_a_share_of_them_that_stays_the_same():
    who = an_annotator()
    an_annotator()
    said = [say(a_single(), who, verdict="value", value="female") for _ in range(30)]
    say(a_single(), an_annotator(), verdict="skip")

    assert sample(ANYBODY, size=5) == said[::-1][:5]
    half = sample(ANYBODY, 0.5)
    assert 3 < len(half) < 24
    assert sample(ANYBODY, 0.5) == half
    assert sample(ANYBODY, kind="pair") == []
    assert sample(ANYBODY, annotator=an_annotator().pk) == []
