"""Only a higher role changes a role, nobody their own, and there is always an admin."""

import pytest
from django.core.management import CommandError, call_command

from annotation import accounts
from annotation.errors import AccountRefused
from annotation.models import AuditEvent, User
from tests.factories import a_user

pytestmark = pytest.mark.django_db


def changed(account: User, by: User | None, **values: object) -> User:
    again = User.objects.get(pk=account.pk)
    for name, value in values.items():
        setattr(again, name, value)
    accounts.keep(again, by=by)
    return again


def test_an_admin_raises_and_lowers_those_below_and_it_is_written_down():
    admin, ada = a_user(role="admin"), a_user(role="annotator")
    raised = changed(ada, admin, role="admin")
    assert (raised.is_staff, raised.is_superuser, raised.sessions_ended) == (True, True, 1)
    event = AuditEvent.objects.get(action="role")
    assert (event.by, event.subject, event.details) == (
        admin, f"account {ada.pk}", {"from": "annotator", "to": "admin"},
    )  # fmt: skip
    off = changed(a_user(role="engineer"), admin, is_active=False)
    assert AuditEvent.objects.get(action="account").subject == f"account {off.pk}"


@pytest.mark.parametrize("role", ["client", "annotator", "curator", "engineer"])
def test_whoever_is_no_admin_changes_nobody_not_even_themselves(role: str):
    who = a_user(role=role)
    for account in (who, a_user(role="client"), a_user(role="admin")):
        with pytest.raises(AccountRefused):
            changed(account, who, role="admin" if account.role != "admin" else "client")
    with pytest.raises(AccountRefused):
        accounts.keep(User(username="new", role="admin"), by=who)
    assert not AuditEvent.objects.exists()


def test_an_admin_changes_neither_another_nor_their_own_role_and_the_last_one_stays():
    admin, other = a_user("ada", "admin"), a_user("grace", "admin")
    for values in ({"role": "curator"}, {"is_active": False}):
        for account in (admin, other):
            with pytest.raises(AccountRefused):
                changed(account, admin, **values)
    changed(admin, admin, email="ada@example.org")  # what is no role is one's own
    call_command("role", "grace", "curator")
    for words in (["annotator"], ["--off"]):
        with pytest.raises(CommandError, match="last active admin"):
            call_command("role", "ada", *words)
    assert set(User.objects.values_list("username", "role")) == {("ada", "admin"), ("grace", "curator")}
    with pytest.raises(CommandError, match="no account"):
        call_command("role", "nobody", "curator")
