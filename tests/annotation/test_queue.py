from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from annotation.answers import record_answer
from annotation.queue import LEASE, bring_back_skipped, give_back, hold, open_counts, take_next
from tests.factories import a_pair, a_question, an_annotator

pytestmark = pytest.mark.django_db


def test_the_most_worthwhile_question_comes_first():
    a_question(worth=1.0)
    best = a_question(worth=5.0)
    assert take_next(an_annotator()) == [best]


def test_two_people_never_hold_one_question():
    a_question()
    a_question()
    one, other = take_next(an_annotator(), ahead=5), take_next(an_annotator(), ahead=5)
    assert len(one) == 2
    assert other == []


def test_a_lease_runs_out():
    question, now = a_question(), timezone.now()
    take_next(an_annotator(), now=now)
    other = an_annotator()
    assert take_next(other, now=now + LEASE / 2) == []
    assert take_next(other, now=now + LEASE + timedelta(seconds=1)) == [question]


def test_asking_again_renews_ones_own_lease():
    question, who, now = a_question(), an_annotator(), timezone.now()
    take_next(who, now=now)
    assert take_next(who, now=now + LEASE / 2) == [question]
    assert take_next(an_annotator(), now=now + LEASE * 1.2) == []


def test_leaving_frees_what_one_holds():
    question, who = a_question(), an_annotator()
    take_next(who)
    give_back(who)
    assert take_next(an_annotator()) == [question]


def test_one_certain_question_is_held_unless_it_is_in_somebody_elses_hands():
    question, one, other, now = a_question(), an_annotator(), an_annotator(), timezone.now()
    assert hold(one, question.pk, now)
    assert not hold(other, question.pk, now)
    assert take_next(other, now=now) == []
    assert hold(other, question.pk, now + LEASE + timedelta(seconds=1))


def test_a_skipped_question_comes_back_when_asked_for():
    question, who = a_question(), an_annotator()
    record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content={"verdict": "skip"})
    assert take_next(who) == []
    assert bring_back_skipped(who) == 1
    assert take_next(who) == [question]


def test_questions_can_be_taken_by_kind_and_are_counted():
    a_question(worth=9.0)
    pair = a_pair()
    assert take_next(an_annotator(), kind="pair") == [pair]
    assert {kind: count for kind, count in open_counts().items() if count} == {"cluster": 1, "pair": 1}
