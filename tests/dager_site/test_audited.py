"""Every door, and the line of the audit log that it leaves: whoever sees, exports, takes along or looks for a face.

The table names each address. A new one fails until somebody has decided what it shows.
"""

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from annotation import access, conflicts, erasure, holds, people
from annotation.models import AuditEvent, Decision, Face, FaceMap, Identity, MapPoint, Photo, User
from tests.annotation.test_releases import released, says, with_picture
from tests.dager_site.test_own_sources import ALL, BY_SOURCE, CLOSED, NOBODY, delivered, of_all
from tests.factories import a_face, a_photo, a_single, a_source, a_user, an_annotator
from training.models import Evaluation

pytestmark = pytest.mark.django_db

SEE, SEARCH, EXPORT, DOWNLOAD, AUDIT = "see", "search", "export", "download", "audit"
# What an answer that tells of a face, a photo or somebody depicted is told as.
LINES: dict[str, str] = {
    # pictures
    **dict.fromkeys(("photo-file", "photo-small", "face-crop"), SEE),
    # pages with pictures, names or what is known of a face
    **dict.fromkeys(("people", "person", "by-likeness", "suggestions", "merge-preview", "clusters", "cluster"), SEE),
    **dict.fromkeys(("photos", "photo", "faces", "face", "acts", "answers", "annotator"), SEE),
    **dict.fromkeys(("conflicts", "conflicts-decided", "conflict", "live", "erasure-ask", "differences"), SEE),
    **dict.fromkeys(("dashboard-map", "dashboard-face"), SEE),
    # rows of the API
    **dict.fromkeys(("photo-list", "photo-detail", "face-list", "face-detail", "label-list", "identity-list"), SEE),
    **dict.fromkeys(("identity-detail", "api-next", "api-answers", "api-feedback-list", "api-feedback-detail"), SEE),
    # taken along, and looked for
    **dict.fromkeys(("labels-csv", "labels-parquet"), EXPORT),
    **dict.fromkeys(("release-download", "api-release-download"), DOWNLOAD),
    **dict.fromkeys(("audit", "audit-export"), AUDIT),
}
# By the question's line: the address is handed out with it, and opens while that person holds the question.
TOLD_BEFORE = {"api-held-crop", "api-held-photo"}
# To send there something is what shows somebody: that has its own test.
BY_SENDING = {
    "by-face": "test_api_predictions", "api-search": "test_api_predictions", "undo": "shows nobody",
    "api-undo": "a question, told as api-next is",
}  # fmt: skip
# What they tell is of nobody: counts, settings, weights, states, photos that are sent and not kept, who works here.
NOBODY_SHOWN = {
    "healthz", "readyz", "favicon", "schema", "api-docs", "api", "metrics", "login", "logout", "password_change",
    "home", "annotate", "bring-back", "practice-picture", "api-practice", "try-it", "predict", "predict-batch",
    "embed", "verify", "tokens", "token-revoke", "settings", "setting-change",
    "api-standing", "api-give-back", "api-bring-back", "api-answer", "api-skip",
    "dashboard", "dashboard-figures", "dashboard-again", "engine", "certificate-revoke", "let-back",
    "annotators", "reassign", "runs", "run", "run-start", "run-apply", "run-discard",
    "sources", "source", "source-new", "source-list", "source-detail", "state-rights", "upload", "api-upload",
    "start-intake", "api-intakes", "refusals", "refusals-csv",
    "rename", "describe", "merge", "merge-with", "split-by-likeness", "faces-act", "faces-ask",
    "suggestions-decide", "decide", "reopen",
    "export", "releases", "release", "release-new", "release-verify", "release-datasheet", "api-release-list",
    "api-release-detail", "api-release-diff", "api-release-preview", "api-release-verify",
    "erasures", "erasure", "erasure-report", "erasure-verify", "erasure-go-on", "erasure-let-back", "holds",
    "hold-place", "hold-lift", "api-erasure-list", "api-erasure-detail", "api-erasure-report", "api-erasure-verify",
    "api-erasure-go-on", "api-erasure-let-back", "api-hold-list", "api-hold-detail", "api-hold-lift",
    "trainings", "training", "training-start", "training-progress", "training-stop", "training-go-on",
    "models", "model", "model-promote", "model-roll-back", "evaluation-picture", "leader-board",
    "api-run-list", "api-run-detail", "api-run-go-on", "api-run-stop", "api-model-list", "api-model-detail",
    "api-model-card", "api-model-promote", "api-model-roll-back", "api-promotion-list", "api-promotion-detail",
    "api-certificate-list", "api-certificate-detail",
}  # fmt: skip
WITH = {  # what has to be said besides
    "api-release-download": "?layout=csv", "api-release-diff": "?against={}", "erasure-ask": "?kind=photo&ids={}",
    "merge-preview": "?people={}", "merge-with": "?other=%23{}", "api-practice": "?kind=pair",
}  # fmt: skip
WORDS = [f"verborgen {word}" for word in ("person", "third", "fourth", "other", "term", "caption")]
WORDS += [f"verborgen-{number}.jpg" for number in range(10)]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    cache.clear()


def whole_site() -> tuple[User, dict[str, int]]:
    """Something of everything, and an admin, by whom some of it was answered."""
    ada = a_user("ada", role="admin")
    ada.is_staff = ada.is_superuser = True
    ada.save()
    known = of_all() | delivered("verborgen")
    face = Face.objects.get(pk=known["face"])
    for key in (face.photo.key, face.crop_key):
        default_storage.save(key, ContentFile(b"a picture"))
    people.rename(identity_id=known["person"], name="verborgen somebody", by=ada)
    conflicts.decide(question_id=known["conflict"], content={"verdict": "value", "value": "happy"}, by=ada)
    a_single(a_face(), attribute="emotion", purpose="verdict")
    FaceMap.objects.update_or_create(pk=1, defaults={"at": timezone.now(), "of": 1})
    MapPoint.objects.create(face=face, x=0.5, y=0.5)
    differ = [{"face": face.pk, "says": "male", "against": "female", "known": "male"}]
    Evaluation.objects.filter(pk=known["evaluation"]).update(differ=differ)
    with_picture(says(a_face(a_photo(a_source("released")))))
    known |= {"release": released().pk, "user": ada.pk, "own": known["release"]}
    gone = erasure.request(kind="photo", ids=[a_photo().pk], reason="request 7", by=ada)
    erasure.carry_out(gone.pk)
    held = holds.place(on=Identity.objects.get(pk=known["person"]), because="case 7", by=ada)
    holds.lift(hold=held, because="over", by=ada)
    return ada, known | {"erasure": gone.pk, "hold": held.pk, "": known["photo"]}


def test_the_table_names_every_address_once():
    tables = (set(LINES), TOLD_BEFORE, set(BY_SENDING), NOBODY_SHOWN)
    assert {name for _, name, _ in ALL} == set().union(*tables)
    assert sum(map(len, tables)) == len(set().union(*tables))


@pytest.mark.once
def test_who_is_told_of_somebody_is_in_the_log_before(client: Client):
    ada, known = whole_site()
    client.force_login(ada)
    wrong, seen = list[str](), set[str]()
    for method, name, address in ALL:
        if method != "get" or name in ("login", "logout"):
            continue
        kind = BY_SOURCE.get(name) or CLOSED.get(name) or ""
        own = known["person"] if name == "merge-preview" else known.get(kind, NOBODY)
        cache.clear()
        before = AuditEvent.objects.count()
        response = client.get((address + WITH.get(name, "")).replace("{}", str(own)))
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        lines = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))[before:]
        if response.status_code == 200:
            seen.add(name)
        expected = [LINES[name]] if name in LINES else []
        if lines != expected:
            wrong.append(f"{name} ({response.status_code}): {lines}, not {expected}")
        told = [word for word in WORDS if word.encode() in content]
        if told and name not in LINES:
            wrong.append(f"{name} tells {told} and leaves no line")
    assert not wrong, "\n".join(wrong)
    assert set(LINES) <= seen


def test_the_admin_s_tables_tell_of_faces_in_the_ledger_alone(client: Client):
    of_faces = {Face, Photo, Identity}
    for model in admin.site._registry:
        leads = {field.related_model for field in model._meta.get_fields() if field.concrete and field.is_relation}
        assert not (leads & of_faces) or model is Decision, model
        assert model not in of_faces
    ada, known = whole_site()
    client.force_login(ada)
    line = Decision.objects.filter(face=known["face"], identity=known["person"]).latest("pk")
    for address in ("", f"{line.pk}/change/"):
        before = AuditEvent.objects.count()
        assert client.get(f"/admin/annotation/decision/{address}").status_code == 200
        told = AuditEvent.objects.order_by("pk")[before]
        assert (told.action, known["face"] in told.details["faces"]) == (SEE, True)
        assert known["person"] in told.details["people"]


def test_a_release_that_a_command_lays_out_was_taken_along(tmp_path):
    with_picture(says(a_face()))
    made = released()
    call_command("release", export=made.name, format="csv", to=str(tmp_path / "out"))
    line = AuditEvent.objects.filter(action=DOWNLOAD).get()
    assert (line.subject, line.details) == (f"release {made.pk}", {"page": "manage.py release", "layout": "csv"})


def test_a_pass_opens_a_picture_until_the_next_day_is_over(monkeypatch: pytest.MonkeyPatch):
    annotator, face, today = an_annotator(), a_face(), access._today()
    address = access.crop_address(face.pk, annotator)
    given = address.partition("?pass=")[2]
    for day, opens in ((0, True), (1, True), (2, False), (-1, False)):
        monkeypatch.setattr(access, "_today", lambda day=day: today + day)
        assert access.may_see(annotator, "face-crop", face.pk, given) is opens
    monkeypatch.undo()
    assert not access.may_see(an_annotator(), "face-crop", face.pk, given)
    assert not access.may_see(annotator, "face-crop", a_face().pk, given)
    annotator.role = "client"  # whoever is asked nothing any more
    assert not access.may_see(annotator, "face-crop", face.pk, given)
