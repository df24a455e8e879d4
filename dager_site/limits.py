"""How many calls a minute one token, or one signed-in person, may make, by what they are for.

Counted by whole minutes in the cache, which all web processes share where it is Redis. While that does not answer each
process counts for itself: nobody is refused for it, and nobody is let loose.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.exceptions import PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from annotation import live_settings
from annotation.access import Scope
from annotation.models import AccessToken, User

MINUTE = 60
# What a call counts as that several scopes open: as the first of these that its token has.
COUNTED = (Scope.CURATE, Scope.TRAIN, Scope.ANNOTATE, Scope.PREDICT, Scope.SEARCH, Scope.ADMIN)
# Predictions take the machine a hundred times as long as anything else. What says 0 is as REQUESTS_A_MINUTE.
LIMITS = {
    Scope.PREDICT: "PREDICTIONS_A_MINUTE",
    Scope.SEARCH: "PREDICTIONS_A_MINUTE",
    Scope.ANNOTATE: "ANNOTATE_A_MINUTE",
    Scope.CURATE: "CURATE_A_MINUTE",
    Scope.TRAIN: "TRAIN_A_MINUTE",
    Scope.ADMIN: "ADMIN_A_MINUTE",
}


class PerMinute(BaseThrottle):
    seconds = 0  # until the next minute

    def allow_request(self, request: Request, view: Any) -> bool:
        token = request.auth if isinstance(request.auth, AccessToken) else None
        scope = counted_as(view.get_permissions(), request, token)
        limit = _limit(scope, token)
        who = f"token-{token.pk}" if token else f"user-{request.user.pk}"
        now = time.time()
        self.seconds = math.ceil(MINUTE - now % MINUTE)
        made = _count(f"requests:{scope}:{who}:{int(now // MINUTE)}")
        _tell(request._request, limit, max(0, limit - made), self.seconds)
        return made <= limit

    def wait(self) -> float:
        return self.seconds


def counted_as(permissions: Sequence[Any], request: Request, token: AccessToken | None) -> Scope:
    """The scope whose allowance a call is taken from: one that it asks for and that the token, if it is one, has."""
    asked = {scope for each in permissions if hasattr(each, "asked") for scope in each.asked(request)[1]}
    if token is not None and Scope.ADMIN not in token.scopes:
        asked = {scope for scope in asked if scope in token.scopes}
    # The description of the API asks for no scope.
    return next((scope for scope in COUNTED if scope in asked), Scope.CURATE)


def counted(error: Exception, context: dict[str, Any]) -> Exception:
    """What is refused to somebody's role or token counts, too; DRF looks at these before it counts.

    Returns the refusal, or beyond the limit what is told then.
    """
    request, view = context["request"], context["view"]
    new = isinstance(error, PermissionDenied) and not hasattr(request._request, "rate_limit")
    if not (new and isinstance(request.user, User) and PerMinute in view.throttle_classes):
        return error
    throttle = PerMinute()
    return error if throttle.allow_request(request, view) else Throttled(throttle.wait())


def _count(key: str) -> int:
    """How many it is, with this one."""
    for _ in range(2):
        try:
            return cache.incr(key)
        except ValueError:  # the first of its minute; of two at once the other one was
            if cache.add(key, 1, 2 * MINUTE):
                return 1
    return 1  # Redis went away, or came back, at this moment


def _limit(scope: Scope, token: AccessToken | None) -> int:
    if token is not None and token.calls_a_minute is not None:
        return token.calls_a_minute
    return int(live_settings.get(LIMITS[scope]) or live_settings.get("REQUESTS_A_MINUTE"))


def _tell(request: HttpRequest, limit: int, left: int, seconds: int) -> None:
    """For the middleware, which writes it on the response whatever that will be."""
    request.rate_limit = {  # type: ignore[attr-defined]
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": str(seconds),
    }
