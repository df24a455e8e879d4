"""Everybody's mean vector follows every decision, and need not be made anew by each process."""

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation import gallery, people
from inference import registry
from tests.factories import a_face, a_person, a_user, a_version, an_embedding

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_held", None)


def test_means_follow_every_decision():
    version = a_version()
    one, other = [a_face() for _ in range(2)], [a_face() for _ in range(2)]
    for face in one:
        an_embedding(face, version, [1, 0, 0, 0])
    for face in other:
        an_embedding(face, version, [0, 1, 0, 0])
    first, second = a_person(one), a_person(other)
    query = np.array([[1, 0, 0, 0]], np.float32)

    def best() -> tuple[int, float]:
        found = gallery.recognise(query, 8)[0].candidates[0]
        return found.identity, found.cosine

    assert best() == (first.pk, pytest.approx(1.0, abs=1e-3))
    act = people.merge(identity_ids=[first.pk], into_id=second.pk, by=a_user())
    assert best() == (second.pk, pytest.approx(0.707, abs=1e-3))
    assert len(gallery.recognise(query, 8)[0].candidates) == 1
    people.split(identity_id=second.pk, face_ids=[one[0].pk], by=act.annotator)
    assert best()[1] == pytest.approx(1.0, abs=1e-3)


def test_nobody_is_found_where_nobody_is_known():
    a_version()
    (found,) = gallery.recognise(np.ones((1, 4), np.float32), 8)
    assert (found.candidates, found.nobody) == ([], 1.0)


def test_who_begins_reads_what_a_worker_kept_and_what_was_decided_since(monkeypatch: pytest.MonkeyPatch):
    live = registry.ensure_live()
    for number in (0, 1):
        an_embedding(face := a_face(), live, np.eye(live.dimensions)[number])
        a_person([face], f"Person {number}")
    gallery.keep_up()
    kept = gallery._held
    monkeypatch.setattr(gallery, "_held", None)
    an_embedding(face := a_face(), live, np.eye(live.dimensions)[2])
    later = a_person([face], "Person 2")
    read = list[object]()
    means = gallery._means
    monkeypatch.setattr(gallery, "_means", lambda *asked: read.append(asked[2:]) or means(*asked))

    now = gallery.current()

    assert kept is not None
    assert set(now.people) == {*kept.people, later.pk}
    assert read == [({later.pk},)]  # nobody else's vectors


def test_a_damaged_file_of_means_is_made_anew():
    live = registry.ensure_live()
    an_embedding(face := a_face(), live, np.eye(live.dimensions)[0])
    person = a_person([face])
    default_storage.save(gallery._key(live), ContentFile(b"PK nothing"))
    assert list(gallery.current().people) == [person.pk]
    gallery.keep_up()
    assert gallery._read(live) is not None
