"""The map of the embeddings: who is on it, when it is drawn anew, and who is taken off."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import belt, maps
from annotation.models import Face, MapPoint
from tests.factories import a_cluster, a_face, a_person, a_photo, a_run, a_version, an_embedding

pytestmark = pytest.mark.django_db


def embedded(count: int, version, first: float = 1.0) -> list[Face]:
    faces = [a_face() for _ in range(count)]
    for number, face in enumerate(faces):
        an_embedding(face, version, [first, 0.1 * number, 1 - first, 0.2])
    return faces


def test_every_face_has_its_place_and_its_group():
    live = a_version()
    one, other, alone = embedded(4, live), embedded(4, live, 0.0), embedded(1, live, 0.5)
    cluster = a_cluster(one, a_run(live))
    person = a_person(other, name="Ada")
    assert maps.keep_up()
    drawn = maps.shown()
    assert drawn.faces == [face.pk for face in (*one, *other, *alone)]
    assert all(0 <= value <= 1 for value in (*drawn.x, *drawn.y))
    group = [drawn.groups[number] if number != maps.ALONE else None for number in drawn.group]
    assert [each and each["cluster"] for each in group] == [cluster.pk] * 4 + [None] * 5
    assert [each and each["name"] for each in group[4:]] == ["Ada"] * 4 + [None]
    assert group[4] == {"cluster": None, "identity": person.pk, "name": "Ada", "faces": 4}
    assert drawn.drawn.of == 9


def test_a_new_grouping_colours_the_same_map_anew():
    live = a_version()
    faces = embedded(4, live)
    a_cluster(faces[:2], a_run(live))
    maps.keep_up()
    before = maps.shown()
    a_cluster(faces[2:])
    assert maps.keep_up() is False
    after = maps.shown()
    assert (after.x, after.y) == (before.x, before.y)
    assert (len(before.groups), len(after.groups)) == (1, 2)


def test_it_is_drawn_anew_for_another_model_and_for_a_tenth_more_faces():
    live = a_version()
    embedded(20, live)
    assert maps.keep_up()
    embedded(2, live)
    assert not maps.behind()
    embedded(1, live)
    assert maps.behind()
    assert maps.keep_up()
    live.state = "retired"
    live.save()
    embedded(3, a_version(checksum="ab" * 32))
    assert maps.keep_up()
    assert MapPoint.objects.count() == 3


def test_it_waits_for_photos_and_for_whoever_is_at_it():
    live, now = a_version(), timezone.now()
    assert not maps.due(now)  # nobody is embedded
    embedded(3, live)
    assert maps.due(now)
    photo = a_photo(faces_sought_at=None)
    assert not maps.due(now)
    photo.delete()
    belt.claim("map", timedelta(minutes=1), now)
    assert not maps.due(now)
    assert maps.keep_up(now) is False
    assert maps.keep_up(now + timedelta(minutes=2)) is True


def test_a_face_that_is_erased_takes_its_point_along():
    faces = embedded(4, a_version())
    maps.keep_up()
    gone = faces[0].pk
    faces[0].delete()
    assert gone not in maps.shown().faces
    assert MapPoint.objects.count() == 3


def test_of_many_faces_chance_picks_a_sample(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(maps, "SAMPLE", 10)
    live = a_version()
    embedded(40, live)
    maps.keep_up()
    assert MapPoint.objects.count() == 10
    assert maps.shown().drawn.of == 40
