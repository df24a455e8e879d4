"""What is counted while photos are looked at: times, batches, and what was said. Prometheus reads it at /metrics.

Counts only: nothing of a photo, a face or a person is in them. In a process of its own each, unless
PROMETHEUS_MULTIPROC_DIR names a folder in which the processes of one machine count together.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt
from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from inference.core.attributes import OLDEST
from inference.core.drift import SCORES, score
from inference.core.said import Said
from inference.core.types import Detection, Detector, Landmarker, Picture, Points
from inference.models import ModelVersion

_stage = Histogram(
    "dager_stage_seconds",
    "Seconds that a stage of a prediction takes; embed and attributes with the wait for a batch",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_batch = Histogram(
    "dager_batch_faces", "Faces that a network looks at in one go", ["network"], buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
_waiting = Gauge("dager_waiting_requests", "Requests that wait for a network", ["network"], multiprocess_mode="livesum")
_said = Counter("dager_said", "Faces of which an attribute was said", ["attribute", "abstained"])
_failed = Counter("dager_failed_photos", "Photos of many at which the code failed; of one alone it is a status of 500")
_score = Histogram(
    "dager_score",
    f"What was said of usable faces: the confidence in a class, an age as a share of {OLDEST} years",
    ["attribute", "model"],
    buckets=SCORES,
)


def stage(name: str) -> AbstractContextManager[object]:
    """Times what is done inside: decode, detect, landmarks, align, embed, attributes."""
    return _stage.labels(name).time()


def waiting(network: str) -> AbstractContextManager[object]:
    return _waiting.labels(network).track_inprogress()


def batch(network: str, faces: int) -> None:
    _batch.labels(network).observe(faces)


def photo_failed() -> None:
    _failed.inc()


def said(version: ModelVersion, task: str, told: Said, *, usable: bool) -> None:
    _said.labels(task, str(told.abstained).lower()).inc()
    if usable:
        _score.labels(task, version.checksum[:8]).observe(score(told))


def scores(counted: Collector) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
    """How often each score was said, by attribute and the beginning of its model's checksum, in the bins of SCORES."""
    upto: dict[tuple[str, str], dict[float, float]] = {}
    for family in counted.collect():
        for sample in family.samples if family.name == "dager_score" else ():
            if sample.name == "dager_score_bucket":
                key = sample.labels["attribute"], sample.labels["model"]
                upto.setdefault(key, {})[float(sample.labels["le"])] = sample.value
    return {key: np.diff([found[edge] for edge in SCORES], prepend=0) for key, found in upto.items()}


def counted_together() -> CollectorRegistry:
    """What this process counted, or all on this machine that share a folder for it."""
    if not settings.METRICS_DIR:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together, path=settings.METRICS_DIR)  # type: ignore[no-untyped-call]
    return together


class TimedDetector:
    def __init__(self, opened: Callable[[], Detector]) -> None:
        self._opened = opened

    def detect(self, picture: Picture) -> list[Detection]:
        with stage("detect"):
            return self._opened().detect(picture)


class TimedLandmarker:
    def __init__(self, opened: Callable[[], Landmarker]) -> None:
        self._opened = opened

    def landmarks(self, picture: Picture, detection: Detection) -> Points:
        with stage("landmarks"):
            return self._opened().landmarks(picture, detection)
