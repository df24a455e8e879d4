"""What the dashboard counts, and that it counts all of it."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings

from annotation import figures, ledger, stretches, votes
from annotation.answers import record_answer
from annotation.models import Answer, Decision, Face, Question, Release
from tests.factories import (
    a_cluster,
    a_face,
    a_person,
    a_photo,
    a_proposal,
    a_question,
    a_run,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db


def says(face: Face, attribute: str, value: str, by: str = "import") -> None:
    ledger.write([Decision(kind="value", face=face, attribute=attribute, value=value, by=by)])


def test_the_funnel_counts_every_step():
    live = a_version()
    faces = [a_face() for _ in range(4)]
    a_photo(faces_sought_at=None)
    a_photo(failure="OSError: gone")
    for face in faces[:3]:
        an_embedding(face, live, [1, 0, 0, 0])
    a_cluster(faces[:2], a_run(live))
    a_proposal(faces[0], [0.9, 0.1])
    says(faces[0], "gender", "female")
    a_person([faces[1]])
    Release.objects.create(name="spring", state="done", query={}, checksum="ab", folder="spring", counts={"faces": 7})
    found = figures.funnel()
    expected = {
        "photos": 6, "looked_at": 5, "photos_failed": 1, "faces": 4, "faces_failed": 0, "embedded": 3, "grouped": 2,
        "proposed": 1, "proposed.gender": 1, "proposed.emotion": 0, "labelled.gender": 1, "labels": 1, "labelled": 2,
        "released": 7, "releases": 1, "not_a_face": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


def test_the_queue_is_told_by_kind_with_what_was_settled_lately():
    now = timezone.now()
    a_question(3)
    a_single()
    for ago in (timedelta(minutes=5), timedelta(hours=5), timedelta(days=3), timedelta(days=30)):
        a_single(state="settled", settled_at=now - ago)
    a_single(purpose="verdict", leased_to=a_user(), leased_until=now + timedelta(minutes=1))
    found = figures.queue(now)
    assert found["open"] == {"cluster": 1, "value": 2}
    assert [found["settled"][span].get("value") for span in ("hour", "day", "week")] == [1, 2, 3]
    assert found["faces"] == {"identity": 3, "gender": 2}
    assert (found["held"], found["verdicts"], found["old"]) == (1, 1, False)
    Question.objects.filter(state="open").update(created_at=now - timedelta(days=2))
    assert figures.queue(now)["old"] is True


def test_all_actions_count_whatever_became_of_them():
    annotator, said = an_annotator(), {"verdict": "value", "value": "female"}
    for elapsed in (900, 1_100, 10**6):
        record_answer(
            question_id=a_single().pk, annotator=annotator, client_id=uuid4(), content=said, elapsed_ms=elapsed
        )
    Answer.objects.filter(elapsed_ms=900).update(undone_at=timezone.now())
    Answer.objects.create(annotator=annotator, content={"act": "rename"}, actions=2)
    found = figures.effort()
    assert found["gender"] == {"actions": 3, "ms": 900 + 1_100 + figures.AT_MOST, "timed": 3}
    assert found["identity"] == {"actions": 2, "ms": 0, "timed": 0}


@pytest.mark.parametrize(("share", "labels"), [(1.0, 2), (0.0, 0)])
def test_the_control_slice_is_told_by_its_faces_whatever_its_questions_have_become(
    settings: Settings, share: float, labels: int
):
    settings.CONTROL_SHARE = share
    for purpose, state in (("control", "settled"), ("again", "settled"), ("verdict", "open")):
        question = a_single(purpose=purpose, state=state, settled_at=timezone.now() if state == "settled" else None)
        for number in range(2):
            Answer.objects.create(question=question, annotator=an_annotator(), content={}, actions=number + 1)
    found = figures.effort()["gender"]
    settings.CONTROL_SHARE = 0.5
    drawn = votes.in_control(Face.objects.filter(questions__state="settled").values_list("pk", flat=True))
    assert figures.effort()["gender"]["control_labels"] == len(drawn)
    assert (found["control_labels"], found["control_actions"]) == (labels, 3 * labels)


def test_labels_are_counted_by_value_source_and_who_gave_them_in_however_many_stretches(
    monkeypatch: pytest.MonkeyPatch,
):
    one, other = a_source("Album"), a_source("Scrape")
    for source, value in ((one, "female"), (one, "female"), (one, "male"), (other, "male"), (other, "cannot_tell")):
        says(a_face(a_photo(source)), "gender", value)
    for years in ("3.50", "4.99", "5", "104"):
        says(a_face(a_photo(one)), "real_age", years, by="machine")
    a_person(3)
    expected = {
        "by": {"gender": {"import": 5}, "real_age": {"machine": 4}, "identity": {"person": 3}},
        "values": {
            "gender": {"Album": {"female": 2, "male": 1}, "Scrape": {"male": 1, "cannot_tell": 1}},
            "real_age": {"Album": {"0": 2, "5": 1, "100": 1}},
        },
    }
    assert figures.labels() == expected
    monkeypatch.setattr(stretches.stretches, "__defaults__", (2,))
    assert figures.labels() == expected


def test_sources_beyond_the_largest_are_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(figures, "SOURCES", 1)
    for name, count in (("A", 3), ("B", 1), ("C", 2)):
        for _ in range(count):
            says(a_face(a_photo(a_source(f"{name}{count}{_}") if name != "A" else _album())), "gender", "male")
    assert figures.labels()["values"]["gender"] == {"A": {"male": 3}, "": {"male": 3}}


def _album():
    return figures.Source.objects.filter(name="A").first() or a_source("A")


def test_quality_puts_each_face_in_one_bar_of_each_histogram():
    a_face(sharpness=5.0, width=19.0, gray=True, usable=False, unusable_because="too small: 19 px, at least 20 needed")
    a_face(sharpness=6.0, width=20.0, yaw=-45.0, brightness=0.99)
    a_face(sharpness=10_000.0, width=5_000.0, yaw=49.0, pitch=-61.0, duplicate_of=Face.objects.first())
    found = figures.quality()
    for name, (_column, edges) in figures.EDGES.items():
        assert sum(found[f"{name}.{number}"] for number in range(len(edges) + 1)) == found["faces"] == 3
    assert [found[f"sharpness.{number}"] for number in (0, 1, 8)] == [1, 1, 1]
    assert [found[f"yaw.{number}"] for number in (0, 4)] == [1, 2]
    assert (found["gray"], found["usable"], found["duplicates"], found["because.too small"]) == (1, 2, 1, 1)


def test_files_are_counted_once_wherever_releases_are_kept(settings: Settings, tmp_path: Path):
    settings.MEDIA_ROOT, settings.DATA_DIR = tmp_path / "files", tmp_path
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "files/releases", tmp_path / "models"
    settings.QUEUE_DIR = tmp_path / "queue"
    for name, content in (("files/photos/a/b.jpg", 100), ("files/releases/one/x", 30), ("models/m", 7)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x" * content)
    assert figures.files() == {"photos": 100, "releases": 30, "models": 7, "queue": 0, "logs": 0}
    assert figures.database_bytes() > 0
    assert figures.disks()[0]["free"] > 0
