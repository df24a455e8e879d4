"""From a folder of photos to exported labels, the whole way."""

import csv
import io
import random
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest

from annotation import clustering, export, intake
from annotation.answers import record_answer
from annotation.core.drawn import draw_sample
from annotation.errors import RightsNotStated
from annotation.models import Copy, Decision, Face, Identity, Label, Photo, Question, Refusal, Source, User
from annotation.queue import take_next
from inference.core.cluster_scores import bcubed
from tests.belt import run_belt
from tests.factories import a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator() -> User:
    return a_user()


def take_in(path: Path, curator: User, **rights: str) -> Source:
    source = intake.create_source(name="journey", by=curator, **rights)
    delivery = intake.start_intake(source=source, kind="manifest", path=str(path), by=curator)
    intake.take_in(delivery.pk)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error) == ("done", "")
    assert delivery.seen == delivery.total
    return source


def answer_everything(curator: User, person_of: dict[str, str]) -> int:
    """Answer as somebody who knows everyone; returns the number of actions."""
    actions = 0
    while questions := take_next(curator):
        question = questions[0]
        content: dict[str, object]
        if question.kind == Question.Kind.PAIR:
            sides = [Label.objects.filter(identity=who).first() for who in (question.identity, question.other_identity)]
            same = len({person_of.get(side.face.photo.file, side.face.pk) for side in sides if side}) == 1
            content = {"verdict": "same" if same else "different"}
        else:
            shown = [member.face for member in question.shown.select_related("face__photo")]
            people = [person_of.get(face.photo.file, f"face {face.pk}") for face in shown]
            of = question.cluster.identity if question.cluster else None
            first = Label.objects.filter(identity=of).select_related("face__photo").first() if of else None
            main = person_of.get(first.face.photo.file) if first else max(people, key=people.count)
            marks = {str(face.pk): "other" for face, who in zip(shown, people, strict=True) if who != main}
            content = {"verdict": "one_person", "marks": marks}
        actions += record_answer(question_id=question.pk, annotator=curator, client_id=uuid4(), content=content).actions
    return actions


def test_drawn_photos_become_exported_labels(tmp_path: Path, curator: User):
    drawn = draw_sample(tmp_path, people=6, photos_each=6)
    source = take_in(tmp_path / "manifest.csv", curator)
    truncated = {photo.file for photo in drawn if photo.fault == "truncated"}
    assert set(Refusal.objects.values_list("file", flat=True)) == truncated
    assert Copy.objects.count() == sum(photo.fault == "copy" for photo in drawn)

    run_belt()

    person_of = {photo.file: str(photo.people[0]) for photo in drawn if len(photo.people) == 1}
    for photo in drawn:
        if photo.fault == "re-encoded":
            copy = Photo.objects.get(file=photo.file)
            original = Photo.objects.get(file=photo.of)
            assert (copy.duplicate_of_id or copy.pk) == (original.duplicate_of_id or original.pk)
    actions = answer_everything(curator, person_of)
    run_belt()
    actions += answer_everything(curator, person_of)

    labelled = Label.objects.filter(verdict="identity").select_related("face__photo")
    known = [label for label in labelled if label.face.photo.file in person_of]
    score = bcubed([label.identity_id for label in known], [int(person_of[label.face.photo.file]) for label in known])
    assert score.precision == pytest.approx(1)
    assert len(known) >= 0.9 * Face.objects.filter(chosen=True, photo__file__in=person_of).count()
    assert actions < len(known)

    with pytest.raises(RightsNotStated, match="journey"):
        export.rows()
    intake.state_rights(source_id=source.pk, licence="CC0-1.0", legal_basis="drawn", retention_until=None, by=curator)
    table = list(csv.DictReader(io.StringIO("".join(export.csv_lines()))))
    assert len(table) == labelled.count()
    assert {row["decided_by"] for row in table} == {curator.username}
    parquet = io.BytesIO()
    assert export.write_parquet(parquet) == len(table)
    parquet.seek(0)
    assert pq.read_table(parquet).column("face_id").to_pylist() == [int(row["face_id"]) for row in table]


@pytest.mark.once
@pytest.mark.realdata
def test_300_real_photos_become_people(shared_data: Path, tmp_path: Path, curator: User):
    rows = list(csv.DictReader((shared_data / "scrape" / "manifest.csv").read_text().splitlines()))
    truth = {
        row["file"]: row for row in csv.DictReader((shared_data / "scrape" / "truth.csv").read_text().splitlines())
    }
    terms = random.Random(1).sample(sorted({row["query"] for row in rows}), 14)
    chosen = [row for row in rows if row["query"] in terms][:300]
    (tmp_path / "photos").symlink_to(shared_data / "scrape" / "photos")
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    source = intake.create_source(name="real", licence="research-only", legal_basis="research", by=curator)
    delivery = intake.start_intake(
        source=source,
        kind="manifest",
        path=str(tmp_path / "manifest.csv"),
        root=str(shared_data / "scrape"),
        by=curator,
    )
    intake.take_in(delivery.pk)
    run_belt()

    truncated = {row["file"] for row in chosen if truth[row["file"]]["fault"] == "truncated"}
    assert set(Refusal.objects.values_list("file", flat=True)) == truncated
    assert not Face.objects.filter(
        photo__file__in=[file for file in truth if truth[file]["fault"] == "no-face"]
    ).exists()
    person_of = {file: row["identity"] for file, row in truth.items() if row["identity"]}
    answer_everything(curator, person_of)
    labels = Label.objects.filter(verdict="identity", face__chosen=True, face__photo__file__in=person_of)
    pairs = labels.values_list("identity_id", "face__photo__file")
    score = bcubed([identity for identity, _ in pairs], [int(person_of[file]) for _, file in pairs])
    assert score.precision >= 0.99
    assert len(pairs) >= 0.9 * Photo.objects.filter(file__in=person_of).count()


@pytest.mark.once
def test_new_photos_join_without_moving_anyone(tmp_path: Path, curator: User):
    drawn = draw_sample(tmp_path, people=5, photos_each=6)
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    (tmp_path / "first.csv").write_text("\n".join(lines[:24]) + "\n")
    source = take_in(tmp_path / "first.csv", curator)
    run_belt()
    run, before = clustering.current(), clustering.clusters_of(clustering.current())

    rest = intake.start_intake(source=source, kind="manifest", path=str(tmp_path / "manifest.csv"), by=curator)
    intake.take_in(rest.pk)
    run_belt()

    assert clustering.current() == run
    after = clustering.clusters_of(run)
    assert len(after) == Face.objects.count() > len(before)
    assert all(after[face] == cluster for face, cluster in before.items())
    assert rest.photos.count() == len(drawn) - 23 - Copy.objects.count() - Refusal.objects.count()
    assert not Identity.objects.exists()
    assert not Decision.objects.exists()
