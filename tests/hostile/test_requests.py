"""Requests that would have another site's page opened, another header sent, another query run, or the server fail."""

import itertools
import json
import random
import unicodedata
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from annotation import accounts
from annotation.errors import AccountRefused
from annotation.models import Face, Identity, Photo, User
from annotation.urls import pages
from tests.factories import a_face, a_person, a_photo, a_single, a_source, a_user, an_annotator
from tests.hostile.conftest import Tried

pytestmark = pytest.mark.django_db
SECRET = "a long passphrase"
EVIL = "evil.example"
ELSEWHERE = [
    *(f"https://{EVIL}/", f"http://{EVIL}", f"//{EVIL}/", f"///{EVIL}", f"////{EVIL}", f"/\\{EVIL}", f"\\/{EVIL}", f"\\\\{EVIL}"),
    *(f"https:{EVIL}", f"https:/{EVIL}", f"http:///{EVIL}", f"https:\\\\{EVIL}", f"/\t/{EVIL}", f"/\n/{EVIL}", f"\t//{EVIL}", f" //{EVIL}"),
    *(f"//{EVIL}\\@testserver", f"//testserver@{EVIL}", f"https://testserver@{EVIL}", f"https://testserver.{EVIL}/", f"//{EVIL}#testserver"),
    *(f"//{EVIL}%2f@testserver", f"/%09/{EVIL}", f"/%5c{EVIL}", f"%2f%2f{EVIL}", f"//{EVIL}:80", f"//{EVIL}?testserver", f"ftp://{EVIL}"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,<script>alert(1)</script>"),
    *("vbscript:x", f"/\r\nLocation: https://{EVIL}", "\r\nSet-Cookie: a=b", f"//{EVIL}\r\nX: y", f"/\0/{EVIL}", f"//⑊{EVIL}", f"//{EVIL}。"),
    *(f"／／{EVIL}", f"/／{EVIL}", f"https:///{EVIL}/..", f".//{EVIL}", "//[::1]", "//127.0.0.1", f"http:testserver//{EVIL}", f"@{EVIL}"),
]  # fmt: skip


def leaves(response: HttpResponseBase) -> bool:
    """Whether a browser would go to another site, as browsers read addresses: `\\` is `/`, tabs and line ends are none."""
    target = response.headers.get("Location", "")
    read = "".join(each for each in target.replace("\\", "/").strip() if ord(each) > 32)
    there = urlsplit(urljoin("http://testserver/", unicodedata.normalize("NFKC", read)))
    return there.scheme not in ("http", "https") or there.hostname != "testserver"


def test_nothing_leads_to_another_site(client: Client, tried: Tried):
    user = a_user("ada", password=SECRET)
    person = a_person([a_face()], name="Ada", by=user)
    for target in ELSEWHERE:
        for address, form in (
            (reverse("login"), {"username": "ada", "password": SECRET, "next": target}),
            (f"{reverse('login')}?next={quote(target)}", {"username": "ada", "password": SECRET}),
        ):
            client.logout()
            response = client.post(address, form)
            tried(target, through=response.status_code >= 500 or leaves(response))
        client.force_login(user)
        for response in (
            client.get(f"{reverse('login')}?next={quote(target)}"),  # signed in already
            client.post(f"/people/{person.pk}/rename", {"name": "\0", "next": target}),
            client.post(
                "/people/merge/confirm",
                {"next": target},
                headers={"Referer": target.encode("ascii", "replace").decode()},
            ),
            client.post(reverse("logout"), {"next": target}),
        ):
            tried(
                target, through=response.status_code >= 500 or (response.status_code in (301, 302) and leaves(response))
            )


def test_no_value_becomes_a_header(client: Client, tried: Tried):
    user = a_user("ada")
    source = a_source(licence="x")
    for breaks in (
        "\r\n",
        "\n",
        "\r",
        "%0d%0a",
        "%0a",
        "\u560d\u560a",
        "\x85",
        "\u2028",
        "\0",
        "\r\n\r\n",
        "%E5%98%8A%E5%98%8D",
    ):
        evil = f"x{breaks}Set-Cookie: evil=1"
        sent = evil.encode().decode("latin-1")  # as a server hands over what a header holds
        client.force_login(user)
        for response in (
            client.get("/healthz", headers={"X-Request-ID": sent}),
            client.get("/people/", {"query": evil, "cursor": evil}),
            client.get("/photos/", {"query": evil}),
            client.get("/api/v1/photos", {"query": evil}, headers={"Idempotency-Key": sent}),
            client.get(f"/annotate/?kind={quote(evil)}"),
            client.get(f"/export/labels.csv?source={quote(evil)}"),
            client.get("/favicon.ico" + quote(evil)),
            client.post("/sources/new", {"name": evil}),
            client.post(f"/sources/{source.pk}/rights", {"licence": evil, "legal_basis": evil}),
            client.post("/api/v1/releases", json.dumps({"name": evil, "query": {}}), "application/json"),
            client.get("/api/v1/faces", headers={"Authorization": f"Bearer {sent}"}),
            client.get("/", headers={"Accept-Language": sent, "If-None-Match": sent, "Cookie": sent}),
        ):
            set_by_us = {settings.CSRF_COOKIE_NAME, settings.SESSION_COOKIE_NAME, "messages"}
            split = any(sign in value for value in response.headers.values() for sign in "\r\n\0")
            tried(evil, through=response.status_code >= 500 or split or not set(response.cookies) <= set_by_us)


def test_the_host_that_a_client_names_is_believed_only_if_it_is_ours(client: Client, tried: Tried):
    hosts = [
        EVIL,
        f"testserver.{EVIL}",
        f"testserver@{EVIL}",
        f"testserver:80@{EVIL}",
        f"{EVIL}#testserver",
        f"testserver, {EVIL}",
        "testserver/",
        "",
        f"testserver\t{EVIL}",
        "[::1",
        "a" * 300,
        f"{EVIL}:80",
        "testserver:x",
        "١٢٧.0.0.1",
        "*",
        ".",
        "testserver..",
        f"localhost.{EVIL}",
    ]
    client.force_login(a_user())
    for host in hosts:
        response = client.get("/", headers={"Host": host})
        tried(host, through=response.status_code != 400 and host != "")
    for name in (
        "X-Forwarded-Host",
        "X-Host",
        "Forwarded",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Server",
        "X-HTTP-Host-Override",
        "X-Forwarded-Prefix",
        "X-Script-Name",
    ):
        for path in ("/people", "/", "/admin/", "/sources/", "/api/v1/photos?limit=1"):
            response = client.get(path, headers={name: f"host={EVIL}" if name == "Forwarded" else EVIL})
            body = b"" if response.streaming else response.content
            tried((name, path), through=EVIL in response.headers.get("Location", "") or EVIL.encode() in body)
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        response = client.get("/sources/new", headers={name: "POST"})
        tried(name, through=response.status_code != 200)


def test_a_session_that_somebody_else_chose_is_nobody_s(tried: Tried):
    a_user("ada", password=SECRET)
    for chosen in ("a" * 32, "0" * 32, "../../etc/passwd", "x", "", "é" * 32, "a" * 5_000):
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = chosen
        client.get(reverse("login"))
        client.post(reverse("login"), {"username": "ada", "password": SECRET})
        tried(chosen, through=client.cookies[settings.SESSION_COOKIE_NAME].value == chosen)
        thief = Client()
        thief.cookies[settings.SESSION_COOKIE_NAME] = chosen
        tried((chosen, "kept"), through=thief.get("/").status_code == 200)
    # Nor one of before: signing in makes it anew, signing out ends it, and the cookie is for no script to read.
    client = Client()
    client.force_login(a_user("bo"))
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post(reverse("logout"))
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = before
    tried("after signing out", through=thief.get("/").status_code == 200)
    client.post(reverse("login"), {"username": "ada", "password": SECRET})
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    tried("readable", through=not cookie["httponly"] or cookie["samesite"] != "Lax" or cookie.value == before)


SQL = [
    *("'", "''", "\"", "`", "\\", "' OR '1'='1", "' OR 1=1 --", "\" OR \"\"=\"", "') OR ('1'='1", "1 OR 1=1", "1; DROP TABLE annotation_photo", "'; DROP TABLE annotation_photo; --"),
    *("1 UNION SELECT password FROM annotation_user", "' UNION SELECT NULL,NULL--", "1'||'1", "%' OR 1=1 --", "%", "_", "%%", "a%", "1)); SELECT pg_sleep(9)--"),
    *("'||(SELECT 1)||'", "$$;$$", "$1", "%(x)s", "%s", "{0}", "{{7*7}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "1e309", "0x1", "1--", "/**/", "';EXEC xp_cmdshell('id')--", "ʼ OR 1=1", "＇ OR 1=1", "\u02b9", "¿'", "0/0", "-0", "TRUE"),
]  # fmt: skip
LOOKUPS = [
    "photo__source__created_by__password__startswith",
    "pk__in",
    "source__name__regex",
    "id__gt",
    "order_by",
    "ordering",
    "fields",
    "format",
    "expand",
    "_",
    "created_by__password",
]


def test_no_filter_and_no_cursor_is_a_query_of_its_own(client: Client, tried: Tried):
    client.force_login(a_user(role=User.Role.ADMIN))
    for _ in range(3):
        a_face(a_photo(query="Ada"))
    fields = [
        "query",
        "source",
        "cursor",
        "label",
        "min_size",
        "taken_from",
        "name",
        "by",
        "of_face",
        "limit",
        "identity",
        "usable",
        "text",
        "order",
        "sort",
    ]
    pages_ = ["/photos/", "/faces/", "/people/", "/sources/", "/audit/", "/admin/annotation/source/"]
    calls = ["photos", "faces", "identities", "labels", "sources", "releases", "runs", "models"]
    for n, sql in enumerate(SQL):
        for path in (pages_[n % 6],):
            for some in (fields[: 5 + n % 3], fields[5 + n % 3 :]):
                response: Any = client.get(path, dict.fromkeys(some, sql))
                tried((path, some, sql), through=response.status_code >= 500 or b"pbkdf2" in response.content)
        own = quote(sql, safe="")
        for path in (calls[n % 8], calls[(n + 3) % 8], (f"photos/{own}", f"identities/{own}")[n % 2]):
            for name in (("query", "source", "cursor", "limit", "state")[n % 5], "query"):
                response = client.get(f"/api/v1/{path}", {name: sql})
                # Nothing is searched by that text but what begins with it, and nothing here does.
                found = name == "query" and path in ("photos", "faces") and bool(response.json().get("results"))
                tried((path, name, sql), through=response.status_code >= 500 or found)
    for lookup in LOOKUPS:
        for path in ("/api/v1/photos", "/api/v1/faces", "/api/v1/identities", "/api/v1/labels", "/api/v1/sources"):
            response = client.get(path, {lookup: "a"})
            tried(
                (path, lookup),
                through=response.status_code >= 500 or (response.status_code == 200 and lookup != "format"),
            )
    assert (Photo.objects.count(), Face.objects.count()) == (3, 3)
    assert "annotation_photo" in connection.introspection.table_names()


def deep(kind: str, depth: int) -> str:
    if kind == "list":
        return "[" * depth + "]" * depth
    if kind == "object":
        return '{"a":' * depth + "1" + "}" * depth
    return '{"query":' + "[" * depth + "]" * depth + "}"


BODIES: list[tuple[str, bytes]] = [
    *[(f"{kind} {depth} deep", deep(kind, depth).encode()) for kind in ("list", "object", "inside") for depth in (50, 900, 5_000, 100_000)],
    *[(f"open brackets {depth}", b"[" * depth) for depth in (10, 100_000)],
    ("more than a form may have", b'{"a": "' + b"x" * 2_000_000 + b'"}'),
    ("many keys", json.dumps({f"k{n}": n for n in range(20_000)}).encode()),
    ("the same key again and again", b"{" + b",".join([b'"name": 1'] * 20_000) + b"}"),
    ("a number of a million digits", b'{"limit": ' + b"9" * 900_000 + b"}"),
    ("a number beyond all", b'{"limit": 1e999999}'),
    ("no number", b'{"limit": NaN, "x": Infinity, "y": -Infinity}'),
    ("half a character", b'{"name": "\\ud800", "query": {"\\udfff": "\\ud800\\ud800"}, "content": {"verdict": "\\udc00"}}'),
    ("NUL", b'{"name": "\\u0000", "query": {"a": "\\u0000"}, "content": {"name": "a\\u0000b", "verdict": "\\u0000"}}'),
    ("bytes that are no text", b'{"name": "\xff\xfe\x00"}'),
    ("another encoding", '{"name": "é"}'.encode("utf-16")),
    ("a mark before it", b'\xef\xbb\xbf{"name": "x"}'),
    ("nothing", b""),
    ("a prototype", b'{"__proto__": {"admin": true}, "constructor": {"prototype": {"role": "admin"}}}'),
    ("a class", b'{"__class__": "x", "py/object": "os.system", "$ref": "file:///etc/passwd", "!!python/object": 1}'),
    ("a query of a database", b'{"username": {"$gt": ""}, "name": {"$ne": null}}'),
    ("a role", b'{"role": "admin", "is_superuser": true, "name": "x", "state": "done", "checksum": "x", "created_by": 1, "id": 1}'),
]  # fmt: skip


def test_no_body_makes_a_call_fail(tried: Tried):
    client = Client(raise_request_exception=False)
    client.force_login(a_user(role=User.Role.ADMIN))
    question = a_single().pk
    calls = [
        "sources",
        "releases",
        "releases/preview",
        f"questions/{question}/answer",
        f"questions/{question}/skip",
        "practice",
        "feedback",
        "predict",
        "verify",
        "search",
        "runs",
        "predict/batch",
        "questions/give-back",
    ]
    for n, (name, body) in enumerate(BODIES):
        for call in calls[n % 2 :: 2]:
            for kind in ("application/json", "application/json; charset=utf-16", "text/plain")[
                : 3 if len(body) < 1_000 else 1
            ]:
                response = client.generic("POST", f"/api/v1/{call}", body, content_type=kind)
                tried((name, call, kind, response.status_code), through=response.status_code >= 500)
    assert not User.objects.filter(role=User.Role.ADMIN).count() > 1


TEXTS = [
    *("\u202e\u2066gpj.exe", "\u200b\u200b", "\u2028x\u2029", "\ufeffAda", "\ufffe\uffff", "e" + "\u0301" * 500, "Ada\u0000", "\x1b[31mred", "\x08\x7f", "😀" * 100),
    *("\U000e0041\U000e0042", "Å" "Å" "Å", "ﷺ" * 50, "\u0130i\u0131I", "ß" * 100, "ſ", "Ǆ", "𝐀𝐝𝐚", "Ａｄａ", "\u115f", "\u3164", "\u2800", "a\u034fb", "\r\n", "\t"),
]  # fmt: skip


def test_no_text_makes_a_page_fail_or_empties_a_name(tried: Tried):
    client = Client(raise_request_exception=False)
    client.force_login(a_user(role=User.Role.ADMIN))
    person = a_person([a_face()], name="Ada")
    for n, text in enumerate(TEXTS):
        every: list[tuple[str, dict[str, str]]] = [
            (f"/people/{person.pk}/rename", {"name": text}),
            ("/sources/new", {"name": text, "licence": text, "legal_basis": text}),
            ("/tokens/", {"name": text, "scopes": "curate"}),
            ("/settings/change", {"name": text, "value": text, "reason": text}),
            ("/releases/new", {"name": text, "purpose": text}),
            ("/faces/act", {"faces": text, "act": text, "to": text}),
            ("/sign-in", {"username": text, "password": text}),
        ]
        for path, form in every[n % 3 :: 3]:
            tried((path, text), through=client.post(path, form).status_code >= 500)
        tried(("search", text), through=client.get("/people/", {"query": text}).status_code >= 500)
        tried(("api", text), through=client.get("/api/v1/identities", {"name": text}).status_code >= 500)


LOOKALIKES = {
    "admin": ["аdmin", "аdмin", "admіn", "ADMIN", "Admin", "ａｄｍｉｎ", "admin\u200b", "\u202eadmin", "admi\u0578", "аԁmіn", "αdmin", "admιn", "adm\u0131n", "𝐚dmin", " admin", "admin ", "ad\u00admin"],
    "coco": ["сосо", "ϲοϲο", "COCO", "соcо", "co\u0441o"],
}  # fmt: skip


def test_nobody_gets_a_name_that_looks_like_another_s(tried: Tried):
    boss = a_user("boss", role=User.Role.ADMIN)
    for name, likes in LOOKALIKES.items():
        a_user(name)
        for like in likes:
            account = User(username=like, role=User.Role.ANNOTATOR)
            try:
                accounts.keep(account, by=boss)
            except AccountRefused:
                tried((name, like), through=False)
            else:
                tried((name, like), through=True)
    for fine in ("zoë", "søren", "Иван", "Δημήτρης", "李雷", "o.brien", "ann-marie", "münchen1"):
        accounts.keep(User(username=fine, role=User.Role.ANNOTATOR), by=boss)


def test_pages_take_no_path_of_another_kind(client: Client, tried: Tried):
    client.force_login(a_user(role=User.Role.ADMIN))
    an_annotator()
    Identity.objects.create()
    chance = random.Random(0)
    routes = [f"/{each.pattern}" for each in pages if "<int:pk>" in str(each.pattern)]
    for route, odd in itertools.product(
        routes,
        ["0x1", "1e1", "-1", "+1", "1.0", "١", "1%00", "1;", "..%2f1", "1/../1", "%31%0a", str(2**63), str(10**40)],
    ):
        if chance.random() < 0.15:
            response: Any = client.get(route.replace("<int:pk>", odd).replace("<slug:layout>", "csv"))
            tried((route, odd), through=response.status_code >= 500)
