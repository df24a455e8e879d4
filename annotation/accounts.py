"""Who may come in, as what, and to which sources: accounts made, raised, lowered, restricted, switched off.

Each is a line of the audit log.
"""

from collections.abc import Iterable

from django.db import transaction

from annotation import audit, queue
from annotation.core.lookalikes import skeleton, what_is_odd
from annotation.errors import AccountRefused
from annotation.models import KeptAnswer, Source, User

Role = User.Role
RANK = {Role.CLIENT: 0, Role.ANNOTATOR: 1, Role.CURATOR: 2, Role.ENGINEER: 2, Role.ADMIN: 3}


def outranks(one: User, other: User) -> bool:
    return one.is_active and RANK[Role(one.role)] > RANK[Role(other.role)]


@transaction.atomic
def keep(account: User, *, by: User | None) -> None:
    """Save an account that `by` made or changed; None is whoever sits at the server.

    Another role, or being switched off, ends all sessions of that person. Raises AccountRefused.
    """
    # All active admins stay locked: of two who lower each other at once the second finds what the first did.
    admins = list(User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("pk"))
    before = User.objects.select_for_update().filter(pk=account.pk).first() if account.pk else None
    account.restricted = before is not None and before.restricted  # which only `restrict` changes
    if by is not None:
        _require_may(before, account, by)
    if before is None or before.username != account.username:
        _require_own_name(account)
    if account.restricted and account.role == Role.ADMIN:
        raise AccountRefused(
            f"{account} sees some sources only, and an admin sees everything. Give them all sources first."
        )
    if before in admins and not (account.role == Role.ADMIN and account.is_active) and admins == [before]:
        raise AccountRefused(f"{account} is the last active admin. Make somebody else an admin first.")
    # The role is the one thing that says what somebody may do; Django's own flags follow it.
    account.is_staff = account.is_superuser = account.role == Role.ADMIN
    if before is not None and (before.role, before.is_active) != (account.role, account.is_active):
        account.sessions_ended = before.sessions_ended + 1
    account.save()
    _log(before, account, by)


@transaction.atomic
def restrict(account: User, sources: Iterable[Source] | None, *, by: User | None) -> None:
    """From now on this person, and their tokens, see only what came from these sources; with None, everything again.

    With no source at all they see nothing, and so they do once all of theirs are erased. What they hold of the queue is
    free; all their sessions end. Raises AccountRefused.
    """
    before = User.objects.select_for_update().get(pk=account.pk)
    wanted = None if sources is None else sorted(source.pk for source in sources)
    known = before.own_sources if before.restricted else None
    if wanted != known:
        if by is not None and (by.role != Role.ADMIN or not outranks(by, before)):
            raise AccountRefused("Only an admin says which sources somebody sees, and only of those below.")
        if wanted is not None and before.role == Role.ADMIN:
            raise AccountRefused(
                f"{before} is an admin, who sees everything: that is what admins are for. "
                "Give them another role first, then name the sources."
            )
        before.sources.set(wanted or [])
        before.restricted, before.sessions_ended = wanted is not None, before.sessions_ended + 1
        before.save(update_fields=["restricted", "sessions_ended"])
        queue.give_back(before)
        KeptAnswer.objects.filter(user=before, status__isnull=False).delete()  # what they saw is not told again
        details = {"from": known, "to": wanted}
        audit.write(audit.Action.SCOPE, by=by, subject=f"account {before.pk}", details=details)
    account.refresh_from_db()
    for cached in ("own_sources", "came_again"):
        account.__dict__.pop(cached, None)


def _require_may(before: User | None, account: User, by: User) -> None:
    changed = before is None or (before.role, before.is_active) != (account.role, account.is_active)
    if changed and account.pk == by.pk:
        raise AccountRefused("Nobody changes their own role or switches themselves off. Ask another admin.")
    if by.role != Role.ADMIN or not by.is_active:
        raise AccountRefused("Only an admin makes and changes accounts.")
    if before is not None and account.pk != by.pk and not outranks(by, before):
        raise AccountRefused(
            f"{before} is {before.get_role_display().lower()} as you are: only a higher role changes that account. "
            f"On the server, `manage.py role {before} ROLE` does."
        )


def _require_own_name(account: User) -> None:
    """Nobody passes for another: who reads the audit log or a history must not take one name for the other."""
    if odd := what_is_odd(account.username):
        raise AccountRefused(f"{account.username!r} can mislead: {odd}. Choose a plainer name.")
    mine = skeleton(account.username)
    for name in User.objects.exclude(pk=account.pk).values_list("username", flat=True):
        if skeleton(name) == mine:
            raise AccountRefused(
                f"{account.username!r} looks like {name!r}, whom there is already. Choose another name."
            )


def log_made(account: User, *, by: User | None) -> None:
    """The audit log tells of an account that was made past `keep`, as commands make the first one."""
    _log(None, account, by)


def _log(before: User | None, account: User, by: User | None) -> None:
    subject = f"account {account.pk}"
    if before is None or before.is_active != account.is_active:
        details = {"role": account.role, "active": account.is_active, "made": before is None}
        audit.write(audit.Action.ACCOUNT, by=by, subject=subject, details=details)
    if before is not None and before.role != account.role:
        audit.write(audit.Action.ROLE, by=by, subject=subject, details={"from": before.role, "to": account.role})
