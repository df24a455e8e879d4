"""Keys for programs: made and shown once, found again by their hash, revoked.

A key has 256 random bits, so one round of SHA-256 keeps it: there is nothing to guess that a slow hash would slow down.
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from annotation import audit
from annotation.errors import BadToken
from annotation.models import AccessToken, User

MARK = "dager_"  # so that whoever finds one in a file knows what it is
SHOWN = len(MARK) + 6
USED_EVERY = timedelta(minutes=1)  # a busy token is not written down at each request
LONGEST_DAYS = 3650
MOST_CALLS = 1_000_000


@transaction.atomic
def make(
    *,
    owner: User,
    name: str,
    scopes: Collection[str],
    days: int | None,
    calls_a_minute: int | None = None,
    by: User | None = None,
) -> tuple[AccessToken, str]:
    """A new token of this person, and its key, which nobody can read again. `days` of None: until it is revoked.

    `calls_a_minute` of its own, fewer or more than everybody's, are an admin's to give, or whoever's sits at the server
    (`by` of None). Raises BadToken.
    """
    known = {str(scope) for scope in AccessToken.Scope}
    if unknown := sorted(set(scopes) - known):
        raise BadToken(f"There is no scope {unknown[0]!r}. There are: {', '.join(sorted(known))}.")
    if not scopes:
        raise BadToken(f"A token without a scope could do nothing. Name at least one of: {', '.join(sorted(known))}.")
    name = name.strip()
    if not name or len(name) > 100:
        raise BadToken("A token needs a name of 1 to 100 characters, by which you know it again.")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise BadToken(f"A token is valid for 1 to {LONGEST_DAYS:,} days, or until it is revoked; not for {days}.")
    if calls_a_minute is not None and by is not None and by.role != User.Role.ADMIN:
        raise BadToken("Only an admin gives a token a limit of its own. Leave it out, or ask one.")
    if calls_a_minute is not None and not 1 <= calls_a_minute <= MOST_CALLS:
        raise BadToken(f"A token may make 1 to {MOST_CALLS:,} calls a minute, not {calls_a_minute}.")
    key = MARK + secrets.token_urlsafe(32)
    token = AccessToken.objects.create(
        owner=owner,
        name=name,
        prefix=key[:SHOWN],
        hashed=_hash(key),
        scopes=sorted(set(scopes)),
        calls_a_minute=calls_a_minute,
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
    )
    details = {"owner": owner.pk, "scopes": token.scopes, "days": days}
    details |= {"calls_a_minute": calls_a_minute} if calls_a_minute else {}
    audit.write(audit.Action.TOKEN, by=by, subject=f"token {token.pk}", details=details)
    return token, key


def find(key: str, *, now: datetime | None = None) -> AccessToken | None:
    """The valid token with this key, its owner an active person; None for any other, whatever the reason."""
    now = now or timezone.now()
    token = AccessToken.objects.select_related("owner").filter(hashed=_hash(key)).first()
    if token is None or token.state_at(now) != "valid" or not token.owner.is_active:
        return None
    if token.last_used_at is None or now - token.last_used_at >= USED_EVERY:
        AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


@transaction.atomic
def revoke(token: AccessToken, *, by: User | None = None, now: datetime | None = None) -> None:
    """From now on it opens nothing. Revoked before, it stays revoked since then."""
    if AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now or timezone.now()):
        audit.write(audit.Action.TOKEN_REVOKED, by=by, subject=f"token {token.pk}", details={"owner": token.owner_id})
    token.refresh_from_db()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
