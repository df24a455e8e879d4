"""Django's admin: every page opens, nothing goes past the stages, nothing is deleted, and the policy is strict."""

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from annotation import accounts, tokens
from annotation.models import AccessToken, AuditEvent, Decision, Source, User
from tests.factories import a_face, a_person, a_source, a_user
from tests.matrix import tried

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief(client: Client) -> Client:
    chief = a_user("ada", role="admin")
    chief.is_staff = chief.is_superuser = True
    chief.save()
    client.force_login(chief)
    return client


def test_every_page_opens_for_admins_alone_and_has_no_script_or_style_of_its_own(chief: Client):
    curator = a_user("grace")
    tokens.make(owner=curator, name="Nightly", scopes=["curate"], days=1)
    a_person([a_face()], "Eve")
    accounts.restrict(curator, [Source.objects.first()], by=None)
    addresses = ["/admin/"]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses.append(reverse(f"{name}_changelist"))
        if (row := model.objects.order_by("-pk").first()) is not None:
            addresses.append(reverse(f"{name}_change", args=[row.pk]))
        if model in (User, Source):
            addresses.append(reverse(f"{name}_add"))
        else:
            assert chief.get(reverse(f"{name}_add")).status_code == 403, name
        if row is not None:
            assert chief.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403, name
            assert model.objects.filter(pk=row.pk).exists()
    for address in addresses:
        told = chief.get(address)
        tried("role × page: Django's admin", {("admin", "get", address): told.status_code == 200})
        assert "unsafe" not in told["Content-Security-Policy"]
        page = told.content.decode()
        assert "<style" not in page, address
        assert " style=" not in page, address
        assert "<script>" not in page, address
        assert ".hashed" not in page, address
    other = Client()
    for role in ("client", "annotator", "curator", "engineer"):
        other.force_login(a_user(role=role))
        cells = {(role, "get", each): other.get(each).status_code == 302 for each in addresses}
        cells |= {(role, "post", each): other.post(each).status_code == 302 for each in addresses}
        tried("role × page: Django's admin", cells)


def test_lists_are_searched_and_filtered(chief: Client):
    stated, missing = a_source("stated"), a_source("missing", licence="")
    key = tokens.make(owner=a_user("grace"), name="Nightly", scopes=["curate"], days=1)[0]
    tokens.revoke(key)
    tokens.make(owner=a_user("joan"), name="Hourly", scopes=["curate"], days=1)
    person = a_person([face := a_face()], "Eve")

    def found(address: str) -> set[object]:
        return {row.pk for row in chief.get(f"/admin/annotation/{address}").context["cl"].result_list}

    assert found("source/?rights=missing") == {missing.pk}
    assert stated.pk in found("source/?rights=stated")
    assert found("accesstoken/?state=revoked") == {key.pk}
    assert found("accesstoken/?q=joan") == {AccessToken.objects.get(name="Hourly").pk}
    assert found("user/?q=joan") == {User.objects.get(username="joan").pk}
    lines = set(Decision.objects.filter(face=face).values_list("pk", flat=True))
    assert lines <= found(f"decision/?q={face.pk}")
    assert found(f"decision/?q={person.decisions.first().person.username}") == set(
        Decision.objects.values_list("pk", flat=True)
    )
    assert found("decision/?q=nobody") == set()


def test_an_account_that_a_command_makes_is_a_line_of_the_audit_log():
    call_command("createsuperuser", "--noinput", username="root", email="root@example.org")
    made = User.objects.get(username="root")
    event = AuditEvent.objects.get(action="account")
    assert (event.by, event.subject, event.details) == (
        None, f"account {made.pk}", {"role": "admin", "active": True, "made": True},
    )  # fmt: skip
