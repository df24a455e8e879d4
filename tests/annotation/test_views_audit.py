"""The audit log's page: what its filters find, page by page, and that reading it is a line of it."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from annotation import audit
from annotation.models import AuditEvent, User
from tests.factories import a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> User:
    user = a_user("ada", role="admin")
    client.force_login(user)
    return user


def found(client: Client, **filters: object) -> list[str]:
    page = client.get("/audit/", filters)
    return [event.subject for event, _ in page.context["lines"] if event.action in ("see", "erase")]


def test_filters_find_lines_by_what_who_when_and_which_face(client: Client, admin: User):
    bob = a_user("bob")
    audit.write("see", by=bob, details={"page": "faces", "faces": [4, 12, 30]}, subject="a")
    audit.write("see", by=bob, subject="face 12")
    audit.write("see", by=admin, details={"photos": [12]}, subject="c")
    old = audit.write("erase", by=admin, subject="photo 3", details={"faces": 12})
    super(type(AuditEvent.objects.all()), AuditEvent.objects.filter(pk=old.pk)).update(
        at=timezone.now() - timedelta(days=9)
    )
    yesterday = f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"
    assert found(client, face=12) == ["face 12", "a"]
    assert found(client, action="erase") == ["photo 3"]
    assert found(client, by="bob", action="see") == ["face 12", "a"]
    assert found(client, subject="c") == ["c"]
    assert found(client, until=yesterday) == ["photo 3"]
    assert found(client, since=yesterday) == ["c", "face 12", "a"]
    assert found(client, by="nobody") == []
    assert found(client, face="x") == []


def test_it_goes_on_by_cursor_and_tells_its_head(client: Client, admin: User):
    for n in range(60):
        audit.write("see", by=None, subject=f"face {n}")
    audit.seal()
    first = client.get("/audit/", {"action": "see"})
    assert len(first.context["lines"]) == 50
    assert first.context["head"] == audit.head()[1]
    assert first.context["head"] in first.content.decode()
    second = client.get("/audit/", {"action": "see", "cursor": first.context["page"].next})
    assert [event.subject for event, _ in second.context["lines"]] == [f"face {n}" for n in range(9, -1, -1)]


def test_whoever_reads_in_it_stands_in_it_and_nobody_but_an_admin_does(client: Client, admin: User):
    client.get("/audit/", {"face": 12, "by": "ada"})
    event = AuditEvent.objects.get(action="audit")
    assert (event.action, event.by, event.details) == ("audit", admin, {"by": admin.pk, "face": "12"})
    lines = b"".join(client.get("/audit/export.jsonl").streaming_content).splitlines()  # type: ignore[attr-defined]
    assert audit.check(json.loads(line) for line in lines)[0] == len(lines) >= 1
    for role in sorted({*User.Role.values} - {"admin"}):
        client.force_login(a_user(role=role))
        assert (client.get("/audit/").status_code, client.get("/audit/export.jsonl").status_code) == (403, 403)


def test_a_long_line_is_told_in_short_and_nothing_in_it_runs(client: Client, admin: User):
    audit.write("see", by=None, subject="<script>", details={"faces": list(range(1000, 2000)), "x": "<b>"})
    page = client.get("/audit/").content.decode()
    assert "<script>" not in page.split("<main")[1].split("</main>")[0]
    assert "1999" not in page
