"""Photos, faces and their pictures: filtered, paged, and never served as anything but a picture."""

import re
from datetime import date

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from annotation.access import crop_address, photo_address
from annotation.models import Face, Photo
from annotation.views import photos
from tests.annotation.test_releases import says
from tests.factories import (
    a_cluster,
    a_face,
    a_person,
    a_photo,
    a_picture,
    a_proposal,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def shown(client: Client, name: str, **query: object) -> list[int]:
    return [row.pk for row in client.get(reverse(name), query).context["page"].rows]


def body(response: HttpResponseBase) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


# ---- lists


def test_photos_are_filtered_by_what_is_on_the_list_of_filters(curator: Client) -> None:
    source = a_source()
    plain = a_photo()
    named = a_photo(query="Ada Lovelace", taken_at=date(2001, 5, 1))
    copy = a_photo(source, duplicate_of=plain)
    unsought = a_photo(faces_sought_at=None)
    faced = a_face(named).photo

    assert shown(curator, "photos") == [unsought.pk, copy.pk, named.pk, plain.pk]
    assert shown(curator, "photos", source=source.pk) == [copy.pk]
    assert shown(curator, "photos", query="ada") == [named.pk]
    assert shown(curator, "photos", faces="some") == [faced.pk]
    assert shown(curator, "photos", faces="none") == [copy.pk, plain.pk]
    assert shown(curator, "photos", faces="unsought") == [unsought.pk]
    assert shown(curator, "photos", duplicates="only") == [copy.pk]
    assert shown(curator, "photos", duplicates="without") == [unsought.pk, named.pk, plain.pk]
    assert shown(curator, "photos", taken_from="2001-01-01", taken_to="2001-12-31") == [named.pk]
    assert shown(curator, "photos", taken_from="2002-01-01") == []


def test_faces_of_a_source_are_paged_photo_by_photo_and_none_is_missed(
    curator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "FACES", 2)
    source = a_source()
    taken = [a_photo(source, query="Ada") for _ in range(3)]
    for number in (0, 1, 2):  # found one photo after another, several times
        for photo in taken:
            a_face(photo, number=number, chosen=number == 0)
            a_face(number=number)
    wanted = [face.pk for face in Face.objects.filter(photo__source=source).order_by("-photo_id", "-pk")]
    for filters in ({"source": source.pk}, {"query": "ada"}):
        found, cursor = list[int](), ""
        while cursor is not None:
            page = curator.get(reverse("faces"), {**filters, "cursor": cursor}).context["page"]
            found, cursor = [*found, *(face.pk for face in page.rows)], page.next or None
        assert found == wanted


def test_faces_are_filtered_by_what_is_on_the_list_of_filters(curator: Client) -> None:
    small = a_face(width=20.0, height=90.0)
    gray = a_face(gray=True)
    hopeless = a_face(usable=False)
    other = a_face(gray.photo, number=1, chosen=False)
    known = a_face(a_photo(query="Ada"))
    a_person([known])

    assert shown(curator, "faces", min_size=30) == [known.pk, other.pk, hopeless.pk, gray.pk]
    assert shown(curator, "faces", gray="yes") == [gray.pk]
    assert shown(curator, "faces", usable="no") == [hopeless.pk]
    assert shown(curator, "faces", chosen_face="no") == [other.pk]
    assert shown(curator, "faces", label="identity") == [known.pk]
    assert shown(curator, "faces", label="none") == [other.pk, hopeless.pk, gray.pk, small.pk]
    assert shown(curator, "faces", query="ad") == [known.pk]
    assert shown(curator, "faces", source=small.photo.source_id) == [small.pk]


@pytest.mark.parametrize("query", [{"taken_from": "yesterday"}, {"source": "9999"}, {"faces": "all of them"}])
def test_an_impossible_filter_is_told_and_shows_nothing(curator: Client, query: dict[str, str]) -> None:
    a_photo()

    page = curator.get(reverse("photos"), query)

    assert page.context["page"].rows == []
    assert b'role="alert"' in page.content


def test_a_page_goes_on_where_the_last_one_ended_while_photos_arrive(curator: Client) -> None:
    photos = [a_photo() for _ in range(60)]
    first = curator.get(reverse("photos")).context["page"]
    a_photo()

    second = curator.get(reverse("photos"), {"cursor": first.next}).context["page"]

    assert [row.pk for row in first.rows + second.rows] == [photo.pk for photo in reversed(photos)]
    assert second.next == ""


def test_a_forged_cursor_is_the_first_page(curator: Client) -> None:
    photo = a_photo()

    assert shown(curator, "photos", cursor="WyJwayIsIDFd:forged") == [photo.pk]


@pytest.mark.parametrize("name", ["photos", "faces"])
def test_a_list_takes_as_many_queries_for_many_as_for_one(
    curator: Client, name: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    a_person([a_face() for _ in range(30)])

    with django_assert_max_num_queries(7):
        curator.get(reverse(name))


# ---- one


def test_a_photos_page_shows_boxes_landmarks_metadata_copies_and_duplicates(curator: Client) -> None:
    photo = a_photo(file="holiday.jpg", metadata={"camera": "Box Brownie"})
    face = a_face(photo, x=11.5)
    a_photo(duplicate_of=photo, width=123)
    photo.copies.create(source=photo.source, file="again.jpg")

    page = curator.get(reverse("photo", args=[photo.pk])).content.decode()

    assert f'viewBox="0 0 {photo.width} {photo.height}"' in page
    assert '<rect x="11.5"' in page
    assert page.count("<circle") == len(face.landmarks)
    assert "Box Brownie" in page
    assert "again.jpg" in page
    assert "123 × 300" in page


def test_a_faces_page_tells_its_whole_story(curator: Client) -> None:
    version = a_version()
    face, twin, stranger = a_face(), a_face(), a_face()
    for one, vector in ((face, [1, 0, 0, 0]), (twin, [1, 0.1, 0, 0]), (stranger, [0, 0, 1, 0])):
        an_embedding(one, version, vector)
    cluster = a_cluster([face, twin])
    a_person([face], name="Ada")
    unnamed = a_person([stranger])

    page = curator.get(reverse("face", args=[face.pk]))

    neighbours = [(other.pk, person) for other, _, person in page.context["neighbours"]]
    assert neighbours == [(twin.pk, None), (stranger.pk, f"Person {unnamed.pk}")]
    assert page.context["member"].cluster == cluster
    text = page.content.decode()
    assert "Ada" in text
    assert "Undo the answer" in text
    assert "Score" in text


def test_a_face_without_a_vector_has_no_neighbours(curator: Client) -> None:
    a_version()

    assert curator.get(reverse("face", args=[a_face().pk])).context["neighbours"] == []


# ---- pictures


def test_a_photo_is_served_as_the_picture_that_it_is(curator: Client) -> None:
    photo = a_picture(a_photo())

    response = curator.get(reverse("photo-file", args=[photo.pk]))

    assert body(response).startswith(b"\xff\xd8")
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == f'inline; filename="photo-{photo.pk}.jpg"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "private" in response["Cache-Control"]
    assert "immutable" in response["Cache-Control"]


def test_a_picture_that_the_browser_has_is_not_sent_again(curator: Client) -> None:
    face = a_face()
    a_picture(face.photo)
    first = curator.get(reverse("face-crop", args=[face.pk]))
    body(first)

    again = curator.get(reverse("face-crop", args=[face.pk]), headers={"If-None-Match": first["ETag"]})

    assert again.status_code == 304


def test_markup_that_calls_itself_a_picture_is_never_served_as_markup(curator: Client) -> None:
    photo = a_photo(format="html", file="evil.html")
    default_storage.save(photo.key, ContentFile(b"<script>alert(1)</script>"))

    response = curator.get(reverse("photo-file", args=[photo.pk]))
    body(response)

    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_picture_whose_file_is_gone_is_not_found(curator: Client) -> None:
    assert curator.get(reverse("photo-file", args=[a_photo().pk])).status_code == 404
    assert curator.get(reverse("photo-small", args=[a_photo(size=10**6).pk])).status_code == 404


def test_a_large_photo_is_listed_by_a_small_picture_made_once(curator: Client) -> None:
    photo = a_picture(a_photo(width=1600, height=1200))
    Photo.objects.filter(pk=photo.pk).update(size=2_000_000)

    small = body(curator.get(reverse("photo-small", args=[photo.pk])))

    assert len(small) < default_storage.size(photo.key)
    assert default_storage.exists(f"thumbnails/{photo.sha256[:2]}/{photo.sha256}.jpg")
    assert body(curator.get(reverse("photo-small", args=[photo.pk]))) == small


def test_an_annotator_sees_a_picture_by_the_pass_of_a_question_only(client: Client) -> None:
    annotator, colleague = an_annotator(), an_annotator()
    face, other = a_face(), a_face()
    for one in (face, other):
        a_picture(one.photo)
    client.force_login(annotator)
    mine = crop_address(face.pk, annotator)

    allowed = client.get(mine)
    body(allowed)
    assert allowed.status_code == 200
    allowed = client.get(photo_address(face.photo_id, annotator))
    body(allowed)
    assert allowed.status_code == 200
    assert client.get(mine.replace(f"/{face.pk}/", f"/{other.pk}/")).status_code == 403
    assert client.get(mine.replace("crop", "file").replace("faces", "photos")).status_code == 403
    client.force_login(colleague)
    assert client.get(mine).status_code == 403


def test_a_faces_page_tells_what_is_proposed_and_what_each_source_says(curator: Client) -> None:
    face = a_face()
    a_proposal(face, [0.96, 0.04], evidence={"network": [0.9, 0.1], "neighbours": [0.3, 0.7]})
    page = curator.get(reverse("face", args=[face.pk])).content.decode()
    assert "<b>female</b> 0.96" in page
    assert "network: female 0.90 · neighbours: male 0.70" in page
    assert "not calibrated" in page


def test_the_page_of_a_face_is_of_the_faces_and_of_no_other_section(curator):
    page = curator.get(f"/faces/{a_face().pk}/").content.decode()
    assert set(re.findall(r'<a href="(/\w+/)" aria-current="page"', page)) == {"/faces/"}


def test_the_ledger_of_a_face_reads_like_sentences(curator: Client) -> None:
    face = a_face()
    says(face, "real_age", "33.50", detail={"low": 33, "high": 34})
    a_person([face], "Ada")
    page = curator.get(reverse("face", args=[face.pk])).content.decode()
    told = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "says: this is Ada" in told
    assert "says of this face: real age 33.50" in told
