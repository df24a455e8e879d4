"""How many requests a minute one token, or one signed-in person, may make.

Counted by whole minutes in the cache, which all web processes share where it is Redis; else each counts by itself.
While it cannot be reached, nobody is held up.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from annotation import live_settings
from annotation.models import AccessToken

log = logging.getLogger(__name__)

MINUTE = 60


class PerMinute(BaseThrottle):
    """Predictions have a limit of their own: they take the machine a hundred times as long as anything else."""

    def allow_request(self, request: Request, view: Any) -> bool:
        kind, limit = _limit(view.get_permissions())
        who = f"token-{request.auth.pk}" if isinstance(request.auth, AccessToken) else f"user-{request.user.pk}"
        now = time.time()
        self.seconds = MINUTE - now % MINUTE
        key = f"requests:{kind}:{who}:{int(now // MINUTE)}"
        try:
            cache.add(key, 0, 2 * MINUTE)
            made = cache.incr(key)
        except (RedisError, ValueError) as error:  # it cannot be reached, or has just forgotten the key
            log.warning("Requests are not counted: %s", error)
            return True
        _tell(request._request, limit, max(0, limit - made), self.seconds)
        return made <= limit

    def wait(self) -> float:
        return self.seconds


def _tell(request: HttpRequest, limit: int, left: int, seconds: float) -> None:
    """For the middleware, which writes it on the response whatever that will be."""
    request.rate_limit = {  # type: ignore[attr-defined]
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(round(seconds)),
    }


def _limit(permissions: Sequence[Any]) -> tuple[str, int]:
    if any(getattr(each, "predicts", False) for each in permissions):
        return "predict", live_settings.get("PREDICTIONS_A_MINUTE")
    return "other", live_settings.get("REQUESTS_A_MINUTE")
