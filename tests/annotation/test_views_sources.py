"""Sources: made, their rights stated, photos taken in from the server, refusals told."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from annotation import dashboard, erasure, figures, reads, tasks
from annotation.models import Copy, Intake, Refusal, Source, User
from tests.factories import a_face, a_person, a_photo, a_source, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of intakes that were sent to the belt."""
    ids: list[int] = []
    monkeypatch.setattr(tasks.take_in, "delay", ids.append)
    return ids


def told(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_a_new_source_leads_to_its_upload_page(curator: Client) -> None:
    response = curator.post(reverse("source-new"), {"name": "Holiday", "licence": "CC0-1.0", "legal_basis": "consent"})

    source = Source.objects.get(name="Holiday")
    assert response.url == reverse("upload", args=[source.pk])
    assert source.rights_stated
    assert source.created_by == Source.objects.get().created_by


@pytest.mark.parametrize(
    ("name", "complaint"), [("", "required"), ("taken", "There is a source named"), ("a/b", "no slash")]
)
def test_a_source_that_cannot_be_made_keeps_what_was_typed(curator: Client, name: str, complaint: str) -> None:
    a_source("taken")

    response = curator.post(reverse("source-new"), {"name": name, "licence": "CC BY 4.0"})

    assert response.status_code == 400
    assert complaint in response.content.decode()
    assert "CC BY 4.0" in response.content.decode()


def test_sources_are_listed_with_what_came_of_each(
    curator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    source, empty = a_source("A", licence=""), a_source("B")
    photo = a_photo(source)
    a_person([a_face(photo), a_face(photo, number=1, chosen=False)])
    photo.copies.create(source=source, file="again.jpg")
    source.refusals.create(file="bad.jpg", code="damaged", reason="Truncated.")

    with django_assert_max_num_queries(9):
        page = curator.get(reverse("sources"))

    counts = {shown.pk: found for shown, found in page.context["sources"]}
    assert (counts[source.pk].photos, counts[source.pk].copies, counts[source.pk].faces) == (1, 1, 2)
    assert (counts[source.pk].refusals, counts[source.pk].labels) == (1, 2)
    assert counts[empty.pk].photos == 0
    assert "not stated" in page.content.decode()


def test_rights_are_stated_afterwards(curator: Client) -> None:
    source = a_source(licence="", legal_basis="")

    curator.post(reverse("state-rights", args=[source.pk]), {"licence": "CC0", "legal_basis": "research"})

    source.refresh_from_db()
    assert source.rights_stated


def test_nobody_erases_a_source_by_a_day_that_is_over(curator: Client) -> None:
    source, today = a_source(), timezone.now().date()
    a_photo(source)
    for day, kept in ((today - timedelta(days=1), None), (today, today)):
        stated = {"licence": "CC0", "legal_basis": "research", "retention_until": day}
        page = curator.post(reverse("state-rights", args=[source.pk]), stated, follow=True).content.decode()
        source.refresh_from_db()
        assert (source.retention_until, "is over. Name today" in page) == (kept, kept is None)
        assert erasure.expire() == []


def test_nor_do_the_admin_and_the_api_take_such_a_day(client: Client) -> None:
    source, over = a_source(), timezone.now().date() - timedelta(days=1)
    User.objects.filter(pk=a_user("boss", role="admin").pk).update(is_staff=True, is_superuser=True)
    client.force_login(User.objects.get(username="boss"))
    stated = {"name": source.name, "licence": "CC0", "legal_basis": "research", "retention_until": over.isoformat()}
    address = reverse("admin:annotation_source_change", args=[source.pk])
    assert "is over. Name today" in client.post(address, stated).content.decode()
    made = client.post("/api/v1/sources", stated | {"name": "another"}, content_type="application/json")
    assert (made.status_code, "is over. Name today" in made.json()["error"]["message"]) == (400, True)
    assert not Source.objects.exclude(retention_until=None).exists()
    Source.objects.update(retention_until=over)  # it came to its end by itself, and a hold keeps it
    assert client.post(address, stated | {"licence": "CC BY"}).status_code == 302


def test_a_folder_below_the_open_ones_is_taken_in(
    curator: Client,
    settings: Settings,
    tmp_path: Path,
    sent: list[int],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.INTAKE_FOLDERS = [tmp_path]
    (tmp_path / "holiday").mkdir()
    source = a_source()

    with django_capture_on_commit_callbacks(execute=True):
        curator.post(reverse("start-intake", args=[source.pk]), {"kind": "folder", "path": str(tmp_path / "holiday")})

    intake = Intake.objects.get()
    assert (intake.kind, intake.path, sent) == ("folder", str(tmp_path / "holiday"), [intake.pk])


@pytest.mark.parametrize("path", ["/etc", "{open}/../secret", "{open}/link", "{open}\0"])
def test_no_page_takes_in_what_lies_outside_the_open_folders(
    curator: Client, settings: Settings, tmp_path: Path, path: str
) -> None:
    for name in ("open", "secret"):
        (tmp_path / name).mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "secret")
    settings.INTAKE_FOLDERS = [tmp_path / "open"]

    response = curator.post(
        reverse("start-intake", args=[a_source().pk]),
        {"kind": "folder", "path": path.format(open=tmp_path / "open")},
    )

    assert not Intake.objects.exists()
    assert told(response)


def test_a_folder_that_is_not_there_is_told(curator: Client, settings: Settings, tmp_path: Path) -> None:
    settings.INTAKE_FOLDERS = [tmp_path]

    response = curator.post(
        reverse("start-intake", args=[a_source().pk]), {"kind": "folder", "path": str(tmp_path / "gone")}
    )

    assert "There is no folder" in told(response)


def test_a_sources_page_shows_how_far_its_intakes_are(curator: Client) -> None:
    source = a_source()
    source.intakes.create(kind="folder", state="running", total=10, taken=3, refused=1)
    source.intakes.create(kind="archive", state="failed", error="The disk is full.")

    page = curator.get(reverse("source", args=[source.pk])).content.decode()

    assert 'value="4" max="10"' in page
    assert "The disk is full." in page


def test_each_refused_file_has_its_line_and_its_reason(curator: Client) -> None:
    source = a_source()
    for number in range(120):
        source.refusals.create(file=f"{number:03}.jpg", code="damaged", reason=f"Reason {number}.")

    page = curator.get(reverse("refusals", args=[source.pk]))
    rest = curator.get(reverse("refusals", args=[source.pk]), {"cursor": page.context["page"].next})

    assert [refusal.file for refusal in page.context["refusals"]][:2] == ["000.jpg", "001.jpg"]
    assert len(page.context["refusals"]) + len(rest.context["refusals"]) == 120


def test_refusals_as_csv_hold_no_formula(curator: Client) -> None:
    source = a_source()
    source.refusals.create(file="=HYPERLINK(1)", code="damaged", reason="Truncated.")

    response = curator.get(reverse("refusals-csv", args=[source.pk]))
    lines = b"".join(response.streaming_content).decode().splitlines()

    assert lines[0] == "file,code,reason,at"
    assert lines[1].startswith("'=HYPERLINK(1),damaged,Truncated.")
    assert response["Content-Disposition"].startswith("attachment")


def test_a_source_with_many_photos_is_counted_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LARGE", 2)
    few, many = a_source(), a_source()
    for source in (few, many, many, many):
        a_face(a_photo(source))
    before = reads.source_counts([few.pk, many.pk])
    dashboard.take()
    for source in (few, many):
        a_face(a_photo(source))

    after = reads.source_counts([few.pk, many.pk])

    assert (before[few.pk].faces, before[many.pk].faces) == (1, 3)
    assert (after[few.pk].faces, after[many.pk].faces) == (2, 3)


def test_what_is_counted_in_the_background_is_what_would_be_counted_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "LARGE", 1)
    few, many = a_source(), a_source()
    faces = [a_face(a_photo(source)) for source in (few, many, many, many)]
    a_person(faces[:3])
    Copy.objects.create(photo=faces[0].photo, source=many, file="again.jpg")
    Refusal.objects.create(source=many, file="torn.jpg", code="torn", reason="It is torn.")
    assert figures.sources() == {str(many.pk): figures.of_sources([many.pk])[many.pk]}
    assert figures.sources()[str(many.pk)] == {"photos": 3, "copies": 1, "refusals": 1, "faces": 3, "labels": 2}
