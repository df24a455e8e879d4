"""/metrics, as Prometheus reads it. For an admin, or a token of theirs with the scope `admin`."""

import os
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from annotation.access import Role, Scope
from annotation.api import OfRoles
from dager_site.celery import broker
from inference.metrics import counted_together
from training import drift

QUEUES = ("default", "vision", "train")

requests = Counter("dager_requests", "Requests that were answered", ["method", "route", "status"])
seconds = Histogram(
    "dager_request_seconds",
    "Seconds from a request to its answer",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Administers(OfRoles):
    roles, scopes = frozenset({Role.ADMIN}), frozenset({Scope.ADMIN})


class PlainText(JSONRenderer):
    """Only what is asked for is looked at: the text is Prometheus' own, and errors are JSON."""

    media_type = "text/plain"
    format = "txt"


class Metrics(APIView):
    permission_classes = [Administers]
    renderer_classes = [JSONRenderer, PlainText]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        counted = counted_together()
        told = CollectorRegistry()
        told.register(Looked(counted))
        return HttpResponse(generate_latest(counted) + generate_latest(told), content_type=CONTENT_TYPE_LATEST)


class Looked(Collector):
    """What nobody counts, but is there to be looked at when it is asked for."""

    def __init__(self, counted: CollectorRegistry) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("dager_queue_messages", "Messages that wait for a worker", labels=["queue"])
        for queue, messages in messages_waiting().items():
            waiting.add_metric([queue], messages)
        yield waiting
        moved = GaugeMetricFamily(
            "dager_drift_psi",
            "Population stability index of what a live model says to clients, against what it said as it was measured",
            labels=["attribute", "model", "against"],
        )
        told = GaugeMetricFamily(
            "dager_drift_scores", "Faces that the index rests on", labels=["attribute", "model", "of"]
        )
        for each in drift.drifts(self._counted):
            model = [each.version.task, each.version.checksum[:8]]
            moved.add_metric([*model, each.against], each.moved)
            told.add_metric([*model, "clients"], each.said)
            told.add_metric([*model, each.against], each.before)
        yield moved
        yield told


def messages_waiting() -> dict[str, int]:
    """By queue; none where the broker does not answer, as a 0 would be a lie."""
    if settings.REDIS:
        try:
            asked = broker()
            return {queue: int(asked.llen(queue)) for queue in QUEUES}
        except RedisError:
            return {}
    try:
        names = os.listdir(settings.QUEUE_DIR / "messages")
    except FileNotFoundError:
        return {}
    return {queue: sum(name.endswith(f".{queue}.msg") for name in names) for queue in QUEUES}
