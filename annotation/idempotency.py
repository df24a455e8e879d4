"""A request that comes again is answered as before: what it made is made once."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.errors import KeyInHand, KeyReused
from annotation.models import KeptAnswer, User

KEPT = timedelta(days=1)  # whoever repeats a request does so within minutes
PATIENCE = timedelta(minutes=5)  # no request takes as long; the process that had it in hand is gone


def claim(*, user: User, key: str, digest: str, now: datetime | None = None) -> KeptAnswer:
    """The answer that was given under this key, or a new row without one, which the caller is to keep or release.

    The unique key lets one of two requests that arrive together through. Raises KeyReused where something else was
    sent under it, and KeyInHand while the first request is at it.
    """
    now = now or timezone.now()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(user=user, key=key, digest=digest, at=now)
    except IntegrityError:
        earlier = KeptAnswer.objects.filter(user=user, key=key).first()
    if earlier is not None and earlier.digest != digest:
        raise KeyReused(key)
    if earlier is None or earlier.status is None:
        lost = KeptAnswer.objects.filter(user=user, key=key, status=None, at__lt=now - PATIENCE)
        if earlier is None or not lost.update(at=now):
            raise KeyInHand(key)
        earlier.at = now
    return earlier


def keep(claimed: KeptAnswer, *, status: int, body: Mapping[str, object] | None) -> None:
    """Within the transaction of what was done: it is committed with that, or neither is.

    Raises KeyInHand where it took so long that the request came again and was begun anew: that one does it.
    """
    if not _in_hand(claimed).update(status=status, body=body):
        raise KeyInHand(claimed.key)


def release(claimed: KeptAnswer) -> None:
    """Nothing was made: the key is free, for the same request or a mended one."""
    _in_hand(claimed).delete()


def _in_hand(claimed: KeptAnswer) -> QuerySet[KeptAnswer]:
    """The row, unless somebody else has it in hand by now."""
    return KeptAnswer.objects.filter(pk=claimed.pk, status=None, at=claimed.at)


def forget(now: datetime) -> None:
    KeptAnswer.objects.filter(at__lt=now - KEPT).delete()
