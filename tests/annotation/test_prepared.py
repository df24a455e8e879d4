from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import prepared
from annotation.models import Answer, Decision, Face, Label, User
from annotation.prepared import Prepared
from tests.factories import a_face, a_person, a_user

pytestmark = pytest.mark.django_db


def test_it_finds_what_the_query_finds_whatever_the_values() -> None:
    faces = [a_face() for _ in range(5)]
    widths = Prepared[tuple[int, float]](lambda ids: Face.objects.filter(pk__in=ids).values_list("pk", "width"))

    for chosen in (faces[:2], faces[3:], faces[1:4], [faces[0]]):
        wanted = {(face.pk, face.width) for face in chosen}
        assert set(widths([face.pk for face in chosen])) == wanted


def test_a_list_without_values_finds_nothing_and_asks_nobody() -> None:
    some = Prepared[int](lambda ids: Face.objects.filter(pk__in=ids).values_list("pk", flat=True))
    a_face()

    with CaptureQueriesContext(connection) as asked:
        assert some([]) == some([]) == []

    assert len(asked) == 0


def test_rows_of_a_table_come_as_what_they_are() -> None:
    face = a_face()
    a_person([face])
    label = Label.objects.get(face=face)
    lines = Prepared[Decision](lambda ids: Decision.objects.standing().filter(face__in=ids))

    for _ in range(2):
        (line,) = lines([label.face_id])
        assert (line.pk, line.kind, line.evidence, line.at) == (
            label.decision_id,
            Decision.Kind.LABEL,
            label.decision.evidence,
            label.decision.at,
        )
        assert not line._state.adding


def test_values_are_read_as_django_reads_them() -> None:
    """JSON, UUIDs and moments are stored by each database in its own way."""
    eve = a_user("eve")
    answer = Answer.objects.create(
        annotator=eve, client_id="12345678-1234-1234-1234-123456789012", content={"verdict": "skip"}, actions=1
    )
    columns = ("client_id", "content", "at")
    told = Prepared[tuple[object, ...]](lambda who: Answer.objects.filter(annotator=who).values_list(*columns))

    for _ in range(2):
        answer.refresh_from_db()
        assert told(eve.pk) == [tuple(getattr(answer, name) for name in columns)]


def test_a_text_may_be_anything() -> None:
    eve = a_user("o'eve %s")
    named = Prepared[int](lambda name: User.objects.filter(username=name).values_list("pk", flat=True))

    assert named("o'eve %s") == [eve.pk]
    assert named("prepared value 0") == []


def test_one_value_may_stand_in_several_places() -> None:
    face = a_face()
    a_person([face])
    of = Prepared[int](
        lambda face: Face.objects.filter(pk=face, label__in=Label.objects.filter(face=face)).values_list(
            "pk", flat=True
        )
    )

    assert of(face.pk) == [face.pk]
    assert of(face.pk + 1) == []


def test_a_query_that_leaves_a_value_out_is_refused() -> None:
    with pytest.raises(AssertionError, match="does not take all"):
        Prepared[int](lambda one, other: Face.objects.filter(pk=one).values_list("pk", flat=True))(1, 2)


def test_lists_of_any_length_find_what_they_name_and_few_lengths_are_written_down() -> None:
    faces = [a_face() for _ in range(9)]
    some = Prepared[int](lambda ids: Face.objects.filter(pk__in=ids).values_list("pk", flat=True))

    for count in range(1, 10):
        assert sorted(some([face.pk for face in faces[:count]])) == [face.pk for face in faces[:count]]
    for length in range(10, 300):
        assert some([faces[0].pk] * length) == [faces[0].pk]

    assert len(some._written) < 20


def test_however_many_shapes_there_are_it_remembers_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "SHAPES", 3)
    faces = Prepared[int](lambda ids: Face.objects.filter(pk__in=ids).values_list("pk", flat=True))
    face = a_face()

    for length in (1, 2, 3, 4, 6, 8):
        assert faces([face.pk] * length) == [face.pk]

    assert len(faces._written) == 3


def test_moments_and_uuids_are_given_as_the_database_takes_them() -> None:
    eve, now = a_user("eve"), timezone.now()
    answers = [
        Answer.objects.create(annotator=eve, content={}, actions=1, at=now - timedelta(days=days)) for days in range(3)
    ]
    since = Prepared[int](
        lambda who, day: Answer.objects.filter(annotator=who, at__gte=day).values_list("pk", flat=True)
    )
    of_client = Prepared[Answer](lambda client: Answer.objects.filter(client_id=client))

    for _ in range(2):
        assert set(since(eve.pk, now - timedelta(days=1))) == {answers[0].pk, answers[1].pk}
        assert of_client(answers[2].client_id) == [answers[2]]


def test_rows_come_with_those_that_they_name() -> None:
    face = a_face()
    with_photo = Prepared[Face](
        lambda ids: (
            Face.objects.filter(pk__in=ids).select_related("photo__source").defer("landmarks", "photo__metadata")
        )
    )

    for _ in range(2):
        (found,) = with_photo([face.pk])
        with CaptureQueriesContext(connection) as asked:
            assert (found, found.photo.sha256) == (face, face.photo.sha256)
            assert found.photo.source.name == face.photo.source.name
        assert len(asked) == 0
        assert found.landmarks == face.landmarks  # asked for now
