"""Who sees some sources only: each page and each call of the API, with what is theirs, what is not, what is nothing.

The table says of each whether it starts from its reader's sources or is closed to them. What is not theirs is told as
what does not exist; and all that they are told is what they were told before it came.
"""

import re
from collections.abc import Hashable, Iterator
from difflib import unified_diff
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, get_resolver

from annotation import accounts, gallery, people
from annotation.answers import record_answer
from annotation.models import Answer, Copy, Decision, Feedback, ModelVersion, Release, Source, User
from inference import registry
from tests.dager_site.test_access import calls
from tests.factories import (
    a_certificate,
    a_cluster,
    a_face,
    a_pair,
    a_person,
    a_photo,
    a_question,
    a_single,
    a_source,
    a_user,
    an_annotator,
    an_embedding,
)
from tests.matrix import tried
from training.models import Evaluation, Promotion, TrainingRun

pytestmark = pytest.mark.django_db

NOBODY = 10**9  # an id that nothing has
ROLES = ("client", "annotator", "curator", "engineer")

# What each address is about: a kind of thing that comes from a source, or "" where it names none.
BY_SOURCE: dict[str, str] = {
    # nothing of the corpus
    **dict.fromkeys(("healthz", "readyz", "favicon", "schema", "api-docs", "login", "logout", "password_change"), ""),
    **dict.fromkeys(("api", "predict", "predict-batch", "embed", "verify", "try-it", "tokens", "practice-picture"), ""),
    **dict.fromkeys(("token-revoke", "api-practice", "api-give-back", "api-bring-back", "bring-back"), ""),
    # lists, and what is made of them
    **dict.fromkeys(("home", "annotate", "answers", "people", "suggestions", "by-face", "acts", "clusters"), ""),
    **dict.fromkeys(("photos", "faces", "sources", "conflicts", "conflicts-decided", "live", "export"), ""),
    **dict.fromkeys(("labels-csv", "labels-parquet", "merge-preview", "merge", "faces-act", "faces-ask"), ""),
    **dict.fromkeys(("suggestions-decide", "api-standing", "api-next", "api-answers", "api-search"), ""),
    **dict.fromkeys(("source-list", "photo-list", "face-list", "identity-list", "label-list"), ""),
    "api-feedback-list": "",
    # one of them
    **dict.fromkeys(("photo", "photo-file", "photo-small", "photo-detail"), "photo"),
    **dict.fromkeys(("face", "face-crop", "face-detail"), "face"),
    **dict.fromkeys(("person", "rename", "describe", "merge-with", "by-likeness"), "person"),
    **dict.fromkeys(("split-by-likeness", "identity-detail"), "person"),
    "cluster": "cluster",
    **dict.fromkeys(("source", "upload", "refusals", "refusals-csv", "state-rights", "start-intake"), "source"),
    **dict.fromkeys(("source-detail", "api-upload", "api-intakes"), "source"),
    **dict.fromkeys(("conflict", "decide", "reopen"), "conflict"),
    **dict.fromkeys(("api-answer", "api-skip", "api-held-crop", "api-held-photo"), "single"),
    **dict.fromkeys(("undo", "api-undo"), "act"),
    "api-feedback-detail": "feedback",
}
# About all sources at once, or about people at work on all of them.
CLOSED: dict[str, str] = {
    **dict.fromkeys(("dashboard", "dashboard-figures", "dashboard-map", "dashboard-again", "metrics"), ""),
    "dashboard-face": "face",
    **dict.fromkeys(("engine", "runs", "run-start", "annotators", "source-new", "settings", "setting-change"), ""),
    **dict.fromkeys(("audit", "audit-export"), ""),
    **dict.fromkeys(("erasures", "erasure-ask", "erasure-verify", "holds", "hold-place"), ""),
    **dict.fromkeys(("erasure", "erasure-report", "erasure-go-on", "erasure-let-back"), "erasure"),
    **dict.fromkeys(("api-erasure-list", "api-erasure-verify", "api-hold-list"), ""),
    **dict.fromkeys(("api-erasure-detail", "api-erasure-report", "api-erasure-go-on"), "erasure"),
    "api-erasure-let-back": "erasure",
    **dict.fromkeys(("hold-lift", "api-hold-detail", "api-hold-lift"), "hold"),
    **dict.fromkeys(("run", "run-apply", "run-discard"), "run"),
    "certificate-revoke": "certificate",
    **dict.fromkeys(("annotator", "reassign", "let-back"), "user"),
    **dict.fromkeys(("releases", "release-new", "api-release-list", "api-release-preview"), ""),
    **dict.fromkeys(("release", "release-verify", "release-datasheet", "release-download"), "release"),
    **dict.fromkeys(
        ("api-release-detail", "api-release-diff", "api-release-download", "api-release-verify"), "release"
    ),
    **dict.fromkeys(("trainings", "training-start", "models", "leader-board", "api-run-list", "api-model-list"), ""),
    **dict.fromkeys(("api-promotion-list", "api-certificate-list"), ""),
    **dict.fromkeys(("training", "training-progress", "training-stop", "training-go-on"), "training"),
    **dict.fromkeys(("api-run-detail", "api-run-go-on", "api-run-stop"), "training"),
    **dict.fromkeys(("model", "model-promote", "model-roll-back"), "model"),
    **dict.fromkeys(("api-model-detail", "api-model-card", "api-model-promote", "api-model-roll-back"), "model"),
    **dict.fromkeys(("evaluation-picture", "differences"), "evaluation"),
    "api-promotion-detail": "promotion",
    "api-certificate-detail": "certificate",
}
# One call of an address is open, the other closed: they make no source, and send nothing to the one of feedback.
CLOSED_CALLS = {("post", "source-list"), ("post", "api-feedback-list")}
TAKES_NO_SUCH_CALL = set[tuple[str, str]]()  # of nobody: known once one role has asked
NO_FILES = {"photo-file", "photo-small", "face-crop"}  # there are rows here, and no pictures


def pages(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    for each in patterns:
        route = before + str(each.pattern)
        if route.startswith(("admin/", "api/v1/")):
            continue
        if isinstance(each, URLPattern):
            yield str(each.name), "/" + route
        else:
            yield from pages(each.url_patterns, route)


def all_calls() -> list[tuple[str, str, str]]:
    """(method, name, address with {} for an id) of every page and every call of the API."""
    patterns = get_resolver().url_patterns
    found = [(method, name, address.replace(str(NOBODY), "{}")) for method, name, address in calls(patterns)]
    for name, route in pages(patterns):
        address = route.replace("<int:pk>", "{}").replace("<slug:layout>", "csv").replace("<slug:name>", "confusion")
        address = address.replace("<str:name>", "x")
        found += [(method, name, address) for method in ("get", "post")]
    return found


ALL = all_calls()


def delivered(name: str) -> dict[str, int]:
    """A source, and one of each thing that may come of it, by kind."""
    live, said_by = registry.ensure_live(), a_user(f"curator of {name}")
    source = a_source(f"{name} source")
    photos = [
        a_photo(source, file=f"{name}-{n}.jpg", query=f"{name} term", caption=f"{name} caption") for n in range(10)
    ]
    faces = [a_face(photo) for photo in photos]
    for number, face in enumerate(faces):
        an_embedding(face, live, [1.0, number] + [0.5] * (live.dimensions - 2))
    photos[8].duplicate_of, faces[8].duplicate_of = photos[0], faces[0]
    photos[8].save()
    faces[8].save()
    person = a_person([faces[0], faces[6]], f"{name} person", by=said_by)
    other = a_person([faces[1]], f"{name} other", by=said_by)
    pair = a_pair(person, other)
    a_question(faces[2:4])
    single, conflict = a_single(faces[4]), a_single(faces[5], attribute="emotion", purpose="verdict")
    grid = a_question([faces[7]])
    content = {"verdict": "one_person", "marks": {}, "name": f"{name} third"}
    answered = record_answer(question_id=grid.pk, annotator=an_annotator(), client_id=uuid4(), content=content)
    split = people.split(identity_id=person.pk, face_ids=[faces[6].pk], by=said_by)
    merged = people.merge(identity_ids=[split.content["into"]], into_id=person.pk, by=said_by)
    given = Feedback.objects.create(photo=photos[3], attribute="gender", claimed="male", by=said_by)
    source.refusals.create(file=f"{name}-bad.jpg", code="x", reason=f"{name} reason")
    intake = source.intakes.create(kind="folder", state="done", path=f"/{name}")
    return {
        "source": source.pk, "photo": photos[0].pk, "face": faces[0].pk, "free": faces[3].pk, "person": person.pk,
        "mixed": a_person([faces[9]], f"{name} fourth", by=said_by).pk, "pair": pair.pk, "single": single.pk,
        "cluster": faces[2].memberships.get().cluster_id, "conflict": conflict.pk, "answer": answered.pk,
        "act": merged.pk, "feedback": given.pk, "intake": intake.pk,
    }  # fmt: skip


def of_all() -> dict[str, int]:
    """One of each thing that is made of all sources."""
    version = ModelVersion.objects.create(task="gender", name="verborgen", checksum="a" * 64, dimensions=2)
    release = Release.objects.create(name="verborgen", query={}, state="waiting")
    run = TrainingRun.objects.create(task="gender", preset="quick", config={"epochs": 1})
    evaluation = Evaluation.objects.create(version=version, release=release, measured={})
    return {
        "release": release.pk, "model": version.pk, "training": run.pk, "evaluation": evaluation.pk,
        "promotion": Promotion.objects.create(version=version, state="live").pk, "certificate": a_certificate().pk,
        "user": an_annotator("verborgen").pk, "run": a_cluster([a_face()]).run_id, "face": a_face().pk,
    }  # fmt: skip


def between(theirs: dict[str, int], hidden: dict[str, int]) -> None:
    """What joins what is theirs with what is not: a person, a cluster, a question, a photo of both."""
    live, said_by = registry.ensure_live(), User.objects.get(username="curator of verborgen")
    face = a_face(a_photo(file="verborgen-too.jpg", query="verborgen term"))
    an_embedding(face, live, [1.0] + [0.5] * (live.dimensions - 1))
    people.assign(face_ids=[face.pk], identity_id=theirs["mixed"], by=said_by)
    cluster = a_face(a_photo(file="verborgen-three.jpg", query="verborgen term"))
    cluster.memberships.create(run_id=a_cluster([]).run_id, cluster_id=theirs["cluster"], belief=0.1)
    a_question([cluster, a_face()], cluster=a_cluster([]))
    Copy.objects.create(photo_id=hidden["photo"], source=a_source("verborgen second"), file="verborgen-copy.jpg")


def only_of(role: str, *sources: int, name: str = "") -> User:
    user = a_user(name or f"some-{role}", role=role)
    user.practised = ["cluster"]
    user.save()
    accounts.restrict(user, Source.objects.filter(pk__in=sources), by=None)
    return user


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_held", None)
    cache.clear()


def test_the_table_names_every_address_once():
    assert {name for _, name, _ in ALL} == set(BY_SOURCE) | set(CLOSED)
    assert not set(BY_SOURCE) & set(CLOSED)


VALUE = {"verdict": "value", "value": "female"}


def body_of(name: str) -> dict[str, Any]:
    """What makes sense to it, so that it gets as far as to look for the thing."""
    return {
        "rename": {"name": "Eve"}, "describe": {"attribute": "gender", "value": "female"},
        "split-by-likeness": {"act": "remove", "faces": str(NOBODY)}, "decide": {"said": "happy"},
        "state-rights": {"licence": "mine"}, "start-intake": {"kind": "folder", "path": "/"},
        "api-answer": {"client_id": str(uuid4()), "content": VALUE}, "api-skip": {"client_id": str(uuid4())},
        "merge-with": {"other": f"#{NOBODY}"},
    }.get(name, {})  # fmt: skip


def ask(client: Client, method: str, name: str, address: str, body: dict[str, Any] | None = None) -> tuple[Any, str]:
    """The answer, and all that it tells, without what is another one each time."""
    body = body_of(name) if body is None else body
    with transaction.atomic():
        if method == "get":
            response = client.get(address, body)
        elif "/api/" in address and name != "api-upload":
            response = client.post(address, body, content_type="application/json")
        else:
            response = client.post(address, body)
        content = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
        messages = (
            [str(each) for each in client.get("/tokens/").context["messages"]] if response.status_code == 302 else []
        )
        transaction.set_rollback(True)  # each finds what the others would have changed as it was
    told = content.decode(errors="replace") + response.headers.get("Location", "") + " ".join(messages)
    told = re.sub(r'(csrf[^"]*"[^"]*(value|content)=)"[^"]*"', r'\1""', told)
    return response.status_code, re.sub(r"[0-9a-f]{32}", "", told)


@pytest.mark.once  # the other one asks the same queries of PostgreSQL
@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_theirs_is_told_as_what_is_not_there(client: Client, role: str):
    theirs, hidden, whole = delivered("their"), delivered("verborgen"), of_all()
    some, everything = only_of(role, theirs["source"]), a_user(role=role)
    lines = (Decision.objects.count(), Answer.objects.count())
    of_everything, cells = Client(), dict[Hashable, bool]()
    of_everything.force_login(everything)
    client.force_login(some)
    for method, name, address in ALL:
        if name in ("login", "logout"):
            continue
        kind = BY_SOURCE.get(name) or CLOSED.get(name)
        is_closed = name in CLOSED or (method, name) in CLOSED_CALLS
        own = whole if is_closed else theirs
        if (method, name) in TAKES_NO_SUCH_CALL:
            continue
        usual, _ = ask(of_everything, method, name, address.replace("{}", str(own.get(kind or "", NOBODY))))
        told, _ = ask(client, method, name, address.replace("{}", str(own.get(kind or "", NOBODY))))
        if usual == 405:
            TAKES_NO_SUCH_CALL.add((method, name))
        expected = usual if usual in (403, 405) or not is_closed else (404 if "{}" in address else 403)
        right = told == expected or (name in NO_FILES and told == 404)
        cells[f"{role}, {method} {name}, {'closed' if is_closed else 'own'}: {told}, not {expected}"] = right
        if not kind or is_closed or usual in (403, 405):
            continue
        code, text = ask(client, method, name, address.replace("{}", str(hidden[kind])))
        nothing, text_of_nothing = ask(client, method, name, address.replace("{}", str(NOBODY)))
        ids = re.compile(rf"\b({hidden[kind]}|{NOBODY})\b")
        alike = code == nothing and ids.sub("#", text) == ids.sub("#", text_of_nothing)
        told_of = difference(f"{method} {name} of another source", (nothing, text_of_nothing), (code, text))
        cells[f"{role}, {method} {name}, of another source; {told_of}"] = alike and (method != "get" or code == 404)
    tried("role × page and call × object: one's own, another source's", cells)
    assert lines == (Decision.objects.count(), Answer.objects.count())


def difference(name: str, before: tuple[Any, str], after: tuple[Any, str]) -> str:
    if before == after:
        return ""
    lines = unified_diff(before[1].splitlines(), after[1].splitlines(), lineterm="", n=0)
    return f"{name}: {before[0]}, {after[0]}: " + "\n".join(lines)[:1500]


@pytest.mark.parametrize("role", ["annotator", "curator"])  # engineers see what curators see, without the acts
def test_all_that_they_are_told_is_what_they_were_told_before_anything_else_came(client: Client, role: str):
    theirs = delivered("their")
    client.force_login(only_of(role, theirs["source"]))
    before, after = {}, {}
    for told in (before, after):
        for method, name, address in ALL:
            kind = BY_SOURCE.get(name)
            if method == "get" and kind is not None and name not in ("login", "logout", "labels-parquet", "api-docs"):
                told[name] = ask(client, method, name, address.replace("{}", str(theirs.get(kind, NOBODY))), {})
        if told is before:
            cache.clear()
            between(theirs, delivered("verborgen"))
            of_all()
    changed = {name: difference(name, before[name], after[name]) for name in before}
    tried(
        "role × page and call: what they are told is as before",
        {(role, *each): not each[1] for each in changed.items()},
    )
    hidden = {(role, name): "verborgen" not in text for name, (_, text) in after.items()}
    tried("role × page and call: no word of another source", hidden)
