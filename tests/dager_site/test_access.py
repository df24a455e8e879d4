"""Who may call what: every call of the API, by role and by a token's scope, in one table that must name them all."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from annotation import tokens
from annotation.models import AccessToken, Answer, Question, User
from tests.factories import a_face, a_person, a_picture, a_single, a_user, an_annotator
from tests.matrix import tried

pytestmark = pytest.mark.django_db

NOBODY = 10**9  # an id that nothing has: whoever may ask is told 404, whoever may not 403
BROWSE, CURATE, TRAIN = {"curator", "engineer", "admin"}, {"curator", "admin"}, {"engineer", "admin"}
ANNOTATE = {"annotator", "curator", "admin"}
READS = (BROWSE, {"curate", "train"})
PREDICT = (BROWSE | {"client"}, {"predict"})
MODELS = (BROWSE | {"client"}, {"curate", "train", "predict"})
ERASE = ({"admin"}, {"admin"})
TABLE: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("post", "predict"): PREDICT,
    ("post", "predict-batch"): PREDICT,
    ("post", "embed"): PREDICT,
    ("post", "verify"): PREDICT,
    ("post", "api-search"): (CURATE | {"client"}, {"search"}),
    ("get", "api-feedback-list"): PREDICT,
    ("post", "api-feedback-list"): PREDICT,
    ("get", "api-feedback-detail"): PREDICT,
    ("get", "api-standing"): READS,
    ("get", "api-next"): (ANNOTATE, {"annotate"}),
    ("get", "api-held-crop"): (ANNOTATE, {"annotate"}),
    ("get", "api-held-photo"): (ANNOTATE, {"annotate"}),
    ("post", "api-give-back"): (ANNOTATE, {"annotate"}),
    ("post", "api-bring-back"): (ANNOTATE, {"annotate"}),
    ("post", "api-answer"): (ANNOTATE, {"annotate"}),
    ("post", "api-skip"): (ANNOTATE, {"annotate"}),
    ("get", "api-practice"): (ANNOTATE, {"annotate"}),
    ("post", "api-practice"): (ANNOTATE, {"annotate"}),
    ("get", "api-answers"): (ANNOTATE, {"annotate"}),
    ("post", "api-undo"): (ANNOTATE | BROWSE, {"annotate", "curate"}),
    ("post", "api-upload"): (CURATE, {"curate"}),
    ("get", "api-intakes"): READS,
    ("get", "source-list"): READS,
    ("post", "source-list"): (CURATE, {"curate"}),
    ("get", "source-detail"): READS,
    **{("get", f"{rows}-{one}"): READS for rows in ("photo", "face", "identity") for one in ("list", "detail")},
    ("get", "label-list"): READS,
    ("get", "api-release-list"): READS,
    ("post", "api-release-list"): READS,
    ("post", "api-release-preview"): READS,
    ("get", "api-release-detail"): READS,
    ("get", "api-release-diff"): READS,
    ("get", "api-release-download"): READS,
    ("post", "api-release-verify"): READS,
    **{("get", f"api-{rows}-{one}"): ERASE for rows in ("erasure", "hold") for one in ("list", "detail")},
    ("get", "api-erasure-report"): ERASE,
    **{
        ("post", f"api-{name}"): ERASE
        for name in ("erasure-list", "erasure-verify", "erasure-go-on", "erasure-let-back", "hold-list", "hold-lift")
    },
    **{("get", f"api-{rows}-{one}"): READS for rows in ("run", "promotion") for one in ("list", "detail")},
    **{("get", f"api-model-{one}"): MODELS for one in ("list", "detail", "card")},
    **{("get", f"api-certificate-{one}"): READS for one in ("list", "detail")},
    **{
        ("post", name): (TRAIN, {"train"})
        for name in ("api-run-list", "api-run-go-on", "api-run-stop", "api-model-promote", "api-model-roll-back")
    },
}


def calls(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str, str]]:
    """(method, name, address) of each call that there is."""
    for each in patterns:
        route = before + str(each.pattern).strip("^$")
        if not isinstance(each, URLPattern):
            yield from calls(each.url_patterns, route)
        elif route.startswith("api/v1/"):
            view: Any = each.callback
            names = getattr(view, "actions", None) or [n for n in view.cls.http_method_names if hasattr(view.cls, n)]
            address = "/" + re.sub(r"<int:\w+>|\(\?P<pk>\[\^/\.\]\+\)", str(NOBODY), route)
            yield from (
                (method, str(each.name), address) for method in names if method not in ("head", "options", "trace")
            )


ALL = list(calls(get_resolver().url_patterns))


def key_of(owner: User, *scopes: str, days: int | None = 1) -> str:
    return tokens.make(owner=owner, name="a program", scopes=scopes, days=days)[1]


def status(client: Client, method: str, address: str, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    ask = getattr(client, method)
    more = {} if method == "get" else {"data": "{}", "content_type": "application/json"}
    return ask(address, headers=headers, **more).status_code  # type: ignore[arg-type]


def test_the_table_names_every_call():
    assert {(method, name) for method, name, _ in ALL} == set(TABLE)


# Pages of annotation have a table of their own (tests/annotation/test_views.py). Of each other: whom its GET and POST
# do not refuse; a page that takes no such call names nobody.
OPEN = set(User.Role.values)
PAGES: dict[str, tuple[set[str], set[str]]] = {
    **dict.fromkeys(("trainings", "training", "training-progress", "models", "model"), (BROWSE, set[str]())),
    **dict.fromkeys(("evaluation-picture", "differences", "leader-board"), (BROWSE, set[str]())),
    **dict.fromkeys(("training-start", "training-stop", "training-go-on"), (set[str](), TRAIN)),
    **dict.fromkeys(("model-promote", "model-roll-back"), (set[str](), TRAIN)),
    **dict.fromkeys(("dashboard", "dashboard-figures", "dashboard-map", "dashboard-face"), (BROWSE, set[str]())),
    "dashboard-again": (set(), BROWSE),  # what each of them may try again has its own test
    "metrics": ({"admin"}, set()),
    **dict.fromkeys(("healthz", "readyz", "favicon", "schema", "api-docs", "api"), (OPEN, set[str]())),
    **dict.fromkeys(("login", "logout", "password_change"), (OPEN, OPEN)),
}
OWN_TABLE = {each.name for each in get_resolver("annotation.urls").url_patterns if isinstance(each, URLPattern)}


def pages(patterns: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """(name, address) of each page but those of annotation and of Django's admin."""
    for each in patterns:
        route = before + str(each.pattern)
        if not isinstance(each, URLPattern):
            yield from () if route.startswith(("admin/", "api/v1/")) else pages(each.url_patterns, route)
        elif not route.startswith("api/v1/") and each.name not in OWN_TABLE:
            yield str(each.name), "/" + route.replace("<int:pk>", str(NOBODY)).replace("<slug:name>", "x")


@pytest.mark.parametrize("role", User.Role.values)
def test_the_other_pages_open_as_their_table_says_which_names_them_all(client: Client, role: str):
    user, there = a_user(role=role), dict(pages(get_resolver().url_patterns))
    assert set(there) == set(PAGES)
    cells = {}
    for at, method in enumerate(("get", "post")):
        for name, address in there.items():
            client.force_login(user)
            code, may = status(client, method, address), role in PAGES[name][at]
            cells[role, method, name, code] = code != 403 if may else code in (403, 405)
    tried("role × page: training, dashboard, the site", cells)


@pytest.mark.parametrize("role", User.Role.values)
def test_a_role_opens_what_the_table_says_and_nothing_else(client: Client, role: str):
    client.force_login(a_user(role=role))
    told = {(method, name): status(client, method, address) for method, name, address in ALL}
    cells = {
        (role, *call, code): (code != 403) == (role in TABLE[call][0]) and code < 500 for call, code in told.items()
    }
    tried("role × call of the API", cells)


@pytest.mark.parametrize("scope", AccessToken.Scope.values)
def test_a_scope_opens_what_the_table_says_to_whoever_may(client: Client, scope: str):
    for role in ("admin", "annotator", "client"):
        key = key_of(a_user(role=role), scope)
        told = {(method, name): status(client, method, address, key) for method, name, address in ALL}
        may = {call for call, (roles, scopes) in TABLE.items() if role in roles and {scope} & (scopes | {"admin"})}
        cells = {(role, scope, *call, code): (code != 403) == (call in may) for call, code in told.items()}
        tried("scope of a token × its owner's role × call of the API", cells)


def test_nobody_comes_in_without_saying_who_they_are(client: Client):
    cells = {
        (method, name, key): status(client, method, address, key) == 401
        for method, name, address in ALL
        for key in ("", "dager_unknown")
    }
    tried("nobody, or an unknown token × call of the API", cells)
    answer = client.get("/api/v1/faces")
    assert answer["WWW-Authenticate"] == 'Bearer realm="DAGER"'


def test_a_token_that_opens_nothing_is_told_the_same_whatever_the_reason(client: Client):
    owner, gone = a_user(), a_user()
    gone_key = key_of(gone, "curate")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    revoked = key_of(owner, "curate")
    tokens.revoke(AccessToken.objects.latest("pk"))
    expired = key_of(owner, "curate")
    AccessToken.objects.filter(pk=AccessToken.objects.latest("pk").pk).update(expires_at="2026-01-01T00:00:00Z")

    told = set()
    for key in ("dager_unknown", gone_key, revoked, expired, "two words", "\u00ff" * 50):
        answer = client.get("/api/v1/faces", headers={"Authorization": f"Bearer {key}"})
        told.add((answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"]))
    assert len(told) == 1
    assert told.pop()[:2] == (401, "authentication_failed")


def test_a_token_never_does_more_than_its_owner_may_at_this_moment(client: Client):
    owner = a_user(role="curator")
    key = key_of(owner, "curate", "admin")
    assert status(client, "post", "/api/v1/sources", key) == 400
    User.objects.filter(pk=owner.pk).update(role="annotator")
    assert status(client, "post", "/api/v1/sources", key) == 403
    assert status(client, "get", "/api/v1/questions/next", key) == 200  # what admin of all there is opens now


def test_a_token_needs_no_csrf_and_a_wrong_one_is_not_replaced_by_a_cookie():
    client, owner = Client(enforce_csrf_checks=True), a_user()
    client.force_login(owner)
    assert status(client, "post", "/api/v1/sources") == 403
    assert status(client, "post", "/api/v1/sources", key_of(owner, "curate")) == 400
    assert status(client, "post", "/api/v1/sources", "dager_wrong") == 401


def test_nobody_answers_or_takes_back_what_is_another_s(client: Client):
    holder, other = an_annotator(), an_annotator()
    question = a_single()
    client.force_login(holder)
    assert question.pk in {each["id"] for each in client.get("/api/v1/questions/next").json()["questions"]}
    body = {
        "client_id": "7b9b0c5e-3f0a-4c8e-9a55-0d4a9c1e7a11",
        "content": {"verdict": "value", "value": "female"},
        "elapsed_ms": 900,
    }
    address, other_key = f"/api/v1/questions/{question.pk}/answer", key_of(other, "annotate")
    headers = {"Authorization": f"Bearer {other_key}"}
    assert client.post(address, body, "application/json", headers=headers).status_code == 409

    given = client.post(address, body, "application/json").json()["id"]
    for scopes in (["annotate"], ["train"], ["predict"]):  # a curator may take it back, but not with such a token
        key = key_of(a_user(role="admin"), *scopes)
        assert status(client, "post", f"/api/v1/answers/{given}/undo", key) in (403, 409)
    assert status(client, "post", f"/api/v1/answers/{given}/undo", other_key) == 409
    assert status(client, "post", f"/api/v1/answers/{NOBODY}/undo", other_key) == 409  # nor is told that there is one
    assert status(client, "post", f"/api/v1/answers/{given}/undo", key_of(holder, "annotate")) == 200


def test_a_program_sees_the_pictures_of_the_questions_that_its_owner_holds_and_no_others(client: Client):
    for role in ("annotator", "curator"):  # who may browse is handed out no more than others
        owner, question = an_annotator() if role == "annotator" else a_user(), a_single(face := a_face())
        a_picture(face.photo)
        key, other_scope = key_of(owner, "annotate"), key_of(owner, "predict", "search", "curate", "train")
        headers = {"Authorization": f"Bearer {key}"}
        (told,) = client.get("/api/v1/questions/next", headers=headers).json()["questions"]
        assert told["id"] == question.pk
        crop, photo = (told["faces"][0][name] for name in ("crop", "photo"))
        for address, kind in ((crop, "image/jpeg"), (photo, "image/jpeg")):
            answer = client.get(address, headers=headers | {"Accept": "image/*"})
            assert (answer.status_code, answer["Content-Type"]) == (200, kind)
            assert b"".join(answer.streaming_content)
            assert status(client, "get", address) == 401
            assert status(client, "get", address, other_scope) == 403
            assert status(client, "get", address, key_of(a_user(role="admin"), "annotate")) == 404
            assert status(client, "get", address.partition("?")[0], key) == 404
            assert status(client, "get", address[:-1] + ("A" if address[-1] != "A" else "B"), key) == 404
        assert client.get(crop.replace("crops", "photos"), headers=headers).status_code == 404
        page = client.get(f"/faces/{told['faces'][0]['id']}/crop", headers=headers)
        assert page.status_code == 302  # the pages know no tokens
        client.post("/api/v1/questions/give-back", headers=headers)
        assert {status(client, "get", each, key) for each in (crop, photo)} == {404}
        Question.objects.filter(pk=question.pk).update(state="withdrawn")
    client.force_login(an_annotator())
    asked = a_single()
    (told,) = client.get("/api/v1/questions/next").json()["questions"]
    assert told["id"] == asked.pk
    assert told["faces"][0]["crop"].startswith("/faces/")  # in a browser as it was


def test_a_curators_act_is_not_taken_back_by_a_token_that_may_only_annotate(client: Client):
    curator = a_user(role="curator")
    client.force_login(curator)
    person = a_person([a_face()], name="Ada")
    client.post(f"/people/{person.pk}/rename", {"name": "Grace"})
    act = Answer.objects.get(annotator=curator)
    assert status(client, "post", f"/api/v1/answers/{act.pk}/undo", key_of(curator, "annotate")) == 409
    assert status(client, "post", f"/api/v1/answers/{act.pk}/undo", key_of(curator, "curate")) == 200
