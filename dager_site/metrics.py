"""/metrics, as Prometheus reads it. For an admin, or a token of theirs with the scope `admin`."""

import os
import random
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.cache import cache
from django.db.models import Max, Min
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from annotation.access import Role, Scope
from annotation.api import OfRoles
from annotation.models import NetworkOutput
from dager_site.celery import broker
from inference.core.attributes import ATTRIBUTES
from inference.core.drift import stability
from inference.core.said import Sureness, say
from inference.metrics import SCORES, score
from inference.models import ModelVersion

QUEUES = ("default", "vision", "train")
SAMPLE = 2000  # faces of the corpus that stand for all of it
FEWEST = 500  # below, ten bins differ by chance alone as much as a small drift would
REMEMBERED = 3600  # seconds

requests = Counter("dager_requests", "Requests that were answered", ["method", "route", "status"])
seconds = Histogram(
    "dager_request_seconds",
    "Seconds from a request to its answer",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Administers(OfRoles):
    roles, scopes = frozenset({Role.ADMIN}), frozenset({Scope.ADMIN})


class PlainText(BaseRenderer):
    """Only what is asked for is looked at: the text is Prometheus' own."""

    media_type = "text/plain"
    format = "txt"


class Metrics(APIView):
    permission_classes = [Administers]
    renderer_classes = [JSONRenderer, PlainText]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        counted: CollectorRegistry = REGISTRY
        if settings.METRICS_DIR:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, path=settings.METRICS_DIR)  # type: ignore[no-untyped-call]
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
        drift = GaugeMetricFamily(
            "dager_drift_psi",
            "Population stability index of what the live model says, against what it said of the corpus' own faces",
            labels=["attribute", "model"],
        )
        for version, moved in self._drifts():
            drift.add_metric([version.task, version.checksum[:8]], moved)
        yield drift

    def _drifts(self) -> Iterator[tuple[ModelVersion, float]]:
        """Of those models that have said enough, to clients and of the corpus."""
        live = ModelVersion.objects.filter(task__in=ATTRIBUTES, state=ModelVersion.State.LIVE)
        said = _scores(self._counted)
        for version in live:
            now = said.get((version.task, version.checksum[:8]))
            if now is None or now.sum() < FEWEST:
                continue
            before = _of_the_corpus(version)
            if sum(before) >= FEWEST:
                yield version, stability(before, now)


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


def _scores(counted: CollectorRegistry) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """How often each score was said, by attribute and model, in the bins of SCORES."""
    upto: dict[tuple[str, str], dict[float, float]] = {}
    for family in counted.collect():
        for sample in family.samples if family.name == "dager_score" else ():
            if sample.name == "dager_score_bucket":
                key = sample.labels["attribute"], sample.labels["model"]
                upto.setdefault(key, {})[float(sample.labels["le"])] = sample.value
    return {key: np.diff([found[edge] for edge in SCORES], prepend=0) for key, found in upto.items()}


def _of_the_corpus(version: ModelVersion) -> list[int]:
    """The same of faces of the corpus, picked by chance; looked at once an hour."""
    key = f"scores:{version.pk}"
    if (kept := cache.get(key)) is None:
        kept = _counted(version, _picked(version))
        cache.set(key, kept, REMEMBERED)
    return list(kept)


def _picked(version: ModelVersion) -> list[bytes]:
    rows = NetworkOutput.objects.filter(version=version, face__usable=True)
    ends = rows.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return []
    ids = range(ends["first"], ends["last"] + 1)
    # Twice as many as are wanted: some ids are of other models, or gone.
    picked = random.sample(ids, min(2 * SAMPLE, len(ids)))
    return [bytes(belief) for belief in rows.filter(pk__in=picked).values_list("belief", flat=True)[:SAMPLE]]


def _counted(version: ModelVersion, beliefs: list[bytes]) -> list[int]:
    attribute, as_is = ATTRIBUTES[version.task], Sureness(False, 0.0)
    scores = [
        score(say(attribute, np.frombuffer(each, "<f4").astype(np.float64), sureness=as_is, usable=True))
        for each in beliefs
    ]
    bins = np.searchsorted(SCORES, np.minimum(scores, SCORES[-1]), side="left")
    return [int(each) for each in np.bincount(bins, minlength=len(SCORES))]
