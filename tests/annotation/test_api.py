"""The REST interface: questions and answers, data by cursor, uploads, and errors in one envelope."""

import json
from io import BytesIO
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.response import Response

from annotation import errors, export, people, queue, reads, tasks
from annotation.core.drawn import draw_portrait
from annotation.models import Answer, Intake, Label, Photo, Question, User
from dager_site import api_errors
from inference import errors as inference_errors
from tests.factories import (
    DISBELIEVED,
    a_cluster,
    a_face,
    a_grid,
    a_pair,
    a_person,
    a_photo,
    a_proposal,
    a_question,
    a_single,
    a_source,
    a_user,
    an_annotator,
)
from training import errors as training_errors

pytestmark = pytest.mark.django_db

V1 = "/api/v1"


@pytest.fixture
def annotator(client: Client) -> Client:
    client.force_login(an_annotator("ann"))
    return client


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def post(client: Client, path: str, body: object = None) -> Response:
    return client.post(f"{V1}/{path}", body, content_type="application/json")


def answer(client: Client, question: Question, client_id: str = "", **content: object) -> Response:
    body = {"client_id": client_id or str(uuid4()), "content": content, "elapsed_ms": 1234}
    return post(client, f"questions/{question.pk}/answer", body)


# ---- questions


def test_questions_come_leased_with_all_that_is_shown_and_nothing_that_sways(annotator: Client) -> None:
    photo = a_photo(query="Ada", width=640, height=480)
    question = a_question([a_face(photo), a_face()])

    body = annotator.get(f"{V1}/questions/next", {"ahead": 2}).json()

    (shown,) = body["questions"]
    assert (shown["id"], shown["kind"], shown["people"]) == (question.pk, "cluster", [])
    assert shown["queries"] == [["Ada", 1]]
    (of_photo,) = (each for each in shown["faces"] if each["query"] == "Ada")
    assert of_photo["photo_size"] == [640, 480]
    assert set(of_photo) == {"id", "crop", "photo", "photo_size", "box", "query", "source", "taken_at"}
    assert "belief" not in str(body)
    assert body["tally"] == {"answered_today": 0, "open": 1, "skipped": 0}
    question.refresh_from_db()
    assert question.leased_to == User.objects.get(username="ann")


@pytest.mark.parametrize("purpose", ["control", "gold", "work", "again", "audit"])
def test_a_question_about_one_face_is_blind_and_says_not_why_it_is_asked(annotator: Client, purpose: str) -> None:
    """No belief, no evidence of it (a search term is some), nothing that tells gold or control from work."""
    face = a_face(a_photo(query="angry women"))
    a_proposal(face, [0.9731, 0.0269], evidence={"network": [0.9731, 0.0269]})
    a_single(face, purpose=purpose, value="female" if purpose == "gold" else "", belief=0.9731)

    told = annotator.get(f"{V1}/questions/next").json()["questions"]

    body = json.dumps(told)
    assert len(told) == 1
    assert not [word for word in ("angry", "0.97", "0.02", purpose) if word in body]
    assert (told[0]["value"], told[0]["reason"], told[0]["queries"]) == ("", "", [])
    assert told[0]["values"] == ["female", "male"]  # always in this order
    page = annotator.get("/annotate/").content.decode()
    assert "angry" not in page.split('id="words"')[0]  # but for what values are called, all of them
    assert "0.97" not in page


def test_a_grid_tells_what_is_proposed_but_not_how_surely_nor_why_it_is_asked(annotator: Client) -> None:
    a_grid([a_face(), a_face()], purpose="audit", belief=0.9731, drawn_above=0.9642)
    (told,) = annotator.get(f"{V1}/questions/next").json()["questions"]
    assert told["value"] == "female"
    assert not [word for word in ("0.97", "0.96", "audit") if word in json.dumps(told)]


def test_a_cluster_that_extends_somebody_comes_with_their_faces(annotator: Client) -> None:
    known = [a_face(), a_face()]
    person = a_person(known, name="Ada")
    new = [a_face(), a_face()]
    cluster = a_cluster(known + new)
    cluster.identity = person
    cluster.save()
    a_question(new, cluster=cluster)

    (shown,) = annotator.get(f"{V1}/questions/next").json()["questions"]

    assert [(one["id"], one["name"], one["face_count"]) for one in shown["people"]] == [(person.pk, "Ada", 2)]
    assert {face["id"] for face in shown["people"][0]["faces"]} == {face.pk for face in known}


def test_a_pair_comes_with_faces_of_both_as_they_are_after_merges(annotator: Client) -> None:
    one, other, into = a_person(2), a_person(1), a_person(1)
    a_pair(one, other)
    people.merge(identity_ids=[other.pk], into_id=into.pk, by=a_user())

    (shown,) = annotator.get(f"{V1}/questions/next", {"kind": "pair"}).json()["questions"]

    assert {person["id"] for person in shown["people"]} == {one.pk, into.pk}
    assert [person["face_count"] for person in shown["people"]] == [2, 2]


def test_places_and_sides_tell_nothing_and_stay_as_they_are(annotator: Client) -> None:
    for _ in range(20):
        a_question(6)
        a_pair(a_person(1), a_person(1))

    def shown(kind: str, part: str) -> list[list[int]]:
        body = annotator.get(f"{V1}/questions/next", {"kind": kind, "ahead": 10}).json()
        return [[each["id"] for each in question[part]] for question in body["questions"]]

    faces, sides = shown("cluster", "faces"), shown("pair", "people")
    assert any(ids != sorted(ids) for ids in faces)
    assert {ids[0] < ids[1] for ids in sides} == {True, False}
    assert (shown("cluster", "faces"), shown("pair", "people")) == (faces, sides)


def test_many_questions_take_as_many_queries_as_one(
    annotator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(6):
        a_question(8)
        a_pair(a_person(3), a_person(3))

    with django_assert_max_num_queries(30):  # ten leases take one each
        body = annotator.get(f"{V1}/questions/next", {"ahead": 10}).json()

    assert len(body["questions"]) == 10


def test_an_answer_is_kept_once_however_often_it_is_sent(annotator: Client) -> None:
    question = a_question(3)
    client_id = str(uuid4())

    first = answer(annotator, question, client_id, verdict="one_person", name="Ada")
    again = answer(annotator, question, client_id, verdict="one_person", name="Ada")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["actions"], first.json()["elapsed_ms"]) == (2, 1234)
    assert Label.objects.filter(identity__name="Ada").count() == 3


def test_an_undone_answer_gives_its_question_back(annotator: Client) -> None:
    question = a_question(3)
    kept = answer(annotator, question, verdict="one_person").json()

    body = post(annotator, f"answers/{kept['id']}/undo").json()

    assert body["question"]["id"] == question.pk
    assert not Label.objects.exists()
    assert post(annotator, f"answers/{kept['id']}/undo").status_code == 409


def test_an_answer_taken_back_is_given_anew_before_anybody_else_is_asked(annotator: Client) -> None:
    question = a_question(3)
    kept = answer(annotator, question, verdict="one_person").json()
    post(annotator, f"answers/{kept['id']}/undo")

    assert queue.take_next(an_annotator()) == []
    assert answer(annotator, question, verdict="cannot_tell").status_code == 201


def test_what_somebody_else_holds_meanwhile_does_not_come_back(annotator: Client) -> None:
    question = a_question(3)
    kept = answer(annotator, question, verdict="skip").json()
    queue.take_next(an_annotator())

    assert post(annotator, f"answers/{kept['id']}/undo").json() == {"question": None}


@pytest.mark.parametrize(("role", "told"), [("annotator", False), ("curator", True)])
def test_a_doubted_label_is_told_to_curators_alone(client: Client, role: str, told: bool) -> None:
    a_single(purpose="doubt", reason=DISBELIEVED)
    client.force_login(a_user(role=role))
    (asked,) = client.get("/api/v1/questions/next?ahead=1").json()["questions"]
    assert ("Labelled sad" in asked["why"], "Labelled sad" in asked["reason"]) == (told, told)


def test_whoever_skips_may_say_why(annotator: Client) -> None:
    question = a_question(3)

    refused = post(annotator, f"questions/{question.pk}/skip", {"client_id": str(uuid4()), "reason": "bored"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "reason")
    given = post(annotator, f"questions/{question.pk}/skip", {"client_id": str(uuid4()), "reason": "bad_picture"})
    assert given.json()["content"] == {"verdict": "skip", "reason": "bad_picture"}
    refused = answer(annotator, a_question(3), verdict="skip", reason="bored")
    assert "too_hard, bad_picture, odd_question, do_not_want" in refused.json()["error"]["message"]


def test_so_many_open_questions_are_counted_now_and_then(annotator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "MANY", 3)
    cache.clear()
    for _ in range(5):
        a_question(1)

    def left() -> int:
        return annotator.get(f"{V1}/questions/next").json()["tally"]["open"]

    assert left() == 5
    a_question(1)
    assert left() == 5
    cache.clear()
    assert left() == 6


def test_a_skipped_question_is_left_to_others_until_it_is_brought_back(annotator: Client) -> None:
    question = a_question(2)

    assert post(annotator, f"questions/{question.pk}/skip", {"client_id": str(uuid4())}).status_code == 201
    body = annotator.get(f"{V1}/questions/next").json()
    assert (body["questions"], body["tally"]["skipped"]) == ([], 1)
    assert post(annotator, "questions/bring-back-skipped").json() == {"questions": 1}
    assert len(annotator.get(f"{V1}/questions/next").json()["questions"]) == 1


def test_what_is_given_back_is_free_at_once(annotator: Client) -> None:
    question = a_question(2)
    annotator.get(f"{V1}/questions/next")

    assert post(annotator, "questions/give-back").status_code == 204
    question.refresh_from_db()
    assert question.leased_to is None


def test_ones_own_answers_are_listed(annotator: Client) -> None:
    answer(annotator, a_question(2), verdict="cannot_tell")
    Answer.objects.create(annotator=a_user(), content={}, actions=1)

    results = annotator.get(f"{V1}/answers").json()["results"]

    assert [one["content"]["verdict"] for one in results] == ["cannot_tell"]


# ---- errors


def test_a_closed_question_is_a_conflict_in_the_envelope(annotator: Client) -> None:
    question = a_question(2)
    answer(annotator, question, verdict="cannot_tell")

    response = answer(annotator, question, verdict="one_person")

    assert response.status_code == 409
    body = response.json()
    assert body["error"]["code"] == "question_closed"
    assert f"Question {question.pk} is settled" in body["error"]["message"]
    assert len(body["request_id"]) == 32


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"content": {"verdict": "skip"}}, "invalid", "client_id"),
        ({"client_id": "x", "content": {}}, "invalid", "client_id"),
        ({"client_id": str(uuid4()), "content": {"verdict": "maybe"}}, "bad_answer", None),
        (
            {"client_id": str(uuid4()), "content": {"verdict": "one_person", "marks": {"1000": "other"}}},
            "bad_answer",
            None,
        ),
    ],
)
def test_an_answer_that_makes_no_sense_says_which_part(
    annotator: Client, body: object, code: str, field: str | None
) -> None:
    response = post(annotator, f"questions/{a_question(2).pk}/answer", body)

    assert response.status_code == 400
    assert (response.json()["error"]["code"], response.json()["error"].get("field")) == (code, field)


def test_broken_json_is_told_in_the_envelope(annotator: Client) -> None:
    response = annotator.post(f"{V1}/questions/1/skip", "{", content_type="application/json")

    assert (response.status_code, response.json()["error"]["code"]) == (400, "parse_error")


def test_who_accepts_no_json_is_told_what_to_accept(annotator: Client) -> None:
    refused = annotator.get(f"{V1}/answers", headers={"Accept": "text/xml"})
    assert refused.status_code == 406
    assert refused.json()["error"] == {
        "code": "not_acceptable",
        "message": "Answers are JSON. Accept application/json, or leave `Accept` out.",
    }


def test_whoever_is_not_signed_in_is_told_so(client: Client) -> None:
    response = client.get(f"{V1}/photos")

    assert (response.status_code, response.json()["error"]["code"]) == (401, "not_authenticated")


def test_an_address_that_does_not_exist_is_told_in_the_envelope(curator: Client) -> None:
    assert curator.get(f"{V1}/nothing").json()["error"]["code"] == "not_found"
    assert curator.get(f"{V1}/photos/999999").json()["error"]["code"] == "not_found"


def test_every_error_of_the_stages_has_its_status() -> None:
    own = {
        error
        for module in (errors, inference_errors, training_errors)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, Exception) and error.__module__ == module.__name__
    }
    bases = {errors.AnnotationError, training_errors.TrainingError}
    never_reach_a_door = bases | {errors.LedgerIsAppendOnly, errors.AuditIsAppendOnly, inference_errors.PhotoFailed}

    assert own - never_reach_a_door == set(api_errors.STATUS)


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("standing", {"curator", "engineer", "admin"}),
        ("photos", {"curator", "engineer", "admin"}),
        ("faces", {"curator", "engineer", "admin"}),
        ("identities", {"curator", "engineer", "admin"}),
        ("sources", {"curator", "engineer", "admin"}),
        ("labels", {"curator", "engineer", "admin"}),
        ("questions/next", {"annotator", "curator", "admin"}),
        ("answers", {"annotator", "curator", "admin"}),
    ],
)
def test_each_call_is_open_to_its_roles_only(client: Client, path: str, roles: set[str]) -> None:
    for role in User.Role.values:
        client.force_login(a_user(role=role))
        assert client.get(f"{V1}/{path}").status_code == (200 if role in roles else 403), role


def test_a_change_without_the_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_user())

    response = post(client, "sources", {"name": "Holiday"})

    assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied")


# ---- data


def test_lists_are_filtered_as_their_pages_are_and_paged_by_cursor(curator: Client) -> None:
    photos = [a_photo(query="Ada" if number % 2 else "Bob") for number in range(5)]

    first = curator.get(f"{V1}/photos", {"query": "ada", "limit": 1}).json()
    second = curator.get(first["next"]).json()

    assert [row["id"] for row in first["results"] + second["results"]] == [photos[3].pk, photos[1].pk]


@pytest.mark.parametrize("call", ["faces", "labels"])
def test_faces_of_a_photo_are_paged_one_after_another(curator: Client, call: str) -> None:
    photos = [a_photo() for _ in range(2)]
    faces = [a_face(photo, number=number, chosen=number == 0) for number in range(4) for photo in photos]
    for face in faces:
        a_person([face])

    found, address = list[int](), f"{V1}/{call}?limit=3"
    while address:
        body = curator.get(address).json()
        found += [row["id" if call == "faces" else "face_id"] for row in body["results"]]
        address = body["next"]

    assert found == [face.pk for face in sorted(faces, key=lambda face: (-face.photo_id, -face.pk))]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"colour": "red"}, "colour"), ({"taken_from": "x"}, "taken_from"), ({"source": "7"}, "source")],
)
def test_a_filter_that_is_unknown_or_impossible_is_refused(curator: Client, query: dict[str, str], field: str) -> None:
    response = curator.get(f"{V1}/photos", query)

    assert (response.status_code, response.json()["error"]["field"]) == (400, field)


def test_a_face_says_who_it_is(curator: Client) -> None:
    face = a_face()
    person = a_person([face])

    body = curator.get(f"{V1}/faces/{face.pk}").json()

    assert (body["identity"], body["verdict"], len(body["landmarks"])) == (person.pk, "identity", 68)


def test_people_are_found_by_name(curator: Client) -> None:
    ada = a_person(2, name="Ada")
    a_person(1, name="Bob")

    results = curator.get(f"{V1}/identities", {"search": "ad"}).json()["results"]

    assert [(row["id"], row["face_count"]) for row in results] == [(ada.pk, 2)]


def test_labels_are_the_rows_of_the_export_without_those_that_rights_withhold(curator: Client) -> None:
    a_person([a_face()], name="Ada")
    a_person([a_face(a_photo(a_source(licence="")))], name="Withheld")

    (row,) = curator.get(f"{V1}/labels").json()["results"]

    assert set(row) == set(export.SCHEMA.names)
    exported = next(export.rows())
    assert {key: row[key] for key in ("face_id", "identity_name", "licence", "decided_by", "sha256")} == {
        key: exported[key] for key in ("face_id", "identity_name", "licence", "decided_by", "sha256")
    }


@pytest.mark.parametrize("path", ["photos", "faces", "identities", "labels", "sources"])
def test_a_list_takes_as_many_queries_for_many_as_for_one(
    curator: Client, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    a_person(20)

    with django_assert_max_num_queries(7):
        assert len(curator.get(f"{V1}/{path}").json()["results"]) >= 1


def test_where_things_stand_is_told_in_counts(curator: Client) -> None:
    a_person(2)
    a_source().intakes.create(kind="folder", state="running", total=10, taken=4)

    body = curator.get(f"{V1}/standing").json()

    assert (body["counts"]["labels"], body["counts"]["people"], body["counts"]["exportable"]) == (2, 1, 2)
    assert (body["intakes"][0]["seen"], body["intakes"][0]["total"]) == (4, 10)
    assert not body["done"]


# ---- photos in


@pytest.fixture
def belt(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the belt."""
    sent: list[str] = []
    monkeypatch.setattr(tasks, "feed_belt", lambda: sent.append("feed"))
    monkeypatch.setattr(tasks.take_in, "delay", lambda pk: sent.append(f"take_in {pk}"))
    return sent


def a_jpeg() -> bytes:
    file = BytesIO()
    draw_portrait(1, 1, (64, 64)).save(file, "JPEG")
    return file.getvalue()


def upload(client: Client, source: int, name: str, data: bytes) -> Response:
    return client.post(f"{V1}/sources/{source}/photos", {"file": SimpleUploadedFile(name, data)})


def test_a_source_is_made_and_told_apart_from_one_that_exists(curator: Client) -> None:
    made = post(curator, "sources", {"name": "Holiday", "licence": "CC0"})
    again = post(curator, "sources", {"name": "Holiday"})

    assert (made.status_code, made.json()["rights_stated"]) == (201, False)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "source_exists")


def test_an_uploaded_photo_is_taken_once(
    curator: Client, belt: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    source = a_source()

    with django_capture_on_commit_callbacks(execute=True):
        first = upload(curator, source.pk, "me.jpg", a_jpeg()).json()
    again = upload(curator, source.pk, "me.jpg", a_jpeg()).json()
    renamed = upload(curator, source.pk, "copy.jpg", a_jpeg()).json()

    assert [first["outcome"], again["outcome"], renamed["outcome"]] == ["taken", "taken", "copy"]
    assert Photo.objects.count() == 1
    assert belt == ["feed"]


def test_a_bad_file_is_refused_with_its_reason_and_spoils_only_itself(curator: Client) -> None:
    source = a_source()

    response = upload(curator, source.pk, "notes.jpg", b"Dear diary")

    assert response.status_code == 200
    assert response.json()["outcome"] == "refused"
    assert "no JPEG, PNG or WebP" in response.json()["reason"]
    assert source.refusals.get().file == "notes.jpg"


def test_a_file_beyond_the_limit_is_refused_by_its_size(curator: Client, settings: Settings) -> None:
    body = upload(curator, a_source().pk, "huge.jpg", a_jpeg() + bytes(settings.INTAKE_FILE_MB * 1_000_000)).json()

    assert body["outcome"] == "refused"
    assert f"at most {settings.INTAKE_FILE_MB} MB" in body["reason"]


def test_an_uploaded_archive_is_taken_in_afterwards(
    curator: Client, belt: list[str], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("me.jpg", a_jpeg())

    with django_capture_on_commit_callbacks(execute=True):
        body = upload(curator, a_source().pk, "../../holiday.ZIP", packed.getvalue()).json()

    intake = Intake.objects.get()
    assert (body["outcome"], body["intake"], intake.kind) == ("delivery", intake.pk, "archive")
    assert belt == [f"take_in {intake.pk}"]
    assert Path(intake.path).read_bytes() == packed.getvalue()


def test_an_upload_without_a_file_says_what_is_missing(curator: Client) -> None:
    response = curator.post(f"{V1}/sources/{a_source().pk}/photos", {})

    assert (response.status_code, response.json()["error"]["field"]) == (400, "file")


# ---- its description


def test_the_description_names_every_call(curator: Client) -> None:
    paths = curator.get("/api/schema", {"format": "json"}, headers={"Accept": "application/json"})

    assert paths.status_code == 200
    for path in ("questions/next", "answers/{id}/undo", "sources/{id}/photos", "labels"):
        assert f"/api/v1/{path}" in paths.content.decode()


def test_the_page_that_shows_the_description_needs_signing_in(client: Client) -> None:
    assert client.get("/api/docs/").status_code == 302
    assert client.get("/api/schema").status_code == 401
    client.force_login(a_user())
    assert client.get("/api/docs/").status_code == 200


def test_practice_is_asked_as_questions_are_with_what_is_right(client: Client):
    client.force_login(an_annotator())

    told = client.get("/api/v1/practice?part=cluster").json()["examples"]

    assert [each["kind"] for each in told] == ["cluster", "cluster"]
    assert told[0]["expected"]["marks"] == {"3": ["other"]}
    assert "somebody else" in told[0]["explained"]
    picture = client.get(told[0]["faces"][2]["crop"])
    assert b"".join(picture.streaming_content).startswith(b"\xff\xd8")
    assert picture["Content-Type"] == "image/jpeg"
    assert "immutable" in picture["Cache-Control"]
    assert client.get("/practice/1/9.9.nobody.jpg").status_code == 404
    assert client.get("/api/v1/practice?part=juggling").status_code == 400


def test_who_practised_is_remembered(client: Client):
    user = an_annotator(practised=[])
    client.force_login(user)

    for part in ("pair", "grid", "pair"):
        assert client.post("/api/v1/practice", {"part": part}).status_code == 204

    user.refresh_from_db()
    assert user.practised == ["pair", "grid"]


def test_what_did_not_change_is_not_sent_again(curator: Client):
    a_face()
    first = curator.get(f"{V1}/faces")
    again = curator.get(f"{V1}/faces", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    a_face()
    assert curator.get(f"{V1}/faces", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("path", ["faces", "answers", "labels", "questions/next", "practice", "sources/{}/intakes"])
def test_a_filter_that_nobody_knows_is_refused_with_the_list(curator: Client, path: str):
    answer = curator.get(f"{V1}/{path.format(a_source().pk)}?beauty=1")
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "beauty"
    assert "Known: " in answer.json()["error"]["message"]
