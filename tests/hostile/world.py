"""A site whose every free text is markup that would run, and the addresses of all its pages and calls."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import CharField, JSONField, Model, QuerySet, TextField
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from annotation import audit, live_settings, tokens
from annotation.core import practice
from annotation.models import (
    Answer,
    ClusteringRun,
    Copy,
    Erasure,
    FaceSearch,
    Feedback,
    Intake,
    LegalHold,
    Refusal,
    ReleaseErasure,
    User,
    Worker,
)
from inference.models import ModelVersion
from tests.annotation.test_releases import released, some_labelled, with_picture
from tests.factories import (
    a_certificate,
    a_cluster,
    a_face,
    a_pair,
    a_person,
    a_photo,
    a_proposal,
    a_question,
    a_single,
    a_source,
    a_user,
    an_annotator,
)
from tests.training.test_views import a_training, an_evaluation
from training.models import Promotion, TrainingPlan

APPS = ("annotation", "inference", "training")
# What only code of ours writes, and which pages look up: words of a list, hashes, places of files.
CODES = {
    "User.password", "User.email", "User.first_name", "User.last_name",
    "AccessToken.hashed", "SignInTries.of", "Intake.layout", "Refusal.code", "Photo.sha256", "Photo.format",
    "Question.attribute", "Question.value", "Feedback.attribute", "KeptAnswer.digest", "Vote.attribute", "Vote.value",
    "Decision.attribute", "AttributeLabel.attribute", "Release.folder", "Release.checksum", "ReleaseErasure.sha256",
    "Calibration.attribute", "Proposal.attribute", "Proposal.value", "Certificate.attribute", "Certificate.value",
    "Thought.attribute", "Agreement.attribute", "Reliability.attribute", "Claim.name", "AuditEvent.hash",
    "AuditEvent.action", "Setting.name", "ModelVersion.task", "ModelVersion.folder", "ModelVersion.checksum",
    "TrainingRun.task", "TrainingRun.preset", "TrainingPlan.task", "Face.split", "BenchmarkResult.protocol", "ErasedFile.key", "Tombstone.key", "Erasure.signature", "ModelVersion.release_ids",
}  # fmt: skip
# Of JSON: free text in it, by column. The others hold numbers and words of ours.
FREE_JSON = {
    "Photo.metadata", "Decision.evidence", "Feedback.predicted", "AuditEvent.details", "Setting.value", "Worker.doing",
    "Worker.queues",
}  # fmt: skip


def marked(number: int, key: object, room: int | None) -> str:
    """Markup that breaks out of text and of attributes, and as an address runs; its number says which column it is of."""
    tag = f"\"'><xss{number}x{key}>"
    long = (
        f"javascript:alert({number})//{tag}<img src=x onerror=alert({number})></script><script>alert({number})</script>"
    )
    if room is None or len(long) <= room:
        return long
    return tag if len(tag) <= room else tag[-room:]


def poison() -> dict[int, str]:
    """Every free text of every row. Returns the columns by number."""
    columns: dict[int, str] = {}
    for model in (each for name in APPS for each in apps.get_app_config(name).get_models()):
        for field in model._meta.concrete_fields:
            name = f"{model.__name__}.{field.name}"
            is_text = isinstance(field, CharField | TextField) and not field.choices and name not in CODES
            if not is_text and name not in FREE_JSON:
                continue
            number = len(columns) + 1
            columns[number] = name
            _fill(model, field, number)
    return columns


def _fill(model: type[Model], field: Any, number: int) -> None:
    for row in QuerySet(model).order_by("pk"):
        now = getattr(row, field.attname)
        if not field.blank and now in ("", None) and field.null:
            continue
        if isinstance(field, JSONField):
            text = marked(number, row.pk, None)
            value: Any = {text: text} if isinstance(now, dict) else [text] if isinstance(now, list) else text
        else:
            value = marked(number, row.pk if field.unique else "", field.max_length)
        if field.primary_key:
            continue
        QuerySet(model).filter(pk=row.pk).update(**{field.attname: value})


def build() -> dict[str, Any]:
    """Something of everything, and who looks: an admin. Returns what each address takes."""
    boss = a_user("boss", role=User.Role.ADMIN)
    User.objects.filter(pk=boss.pk).update(is_staff=True, is_superuser=True)
    boss.refresh_from_db()
    source = a_source("s")
    delivery = Intake.objects.create(
        source=source, kind="folder", path="/x", state="failed", error="x", created_by=boss
    )
    photo = a_photo(
        source, query="q", name="n", caption="c", source_url="u", licence="l", metadata={"a": "b"}, intake=delivery
    )
    Copy.objects.create(photo=photo, source=source, file="f")
    Refusal.objects.create(source=source, intake=delivery, file="f", code="damaged", reason="r")
    face = with_picture(a_face(photo, usable=False, unusable_because="x", failure="x"))
    a_photo(source, failure="x")
    others = [with_picture(a_face(a_photo(source, query="q"))) for _ in range(4)]
    person = a_person([face], name="Ada", by=boss)
    other = a_person(others[:2], name="Bo", by=boss)
    a_pair(person, other)
    a_question(others[2:], cluster=a_cluster(others[2:]), reason="x")
    conflict = a_single(face, attribute="emotion", purpose="verdict", reason="x")
    annotator = an_annotator("anna")
    User.objects.filter(pk=annotator.pk).update(paused_at=timezone.now(), paused_because="x")
    Answer.objects.create(question=conflict, annotator=annotator, content={"verdict": "skip", "reason": "x"}, actions=1)
    a_proposal(others[2], [0.9, 0.1])
    certificate = a_certificate()
    some_labelled(2, source)
    release = released("spring")
    ReleaseErasure.objects.create(release=release, sha256=photo.sha256, faces=[face.pk])
    hold = LegalHold.objects.create(source=a_source("held"), because="x", by=boss, lifted_because="x")
    asked = Erasure.objects.create(
        kind="photo", ids=[0], reason="x", legal_reference="x", state="failed", error="x", by=boss
    )
    failed = released("broken", sources=[])  # it has no face left to hold, or has: both are shown
    run = a_training(release, state="failed", error="x", finished_at=timezone.now(), created_by=boss)
    ModelVersion.objects.filter(task="gender").update(state="retired")  # it brings a live one of its own
    evaluation = an_evaluation([face], release)
    Promotion.objects.create(version=evaluation.version, state="failed", error="x", forced="x", created_by=boss)
    TrainingPlan.objects.create(task="emotion", why="labels", error="x", closed_at=timezone.now())
    Feedback.objects.create(
        photo=photo, face=face, attribute="gender", claimed="x", predicted={"a": "b"}, reason="x", by=boss
    )
    FaceSearch.objects.create(by=boss, faces=1, found=[person.pk])
    ClusteringRun.objects.create(version=ModelVersion.objects.first(), state="failed", error="x", created_by=boss)
    tokens.make(owner=boss, name="t", scopes=["curate"], days=3)
    Worker.objects.create(name="w", queues=["default"], doing=["x"])
    live_settings.change("CONTROL_SHARE", 0.05, by=boss, reason="x")
    audit.write("see", by=boss, subject="x", details={"faces": [face.pk]})
    clusters = ClusteringRun.objects.order_by("pk").first()
    assert clusters is not None
    return {
        "boss": boss, "person": person.pk, "cluster": clusters.clusters.first().pk, "photo": photo.pk, "face": face.pk,
        "source": source.pk, "run": clusters.pk, "conflict": conflict.pk, "annotator": annotator.pk,
        "release": release.pk, "failed": failed.pk, "training": run.pk, "model": evaluation.version_id,
        "evaluation": evaluation.pk, "certificate": certificate.pk, "erasure": asked.pk, "hold": hold.pk,
    }  # fmt: skip


def addresses(ids: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, address) of each page and each call that can be looked at, and of Django's admin."""
    yield from _of(get_resolver().url_patterns, "", ids)
    for model, registered in admin.site._registry.items():
        names = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield f"{names}_changelist", reverse(f"{names}_changelist")
        yield f"{names}_add", reverse(f"{names}_add")
        for row in QuerySet(model).order_by("pk")[:3]:
            yield f"{names}_change", reverse(f"{names}_change", args=[row.pk])
            yield f"{names}_history", reverse(f"{names}_history", args=[row.pk])
            yield f"{names}_delete", reverse(f"{names}_delete", args=[row.pk])
        assert registered is not None
    for name in ("index", "password_change", "jsi18n"):
        yield f"admin:{name}", reverse(f"admin:{name}")


KINDS = [
    ("curate/annotators/", "annotator"), ("curate/", "conflict"), ("people/", "person"), ("api/v1/identities", "person"),
    ("clusters/", "cluster"), ("photos/", "photo"), ("api/v1/photos", "photo"), ("faces/", "face"), ("api/v1/faces", "face"),
    ("erasures/", "erasure"), ("api/v1/erasures", "erasure"), ("holds/", "hold"), ("api/v1/holds", "hold"),
    ("dashboard/map", "face"), ("sources/", "source"), ("api/v1/sources", "source"), ("runs/", "run"),
    ("api/v1/runs", "training"), ("releases/", "release"), ("api/v1/releases", "release"), ("trainings/", "training"),
    ("models/judged", "evaluation"), ("models/", "model"), ("api/v1/models", "model"), ("api/v1/certificates", "certificate"),
]  # fmt: skip


def _of(patterns: list[Any], before: str, ids: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in patterns:
        part = str(each.pattern).replace("(?P<pk>[^/.]+)", "<int:pk>").replace("^", "").replace("$", "")
        route = before + part
        if route.startswith("admin/") or "format" in route:
            continue
        if not isinstance(each, URLPattern):
            yield from _of(each.url_patterns, route, ids)
            continue
        kind = next((kind for start, kind in KINDS if route.startswith(start)), "")
        address = re.sub(r"<int:(\w+)>", lambda name: str(ids.get(name[1], ids.get(kind, 1))), route)
        address = address.replace("<slug:layout>", "csv").replace("<slug:name>.png", "confusion.png")
        address = address.replace("<slug:name>", "confusion").replace("<str:name>", min(practice.pictures()))
        assert "<" not in address, address
        yield str(each.name), f"/{address}"


# ---- what a page may not have


class Looked(HTMLParser):
    """Reads a page as a browser does, and keeps what our policy forbids and what a text of ours became."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.text += said.values()
        if "xss" in tag or any("xss" in name for name in said):
            self.wrong.append(f"a text became markup: <{tag} {attrs}>"[:300])
        if tag == "style" or "style" in said:
            self.wrong.append(f"a style of its own: <{tag} {said.get('style', '')}>"[:300])
        if (
            any(name.startswith("on") for name in said)
            or "srcdoc" in said
            or tag in ("base", "object", "embed", "iframe", "applet")
        ):
            self.wrong.append(f"it runs or embeds: <{tag} {attrs}>"[:300])
        if tag == "script" and not said.get("src") and said.get("type") != "application/json":
            self.wrong.append("a script of its own")
        for name in ("href", "src", "action", "formaction", "xlink:href", "data", "poster", "content"):
            target = "".join(each for each in said.get(name, "") if ord(each) > 32).lower()
            if target.startswith(("javascript:", "vbscript:", "data:text", "data:image/svg")):
                self.wrong.append(f"an address that runs: <{tag} {name}={said[name]}>"[:300])
        if tag == "meta" and said.get("http-equiv"):
            self.wrong.append("a page that says headers")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def looked(html: str) -> Looked:
    parser = Looked()
    parser.feed(html)
    parser.close()
    return parser
