"""Guessed passwords in, waits out: each further try that fails, for one account or from one address, waits longer.

A try is counted before its password is looked at, so that a hundred at once get no further than a hundred in turn; the
one that was right is taken off again. What is counted is in the database, for all web processes. The name need be no
account's: whoever guesses is told the same. Of name and address a keyed hash is kept.
"""

import ipaddress
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation import audit
from annotation.models import SignInTries, User

FREE = {"account": 5, "address": 20}  # tries until one waits; an office may share an address
FIRST, LONGEST = timedelta(seconds=30), timedelta(minutes=30)  # twice as long after each try
FORGOTTEN = timedelta(days=1)  # after which it begins anew


@transaction.atomic
def begin(name: str, address: str, now: datetime | None = None) -> timedelta:
    """Count a try of this account from this address. Returns how long to wait instead; zero: go on, and look."""
    now = now or timezone.now()
    rows = [(kind, _row(_hash(kind, of), now)) for kind, of in _counted(name, address)]
    wait: timedelta = max((row.until - now for _, row in rows if row.until), default=timedelta(0))
    if wait > timedelta(0):
        return wait
    for kind, row in rows:
        row.failures, row.at = row.failures + 1, now
        row.until = now + wait_after(row.failures, kind) if row.failures >= FREE[kind] else None
        row.save()
    return timedelta(0)


def wait_after(failures: int, kind: str) -> timedelta:
    return min(LONGEST, FIRST * (1 << min(failures - FREE[kind], 20)))


@transaction.atomic
def failed(name: str, address: str) -> None:
    """The try that began was a wrong one: the audit log keeps it, and when it made others wait."""
    account = User.objects.filter(username=name).values_list("pk", flat=True).first()
    details = {"account": account, "address": address}
    audit.write(audit.Action.SIGN_IN_FAILED, by=None, details=details)
    now = timezone.now()
    hashes = [_hash(kind, of) for kind, of in _counted(name, address)]
    if SignInTries.objects.filter(of__in=hashes, until__gt=now).exists():
        audit.write(audit.Action.LOCKED_OUT, by=None, details=details)


@transaction.atomic
def succeeded(name: str, address: str) -> None:
    """The try that began was right: the account's are forgotten, and the address has one less."""
    for kind, of in _counted(name, address):
        row = SignInTries.objects.select_for_update().filter(of=_hash(kind, of)).first()
        if row is not None:
            row.failures, row.until = 0 if kind == "account" else max(0, row.failures - 1), None
            row.save()


def _counted(name: str, address: str) -> list[tuple[str, str]]:
    """Always in this order: two that lock both rows never wait for each other."""
    return [("account", name), *([("address", network(address))] if address else [])]


def network(address: str) -> str:
    """What one house has: of IPv6 that is a network, from which every try could have an address of its own."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def _row(of: str, now: datetime) -> SignInTries:
    row, _ = SignInTries.objects.select_for_update().get_or_create(of=of)
    if now - row.at > FORGOTTEN:
        row.failures, row.until = 0, None
    return row


def _hash(kind: str, of: str) -> str:
    return salted_hmac(f"annotation.lockout.{kind}", of.casefold(), algorithm="sha256").hexdigest()
