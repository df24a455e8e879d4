"""Clustering runs and the export: what the pages do with the stages behind them."""

import csv
import io

import pyarrow.parquet as pq
import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from annotation import export, tasks
from annotation.models import ClusteringRun
from tests.factories import a_face, a_person, a_photo, a_run, a_source, a_user, a_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer(client: Client) -> Client:
    client.force_login(a_user("erin", role="engineer"))
    return client


def told(response: HttpResponse) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_a_run_is_started_once_at_a_time(
    engineer: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    a_version()
    sent: list[int] = []
    monkeypatch.setattr(tasks.cluster, "delay", sent.append)

    with django_capture_on_commit_callbacks(execute=True):
        engineer.post(reverse("run-start"))
    again = engineer.post(reverse("run-start"))

    run = ClusteringRun.objects.get()
    assert (run.state, sent) == ("running", [run.pk])
    assert "under way" in told(again)


def test_a_run_is_looked_at_before_it_is_applied(engineer: Client) -> None:
    faces = [a_face(), a_face()]
    run = a_run(state="proposed")
    groups = [[faces[0].pk], [faces[1].pk, 10**9]]
    example = {"kind": "split", "groups": groups, "note": "2 faces of one group go to 2 groups"}
    ClusteringRun.objects.filter(pk=run.pk).update(changes={"faces": 2, "faces_moved": 1, "examples": [example]})

    page = engineer.get(reverse("run", args=[run.pk]))

    assert page.context["counts"] == {"faces": 2, "faces_moved": 1}
    assert [[face.pk for face in group] for group in page.context["examples"][0]["groups"]] == [
        [faces[0].pk],
        [faces[1].pk],
    ]
    assert reverse("run-apply", args=[run.pk]) in page.content.decode()


def test_applying_and_discarding_answer_to_the_stage(engineer: Client) -> None:
    applied, discarded = a_run(state="proposed"), a_run(state="proposed")

    engineer.post(reverse("run-apply", args=[applied.pk]))
    engineer.post(reverse("run-discard", args=[discarded.pk]))
    again = engineer.post(reverse("run-apply", args=[discarded.pk]))

    applied.refresh_from_db()
    discarded.refresh_from_db()
    assert (applied.state, discarded.state) == ("applied", "discarded")
    assert "only a proposed run" in told(again)


# ---- export


def test_labels_are_exported_as_csv(engineer: Client) -> None:
    person = a_person(2, name="Ada")

    response = engineer.get(reverse("labels-csv"))
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))

    assert [row["identity_name"] for row in rows] == ["Ada", "Ada"]
    assert rows[0]["identity_id"] == str(person.pk)
    assert rows[0]["decided_by"]
    assert response["Content-Disposition"].startswith('attachment; filename="identity-labels-')


def test_labels_are_exported_as_parquet(engineer: Client) -> None:
    a_person(3, name="Ada")

    response = engineer.get(reverse("labels-parquet"))
    table = pq.read_table(io.BytesIO(b"".join(response.streaming_content)))

    assert table.num_rows == 3
    assert table.column_names == export.SCHEMA.names


@pytest.mark.parametrize("name", ["labels-csv", "labels-parquet"])
def test_nothing_is_exported_whose_rights_are_not_stated(engineer: Client, name: str) -> None:
    source = a_source("Unclear", licence="")
    a_person([a_face(a_photo(source))])

    page = engineer.get(reverse("export")).content.decode()
    response = engineer.get(reverse(name))

    assert "1 withheld" in page
    assert response.url == reverse("export")
    assert "'Unclear' states no licence" in told(response)


def test_one_source_can_be_exported_by_itself(engineer: Client) -> None:
    source = a_source("Mine")
    a_person([a_face(a_photo(source)), a_face()])

    response = engineer.get(reverse("labels-csv"), {"source": source.pk})
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))

    assert [row["source"] for row in rows] == ["Mine"]
