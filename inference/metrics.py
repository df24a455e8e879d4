"""What is counted while photos are looked at: times, batches, and what was said. Prometheus reads it at /metrics.

Counts only: nothing of a photo, a face or a person is in them. In a process of its own each, unless
PROMETHEUS_MULTIPROC_DIR names a folder in which the processes of one machine count together.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from prometheus_client import Counter, Gauge, Histogram

from inference.core.attributes import OLDEST
from inference.core.said import Choice, Said
from inference.core.types import Detection, Detector, Landmarker, Picture, Points
from inference.models import ModelVersion

SCORES = tuple(edge / 10 for edge in range(1, 11))  # upper edges; ten are enough for a drift, and steady with few faces

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


def said(version: ModelVersion, task: str, told: Said, *, usable: bool) -> None:
    _said.labels(task, str(told.abstained).lower()).inc()
    if usable:
        _score.labels(task, version.checksum[:8]).observe(score(told))


def score(told: Said) -> float:
    """One number from 0 to 1 of what was said, whose distribution is watched."""
    return told.confidence if isinstance(told, Choice) else told.mean / OLDEST


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
