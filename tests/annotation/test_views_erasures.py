"""Erasures and legal holds by the pages and by REST: looked at first, asked for with a reason, proved."""

import json
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from annotation import erasure, export, holds
from annotation.models import AuditEvent, Erasure, LegalHold, Photo, User
from tests.factories import a_face, a_person, a_photo, a_source, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> User:
    user = a_user("ada", role="admin")
    client.force_login(user)
    return user


def told(response: object) -> str:
    return " ".join(str(message) for message in response.context["messages"])  # type: ignore[attr-defined]


def test_a_person_is_looked_at_first_and_erased_only_with_reason_and_count(client: Client, admin: User):
    berta = a_person(2, "Berta Sorge")
    assert f"/erasures/ask?kind=person&amp;ids={berta.pk}" in client.get(f"/people/{berta.pk}/").content.decode()
    asked = {"kind": "person", "ids": str(berta.pk)}
    page = client.get("/erasures/ask", asked)
    assert page.context["foreseen"].count == 2
    assert "Lines of the ledger" in page.content.decode()
    assert Photo.objects.count() == 2

    for wrong, complaint in (
        ({"reason": "request 7", "confirm": 1}, "It is 2 now"),
        ({"reason": "", "confirm": 2}, "required"),
        ({"reason": "Berta Sorge asks", "confirm": 2}, "names the person"),
    ):
        answer = client.post("/erasures/ask", asked | wrong)
        assert (answer.status_code, complaint in answer.content.decode()) == (400, True)
    assert not Erasure.objects.exists()

    begun = client.post("/erasures/ask", asked | {"reason": "request 7", "confirm": 2, "legal_reference": "Art. 17"})
    made = Erasure.objects.get()
    assert begun["Location"] == f"/erasures/{made.pk}/"
    assert "data-reload" in client.get(f"/erasures/{made.pk}/").content.decode()
    erasure.carry_out(made.pk)
    shown = client.get(f"/erasures/{made.pk}/").content.decode()
    assert "data-reload" not in shown
    assert "0 photos and faces, 0 files" in shown
    assert "Labels of who it is" in shown
    assert "annotation." not in page.content.decode() + shown
    assert "Berta" not in shown + client.get("/erasures/").content.decode()


def test_a_report_is_taken_along_and_verified(client: Client, admin: User):
    asked = erasure.request(kind="photo", ids=[a_photo().pk], reason="x", by=admin)
    assert client.get(f"/erasures/{asked.pk}/report.json").status_code == 404
    erasure.carry_out(asked.pk)
    report = client.get(f"/erasures/{asked.pk}/report.json")
    assert report["Content-Disposition"] == f'attachment; filename="erasure-{asked.pk}.json"'

    for content, answer in (
        (report.content, "Genuine"),
        (report.content.replace(b'"x"', b'"y"'), "Not genuine"),
        (b"[" * 100_000, "no report"),
        (b"\xff", "no report"),
    ):
        file = SimpleUploadedFile("report.json", content)
        assert answer in told(client.post("/erasures/verify", {"report": file}, follow=True))
    assert "no report" in told(client.post("/erasures/verify", follow=True))


def test_nothing_tells_whether_it_was_erased_or_never_was(client: Client, admin: User):
    gone = a_photo().pk
    erasure.carry_out(erasure.request(kind="photo", ids=[gone], reason="x", by=admin).pk)
    said = {
        told(client.get("/erasures/ask", {"kind": "photo", "ids": pk}, follow=True)).replace(str(pk), "")
        for pk in (gone, 10**15)
    }
    assert len(said) == 1
    assert "erased before, or never was" in said.pop()
    client.force_login(a_user())
    for pk in (gone, a_photo().pk):
        assert client.get("/erasures/ask", {"kind": "photo", "ids": pk}).status_code == 403


def test_a_hold_is_placed_stands_in_the_way_and_is_lifted(client: Client, admin: User):
    photo = a_photo()
    assert client.get(f"/holds/?kind=photo&id={photo.pk}").context["form"].initial == {
        "kind": "photo",
        "id": f"{photo.pk}",
    }
    client.post("/holds/place", {"kind": "photo", "id": photo.pk, "because": "case 7"})
    hold = LegalHold.objects.get()
    assert "case 7" in told(client.get("/erasures/ask", {"kind": "photo", "ids": photo.pk}, follow=True))
    assert "There is no photo" in told(
        client.post("/holds/place", {"kind": "photo", "id": 10**12, "because": "x"}, follow=True)
    )
    client.post(f"/holds/{hold.pk}/lift", {"because": ""})
    assert holds.standing().exists()
    client.post(f"/holds/{hold.pk}/lift", {"because": "dismissed"})
    assert not holds.standing().exists()
    assert client.get("/erasures/ask", {"kind": "photo", "ids": photo.pk}).status_code == 200
    assert "lifted by ada" in client.get("/holds/").content.decode()


def test_what_expires_soon_is_told_and_a_hold_in_the_way_is_stuck(client: Client, admin: User):
    today = timezone.now().date()
    soon, over = (a_source(retention_until=today + timedelta(days=days)) for days in (5, -1))
    for source in (soon, over):
        a_photo(source)
    assert "then its photos are erased by schedule" in client.get(f"/sources/{soon.pk}/").content.decode()
    listed = client.get("/erasures/").content.decode()
    assert soon.name in listed
    holds.place(on=over, because="case 7", by=admin)
    assert "A legal hold keeps 1 of them" in client.get(f"/sources/{over.pk}/").content.decode()
    assert "A legal hold keeps 1 photo" in client.get("/dashboard/").content.decode()


def test_a_stopped_one_goes_on_and_its_photos_may_be_let_back(client: Client, admin: User):
    asked = erasure.request(kind="photo", ids=[a_photo().pk], reason="x", by=admin)
    Erasure.objects.filter(pk=asked.pk).update(state="failed", error="the disk is full")
    assert "the disk is full" in client.get(f"/erasures/{asked.pk}/").content.decode()
    assert f"/erasures/{asked.pk}/" in client.get("/dashboard/").content.decode()
    client.post(f"/erasures/{asked.pk}/go-on")
    erasure.carry_out(asked.pk)
    assert "1 photo may come back" in told(client.post(f"/erasures/{asked.pk}/let-back", follow=True))
    assert "is done" in told(client.post(f"/erasures/{asked.pk}/go-on", follow=True))


def test_who_took_labels_along_before_is_told_in_the_report_and_on_the_page_of_exports(client: Client, admin: User):
    berta = a_person(1, "Berta Sorge")
    b"".join(client.get("/export/labels.csv").streaming_content)
    other = a_face()
    made = erasure.carry_out(erasure.request(kind="person", ids=[berta.pk], reason="x", by=admin).pk)
    [taken] = made.report["exports"]
    assert (taken["by"], taken["what"]) == ("ada", "labels-csv")
    assert AuditEvent.objects.get(pk=taken["line"]).action == "export"
    assert "Taken before something was erased" in client.get("/export/").content.decode()
    later = erasure.carry_out(erasure.request(kind="photo", ids=[other.photo_id], reason="x", by=admin).pk)
    assert later.report["exports"] == []
    assert export


# ---- by REST


def post(client: Client, address: str, **body: object) -> tuple[int, dict[str, object]]:
    answer = client.post(f"/api/v1/{address}", json.dumps(body), "application/json")
    return answer.status_code, answer.json()


def test_the_api_counts_first_erases_when_told_to_and_hands_out_the_report(client: Client, admin: User):
    photo = a_photo()
    code, foreseen = post(client, "erasures", kind="photo", ids=[photo.pk])
    assert (code, foreseen["count"], Photo.objects.count()) == (200, 1, 1)
    code, refused = post(client, "erasures", kind="photo", ids=[photo.pk], dry_run=False)
    assert (code, refused["error"]["field"]) == (400, "reason")
    code, made = post(client, "erasures", kind="photo", ids=[photo.pk], dry_run=False, reason="x")
    assert (code, made["state"]) == (202, "waiting")
    address = f"/api/v1/erasures/{made['id']}"
    assert client.get(f"{address}/report").status_code == 404
    erasure.carry_out(made["id"])
    assert client.get(address).json()["state"] == "done"
    signed = client.get(f"{address}/report").json()
    assert post(client, "erasures/verify", **signed) == (200, {"genuine": True})
    assert post(client, "erasures/verify", **(signed | {"report": {}})) == (200, {"genuine": False})
    assert post(client, f"erasures/{made['id']}/go-on")[0] == 400
    assert post(client, f"erasures/{made['id']}/let-back") == (200, {"photos": 1})
    assert [each["id"] for each in client.get("/api/v1/erasures?state=done").json()["results"]] == [made["id"]]


def test_the_api_places_and_lifts_holds(client: Client, admin: User):
    face = a_face()
    berta = a_person([face], "Berta Sorge")
    code, hold = post(client, "holds", kind="person", id=berta.pk, because="case 7")
    assert (code, hold["person"], hold["by"], hold["until"]) == (201, berta.pk, "ada", None)
    code, held = post(client, "erasures", kind="photo", ids=[face.photo_id])
    assert (code, held["error"]["code"]) == (409, "held_back")
    assert post(client, "holds", kind="photo", id=10**12, because="x")[0] == 400
    assert post(client, f"holds/{hold['id']}/lift")[0] == 400
    assert post(client, f"holds/{hold['id']}/lift", because="dismissed")[1]["lifted_by"] == "ada"
    assert client.get("/api/v1/holds?state=standing").json()["results"] == []
