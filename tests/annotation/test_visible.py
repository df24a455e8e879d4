"""What somebody sees of some sources: by rows, by words, and what they may change. Every address: test_own_sources."""

from itertools import pairwise
from uuid import uuid4

import numpy as np
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from annotation import accounts, conflicts, export, gallery, models, people, queue, reads, records, tokens, visible
from annotation.answers import record_answer, undo_answer
from annotation.errors import AccountRefused, BadAct, NotUndoable, QuestionClosed
from annotation.models import AuditEvent, Copy, Face, Identity, KeptAnswer, Photo, Question, Source, User
from tests.factories import (
    a_face,
    a_grid,
    a_pair,
    a_person,
    a_photo,
    a_question,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_counted_before() -> None:
    cache.clear()


def only(*sources: Source, role: str = "curator") -> User:
    user = a_user(role=role)
    accounts.restrict(user, sources, by=None)
    return user


def faces_of(source: Source, count: int) -> list[Face]:
    return [a_face(a_photo(source)) for _ in range(count)]


def test_the_queries_of_whoever_sees_everything_are_what_they_would_be_without_restrictions():
    user = a_user()
    for found, plain in [
        (visible.photos(user), Photo.objects.all()),
        (visible.faces(user), Face.objects.all()),
        (visible.identities(user), Identity.objects.all()),
        (visible.questions(user), Question.objects.all()),
        (reads.people(user), Identity.objects.filter(face_count__gt=0)),
        (visible.sources(user), Source.objects.all()),
    ]:
        assert str(found.query) == str(plain.query)
    a_single()
    with CaptureQueriesContext(
        connection,
    ) as told:
        queue.take_next(an_annotator())
    sent = " ".join(each["sql"] for each in told.captured_queries if "annotation_question" in each["sql"])
    assert "annotation_source" not in sent
    assert "annotation_copy" not in sent
    assert "annotation_user_sources" not in sent


def test_a_photo_of_two_sources_is_seen_by_who_has_either_as_theirs_has_it():
    first, second, third = a_source("first"), a_source("second"), a_source("third")
    photo = a_photo(first, file="secret.jpg", query="secret", caption="secret", metadata={"secret": 1}, licence="x")
    Copy.objects.create(photo=photo, source=second, file="mine.jpg", query="mine", source_url="https://mine.example")
    face = a_face(photo)
    person = a_person([face], "Ada")
    for sees, told in [(first, "secret.jpg"), (second, "mine.jpg")]:
        user = only(sees)
        shown = visible.photos(user).select_related("source").get()
        visible.as_seen(user, [shown])
        assert (shown.file, shown.source) == (told, sees)
        assert visible.faces(user).get() == face
        assert list(visible.identities(user)) == [person]
    assert (shown.query, shown.caption, shown.metadata, shown.licence) == ("mine", "", {}, "")
    stranger = only(third)
    assert not visible.photos(stranger).exists()
    assert not visible.faces(stranger).exists()
    assert not visible.identities(stranger).exists()
    assert export.summary(by=only(second)).faces == 0  # rights are of the source that it first came from
    assert export.summary(by=only(first)).faces == 1


def test_a_photo_whose_seen_source_was_erased_since_it_was_read_tells_nothing():
    theirs, other = a_source(), a_source("Other source")
    user, photo = only(theirs), a_photo(other, query="a term", name="A Name")
    copy = Copy.objects.create(photo=photo, source=theirs, file="theirs.jpg")
    read = list(visible.photos(user).select_related("source"))
    copy.delete()

    [told] = visible.as_seen(user, read)
    assert (told.source.name, told.file, told.query, told.name, told.source_url) == ("", "", "", "", "")


def test_the_evidence_of_a_line_tells_nothing_of_a_source_that_is_not_seen(client: Client):
    first, second = a_source("secret set"), a_source("second")
    said = {"identity": "Ada", "age": [20, 21], "values": {"gender": "female"}, "votes": {}}
    photo = a_photo(first, file="secret.jpg", imported=said)
    face = a_face(photo)
    Copy.objects.create(photo=photo, source=second, file="mine.jpg")
    a_face(a_photo(second, duplicate_of=photo), duplicate_of=face)  # whose labels rest on the lines of the other
    records.write_down(photo)
    for user, told in ((only(second), False), (only(first), True), (a_user(), True)):
        client.force_login(user)
        page = client.get(f"/faces/{face.pk}/").content.decode()
        taken_along = list(export.rows(by=user))
        assert ("secret" in page, "secret" in str(taken_along)) == (told, told)
        assert ("secret" in client.get("/api/v1/labels").content.decode()) is told
        assert taken_along[-1]["identity_name"] == "Ada"


def test_somebody_of_two_sources_is_seen_by_the_faces_that_are_theirs_and_renamed_by_nobody_who_sees_no_others():
    mine, other = a_source(), a_source()
    seen, hidden = faces_of(mine, 2), faces_of(other, 1)
    person, second = a_person([*seen, *hidden], "Ada"), a_person(faces_of(mine, 1))
    user = only(mine)
    (told,) = visible.as_seen(user, list(reads.people(user).filter(pk=person.pk)))
    assert told.face_count == 2
    assert {face.pk for face in reads.exemplars([person.pk], user)[person.pk]} == {face.pk for face in seen}
    for act in (
        lambda: people.rename(identity_id=person.pk, name="Eve", by=user),
        lambda: people.describe(identity_id=person.pk, attribute="gender", value="male", by=user),
        lambda: people.merge(identity_ids=[person.pk], into_id=second.pk, by=user),
        lambda: people.merge(identity_ids=[second.pk], into_id=person.pk, by=user),
    ):
        with pytest.raises(BadAct, match="that you do not see"):
            act()
    for act in (
        lambda: people.assign(face_ids=[hidden[0].pk], identity_id=None, by=user),
        lambda: people.not_a_face(face_ids=[hidden[0].pk], by=user),
        lambda: people.remove(identity_id=person.pk, face_ids=[hidden[0].pk], by=user),
        lambda: people.split(identity_id=person.pk, face_ids=[hidden[0].pk], by=user),
    ):
        with pytest.raises(BadAct, match="never existed"):
            act()
    people.split(identity_id=person.pk, face_ids=[seen[0].pk], by=user)
    hidden[0].refresh_from_db()
    assert (hidden[0].label.identity, hidden[0].label.identity.name) == (person, "Ada")
    people.rename(identity_id=second.pk, name="Grace", by=user)  # of whom they see every face


def test_they_are_asked_only_what_they_see_whole():
    mine, other = a_source(), a_source()
    half = a_person([*faces_of(mine, 1), *faces_of(other, 1)])
    whole = a_person(faces_of(mine, 1))
    asked = [
        a_question(faces_of(mine, 2)),
        a_single(faces_of(mine, 1)[0]),
        a_grid(faces_of(mine, 2)),
        a_pair(whole, a_person(faces_of(mine, 1))),
    ]
    extends = a_question(faces_of(mine, 1))
    extends.cluster.identity = half
    extends.cluster.save()
    never = [
        a_question([*faces_of(mine, 1), *faces_of(other, 1)], worth=9.0),
        a_single(faces_of(other, 1)[0]),
        a_pair(whole, half),
        a_pair(a_person(faces_of(other, 1)), a_person(faces_of(other, 1))),
        extends,
    ]
    Question.objects.filter(pk__in=[each.pk for each in never]).update(worth=9)
    user = only(mine, role="annotator")
    assert {each.pk for each in queue.take_next(user, ahead=10)} == {each.pk for each in asked}
    assert reads.tally(user, idle=False).open == 4
    assert [each.pk for each in queue.take_next(user, kind="pair", ahead=10)] == [asked[3].pk]
    content = {"verdict": "skip", "reason": ""}
    for question in never:
        with pytest.raises(QuestionClosed, match="gone"):
            record_answer(question_id=question.pk, annotator=user, client_id=uuid4(), content=content)
    assert {each.pk for each in visible.questions(user)} == {each.pk for each in asked}
    assert len(queue.take_next(an_annotator(), ahead=10)) == 5  # what is held by nobody else


@pytest.mark.parametrize("few", [500, 0])
def test_all_that_is_seen_whole_is_asked_whichever_sources_brought_it(few: int, monkeypatch: pytest.MonkeyPatch):
    """By chance: grids and singles of photos that one or two of three sources brought; whoever sees some of these."""
    monkeypatch.setattr(models, "FEW", few)
    draw = np.random.default_rng(7)
    sources = [a_source() for _ in range(3)]
    faces = [face for source in sources for face in faces_of(source, 8)]
    for face in draw.choice(faces, 8, replace=False):
        Copy.objects.create(photo=face.photo, source=sources[draw.integers(3)], file=f"again/{face.pk}.jpg")
    for count in (1, 1, 2, 2, 3, 4) * 4:
        a_grid(list(draw.choice(faces, count, replace=False)))
    people_ = [a_person(list(pair)) for pair in draw.choice(faces, (4, 2), replace=False)]
    for one, other in pairwise(people_):
        a_pair(one, other)
    assert Question.objects.filter(source=None).count() not in (0, Question.objects.count())
    for seen in ([0], [2], [0, 1], [1, 2], [0, 1, 2]):
        user = only(*(sources[number] for number in seen), role="annotator")
        want = {each.pk for each in visible.questions(user)}
        assert {each.pk for each in queue.take_next(user, ahead=100)} == want
        assert reads.tally(user, idle=False).open == len(want)
        queue.give_back(user)
    assert want == set(Question.objects.values_list("pk", flat=True))


def test_how_many_are_open_is_told_of_the_sources_that_they_see_now():
    mine, other = a_source(), a_source()
    for face in (*faces_of(mine, 1), *faces_of(other, 2)):
        a_single(face)
    user = only(mine, other, role="annotator")
    assert reads.tally(user, idle=False).open == 3
    accounts.restrict(user, [mine], by=None)
    assert reads.tally(user, idle=False).open == 1


def test_of_somebody_who_lost_the_faces_of_a_source_those_are_asked_who_see_the_others():
    mine, other = a_source(), a_source()
    kept, (gone,) = faces_of(mine, 1), faces_of(other, 1)
    person = a_person([gone])
    asked = a_pair(person, a_person(kept))
    people.assign(face_ids=[faces_of(mine, 1)[0].pk], identity_id=person.pk, by=a_user())
    people.not_a_face(face_ids=[gone.pk], by=a_user())
    assert queue.take_next(only(mine, role="annotator"), ahead=10) == [asked]


def test_of_somebody_who_is_one_with_another_those_are_asked_who_see_all_faces_of_both():
    mine, second = a_source(), a_source()
    one, into = a_person([*faces_of(mine, 1), *faces_of(second, 1)]), a_person(faces_of(second, 1))
    asked = a_pair(one, a_person(faces_of(mine, 1)))
    people.merge(identity_ids=[one.pk], into_id=into.pk, by=a_user())
    user = only(mine, second, role="annotator")
    assert queue.take_next(user) == list(visible.questions(user)) == [asked]
    assert reads.tally(user, idle=False).open == 1
    assert queue.take_next(only(second, role="annotator")) == []


def test_a_curator_decides_and_takes_back_only_what_they_see():
    mine, other = a_source(), a_source()
    user, everybody = only(mine), a_user()
    theirs = a_single(faces_of(mine, 1)[0], attribute="emotion", purpose="verdict")
    hidden = a_single(faces_of(other, 1)[0], attribute="emotion", purpose="verdict")
    assert list(conflicts.to_decide(user)) == [theirs]
    with pytest.raises(BadAct, match="no question"):
        conflicts.decide(question_id=hidden.pk, content={"verdict": "value", "value": "happy"}, by=user)
    conflicts.decide(question_id=theirs.pk, content={"verdict": "value", "value": "happy"}, by=user)
    act = people.assign(face_ids=[hidden.faces.get().pk], identity_id=None, by=everybody)
    seen = people.assign(face_ids=[theirs.faces.get().pk], identity_id=None, by=everybody)
    assert list(reads.acts_done(user)) == [seen]
    with pytest.raises(NotUndoable, match=f"no answer {act.pk} of yours"):
        undo_answer(answer_id=act.pk, by=user)
    undo_answer(answer_id=seen.pk, by=user)


def test_a_search_tells_of_nobody_else_and_counts_them_as_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "_held", None)
    version, mine, other = a_version(), a_source(), a_source()
    (seen,), (hidden,) = faces_of(mine, 1), faces_of(other, 1)
    for face, vector in [(seen, [1, 0.2, 0, 0]), (hidden, [1, 0, 0, 0])]:
        an_embedding(face, version, vector)
    person, _ = a_person([seen]), a_person([hidden])
    query = np.array([[1, 0, 0, 0]], np.float32)
    (all_of,) = gallery.recognise(query, 8)
    (told,) = gallery.recognise(query, 8, among=[person.pk])
    assert [each.identity for each in told.candidates] == [person.pk]
    assert told.nobody + told.candidates[0].probability == pytest.approx(1)
    assert all_of.candidates[0].identity != person.pk
    assert gallery.recognise(query, 8, among=[])[0].candidates == []


def test_to_be_restricted_is_written_down_ends_sessions_frees_what_is_held_and_keeps_no_answer(client: Client):
    admin, mine = a_user(role="admin"), a_source()
    user = a_user()
    client.force_login(user)
    cookie = client.cookies["sessionid"].value
    question = a_single()
    queue.take_next(user)
    KeptAnswer.objects.create(user=user, key="k", digest="d", status=200, body={})
    key = tokens.make(owner=user, name="a program", scopes=["curate"], days=1)[1]
    accounts.restrict(user, [mine], by=admin)
    question.refresh_from_db()
    assert question.leased_to is None
    assert not KeptAnswer.objects.exists()
    event = AuditEvent.objects.get(action="scope")
    assert (event.by, event.subject, event.details) == (admin, f"account {user.pk}", {"from": None, "to": [mine.pk]})
    client.cookies["sessionid"] = cookie
    assert client.get("/api/v1/standing").status_code in (401, 403)
    listed = Client().get("/api/v1/sources", headers={"Authorization": f"Bearer {key}"}).json()["results"]
    assert [each["id"] for each in listed] == [mine.pk]
    accounts.restrict(user, [mine], by=admin)  # as it is: no line
    assert AuditEvent.objects.filter(action="scope").count() == 1
    mine.delete()  # as an erasure does: nothing is left to see, not everything
    user = User.objects.get(pk=user.pk)
    assert (user.restricted, list(visible.sources(user))) == (True, [])
    assert list(visible.photos(user)) == []
    assert list(visible.questions(user)) == []
    accounts.restrict(user, None, by=admin)
    assert Question.objects.count() == visible.questions(user).count() == 1


def test_an_admin_is_restricted_by_nobody_and_nobody_restricted_becomes_one():
    mine, admin, curator = a_source("mine"), a_user("ada", "admin"), a_user("grace", "curator")
    with pytest.raises(AccountRefused, match="admin, who sees everything"):
        accounts.restrict(admin, [mine], by=None)
    with pytest.raises(AccountRefused, match="Only an admin"):
        accounts.restrict(a_user(role="annotator"), [mine], by=curator)
    call_command("role", "grace", "engineer", "--sources", "mine")
    curator.refresh_from_db()
    assert (curator.role, curator.restricted, list(curator.sources.all())) == ("engineer", True, [mine])
    with pytest.raises(CommandError, match="Give them all sources first"):
        call_command("role", "grace", "admin")
    with pytest.raises(CommandError, match="no source 'other'"):
        call_command("role", "grace", "--sources", "other")
    call_command("role", "grace", "admin", "--all-sources")
    curator.refresh_from_db()
    assert (curator.role, curator.restricted) == ("admin", False)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=admin.pk).update(restricted=True)


def test_an_admin_says_in_the_admin_who_sees_what(client: Client):
    mine, admin, user = a_source(), a_user(role="admin"), a_user("grace")
    User.objects.filter(pk=admin.pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(pk=admin.pk))
    address = f"/admin/annotation/user/{user.pk}/change/"
    said = {"username": "grace", "role": "curator", "is_active": "on"}
    said |= {"tokens-TOTAL_FORMS": "0", "tokens-INITIAL_FORMS": "0"}
    assert b"Tick this, too" in client.post(address, said | {"seen": [mine.pk]}).content
    both = said | {"some_only": "on", "seen": [mine.pk]}
    assert b"An admin sees everything" in client.post(address, both | {"role": "admin"}).content
    assert client.post(address, both).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.restricted, user.own_sources) == (True, [mine.pk])
    assert client.post(address, said | {"role": "admin"}).status_code == 302
    user = User.objects.get(pk=user.pk)
    assert (user.restricted, user.role, list(user.sources.all())) == (False, "admin", [])
    assert AuditEvent.objects.filter(action="scope", by=admin).count() == 2
