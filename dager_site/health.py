"""Whether this process can do its work, for load balancers and supervisors."""

import os

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from dager_site.celery import broker
from inference.core.bundle import EMBEDDING
from inference.models import ModelVersion


def _queue_is_there() -> bool:
    if not settings.REDIS:
        return os.access(settings.QUEUE_DIR / "messages", os.W_OK)
    try:
        return bool(broker().ping())
    except RedisError:
        return False


@require_safe
@login_not_required
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Whether work may be sent here: 503 with what is missing, until the database, the queue and a model are there."""
    missing = []
    try:
        if not ModelVersion.objects.filter(task=EMBEDDING, state=ModelVersion.State.LIVE).exists():
            missing.append("no live model")
    except DatabaseError:
        missing.append("no database")
    if not _queue_is_there():
        missing.append("no queue")
    return JsonResponse({"status": "; ".join(missing) or "ready"}, status=503 if missing else 200)


@require_safe
@login_not_required
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "no database"}, status=503)
    return JsonResponse({"status": "ok"})
