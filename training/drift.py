"""How far what live models say to clients has moved from what they said where they were measured."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.cache import cache
from django.db.models import Max, Min
from prometheus_client.registry import Collector

from annotation.models import NetworkOutput
from inference.core.attributes import ATTRIBUTES
from inference.core.drift import DRIFTED, SCORES, histogram, score, stability
from inference.core.said import Sureness, say
from inference.metrics import counted_together, scores
from inference.models import ModelVersion

FEWEST = 500  # below, ten bins differ by chance alone as much as a small drift would
SAMPLE = 2000  # faces of the corpus that stand for all of it
REMEMBERED = 3600  # seconds
VALIDATION, CORPUS = "validation", "corpus"


@dataclass(frozen=True)
class Drift:
    """Of a live model that has said enough."""

    version: ModelVersion
    moved: float  # population stability index, without a unit
    said: int  # faces that clients sent, since the web processes started
    before: int  # faces that these are held against
    against: str  # of the validation part that the model was chosen by; else of the corpus, where a bundle has none

    @property
    def high(self) -> bool:
        return self.moved > DRIFTED


def drifts(counted: Collector | None = None) -> Iterator[Drift]:
    """Of those models that have said enough, there and here; `counted` by this process, or all that share a folder."""
    said = scores(counted or counted_together())
    for version in ModelVersion.objects.filter(task__in=ATTRIBUTES, state=ModelVersion.State.LIVE).order_by("task"):
        now = said.get((version.task, version.checksum[:8]))
        if now is None or now.sum() < FEWEST:
            continue
        before, against = _before(version)
        if sum(before) >= FEWEST:
            yield Drift(version, stability(before, now), int(now.sum()), sum(before), against)


def of_model(version: ModelVersion) -> Drift | None:
    return next((each for each in drifts() if each.version == version), None)


def _before(version: ModelVersion) -> tuple[list[int], str]:
    kept = _counts(version.metrics.get("scores"))
    return (kept, VALIDATION) if sum(kept) >= FEWEST else (_of_the_corpus(version), CORPUS)


def _counts(told: Any) -> list[int]:
    """What a bundle says that its scores were; a bundle of somebody else's may say anything."""
    fits = isinstance(told, list) and len(told) == len(SCORES)
    return told if fits and all(type(each) is int and each >= 0 for each in told) else []


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
    read = (np.frombuffer(each, "<f4").astype(np.float64) for each in beliefs)
    return histogram([score(say(attribute, each, sureness=as_is, usable=True)) for each in read])
