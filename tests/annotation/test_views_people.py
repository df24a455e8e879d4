"""People and clusters: looked through, renamed, split, merged, and every act taken back."""

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from annotation.models import Answer, AttributeLabel, Decision, Identity, Label
from tests.factories import a_cluster, a_face, a_person, a_photo, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def act(client: Client, **form: object) -> HttpResponse:
    return client.post(reverse("faces-act"), form)


def told(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def person_of(face: int) -> int | None:
    return Label.objects.filter(face=face).values_list("identity_id", flat=True).first()


# ---- lists


def test_people_are_listed_with_most_faces_first(curator: Client) -> None:
    few, many = a_person(1, name="Few"), a_person(3, name="Many")

    shown = curator.get(reverse("people")).context["page"].rows

    assert [(person.pk, person.face_count) for person in shown] == [(many.pk, 3), (few.pk, 1)]


def test_people_are_found_by_a_part_of_the_name_or_by_number(curator: Client) -> None:
    ada, bob = a_person(1, name="Ada Lovelace"), a_person(1, name="Bob")

    def found(search: str) -> list[int]:
        return [person.pk for person in curator.get(reverse("people"), {"search": search}).context["page"].rows]

    assert found("love") == [ada.pk]
    assert found(f"#{bob.pk}") == [bob.pk]
    assert found("nobody") == []


@pytest.mark.parametrize("sort", ["faces", "newest", "name"])
def test_every_person_is_on_exactly_one_page_whatever_the_order(curator: Client, sort: str) -> None:
    expected = {a_person(1 + number % 2, name=f"P{number % 5}").pk for number in range(30)}
    seen: list[int] = []
    cursor = ""
    while True:
        page = curator.get(reverse("people"), {"sort": sort, "cursor": cursor}).context["page"]
        seen += [person.pk for person in page.rows]
        if not (cursor := page.next):
            break
    back = curator.get(reverse("people"), {"sort": sort, "cursor": page.previous}).context["page"]

    assert len(seen) == 30
    assert set(seen) == expected
    assert [person.pk for person in back.rows] == seen[: len(back.rows)]


def test_a_list_of_people_takes_as_many_queries_for_many_as_for_one(
    curator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(12):
        a_person(5)

    with django_assert_max_num_queries(7):
        curator.get(reverse("people"))


def test_clusters_that_somebody_checked_or_of_one_face_are_not_listed(curator: Client) -> None:
    faces = [a_face() for _ in range(5)]
    unchecked, checked = a_cluster(faces[:2]), a_cluster(faces[2:4])
    a_cluster(faces[4:])
    a_person(faces[2:4])
    checked.refresh_from_db()

    assert checked.identity is not None
    assert [cluster.pk for cluster in curator.get(reverse("clusters")).context["page"].rows] == [unchecked.pk]


# ---- acts


def test_renaming_is_told_and_can_be_undone(curator: Client) -> None:
    person = a_person(1)

    page = curator.post(reverse("rename", args=[person.pk]), {"name": "Ada"}, follow=True)
    person.refresh_from_db()
    assert person.name == "Ada"
    assert "Named Ada." in page.content.decode()

    latest = Answer.objects.latest("pk")
    assert reverse("undo", args=[latest.pk]) in page.content.decode()
    curator.post(reverse("undo", args=[latest.pk]), {"next": reverse("person", args=[person.pk])})
    person.refresh_from_db()
    assert person.name == ""


def test_a_face_that_is_not_this_person_goes_back_to_the_machine(curator: Client) -> None:
    faces = [a_face(), a_face()]
    person = a_person(faces)

    act(curator, act="remove", faces=[faces[0].pk], person=person.pk)

    assert person_of(faces[0].pk) is None
    assert person_of(faces[1].pk) == person.pk


def test_faces_are_split_off_as_another_person(curator: Client) -> None:
    faces = [a_face(), a_face(), a_face()]
    person = a_person(faces)

    act(curator, act="split", faces=[faces[0].pk, faces[1].pk], person=person.pk)

    assert person_of(faces[0].pk) == person_of(faces[1].pk) != person.pk


@pytest.mark.parametrize("whom", ["#{pk}", "{pk}", "Ada (#{pk})", "ada"])
def test_faces_move_to_somebody_named_or_numbered(curator: Client, whom: str) -> None:
    ada, face = a_person(1, name="Ada"), a_face()

    act(curator, act="move", faces=[face.pk], to=whom.format(pk=ada.pk))

    assert person_of(face.pk) == ada.pk


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({"act": "move", "to": "Zoe"}, "There is nobody named 'Zoe'"),
        ({"act": "move", "to": "Twin"}, "Several people are named 'Twin'"),
        ({"act": "move"}, "Say whom these faces belong to"),
        ({"act": "explode"}, "explode"),
        ({"act": "new", "faces": []}, "No face is selected"),
        ({"act": "new", "faces": ["10000000"]}, "There is no face 10000000"),
        ({"act": "new", "faces": ["1; DROP TABLE"]}, "Faces:"),
    ],
)
def test_an_act_that_makes_no_sense_is_told_and_changes_nothing(
    curator: Client, form: dict[str, object], complaint: str
) -> None:
    a_person(1, name="Twin")
    a_person(1, name="Twin")
    lines = Decision.objects.count()

    response = act(curator, **({"faces": [a_face().pk]} | form))

    assert complaint in told(response)
    assert Decision.objects.count() == lines


def test_the_preview_of_a_merge_shows_counts_and_warns_of_photos_with_both(curator: Client) -> None:
    photo = a_photo()
    one = a_person([a_face(photo), a_face()], name="One")
    other = a_person([a_face(photo, number=1, chosen=False)], name="Other")

    page = curator.get(reverse("merge-preview", args=[one.pk]), {"other": f"#{other.pk}"})

    assert (page.context["total"], page.context["shared_photos"]) == (3, 1)
    assert "in 1 photo together" in page.content.decode()
    assert Identity.objects.filter(merged_into=None).count() == 2


def test_a_merge_can_be_undone_from_the_persons_history(curator: Client) -> None:
    one, other = a_person(1), a_person(2)

    curator.post(reverse("merge", args=[one.pk]), {"other": f"#{other.pk}"})
    page = curator.get(reverse("person", args=[one.pk]))
    assert page.context["total"] == 3
    assert curator.get(reverse("person", args=[other.pk])).url == reverse("person", args=[one.pk])

    merge = next(entry for entry in page.context["acts"] if "merged" in entry.told)
    curator.post(reverse("undo", args=[merge.answer.pk]))
    assert Label.objects.filter(identity=other).count() == 2


def test_nobody_is_merged_with_themselves(curator: Client) -> None:
    person = a_person(1)

    response = curator.get(reverse("merge-preview", args=[person.pk]), {"other": f"#{person.pk}"})

    assert "cannot be merged with themselves" in told(response)


def test_an_annotator_takes_back_their_own_answers_and_nobody_elses(client: Client) -> None:
    person = a_person(1)
    client.force_login(a_user(role="annotator"))

    response = client.post(reverse("undo", args=[Answer.objects.latest("pk").pk]))

    assert "no answer" in told(response)
    assert Label.objects.filter(identity=person).count() == 1


def test_a_persons_page_takes_as_many_queries_for_many_faces_as_for_one(
    curator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    person = a_person(40)

    with django_assert_max_num_queries(10):
        curator.get(reverse("person", args=[person.pk]))


def test_a_face_chosen_on_a_clusters_page_becomes_a_person(curator: Client) -> None:
    faces = [a_face(), a_face()]
    cluster = a_cluster(faces)

    act(curator, act="new", faces=[face.pk for face in faces], next=reverse("cluster", args=[cluster.pk]))

    cluster.refresh_from_db()
    assert cluster.identity_id == person_of(faces[0].pk) == person_of(faces[1].pk)


def test_a_curator_says_a_persons_gender_and_takes_it_back(curator: Client):
    person = a_person(3)

    page = curator.post(f"/people/{person.pk}/describe", {"attribute": "gender", "value": "female"}, follow=True)

    assert "Gender: female." in page.content.decode()
    assert AttributeLabel.objects.filter(attribute="gender", value="female").count() == 3
    face = curator.get(f"/faces/{person.labels.first().face_id}/").content.decode()
    assert "gender female" in face
    act = Answer.objects.latest("pk")
    curator.post(f"/answers/{act.pk}/undo", {"next": "/"})
    assert not AttributeLabel.objects.exists()


def test_a_gender_that_is_none_is_refused_on_the_page(curator: Client):
    person = a_person(1)

    page = curator.post(f"/people/{person.pk}/describe", {"attribute": "gender", "value": "happy"}, follow=True)

    assert "gender cannot be" in page.content.decode()
    assert not AttributeLabel.objects.exists()
