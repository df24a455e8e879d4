"""The cache that all web processes share, and what stands in for it while it is away."""

import logging
import time
from typing import Any, ClassVar

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

AWAY = 10.0  # seconds that a Redis which did not answer is left alone
OPERATIONS = ("add", "get", "set", "touch", "delete", "has_key", "incr", "get_many", "set_many", "delete_many", "clear")


def _of_either(name: str) -> Any:
    def asked(self: "SharedOrOwn", *words: Any, **more: Any) -> Any:
        if time.monotonic() >= SharedOrOwn.back_at:
            try:
                return getattr(RedisCache, name)(self, *words, **more)
            except RedisError as error:
                SharedOrOwn.back_at = time.monotonic() + AWAY
                log.warning("The shared cache does not answer; this process counts for itself: %s", error)
        return getattr(self._own, name)(*words, **more)

    return asked


class SharedOrOwn(RedisCache):
    """Redis, and while it does not answer this process' own memory: nothing in a cache is worth a failed request.

    One that hangs costs a process one wait and then none for a while, however much a request asks of the cache.
    """

    back_at: ClassVar[float] = 0.0  # by time.monotonic(): all threads of a process know of it
    add, get, set, touch, delete, has_key, incr, get_many, set_many, delete_many, clear = map(_of_either, OPERATIONS)

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._own = LocMemCache("while Redis is away", {**params, "OPTIONS": {"MAX_ENTRIES": 10_000}})
