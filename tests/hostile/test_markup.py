"""Texts that would become part of a page: each is put through every page and call that shows it, and stays a text."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from pytest_django import Settings

from annotation import forms
from annotation.models import User
from dager_site.middleware import NO_PAGE, POLICY
from tests.dager_site.test_access import pages as other_pages
from tests.factories import a_user
from tests.hostile.conftest import Tried
from tests.hostile.world import addresses, build, looked, poison

pytestmark = [pytest.mark.django_db, pytest.mark.once]
# What is sent along only, and would be shown by a page that repeats it.
REFLECTED = [
    *("\"'><xss1>", "javascript:alert(1)//\"'><xss1>", "</script><xss1>", "</title><xss1>", "</textarea><xss1>", "<!--><xss1>", "]]><xss1>"),
    *("\"onxss=alert(1) x=\"", "' onxss=alert(1) x='", "` onxss=alert(1)", "&lt;xss1&gt;", "\"&#62;<xss1>", "\\\"><xss1>", "\u2028<xss1>", "{{7*7}}<xss1>"),
    *("<svg/onload=alert(1)><xss1>", "<xss1\x00>", "<xss1\n/>", "％3Cxss1％3E", "%3Cxss1%3E", "+ADw-xss1+AD4-", "\x3cxss1\x3e", "ʺ><xss1>"),
]  # fmt: skip


@pytest.fixture
def world(settings: Settings, tmp_path: Any) -> dict[str, Any]:
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "releases", tmp_path / "models"
    ids = build()
    ids["columns"] = poison()
    return ids


@pytest.fixture
def boss(world: dict[str, Any]) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(pk=world["boss"].pk))
    return client


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def kind_of(response: Any) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0]


def wrong_with(response: Any, body: bytes) -> list[str]:
    """What is wrong with an answer, whatever it is."""
    wrong, kind = [], kind_of(response)
    headers = response.headers
    if response.status_code >= 500 and response.request["PATH_INFO"] != "/readyz":  # no queue in tests
        wrong.append(f"status {response.status_code}")
    if headers.get("X-Content-Type-Options") != "nosniff":
        wrong.append("it may be taken for something else")
    policy = headers.get("Content-Security-Policy", "")
    if policy not in ({POLICY} if kind == "text/html" else {NO_PAGE, "default-src 'none'; sandbox"}):
        wrong.append(f"its policy is {policy!r}")
    if headers.get("X-Frame-Options") != "DENY":
        wrong.append("it can be framed")
    if kind == "text/html":
        wrong += looked(body.decode()).wrong
    elif body and kind not in KINDS:
        wrong.append(f"it is served as {kind!r}")
    elif kind in ATTACHED and "attachment" not in headers.get("Content-Disposition", ""):
        wrong.append("it is opened instead of kept")
    return wrong


# All that is ever served besides pages. None of it is HTML, SVG or XML.
ATTACHED = {"text/csv", "application/x-tar", "application/vnd.apache.parquet", "application/jsonl"}
KINDS = {"application/json", "text/plain", "text/markdown", "image/jpeg", "image/png", "image/webp", "text/javascript", "application/javascript", "application/vnd.oai.openapi", *ATTACHED}  # fmt: skip


def test_a_text_of_any_row_stays_a_text_on_every_page(boss: Client, world: dict[str, Any], tried: Tried):
    seen: dict[int, set[str]] = {}
    walked = dict[str, int]()
    for name, address in addresses(world):
        response = boss.get(address)
        body = content(response)
        walked[name] = response.status_code
        wrong = wrong_with(response, body)
        shown = (
            " ".join(looked(body.decode()).text)
            if kind_of(response) == "text/html"
            else body.decode("utf-8", "replace")
        )
        numbers = {int(number) for number in re.findall(r"xss(\d+)x", shown)}
        for number in numbers:
            seen.setdefault(number, set()).add(address)
            tried((address, world["columns"][number], wrong), through=bool(wrong))
        tried((address, wrong), through=bool(wrong))
    names = {str(each.name) for each in get_resolver("annotation.urls").url_patterns if isinstance(each, URLPattern)}
    assert names | {name for name, _ in other_pages(get_resolver().url_patterns)} <= set(walked)
    opened = {name for name, status in walked.items() if status == 200}
    assert len(opened) > 90, sorted(set(walked) - opened)
    # That it is shown at all is what makes this a test: most of the columns are, somewhere.
    assert len(seen) > 30, sorted(set(world["columns"].values()) - {world["columns"][each] for each in seen})


def test_what_is_sent_along_is_not_repeated_as_markup(boss: Client, world: dict[str, Any], tried: Tried):
    fields = {name for each in vars(forms).values() for name in getattr(each, "base_fields", ())}
    fields |= {
        "q",
        "cursor",
        "next",
        "kind",
        "o",
        "p",
        "e",
        "by",
        "face",
        "lang",
        "version",
        "script",
        "_popup",
        "limit",
    }
    for name, address in addresses(world):
        others = name.startswith("admin:") and name != "admin:annotation_source_changelist"
        if others or address.startswith(("/api/v1/", "/sign-out")) or "download" in name or "verify" in name:
            continue
        text = REFLECTED[0]
        response = boss.get(address, {**dict.fromkeys(sorted(fields), text), text: text})
        tried((address, text), through=bool(wrong_with(response, content(response))))
    repeating = ["/photos/", "/people/", "/annotate/", "/admin/annotation/source/", "/api/docs/"]
    names = ("query", "q", "next", "cursor", "kind", "source")
    for n, text in enumerate(REFLECTED):
        for address in (repeating[n % 5], repeating[(n + 2) % 5]):
            response = boss.get(address, dict.fromkeys(names, text))
            tried((address, text), through=bool(wrong_with(response, content(response))))
            response = boss.get(f"{address}{text}".replace("\n", "%0a").replace("\0", "%00"))
            tried((address, "path", text), through=bool(wrong_with(response, content(response))))


def test_what_a_form_says_of_itself_stays_a_text(boss: Client, world: dict[str, Any], tried: Tried):
    """Messages, errors of fields, and what was typed, given back to be mended."""
    forms_of = {
        "/sources/new": ("name", "licence", "legal_basis", "retention_until"),
        f"/people/{world['person']}/rename": ("name",),
        f"/people/{world['person']}/describe": ("attribute", "value"),
        f"/sources/{world['source']}/rights": ("licence", "legal_basis", "retention_until"),
        f"/sources/{world['source']}/intakes": ("path", "kind", "layout", "root"),
        "/faces/act": ("faces", "act", "to", "person"),
        "/releases/new": ("name", "purpose", "attributes", "min_confidence", "licences"),
        "/tokens/": ("name", "scopes", "days"),
        "/settings/change": ("name", "value", "reason"),
        "/people/merge/confirm": ("faces", "into", "people"),
        "/admin/annotation/user/add/": ("username", "password1", "role"),
        "/admin/annotation/source/add/": ("name", "licence"),
        "/trainings/start": ("task", "preset", "releases", "epochs"),
        "/dashboard/again": ("what",),
        "/password": ("old_password", "new_password1"),
    }
    for n, text in enumerate(REFLECTED):
        for address, fields in list(forms_of.items())[n % 5 :: 5]:  # each form meets a fifth of them
            response = boss.post(address, dict.fromkeys(fields, text), follow=True)
            tried((address, text), through=bool(wrong_with(response, content(response))))
        visitor = Client()
        response = visitor.post("/sign-in", {"username": text, "password": text, "next": text})
        tried(("/sign-in", text), through=bool(wrong_with(response, content(response))))


def test_an_error_of_the_api_is_json_that_is_taken_for_nothing_else(tried: Tried):
    client = Client(raise_request_exception=False)
    client.force_login(a_user(role=User.Role.ADMIN))
    for text in REFLECTED:
        for response in (
            client.get(f"/api/v1/{text}".replace("\n", "%0a").replace("\0", "%00")),
            client.get("/api/v1/photos", {text: text}),
            client.get("/api/v1/photos", {"cursor": text}, headers={"Accept": "text/html"}),
            client.post("/api/v1/sources", json.dumps({"name": text, "licence": 5}), "application/json"),
            client.post(
                "/api/v1/predict", json.dumps({"photo": text}), "application/json", headers={"Accept": "text/html"}
            ),
            client.post("/api/v1/releases", json.dumps({"name": text, "query": {text: text}}), "application/json"),
        ):
            wrong = wrong_with(response, response.content)
            is_page = kind_of(response) == "text/html" and response.status_code != 404
            tried((text, wrong), through=bool(wrong) or is_page)
