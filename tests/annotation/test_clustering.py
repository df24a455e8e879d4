from uuid import uuid4

import numpy as np
import pytest
from django.db import IntegrityError

from annotation import clustering, people
from annotation.answers import record_answer, undo_answer
from annotation.errors import ClusteringUnderWay, RunNotProposed, RunOutdated
from annotation.models import ClusteringRun, Decision, Face, Label, Membership, Photo, Question
from inference.models import ModelVersion
from tests.factories import (
    a_cluster,
    a_face,
    a_photo,
    a_run,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db
WIDTH = 16


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """A model whose vectors the tests make themselves; it is calibrated like the cold start."""
    monkeypatch.setattr(clustering, "_settings", lambda version: clustering.Settings())
    return a_version(dimensions=WIDTH)


def person(version: ModelVersion, number: int, faces: int, *, spread: float = 0.05, query: str = "") -> list[Face]:
    """So many photos of one person: vectors around one direction."""
    rng = np.random.default_rng(number)
    middle = np.eye(WIDTH)[number]
    source = a_source()
    made = []
    for _ in range(faces):
        face = a_face(a_photo(source, query=query))
        an_embedding(face, version, middle + spread * rng.normal(size=WIDTH))
        made.append(face)
    return made


def cluster_of(face: Face) -> int | None:
    run = clustering.current()
    return Membership.objects.filter(run=run, face=face).values_list("cluster_id", flat=True).first()


def confirm(faces: list[Face]) -> None:
    question = Question.objects.get(state="open", cluster=cluster_of(faces[0]))
    record_answer(
        question_id=question.pk, annotator=an_annotator(), client_id=uuid4(), content={"verdict": "one_person"}
    )


def test_the_first_run_groups_applies_itself_and_asks(version: ModelVersion):
    one, other, alone = person(version, 0, 4), person(version, 1, 3), person(version, 2, 1)

    clustering.keep_up()

    assert len({cluster_of(face) for face in one}) == 1
    assert len({cluster_of(face) for face in one + other + alone}) == 3
    assert {question.shown.count() for question in Question.objects.all()} == {4, 3}


def test_who_a_face_is_gets_asked_though_its_age_is_being_asked(version: ModelVersion):
    faces = person(version, 0, 4)
    for face in faces:
        a_single(face, attribute="apparent_age")

    clustering.keep_up()

    page = Question.objects.get(kind="cluster")
    assert set(page.shown.values_list("face", flat=True)) == {face.pk for face in faces}


def test_keeping_up_twice_changes_nothing(version: ModelVersion):
    person(version, 0, 4)
    clustering.keep_up()
    questions = list(Question.objects.values_list("pk", flat=True))
    clustering.keep_up()
    assert list(Question.objects.values_list("pk", flat=True)) == questions
    assert ClusteringRun.objects.count() == 1


def test_a_new_face_joins_its_person_and_is_asked_about(version: ModelVersion):
    faces = person(version, 0, 4)
    clustering.keep_up()
    confirm(faces)

    newcomer = person(version, 0, 1)[0]
    clustering.keep_up()

    assert cluster_of(newcomer) == cluster_of(faces[0])
    question = Question.objects.get(state="open")
    assert list(question.faces.all()) == [newcomer]
    confirm([newcomer])
    assert Label.objects.get(face=newcomer).identity == Label.objects.get(face=faces[0]).identity


def test_a_face_that_is_not_that_person_goes_elsewhere(version: ModelVersion):
    faces = person(version, 0, 5)
    clustering.keep_up()
    question, who = Question.objects.get(), an_annotator()
    content = {"verdict": "one_person", "marks": {str(faces[0].pk): "other"}}
    said = record_answer(question_id=question.pk, annotator=who, client_id=uuid4(), content=content)
    assert cluster_of(faces[0]) is None

    clustering.keep_up()
    assert cluster_of(faces[0]) not in (None, cluster_of(faces[1]))

    undo_answer(answer_id=said.pk, by=who)
    question.refresh_from_db()
    assert question.state == "open"
    assert question.shown.count() == 5


def test_faces_that_were_split_off_by_mistake_are_back_in_their_cluster(version: ModelVersion):
    faces = person(version, 0, 6)
    twin = a_face(a_photo(a_source()), duplicate_of=faces[0])
    an_embedding(twin, version, np.eye(WIDTH)[0])
    clustering.keep_up()
    confirm(faces)
    who = Label.objects.get(face=faces[0]).identity_id
    act = people.split(identity_id=who, face_ids=[faces[0].pk, faces[1].pk], by=a_user())
    undo_answer(answer_id=act.pk, by=a_user())  # before the machine has looked

    clustering.keep_up()

    assert len({cluster_of(face) for face in [*faces, twin]} - {None}) == 1
    assert set(Membership.objects.filter(face__in=faces[:2]).values_list("belief", flat=True)) == {1.0}
    assert not clustering.behind(version)


def test_a_run_shows_what_it_would_change_and_changes_nothing_yet(version: ModelVersion):
    faces = person(version, 0, 4)
    wrong = a_cluster(faces[:2], a_run(version))
    a_cluster(faces[2:])

    run = clustering.start_run(by=a_user())
    clustering.compute(run)

    assert run.state == "proposed"
    assert run.changes["clusters_merged"] == 1
    assert run.changes["examples"][0]["kind"] == "merged"
    assert cluster_of(faces[0]) == wrong.pk
    clustering.apply_run(run_id=run.pk, by=a_user())
    assert len({cluster_of(face) for face in faces}) == 1
    with pytest.raises(RunNotProposed, match="applied"):
        clustering.discard_run(run_id=run.pk, by=a_user())


def test_a_discarded_run_leaves_no_rows(version: ModelVersion):
    person(version, 0, 4)
    run = clustering.start_run(by=None)
    clustering.compute(run)
    clustering.discard_run(run_id=run.pk, by=None)
    assert not Membership.objects.exists()


def test_no_run_undoes_what_a_person_said(version: ModelVersion):
    """Two people who look alike stay two; one person who looks like two stays one."""
    alike = person(version, 0, 6)
    far = person(version, 1, 2)
    curator = a_user()
    people.assign(face_ids=[face.pk for face in alike[:3]], identity_id=None, by=curator)
    people.assign(face_ids=[face.pk for face in alike[3:] + far], identity_id=None, by=curator)
    before = list(Label.objects.order_by("face").values_list("face", "identity"))

    run = clustering.start_run(by=None)
    clustering.compute(run)
    clustering.apply_run(run_id=run.pk, by=None)

    assert list(Label.objects.order_by("face").values_list("face", "identity")) == before
    assert len({cluster_of(face) for face in alike[:3]}) == 1
    assert len({cluster_of(face) for face in alike[3:] + far}) == 1
    assert cluster_of(alike[0]) != cluster_of(alike[5])


def test_a_run_from_before_a_decision_that_it_contradicts_is_refused(version: ModelVersion):
    faces = person(version, 0, 4)
    run = clustering.start_run(by=None)
    clustering.compute(run)
    for half in (faces[:2], faces[2:]):
        people.assign(face_ids=[face.pk for face in half], identity_id=None, by=a_user())

    with pytest.raises(RunOutdated):
        clustering.apply_run(run_id=run.pk, by=None)
    assert clustering.current() is None


def test_two_faces_of_one_photo_are_two_people(version: ModelVersion):
    faces = person(version, 0, 3)
    second = a_face(faces[0].photo, number=1, chosen=False)
    an_embedding(second, version, np.eye(WIDTH)[0])
    clustering.keep_up()
    assert cluster_of(second) != cluster_of(faces[0])


def test_a_duplicates_face_follows_the_one_that_stands_for_it(version: ModelVersion):
    faces = person(version, 0, 4)
    Face.objects.filter(pk=faces[3].pk).update(duplicate_of=faces[0])
    clustering.keep_up()
    assert cluster_of(faces[3]) == cluster_of(faces[0])
    assert faces[3] not in Question.objects.get().faces.all()


def test_hopeless_faces_are_grouped_but_not_asked_about(version: ModelVersion):
    faces = person(version, 0, 4)
    Face.objects.filter(pk=faces[3].pk).update(usable=False)
    clustering.keep_up()
    assert cluster_of(faces[3]) == cluster_of(faces[0])
    assert Question.objects.get().shown.count() == 3


def test_people_who_look_alike_are_asked_about_once(version: ModelVersion):
    faces = person(version, 0, 6)
    curator = a_user()
    for half in (faces[:3], faces[3:]):
        people.assign(face_ids=[face.pk for face in half], identity_id=None, by=curator)
    clustering.keep_up()
    pair = Question.objects.get(kind="pair")
    record_answer(question_id=pair.pk, annotator=curator, client_id=uuid4(), content={"verdict": "different"})

    clustering.keep_up()

    assert Question.objects.filter(kind="pair").count() == 1
    assert Decision.objects.filter(kind="cannot_link").count() == 1


def test_only_one_run_at_a_time(version: ModelVersion):
    clustering.start_run(by=None)
    with pytest.raises(ClusteringUnderWay):
        clustering.start_run(by=None)


def test_the_database_refuses_a_second_applied_run(version: ModelVersion):
    a_run(version)
    with pytest.raises(IntegrityError):
        a_run(version)


def test_a_run_over_no_faces_proposes_no_people(version: ModelVersion):
    run = clustering.start_run(by=None)
    clustering.compute(run)
    assert run.state == ClusteringRun.State.PROPOSED
    assert not Membership.objects.exists()


def test_a_run_that_fails_says_so_and_frees_the_way(version: ModelVersion, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise MemoryError("too many faces")

    monkeypatch.setattr(clustering, "cluster", broken)
    run = clustering.start_run(by=None)
    with pytest.raises(MemoryError):
        clustering.compute(run)
    assert (run.state, run.error) == ("failed", "MemoryError: too many faces")
    clustering.start_run(by=None)


def test_the_nearest_faces_come_with_their_cosines(version: ModelVersion):
    faces = person(version, 0, 3)
    person(version, 1, 2)
    found = clustering.nearest(faces[0], 2)
    assert {face for face, _ in found} == set(faces[1:])
    assert all(cosine > 0.9 for _, cosine in found)


def test_moves_are_counted_from_the_group_that_goes_on():
    before = {1: 10, 2: 10, 3: 10, 4: 20}
    after = {1: 5, 2: 5, 3: 6, 4: 6, 5: 7}
    changes = clustering.moves(before, after)
    assert (changes["faces_moved"], changes["clusters_split"], changes["clusters_merged"], changes["clusters_new"]) == (
        1,
        1,
        1,
        1,
    )
    assert Photo.objects.count() == 0
