"""The dashboard's page, its doors, what it calls stuck, and how that is mended."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from annotation import dashboard, ledger, maps, tasks, workers
from annotation.answers import record_answer
from annotation.models import (
    Agreement,
    Answer,
    Certificate,
    Decision,
    Face,
    Intake,
    Photo,
    Release,
    Reliability,
    User,
)
from dager_site import told
from dager_site.stuck import stuck
from inference import registry
from tests.factories import (
    a_certificate,
    a_cluster,
    a_face,
    a_person,
    a_photo,
    a_proposal,
    a_question,
    a_run,
    a_single,
    a_source,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)
from training import tasks as training_tasks
from training.models import Promotion, TrainingRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the workers."""
    names: list[str] = []
    for module, name in ((tasks, "sweep"), (training_tasks, "sweep"), (tasks, "cluster")):
        monkeypatch.setattr(getattr(module, name), "delay", lambda *_, of=f"{module.__name__}.{name}": names.append(of))
    return names


def furnish() -> list[Face]:
    """A bit of everything that is counted."""
    live, network = a_version(), registry.ensure_attributes()
    assert network
    source = a_source("Album")
    faces = [a_face(a_photo(source)) for _ in range(6)]
    for number, face in enumerate(faces):
        an_embedding(face, live, [1, number / 10, 0, 0])
        a_proposal(face, [0.9, 0.1])
    cluster = a_cluster(faces[:4], a_run(live))
    a_person(faces[4:], name="Ada")
    a_question(faces[:3], cluster=cluster)
    answer = {"verdict": "value", "value": "female"}
    record_answer(question_id=a_single(faces[0]).pk, annotator=an_annotator("ann"), client_id=uuid4(), content=answer)
    a_certificate()
    ledger.write([Decision(kind="value", face=faces[1], attribute="gender", value="male", by="import")])
    Agreement.objects.create(attribute="gender", measure="alpha", value=0.912, faces=77)
    return faces


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_an_empty_site_is_told_what_to_do(curator: Client):
    page = text(curator.get("/dashboard/"))
    assert "Nothing is counted yet" in page
    assert "No worker has been heard of" in page


def test_the_page_tells_what_was_counted(curator: Client):
    furnish()
    workers.heard("celery@one", queues=["default"], processes=2, doing=["annotation.tasks.group"])
    dashboard.take()
    page = text(curator.get("/dashboard/"))
    for told_ in (
        '<b>6</b><span>faces</span>', '<b>4</b><span>grouped</span>', "celery@one", "annotation.tasks.group",
        "0.912", "error ≤ 0.0090", "Quality of the faces", "of those usable", "Album",
    ):  # fmt: skip
        assert told_ in page, told_


# What the page is for, and words by which it is told, as a reader finds them in the order of their section.
FOR = {
    "the funnel, with counts and rates": (
        "7 photos | 6 faces | 6 embedded | 4 grouped | 6 proposed | 0 accepted | 4 queued | 4 labelled | 0 released"
        " | Last hour, an hour"
    ),
    "what is stuck, and why": "The faces of 1 photo could not be sought. | does not state its rights. | State them",
    "queue depth by kind, and time to finish": "In a week | Done in | One person? 1 0 0 0 nobody answers | All 2",
    "actions per label against the control slice": "Actions per label | In the control slice | Who they are 4 2 2.000",
    "cost per label": "Cost per label",
    "certificates": "error ≤ 0.0090 n = 400, covers 0.60 | male no certificate",
    "agreement": "Agreement Krippendorff&#x27;s α 0.912 n = 77",
    "reliability": "0.9600 (0.865–0.989), n = 50 | Calibration error 0.0100 | Annotators 1 | Share right (upwards)",
    "class balance by source": "Labels by source | Source Female Male | Album 0 1",
    "age histogram by source": "Real age 1 label | Years Album | 30–34 1",
    "quality: blur, size, gray, pose": "gray 0 | Sharpness | Width | Turned to the side | Turned up or down",
    "the map": "Map of the embeddings | A click opens the face and whose it is.",
    "workers": "Workers | celery@one alive | 1 of 2 annotation.tasks.group | Messages in the queues",
    "disk": "Disk | free of | database",
    "failed tasks with retry": "Failed | Photos 1 Try all again | photo-torn.jpg OSError: torn Try again",
}  # fmt: skip


def test_all_that_the_page_is_for_stands_on_it(curator: Client, settings: Settings):
    settings.HOURLY_RATE = 20.0
    faces = furnish()
    ledger.write([Decision(kind="value", face=faces[2], attribute="real_age", value="31", by="import")])
    Reliability.objects.create(
        annotator=an_annotator(), attribute="gender", confusion=[], votes=4, gold=50, gold_right=48
    )
    a_photo(a_source(licence=""), failure="OSError: torn", file="photo-torn.jpg")
    workers.heard("celery@one", queues=["default"], processes=2, doing=["annotation.tasks.group"])
    dashboard.take()
    page = text(curator.get("/dashboard/"))
    plain = " ".join(re.sub(r"<[^>]*>", " ", page[page.index('id="dashboard"') :]).split())
    for noun, words in FOR.items():
        assert re.search(".*?".join(map(re.escape, words.split(" | "))), plain), f"{noun}: {words}"
    assert 'data-face="/dashboard/map/0"' in page
    assert 'data-person="/people/0/"' in page
    assert 'data-cluster="/clusters/0/"' in page


def test_what_is_shown_takes_as_many_queries_for_many_rows_as_for_a_few(curator: Client):
    furnish()
    dashboard.take()
    curator.get("/dashboard/")
    with CaptureQueriesContext(connection) as few:
        assert curator.get("/dashboard/figures").status_code == 200
    for _ in range(5):
        a_photo(a_source(), failure="OSError")
        a_question(3)
    dashboard.take(now=timezone.now() + timedelta(hours=1))
    with CaptureQueriesContext(connection) as many:
        assert curator.get("/dashboard/figures").status_code == 200
    assert len(many) <= len(few) + 2  # the list of what failed, and that it was shown


def test_figures_are_sent_once_and_again_only_when_they_have_changed(curator: Client):
    furnish()
    dashboard.take()
    first = curator.get("/dashboard/figures")
    assert set(first.json()["sections"]) >= {"stuck", "funnel", "queue", "failures"}
    headers = {"If-None-Match": first["ETag"]}
    assert curator.get("/dashboard/figures", headers=headers).status_code == 304
    with CaptureQueriesContext(connection) as told_:
        curator.get("/dashboard/figures", headers=headers)
    assert len(told_) < 15
    a_photo(failure="OSError: torn")
    changed = curator.get("/dashboard/figures", headers=headers)
    assert changed.status_code == 200
    assert "OSError: torn" in changed.json()["sections"]["failures"]
    again = curator.get("/dashboard/figures", headers={"If-None-Match": changed["ETag"]})
    dashboard.take(now=timezone.now() + timedelta(minutes=1))
    assert again.status_code == 304
    assert curator.get("/dashboard/figures", headers={"If-None-Match": changed["ETag"]}).status_code == 200


def test_sections_have_no_token_of_a_form_and_nothing_that_runs(curator: Client):
    a_photo(a_source("<script>alert(1)</script>"), file="<img src=x onerror=alert(1)>.jpg", failure="<b>OSError</b>")
    furnish()
    dashboard.take()
    sections = "".join(curator.get("/dashboard/figures").json()["sections"].values())
    assert "csrf" not in sections
    assert "<script" not in sections
    assert "<img" not in sections
    assert "<b>OSError" not in sections


def test_the_map_tells_who_is_where_and_is_sent_once(curator: Client):
    assert curator.get("/dashboard/map").json()["faces"] == []
    faces = furnish()
    maps.keep_up()
    answer = curator.get("/dashboard/map")
    told_ = answer.json()
    assert told_["faces"] == [face.pk for face in faces]
    assert [group["name"] for group in told_["groups"]] == ["", "Ada"]
    assert curator.get("/dashboard/map", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    face = faces[0].pk
    chosen = curator.get(f"/dashboard/map/{face}").json()
    assert chosen == {"id": face, "address": f"/faces/{face}/", "crop": f"/faces/{face}/crop"}
    faces[0].delete()
    assert curator.get(f"/dashboard/map/{face}").status_code == 404
    assert face not in curator.get("/dashboard/map", headers={"If-None-Match": answer["ETag"]}).json()["faces"]


# ---- stuck


def all_stuck(**more) -> dict[str, object]:
    last, shown = dashboard.shown()
    parts = {name: part.found for name, part in shown.items()}
    now = more.pop("now", timezone.now())
    at = last.at if last else None
    found = stuck(more.pop("user", None) or a_user(), now, parts=parts, at=at, failed=more, queues={})
    return {each.text: each for each in found}


def test_all_that_is_stuck_is_told_with_what_mends_it(settings: Settings, tmp_path: Path):
    now = timezone.now()
    past = now - timedelta(minutes=1)
    a_version(folder=str(tmp_path / "gone"))
    source = a_source("Scrape", licence="", retention_until="2020-01-01")
    a_photo(source, faces_sought_at=None, claimed_until=past)
    a_face(a_photo(source), claimed_until=past)
    Intake.objects.create(source=source, kind="folder", path="/x", state="running", claimed_until=past)
    run = a_run(state="proposed")
    paused = an_annotator("ann")
    User.objects.filter(pk=paused.pk).update(paused_at=now, paused_because="3 of 9 known were right.")
    a_single(purpose="verdict")
    a_proposal(a_face(a_photo(source)), [0.9, 0.1])
    release = Release.objects.create(
        name="spring", state="done", query={}, checksum="ab", folder="spring", damage="A file is gone.", counts={}
    )
    release.erasures.create(sha256="ab" * 32, faces=[1])
    workers.heard("celery@one", processes=1, now=now - timedelta(minutes=5))
    workers.heard("celery@two", processes=1, now=now)
    dashboard.take(now=now)
    found = all_stuck(now=now, photo=2)
    expected = {
        "The workers celery@one are silent.": "",
        "The bundle of Embedding: test net is gone.": reverse("models"),
        "The faces of 2 photos could not be sought.": "#failures",
        "Claims that expired: photos 1, faces 1, deliveries 1.": "",
        f"Clustering run {run.pk} waits to be applied.": reverse("run", args=[run.pk]),
        "1 question waits for a curator.": reverse("conflicts"),
        "ann is paused.": reverse("engine"),
        "No certificate of gender for female, male: all of it is asked.": reverse("engine"),
        "Scrape does not state its rights.": reverse("source", args=[source.pk]),
        "Scrape should be gone since 2020-01-01.": reverse("source", args=[source.pk]),
        "The release spring is damaged.": reverse("release", args=[release.pk]),
        "The latest release holds what was erased since: it is not handed out.": reverse("release-new"),
    }
    assert {name: each.address for name, each in found.items() if "disk" not in name} == expected
    assert found["Claims that expired: photos 1, faces 1, deliveries 1."].again == "sweep"
    engineer = all_stuck(now=now, user=a_user(role="engineer"))
    assert engineer["1 question waits for a curator."].address == ""


def test_nobody_is_blamed_on_a_site_that_goes_on():
    a_version()
    a_photo(a_source())
    workers.heard("celery@one", processes=2)
    dashboard.take()
    assert [name for name in all_stuck() if "disk" not in name] == []


def test_figures_that_are_old_say_why():
    a_version()
    now = timezone.now()
    dashboard.take(now=now - timedelta(minutes=5))
    workers.heard("celery@one", processes=1, doing=["training.tasks.train"], now=now)
    assert "All worker processes are busy" in all_stuck(now=now)["These figures are not counted anew."].why
    workers.heard("celery@one", processes=1, now=now)
    assert "beat" in all_stuck(now=now)["These figures are not counted anew."].why


# ---- tried again


def test_a_button_tries_one_or_all_of_a_kind_again(
    curator: Client, sent: list[str], django_capture_on_commit_callbacks: Callable[..., object]
):
    one, other, third = (a_photo(failure="OSError") for _ in range(3))
    with django_capture_on_commit_callbacks(execute=True):
        answer = curator.post("/dashboard/again", {"what": f"photo:{one.pk}"}, follow=True)
    assert "1 is tried again." in text(answer)
    assert sent == ["annotation.tasks.sweep", "training.tasks.sweep"]
    assert set(Photo.objects.exclude(failure="")) == {other, third}
    assert "2 are tried again." in text(curator.post("/dashboard/again", {"what": "photo"}, follow=True))
    assert "Nothing of it has failed any more." in text(
        curator.post("/dashboard/again", {"what": f"photo:{one.pk}"}, follow=True)
    )


def test_a_clustering_run_that_failed_is_followed_by_another(
    curator: Client, sent: list[str], django_capture_on_commit_callbacks: Callable[..., object]
):
    a_run(state="failed")
    with django_capture_on_commit_callbacks(execute=True):
        curator.post("/dashboard/again", {"what": "run"})
    assert "annotation.tasks.cluster" in sent


@pytest.mark.parametrize("what", ["", "x", "photo:x", "photo:-1", f"photo:{10**30}", "photo:1:2", "x:1"])
def test_what_there_is_not_is_not_tried(curator: Client, what: str):
    assert curator.post("/dashboard/again", {"what": what}).status_code == 404


def test_each_role_tries_again_what_it_may(client: Client, sent: list[str]):
    may = {
        "curator": {"photo", "face", "intake", "run", "release", "sweep"},
        "engineer": {"run", "release", "sweep", "training", "promotion"},
        "admin": {"photo", "face", "intake", "run", "release", "sweep", "training", "promotion"},
        "annotator": set(),
    }
    for role, kinds in may.items():
        client.force_login(a_user(role=role))
        status = {kind: client.post("/dashboard/again", {"what": kind}).status_code for kind in may["admin"]}
        assert {kind for kind, code in status.items() if code == 302} == kinds, role


def test_trainings_and_promotions_go_on(client: Client, sent: list[str]):
    client.force_login(a_user(role="engineer"))
    run = TrainingRun.objects.create(
        task="gender", preset="quick", config={}, state="failed", error="MemoryError", finished_at=timezone.now()
    )
    version = a_version(task="gender", state="candidate")
    Promotion.objects.create(version=version, state="failed", error="Called off.", forced="the old licence ends")
    page = text(client.get("/dashboard/"))
    assert "MemoryError" in page
    assert reverse("model", args=[version.pk]) in page
    client.post("/dashboard/again", {"what": f"training:{run.pk}"})
    run.refresh_from_db()
    assert run.state == "waiting"
    client.post("/dashboard/again", {"what": "promotion"})
    assert Promotion.objects.filter(version=version).count() == 2
    TrainingRun.objects.create(task="emotion", preset="quick", config={}, state="failed", error="x")
    assert "Nothing of it" not in text(client.post("/dashboard/again", {"what": "training"}, follow=True))


# ---- what labels cost


def test_the_cost_of_a_label_is_told_where_an_hour_has_a_price(curator: Client, settings: Settings):
    annotator = an_annotator()
    for _ in range(4):
        face = a_face()
        Answer.objects.create(question=a_single(face), annotator=annotator, content={}, actions=1, elapsed_ms=9_000)
        person = a_person([a_face()])
        assert person
    Answer.objects.create(question=a_single(), annotator=annotator, content={}, actions=4)  # nobody measured its time
    parts = {"effort": told.figures.effort(), "labels": {"by": {"gender": {"person": 4, "machine": 4, "import": 99}}}}
    assert told.effort(parts)[1]["cost"] is None
    settings.HOURLY_RATE = 20.0
    row = told.effort(parts)[1]
    assert row["of"].labels == 8
    assert row["of"].per_label == 1.0
    assert row["cost"] == pytest.approx(8 * 9 / 3600 * 20 / 8)
    assert row["clean"] is None
    held = a_certificate()
    Certificate.objects.filter(pk=held.pk).update(blind=100, blind_wrong=1)
    Reliability.objects.create(annotator=annotator, attribute="gender", confusion=[], votes=4, gold=50, gold_right=48)
    row = told.effort(parts)[1]
    assert row["clean"][0] == pytest.approx(8 / (4 * 0.96 + 4 * 0.99))


def test_ages_of_many_sources_are_told_in_few_colours():
    values = {f"Album {number}": {"30": 10 - number, "105": 1} for number in range(9)}
    row = told.ages({"labels": {"values": {"real_age": values}}})[0]
    assert len(row["columns"]) == told.SERIES
    assert sum(sum(counts) for _, counts in row["rows"]) == row["all"] == sum(range(2, 11)) + 9
    assert row["rows"][-1][0] == "100+"
