"""What Prometheus reads: times by stage, batches, what was said, the queue, and how far scores have moved."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from annotation import tokens
from annotation.core.drawn import draw_portrait
from annotation.models import User
from dager_site.logs import Lines
from inference import metrics as counted
from inference import predict, registry
from inference.core.attributes import GENDER
from inference.core.said import Sureness, say
from tests.factories import a_face, a_photo, a_user, an_output
from training import drift

pytestmark = pytest.mark.django_db


def read(client: Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value for each in families for sample in each.samples
    }


def of(told: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return sum(value for (each, with_), value in told.items() if each == name and labels.items() <= dict(with_).items())


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(a_user(role=User.Role.ADMIN))
    return client


def test_only_an_admin_reads_them_and_by_token_only_with_the_scope(client: Client):
    owner = a_user(role=User.Role.ADMIN)
    keys = {each: tokens.make(owner=owner, name=each, scopes=[each], days=1)[1] for each in ("admin", "predict")}
    keys["another's"] = tokens.make(owner=a_user(), name="x", scopes=["admin"], days=1)[1]
    told = {each: client.get("/metrics", headers={"Authorization": f"Bearer {key}"}) for each, key in keys.items()}
    assert [answer.status_code for answer in told.values()] == [200, 403, 403]
    assert client.get("/metrics").status_code == 401
    assert told["admin"]["Content-Type"].startswith("text/plain")
    scraped = {"Authorization": f"Bearer {keys['admin']}", "Accept": "text/plain;version=0.0.4"}
    assert client.get("/metrics", headers=scraped).status_code == 200
    refused = client.get("/metrics", headers=scraped | {"Authorization": "Bearer dager_unknown"})
    assert (refused.status_code, b"authentication_failed" in refused.content) == (401, True)


def test_a_prediction_is_timed_by_stage_and_counted_by_what_was_said(admin: Client):
    before = read(admin)
    picture = BytesIO()
    draw_portrait(10368, 1).save(picture, "JPEG")
    for call in ("predict", "embed"):
        photo = SimpleUploadedFile("photo.jpg", picture.getvalue())
        assert admin.post(f"/api/v1/{call}", {"photo": photo}).status_code == 200
    admin.get("/api/v1/faces/999999999")
    after = read(admin)

    def more(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    stages = {"decode": 2, "detect": 2, "landmarks": 2, "embed": 1, "attributes": 3}
    assert {each: more("dager_stage_seconds_count", stage=each) for each in stages} == stages
    assert more("dager_stage_seconds_count", stage="align") >= 2
    assert more("dager_said_total", attribute="gender") == 1
    assert more("dager_batch_faces_sum", network="gender") == 1
    assert more("dager_score_count", attribute="apparent_age") == 1
    assert more("dager_requests_total", route="api/v1/predict", method="POST", status="200") == 1
    assert more("dager_requests_total", status="404") == 1
    assert more("dager_request_seconds_count", route="api/v1/predict") == 1
    assert not [name for name, _ in after if "photo.jpg" in name]


def test_photos_at_which_the_code_failed_are_counted_though_their_request_is_answered(
    admin: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(predict, "look", lambda *_, **__: 1 / 0)
    before = read(admin)
    photos = [SimpleUploadedFile("photo.jpg", b"a photo") for _ in range(2)]

    assert admin.post("/api/v1/predict/batch", {"photos": photos}).status_code == 200

    assert of(read(admin), "dager_failed_photos_total") - of(before, "dager_failed_photos_total") == 2


def test_messages_that_wait_are_told_by_queue(admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(settings, "REDIS", "")
    monkeypatch.setattr(settings, "QUEUE_DIR", tmp_path)
    assert "dager_queue_messages" not in {name for name, _ in read(admin)}
    (tmp_path / "messages").mkdir()
    for name in ("1_a.vision.msg", "2_b.vision.msg", "3_c.train.msg", ".d.part"):
        (tmp_path / "messages" / name).touch()
    told = read(admin)
    assert [of(told, "dager_queue_messages", queue=each) for each in ("default", "vision", "train")] == [0, 2, 1]
    monkeypatch.setattr(settings, "REDIS", "redis://127.0.0.1:9/0")
    assert "dager_queue_messages" not in {name for name, _ in read(admin)}  # nobody knows


def test_drift_is_told_once_enough_was_said_to_clients_and_of_the_corpus(
    admin: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(drift, "FEWEST", 20)
    version = registry.ensure_attributes()["gender"]
    version.checksum = f"{id(admin):064x}"[::-1]  # one that no other test has counted for
    version.save()
    chance, photo = np.random.default_rng(0), a_photo()

    def said(confidence: float) -> None:
        told = say(GENDER, np.array([confidence, 1 - confidence]), sureness=Sureness(False, 0.0), usable=True)
        counted.said(version, "gender", told, usable=True)

    def moved(against: str = "corpus") -> float | None:
        cache.delete(f"scores:{version.pk}")
        told = read(admin)
        found = {dict(labels)["against"]: value for (name, labels), value in told.items() if "psi" in name}
        assert set(found) <= {against}
        assert not found or of(told, "dager_drift_scores", of=against, attribute="gender") == 40
        return found.get(against)

    for number in range(40):
        an_output(
            a_face(photo, number=number, chosen=number == 0), version, [share := chance.uniform(0.6, 1), 1 - share]
        )
    assert moved() is None
    for _ in range(200):
        said(chance.uniform(0.6, 1))
    alike = moved()
    assert alike is not None
    assert alike < 0.25
    for _ in range(2000):
        said(0.55)
    assert moved() > 1
    version.metrics = {"scores": [0, 0, 0, 0, 0, 40, 0, 0, 0, 0]}  # what its bundle says goes before the corpus
    version.save()
    assert moved("validation") > 0.05
    page = admin.get(f"/models/{version.pk}/").content.decode()
    assert "of its validation part" in page
    version.metrics = {"scores": [0, 40, 0, 0, 0, 0, 0, 0, 0, 0]}
    version.save()
    assert moved("validation") > 1
    told = admin.get("/dashboard/").content.decode()
    assert "says other things to clients" in told
    version.metrics = {"scores": ["many"] * 10}  # a bundle of somebody else's
    version.save()
    assert moved() > 1


@pytest.mark.once
def test_several_processes_are_counted_together_where_they_share_a_folder(tmp_path: Path):
    """In processes of their own, as prometheus-client reads the variable when it is imported."""
    count = "import django; django.setup(); from inference import metrics; metrics.batch('gender', 3); "
    tell = (
        "from prometheus_client import CollectorRegistry, generate_latest; "
        "from prometheus_client.multiprocess import MultiProcessCollector; "
        "told = CollectorRegistry(); MultiProcessCollector(told); print(generate_latest(told).decode())"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for code in (count, count + tell):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert 'dager_batch_faces_sum{network="gender"} 6.0' in done.stdout


def test_what_is_refused_is_logged_on_one_line(admin: Client, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        admin.get("/api/v1/faces", {"identity": "x\n2026-11-25 INFO forged\x85line"})
        admin.get("/faces/x\nforged/")
    lines = Lines("{levelname} {name} {message}", style="{")  # what settings.LOGGING writes by
    ours = [lines.format(each) for each in caplog.records if each.name.startswith("dager_site")]
    assert len(ours) >= 2
    assert not [line for line in ours if len(line.splitlines()) != 1]
