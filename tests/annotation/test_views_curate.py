"""Curators' pages: conflicts decided and opened again, a live sample, annotators, faces sent to the queue."""

from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from annotation.answers import record_answer
from annotation.models import Answer, AttributeLabel, Question, User
from tests.factories import a_face, a_pair, a_person, a_question, a_single, a_user, an_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def say(question: Question, who: User, **content: object) -> Answer:
    return record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content=content)


def told(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def a_conflict() -> Question:
    question = a_single(purpose="verdict")
    for name, value in (("ann", "female"), ("bob", "male")):
        say(a_single(question.faces.get()), User.objects.filter(username=name).first() or an_annotator(name),
            verdict="value", value=value)  # fmt: skip
    question.refresh_from_db()
    return question


def test_a_conflict_is_listed_shown_and_decided_on_the_page(curator: Client):
    question = a_conflict()

    listed = curator.get(reverse("conflicts")).content.decode()
    assert "<b>1</b> female, <b>1</b> male" in listed
    page = curator.get(reverse("conflict", args=[question.pk])).content.decode()
    assert all(name in page for name in ("ann", "bob", "female", "male", "not known yet how reliable"))

    done = curator.post(reverse("decide", args=[question.pk]), {"said": "female"})

    assert "Decided: female." in told(done)
    assert done.url == reverse("conflicts")
    assert AttributeLabel.objects.get().value == "female"
    assert str(question.pk) in curator.get(reverse("conflicts-decided")).content.decode()


def test_what_was_decided_of_a_pair_is_told_in_the_words_of_the_page(curator: Client):
    done = curator.post(reverse("decide", args=[a_pair(a_person(), a_person()).pk]), {"said": "different"})

    assert "Decided: two people." in told(done)


def test_after_one_conflict_the_next_of_its_kind_is_shown(curator: Client):
    first, second = a_conflict(), a_conflict()

    done = curator.post(reverse("decide", args=[second.pk]), {"said": "male", "about": "gender"})

    assert done.url == reverse("conflict", args=[first.pk]) + "?about=gender"


def test_a_decision_is_opened_again_on_the_page(curator: Client):
    question = a_conflict()
    curator.post(reverse("decide", args=[question.pk]), {"said": "female"})

    page = curator.post(reverse("reopen", args=[question.pk]), follow=True).content.decode()

    assert "Open again" in page
    assert not AttributeLabel.objects.exists()
    act = Answer.objects.get(content__act="reopen")
    for name in ("acts", "answers"):  # no button that could only fail
        page = curator.get(reverse(name)).content.decode()
        assert f"opened question {question.pk} again" in page.lower()
        assert reverse("undo", args=[act.pk]) not in page


def test_a_word_that_is_none_is_told(curator: Client):
    question = a_conflict()
    assert "value must be one of" in told(curator.post(reverse("decide", args=[question.pk]), {"said": "happy"}))
    assert "There is no question 999" in told(curator.post(reverse("decide", args=[999]), {"said": "male"}))


def test_the_live_sample_shows_who_said_what_of_whom(curator: Client):
    ann = an_annotator("ann")
    question = a_question(3)
    face = question.faces.first()
    say(question, ann, verdict="one_person", marks={str(face.pk): "other"})

    page = curator.get(reverse("live")).content.decode()

    assert "ann" in page
    assert reverse("face", args=[face.pk]) in page
    assert 'class="marked"' in page
    assert "No answer yet" in curator.get(reverse("live"), {"kind": "pair"}).content.decode()
    assert curator.get(reverse("live"), {"share": "7", "annotator": "x"}).status_code == 200


def test_an_annotators_page_tells_what_they_said_and_lets_others_be_asked(curator: Client):
    ann = an_annotator("ann")
    question = a_question(2)
    say(question, ann, verdict="one_person")
    assert "ann" in curator.get(reverse("annotators")).content.decode()
    assert "2 faces labelled" in curator.get(reverse("annotator", args=[ann.pk])).content.decode()

    done = curator.post(reverse("reassign", args=[ann.pk]), {"kind": "cluster"})

    assert "1 answer of ann will be taken back" in told(done)
    assert Answer.objects.get(annotator=ann).reassigned_by.username == "carol"
    assert "1 answer is being taken back" in curator.get(reverse("annotator", args=[ann.pk])).content.decode()


def test_the_faces_that_a_filter_finds_are_sent_to_the_queue_and_called_back(curator: Client):
    wanted, other = a_face(), a_face()
    wanted.photo.query = "Ada"
    wanted.photo.save()

    done = curator.post(reverse("faces-ask"), {"filter": "query=Ada", "what": "emotion"}, follow=True)

    assert "1 question will be asked first." in done.content.decode()
    assert Question.objects.get().faces.get() == wanted
    act = Answer.objects.get(content__act="ask")
    assert "Ada" not in str(act.content)  # a search term may be a name, and this outlives whoever it is of
    curator.post(reverse("undo", args=[act.pk]))
    assert not Question.objects.filter(state="open").exists()
    assert not Question.objects.filter(faces=other).exists()


def test_a_filter_that_makes_no_sense_sends_nothing(curator: Client):
    a_face()
    done = curator.post(reverse("faces-ask"), {"filter": "min_size=huge", "what": "emotion"})
    assert "At least (pixels)" in told(done)
    done = curator.post(reverse("faces-ask"), {"filter": "", "what": "real_age"})
    assert "real_age" in told(done)
    assert not Question.objects.exists()


@pytest.mark.parametrize("role", ["annotator", "engineer"])
def test_nobody_but_curators_sees_what_others_said_or_acts_on_it(client: Client, role: str):
    question, ann = a_conflict(), User.objects.get(username="ann")
    client.force_login(a_user(role=role))

    for name, args in (("conflicts", []), ("conflicts-decided", []), ("conflict", [question.pk]), ("live", []),
                       ("annotators", []), ("annotator", [ann.pk])):  # fmt: skip
        assert client.get(reverse(name, args=args)).status_code == 403, name
    for name, args in (("decide", [question.pk]), ("reopen", [question.pk]), ("reassign", [ann.pk]), ("faces-ask", [])):
        assert client.post(reverse(name, args=args), {"said": "male", "what": "gender"}).status_code == 403, name


def test_the_lists_take_as_many_queries_for_many_as_for_one(curator: Client, django_assert_max_num_queries):
    for _ in range(3):
        a_conflict()
    pair = a_pair(a_person(2), a_person(2), belief=0.6)
    say(pair, an_annotator(), verdict="same")

    for name, most in (("conflicts", 16), ("conflicts-decided", 14), ("live", 18), ("annotators", 10)):
        with django_assert_max_num_queries(most):
            curator.get(reverse(name))
