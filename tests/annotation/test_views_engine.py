"""The engine's page, and what curators do there."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation import ledger, reads
from annotation.models import (
    Agreement,
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Reliability,
    User,
)
from tests.factories import a_face, a_proposal, a_user, a_version, an_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user())
    return client


def a_certificate() -> Certificate:
    calibration = Calibration.objects.create(
        attribute="gender",
        sources=["network"],
        weights=[1.0],
        bias=[0.0, 0.0],
        answers=180,
        learnt_from=900,
        error=0.0123,
        diagram={"confidence": [0.7, 0.99], "right": [0.72, 0.98], "count": [90, 90]},
        version=a_version(name="a backbone"),
        network=a_version(task="gender", name="gender network 7"),
    )
    held = Certificate.objects.create(
        attribute="gender",
        value="female",
        threshold=0.97,
        target=0.01,
        audited=420,
        wrong=1,
        bound=0.0099,
        coverage=0.8,
        accepted=1,
        calibration=calibration,
    )
    line = Decision(kind="value", face=a_face(), attribute="gender", value="female", by="machine")
    line.evidence = {"certificate": held.pk, "confidence": 0.99, "face": line.face_id}
    ledger.write([line])
    return held


def test_the_page_shows_how_far_machine_and_people_can_be_believed(curator: Client) -> None:
    a_certificate()
    Agreement.objects.create(attribute="gender", measure="alpha", value=0.912, faces=77)
    ann = an_annotator("ann")
    Reliability.objects.create(
        annotator=ann,
        attribute="gender",
        confusion=[[0.96, 0.04], [0.12, 0.88]],
        votes=321,
        gold=20,
        gold_right=19,
        too_fast=4,
        drifted=True,
    )
    page = curator.get(reverse("engine")).content.decode()
    for told in (
        "180 control answers",
        "expected calibration error 0.0123",
        "0.0099",
        "Krippendorff&#x27;s α 0.912",
        "77 faces",
        "0.920",
        "male 0.88, female 0.96",
        "19 of 20",
        "gender network 7",
        "a backbone",
        "drifts",
    ):
        assert told in page, told


def test_a_curator_revokes_a_certificate_and_what_rested_on_it(curator: Client) -> None:
    held = a_certificate()
    assert AttributeLabel.objects.count() == 1
    response = curator.post(reverse("certificate-revoke", args=[held.pk]), follow=True)
    assert "1 label that rested on it" in response.content.decode()
    held.refresh_from_db()
    assert held.state == "revoked"
    assert held.ended_because.startswith("Revoked by")
    assert not AttributeLabel.objects.exists()
    assert curator.post(reverse("certificate-revoke", args=[999])).status_code == 404


def test_a_curator_lets_somebody_back(curator: Client) -> None:
    ann = an_annotator("ann")
    User.objects.filter(pk=ann.pk).update(paused_at=timezone.now(), paused_because="12 of 40 were right.")
    Reliability.objects.create(annotator=ann, attribute="gender", confusion=[[0.6, 0.4], [0.4, 0.6]], votes=40)
    assert "12 of 40 were right." in curator.get(reverse("engine")).content.decode()
    curator.post(reverse("let-back", args=[ann.pk]))
    ann.refresh_from_db()
    assert ann.paused_at is None


def test_annotators_do_not_revoke(client: Client) -> None:
    held = a_certificate()
    client.force_login(an_annotator())
    assert client.post(reverse("certificate-revoke", args=[held.pk])).status_code == 403
    held.refresh_from_db()
    assert held.state == "valid"


def test_the_counts_add_up_to_the_faces_that_are_proposed(curator: Client, settings) -> None:
    held = a_certificate()
    accepted = AttributeLabel.objects.get().face
    imported, open_ = a_face(), a_face()
    ledger.write([Decision(kind="value", face=imported, attribute="gender", value="female", by="import")])
    a_face(duplicate_of=imported)  # has its label from there, and no proposal of its own
    for face in (accepted, imported, open_):
        a_proposal(face, [0.9, 0.1])

    told = reads.standing_of("gender")

    assert (told["proposed"], told["by_people"], told["imported"], told["by_machine"]) == (3, 0, 1, 1)
    assert told["unlabelled"] == 1
    assert [each.holds for each in told["certificates"]] == [1]
    Certificate.objects.filter(pk=held.pk).update(blind=40, blind_wrong=1)
    assert "1 of 40" in curator.get(reverse("engine")).content.decode()


def test_ages_say_why_no_certificate_accepts_them(curator: Client, settings) -> None:
    settings.ASKED = ["gender"]  # of ages it is shown all the same how far they can be believed
    page = curator.get(reverse("engine")).content.decode()
    assert "Nobody is asked for a real age" in page
    assert "No certificate accepts an apparent age" in page


@pytest.mark.parametrize("role", User.Role.values)
def test_each_role_may_do_what_is_its_own(client: Client, role: str) -> None:
    held, ann = a_certificate(), an_annotator("ann")
    client.force_login(a_user(role=role))
    curates = role in ("curator", "admin")
    assert client.get(reverse("engine")).status_code == (403 if role in ("annotator", "client") else 200)
    assert client.post(reverse("certificate-revoke", args=[held.pk])).status_code == (302 if curates else 403)
    assert client.post(reverse("let-back", args=[ann.pk])).status_code == (302 if curates else 403)
    assert client.get(reverse("certificate-revoke", args=[held.pk])).status_code in (403, 405)
