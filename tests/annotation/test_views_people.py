"""People and clusters: looked through, renamed, split, merged, and every act taken back."""

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from annotation.models import Answer, AttributeLabel, Decision, Identity, Label
from tests.factories import a_cluster, a_face, a_pair, a_person, a_photo, a_user, a_version, an_embedding

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

    with django_assert_max_num_queries(8):
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


@pytest.mark.parametrize(("before", "typed"), [("", ""), ("", "  "), ("Ada", "Ada"), ("Ada", " Ada ")])
def test_a_name_as_it_was_writes_nothing_and_says_so(curator: Client, before: str, typed: str) -> None:
    person = a_person(1, name=before)
    written = Decision.objects.count(), Answer.objects.count()

    form = {"name": typed, "next": reverse("person", args=[person.pk])}
    page = curator.post(reverse("rename", args=[person.pk]), form, follow=True)

    assert "Nothing was changed." in page.content.decode()
    assert page.context["person"] == person
    assert (Decision.objects.count(), Answer.objects.count()) == written


def test_an_empty_name_takes_the_name_away(curator: Client) -> None:
    person = a_person(1, name="Ada")

    page = curator.post(reverse("rename", args=[person.pk]), {"name": ""}, follow=True).content.decode()

    assert "The name was taken away." in page
    assert Identity.objects.get(pk=person.pk).name == ""


def test_what_is_sent_twice_is_done_once_so_one_undo_takes_it_back(curator: Client) -> None:
    faces = [a_face(), a_face()]
    person = a_person(faces)
    form = {"act": "not_a_face", "faces": [face.pk for face in faces], "person": person.pk}

    act(curator, **form)
    again = act(curator, **form)

    assert "marked as not a face already. Nothing was changed." in told(again)
    curator.post(reverse("undo", args=[Answer.objects.latest("pk").pk]))
    assert [person_of(face.pk) for face in faces] == [person.pk] * 2


@pytest.mark.parametrize("chosen", ["remove", "split"])
def test_faces_that_left_a_person_leave_them_once(curator: Client, chosen: str) -> None:
    faces = [a_face(), a_face()]
    person = a_person(faces)
    form = {"act": chosen, "faces": [faces[0].pk], "person": person.pk}
    act(curator, **form)
    lines = Decision.objects.count()

    assert "it moved meanwhile" in told(act(curator, **form))
    assert Decision.objects.count() == lines


def test_only_faces_that_were_not_said_to_be_none_before_are_told(curator: Client) -> None:
    one, other = a_face(), a_face()
    act(curator, act="not_a_face", faces=[one.pk])

    assert "1 face: not a face." in told(act(curator, act="not_a_face", faces=[one.pk, other.pk]))
    assert Decision.objects.filter(kind="not_a_face").count() == 2


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

    page = curator.get(reverse("merge-with", args=[one.pk]), {"other": f"#{other.pk}"}, follow=True)

    merging = page.context["merging"]
    assert (merging.total, merging.shared_photos, merging.into) == (3, 1, one)
    assert "in 1 photo together" in page.content.decode()
    assert Identity.objects.filter(merged_into=None).count() == 2


def test_a_merge_can_be_undone_from_the_persons_history(curator: Client) -> None:
    one, other = a_person(1), a_person(2)

    curator.post(reverse("merge"), {"people": [one.pk, other.pk], "into": one.pk})
    page = curator.get(reverse("person", args=[one.pk]))
    assert page.context["total"] == 3
    assert curator.get(reverse("person", args=[other.pk])).url == reverse("person", args=[one.pk])

    merge = next(entry for entry in page.context["acts"] if "merged" in entry.told)
    curator.post(reverse("undo", args=[merge.answer.pk]))
    assert Label.objects.filter(identity=other).count() == 2


def test_a_persons_history_has_the_acts_that_took_a_face_from_them(curator: Client) -> None:
    faces, other = [a_face() for _ in range(4)], a_person(2)
    person = a_person(faces)
    act(curator, act="not_a_face", faces=[faces[0].pk])
    act(curator, act="remove", faces=[faces[1].pk], person=person.pk)
    act(curator, act="move", faces=[faces[2].pk], to=f"#{other.pk}")
    act(curator, act="not_a_face", faces=[faces[2].pk])  # that was the other's by then
    act(curator, act="not_a_face", faces=[faces[1].pk])  # that was nobody's
    act(curator, act="not_a_face", faces=[a_face().pk])

    def history(of: Identity) -> list[str]:
        return [each.told for each in curator.get(reverse("person", args=[of.pk])).context["acts"]]

    taken = [f"said of 1 face: person {other.pk}", f"said of 1 face: not person {person.pk}"]
    assert history(person)[:-1] == [*taken, "said of 1 face: not a face"]
    assert history(other)[:-1] == ["said of 1 face: not a face", taken[0]]


def test_nobody_is_merged_with_themselves(curator: Client) -> None:
    person = a_person(1)

    response = curator.get(reverse("merge-with", args=[person.pk]), {"other": f"#{person.pk}"})

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

    with django_assert_max_num_queries(14):
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


# ---- many at once


def test_any_number_of_people_are_merged_at_once_and_undone_at_once_after_other_acts(curator: Client) -> None:
    people = [a_person(2, name=f"P{number}") for number in range(5)]
    ids = [person.pk for person in people]

    curator.post(reverse("merge"), {"people": ids, "into": ids[2]})
    merge = Answer.objects.get(content__act="merge")
    assert Label.objects.filter(identity=people[2]).count() == 10
    act(curator, act="split", faces=[Label.objects.first().face_id], person=ids[2])
    later = a_person(1)
    curator.post(reverse("merge"), {"people": [ids[2], later.pk], "into": ids[2]})

    curator.post(reverse("undo", args=[merge.pk]))

    counts = [Identity.objects.get(pk=pk).face_count for pk in ids]
    assert sorted(counts) == [1, 2, 2, 2, 3]  # one face was split off since, and one person merged since


def test_the_preview_of_a_merge_of_many_tells_all_that_changes(curator: Client) -> None:
    ada, bob, eve = a_person(3, name="Ada"), a_person(1, name="Bob"), a_person(2, name="Eve")
    a_pair(ada, bob)
    curator.post(f"/people/{ada.pk}/describe", {"attribute": "gender", "value": "female"})
    curator.post(f"/people/{bob.pk}/describe", {"attribute": "gender", "value": "male"})

    page = curator.get(reverse("merge-preview"), {"people": [bob.pk, ada.pk], "other": f"#{eve.pk}"})

    merging = page.context["merging"]
    assert merging.into == ada
    assert merging.names_lost == ["Bob", "Eve"]
    assert merging.values == [("gender", [("female", 3), ("male", 1)])]
    assert (merging.total, merging.questions) == (6, 1)
    assert "3 people become one, with 6 faces" in page.content.decode()
    assert not Decision.objects.filter(kind="merge").exists()


def test_who_was_said_to_differ_is_told_before_a_merge(curator: Client) -> None:
    one, other = a_person(1, name="One"), a_person(1, name="Other")
    curator.post(reverse("decide", args=[a_pair(one, other).pk]), {"said": "different"})

    page = curator.get(reverse("merge-preview"), {"people": [one.pk, other.pk]}).content.decode()

    assert "that One and Other are two people" in page


@pytest.mark.parametrize("people", [[], ["x"], ["999999"]])
def test_a_merge_of_nobody_is_told_and_changes_nothing(curator: Client, people: list[str]) -> None:
    response = curator.post(reverse("merge"), {"people": people})
    assert response.status_code == 302
    assert told(response)
    assert not Decision.objects.filter(kind="merge").exists()


# ---- suggestions


def test_pairs_that_the_machine_suggests_are_merged_many_at_once(curator: Client) -> None:
    pairs = [a_pair(a_person(1), a_person(2)) for _ in range(3)]
    assert len(curator.get(reverse("suggestions")).context["pairs"]) == 3

    page = curator.post(
        reverse("suggestions-decide"), {"said": "same", "pairs": [pairs[0].pk, pairs[1].pk]}, follow=True
    )

    assert "2 pairs merged." in page.content.decode()
    assert Identity.objects.exclude(merged_into=None).count() == 2
    assert page.context["total"] == 1


def test_pairs_said_to_be_two_people_are_suggested_no_more(curator: Client) -> None:
    pair = a_pair(a_person(1), a_person(2))
    curator.post(reverse("suggestions-decide"), {"said": "different", "pairs": [pair.pk]})
    assert curator.get(reverse("suggestions")).context["total"] == 0
    assert "No pair is selected" in told(curator.post(reverse("suggestions-decide"), {"said": "same"}))


def test_a_persons_page_shows_who_may_be_the_same(curator: Client) -> None:
    one, other = a_person(1, name="One"), a_person(1, name="Other")
    a_pair(one, other)
    page = curator.get(reverse("person", args=[one.pk])).content.decode()
    assert "Perhaps the same person" in page
    assert reverse("person", args=[other.pk]) in page


# ---- who falls out


def test_who_is_least_like_the_others_falls_out_below_a_threshold_in_one_act(curator: Client) -> None:
    version = a_version()
    faces = [a_face() for _ in range(7)]
    for face in faces[:5]:
        an_embedding(face, version, [1, 0.1, 0, 0])
    for face in faces[5:]:
        an_embedding(face, version, [0, 0, 1, 0.1])
    person = a_person(faces)

    page = curator.get(reverse("by-likeness", args=[person.pk]), {"below": "0.5"})
    assert page.context["out"] == [face.pk for face in faces[5:]]
    out = ",".join(str(pk) for pk in page.context["out"])
    curator.post(reverse("split-by-likeness", args=[person.pk]), {"act": "split", "faces": out})

    assert person_of(faces[5].pk) == person_of(faces[6].pk) != person.pk
    curator.post(reverse("undo", args=[Answer.objects.latest("pk").pk]))
    assert Label.objects.filter(identity=person).count() == 7


@pytest.mark.parametrize("faces", ["", "1;2", "999999"])
def test_a_list_of_faces_that_is_none_of_the_persons_splits_nothing(curator: Client, faces: str) -> None:
    person = a_person(1)
    response = curator.post(reverse("split-by-likeness", args=[person.pk]), {"act": "split", "faces": faces})
    assert told(response)
    assert Label.objects.filter(identity=person).count() == 1


# ---- history


def test_the_history_has_every_act_and_every_merge_whoever_made_it(curator: Client) -> None:
    one, other = a_person(1, name="One"), a_person(1, name="Other")
    curator.post(reverse("decide", args=[a_pair(one, other).pk]), {"said": "same"})

    acts = curator.get(reverse("acts")).content.decode()
    assert "named “One”" in acts
    merges = curator.get(reverse("acts"), {"only": "merges"})
    (line,) = merges.context["lines"]
    assert (line.identity, line.other_identity) == (other, one)
    curator.post(reverse("undo", args=[line.answer_id]))
    assert "undone by line" in curator.get(reverse("acts"), {"only": "merges"}).content.decode()
    assert not Identity.objects.exclude(merged_into=None).exists()


# ---- roles, and what it costs


def test_an_engineer_looks_and_an_annotator_does_not_even_that(client: Client) -> None:
    person = a_person(1)
    looks = [reverse("suggestions"), reverse("acts")]
    acts = [reverse("by-face"), reverse("by-likeness", args=[person.pk]), reverse("merge-preview")]
    client.force_login(a_user(role="engineer"))
    assert [client.get(each).status_code for each in looks] == [200, 200]
    assert {client.get(each).status_code for each in acts} == {403}
    assert client.post(reverse("by-face")).status_code == 403
    client.force_login(a_user(role="annotator"))
    assert {client.get(each).status_code for each in looks + acts} == {403}
    for name in ("merge", "suggestions-decide"):
        assert client.post(reverse(name)).status_code == 403


@pytest.mark.parametrize(("name", "most"), [("people", 8), ("clusters", 8), ("suggestions", 12), ("acts", 8)])
def test_a_list_takes_as_many_queries_for_many_as_for_one(
    curator: Client, django_assert_max_num_queries: DjangoAssertNumQueries, name: str, most: int
) -> None:
    for _ in range(6):
        a_pair(a_person(2), a_person(3))
        a_cluster([a_face(), a_face()])
    with django_assert_max_num_queries(most):
        curator.get(reverse(name))
