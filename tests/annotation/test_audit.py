"""The log of who did what: it only grows, is chained in its order, and says so if it was touched."""

import json
from datetime import timedelta
from io import StringIO
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation import audit, intake, releases, tokens
from annotation.append_only import guards
from annotation.errors import AuditIsAppendOnly
from annotation.models import AuditEvent, Decision
from tests.annotation.test_releases import some_labelled
from tests.factories import a_person, a_source, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def guarded(db: None) -> None:
    """The triggers are there, as in use, until the transaction of the test ends."""
    with connection.cursor() as cursor:
        for statement in guards(connection.vendor):
            cursor.execute(statement)


def touched(**values: object) -> "QuerySet[AuditEvent]":
    """Lines as whoever gets at the database changes them: past the refusals of the model."""
    return QuerySet(AuditEvent).filter(**values)


def some(count: int) -> list[AuditEvent]:
    user = a_user()
    events = [audit.write("see", by=user, subject=f"face {n}", details={"b": [n, 1.5], "a": "ä"}) for n in range(count)]
    audit.seal()
    return events


def told(*words: str) -> str:
    out = StringIO()
    call_command("audit", *words, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_a_line_is_written_at_once_and_chained_afterwards():
    event = audit.write("erase", by=None, subject="photo 4", details={"faces": 2})
    assert (AuditEvent.objects.get().number, audit.head()) == (None, (0, "0" * 64))

    assert audit.seal() == 1
    event.refresh_from_db()
    assert (event.number, event.hash) == (1, audit.digest("0" * 64, audit.as_line(event)))
    assert audit.seal() == 0
    assert audit.verify() == audit.Verified(1, event.hash, "", 0)


def test_an_action_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="peek"):
        audit.write("peek", by=None)


def test_lines_are_chained_in_batches_in_the_order_of_their_ids(monkeypatch):
    monkeypatch.setattr(audit, "AT_ONCE", 2)
    events = some(5)
    rows = AuditEvent.objects.order_by("number").values_list("number", "pk")
    assert list(rows) == [(n + 1, event.pk) for n, event in enumerate(events)]
    assert audit.verify().lines == 5


def test_neither_the_model_nor_the_database_lets_a_line_be_changed_or_removed(guarded):
    (event,) = some(1)
    loose = audit.write("see", by=None)
    event.refresh_from_db()
    for act in (event.save, event.delete, AuditEvent.objects.delete, lambda: AuditEvent.objects.update(action="x")):
        with pytest.raises(AuditIsAppendOnly):
            act()
    refused = [
        "DELETE FROM annotation_auditevent",
        "UPDATE annotation_auditevent SET hash = 'x' WHERE number = 1",
        "UPDATE annotation_auditevent SET number = NULL, hash = '' WHERE number = 1",
        f"UPDATE annotation_auditevent SET action = 'erase' WHERE id = {loose.pk}",
        f"UPDATE annotation_auditevent SET by_id = 1 WHERE id = {loose.pk}",
        f"UPDATE annotation_auditevent SET details = '[]' WHERE id = {loose.pk}",
        *(["TRUNCATE annotation_auditevent"] if connection.vendor == "postgresql" else []),
    ]
    connection.check_constraints()  # PostgreSQL truncates nothing while any of these is put off
    connection.check_constraints()  # PostgreSQL truncates nothing, for another reason, while some wait to be checked
    for statement in refused:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert audit.seal() == 1
    assert audit.verify().lines == 2


@pytest.mark.parametrize(
    ("harm", "lines", "message"),
    [
        (lambda: touched(number=3).update(subject="face 99"), 2, "Line 3 .* is not what was sealed"),
        (lambda: touched(number=3).update(details={}), 2, "Line 3 .* is not what was sealed"),
        (lambda: touched(number=3).update(at=timezone.now() + timedelta(days=1)), 2, "Line 3"),
        (lambda: touched(number=3).update(hash="f" * 64), 2, "Line 3"),
        (lambda: touched(number=1).delete(), 0, "Line 1 is missing: line 2 follows line 0"),
        (lambda: touched(number=4).delete(), 3, "Line 4 is missing: line 5 follows line 3"),
        (lambda: touched(number=3).delete() and touched(number=4).update(number=3), 2, "Line 3 .* is not what"),
    ],
)
def test_whatever_was_touched_is_named_by_its_first_line(harm, lines, message):
    some(5)
    harm()
    found = audit.verify()
    assert found.lines == lines
    with pytest.raises(CommandError, match=message):
        told("verify")


def test_a_lost_end_or_a_chain_made_anew_shows_by_a_hash_told_before():
    events = some(5)
    number, hash_ = told("head").split()
    assert number == "5"
    assert "5 lines hold" in told("verify", "--head", hash_)
    touched(number=5).delete()
    assert audit.verify().whole
    with pytest.raises(CommandError, match="lines were removed from the end, or all made anew"):
        told("verify", "--head", hash_)

    touched().update(number=None, hash="", subject="face 1")
    audit.seal()
    assert audit.verify().whole
    assert not audit.verify(head=hash_).whole
    assert events


def test_an_export_has_all_lines_and_can_be_checked_without_the_database():
    events = some(3)
    exported = [json.loads(line) for line in told("export").splitlines()]
    assert [line["id"] for line in exported] == [event.pk for event in events]
    assert exported[0] | {"at": "", "hash": ""} == {
        "number": 1, "id": events[0].pk, "at": "", "action": "see", "by": events[0].by_id, "token": None, "request": "",
        "subject": "face 0", "details": {"a": "ä", "b": [0, 1.5]}, "hash": "",
    }  # fmt: skip
    assert audit.check(exported) == (3, exported[-1]["hash"], "")
    assert audit.check(exported[:1] + exported[2:])[0] == 1
    assert AuditEvent.objects.order_by("pk").last().action == "audit"  # and that it was exported is a line, too

    touched(pk=events[0].pk).update(at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat()
    assert len(told("export", "--since", since).splitlines()) == 3
    with pytest.raises(CommandError, match="is no time such as"):
        told("export", "--since", "yesterday")


def test_what_is_rolled_back_leaves_no_line():
    with transaction.atomic():
        audit.write("role", by=None)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_lines_of_the_ledger_are_named_in_one_line_and_not_repeated():
    curator = a_user()
    a_person(3, name="Ada", by=curator)
    events = list(AuditEvent.objects.filter(action="decide").order_by("pk"))
    lines = list(Decision.objects.order_by("pk").values_list("pk", flat=True))
    assert events[0].details["lines"] == [[lines[0], lines[2]]]
    assert {event.by for event in events} == {curator}
    assert "Ada" not in json.dumps([event.details for event in events])


def test_many_ids_are_told_in_few_words():
    assert audit.spans([5, 1, 2, 3, 9, 8, 3]) == [[1, 3], [5, 5], [8, 9]]
    assert audit.spans([]) == []


@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_at_once_make_one_whole_chain():
    failed: list[BaseException] = []

    def work(act: "type[int]") -> None:
        try:
            for _ in range(15):
                act()
        except BaseException as error:
            failed.append(error)
        finally:
            connections.close_all()

    acts = [lambda: audit.write("see", by=None)] * 2 + [audit.seal] * 2
    threads = [Thread(target=work, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = audit.verify()
    assert (found.lines, found.broken, found.unsealed) == (30, "", 0)


def test_tokens_rights_and_releases_are_lines_that_say_who():
    curator, source = a_user(), a_source()
    token, key = tokens.make(owner=curator, name="import", scopes=["curate"], days=3, by=curator)
    tokens.revoke(token)
    tokens.revoke(token)
    intake.state_rights(source_id=source.pk, licence="CC0", legal_basis="consent", retention_until=None, by=curator)
    some_labelled(1, source)
    release = releases.create_release(name="spring", query={}, by=curator)

    wanted = ["token", "token_revoked", "rights", "release"]
    events = AuditEvent.objects.filter(action__in=wanted).order_by("pk")
    assert [(event.action, event.subject, event.by) for event in events] == [
        ("token", f"token {token.pk}", curator),
        ("token_revoked", f"token {token.pk}", None),  # by whoever sits at the machine
        ("rights", f"source {source.pk}", curator),
        ("release", f"release {release.pk}", curator),
    ]
    assert events[0].details == {"owner": curator.pk, "scopes": ["curate"], "days": 3}
    assert key not in json.dumps([event.details for event in events])
