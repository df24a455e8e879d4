"""Which model answers, opened once per process."""

from functools import lru_cache
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from inference.core import bundle as bundles
from inference.core.attributes import APPARENT_AGE, ATTRIBUTES, REAL_AGE
from inference.core.bundle import EMBEDDING, Bundle, Calibration, cold_start, load
from inference.core.cold_attributes import COLD
from inference.core.said import Sureness
from inference.core.types import AttributeModel, Embedder
from inference.errors import NoLiveModel
from inference.models import ModelVersion

LIVE = ModelVersion.State.LIVE
# Networks that stay in memory: for each task the live one, and one that it is compared with or that was live before.
HELD = 2 * (1 + len(ATTRIBUTES))


def live(task: str = EMBEDDING) -> ModelVersion:
    """The live model of a task. Raises NoLiveModel."""
    version = ModelVersion.objects.filter(task=task, state=LIVE).first()
    if version is None:
        raise NoLiveModel(task)
    return version


@transaction.atomic
def ensure_live() -> ModelVersion:
    """The live embedding model; on a new database the cold-start bundle becomes it."""
    version = ModelVersion.objects.filter(task=EMBEDDING, state=LIVE).first()
    return version or register(cold_start(), folder="", state=LIVE)


@transaction.atomic
def ensure_attributes() -> dict[str, ModelVersion]:
    """The live model of each attribute that one is known for; on a new database those that ship with packages."""
    found = {each.task: each for each in ModelVersion.objects.filter(task__in=ATTRIBUTES, state=LIVE)}
    for task, shipped in COLD.items():
        if task not in found:
            found[task], _ = ModelVersion.objects.get_or_create(
                task=task,
                checksum=shipped.checksum,
                defaults={"name": shipped.name, "dimensions": 0, "state": LIVE, "live_since": timezone.now()},
            )
    return found


def register(bundle: Bundle, *, folder: str, state: ModelVersion.State = ModelVersion.State.CANDIDATE) -> ModelVersion:
    """The row of this bundle; the same bundle twice is one row."""
    version, _ = ModelVersion.objects.get_or_create(
        task=bundle.task,
        checksum=bundle.checksum,
        defaults={
            "name": bundle.name,
            "folder": folder,
            "dimensions": bundle.dimensions,
            "release_ids": bundle.release,
            "metrics": dict(bundle.metrics),
            "state": state,
            "live_since": timezone.now() if state == LIVE else None,
        },
    )
    return version


def bundle_of(version: ModelVersion) -> Bundle:
    """The bundle of a version, its checksums verified. Raises BadBundle; an attribute's shipped network has none."""
    return load(Path(version.folder)) if version.folder else cold_start()


def card_of(version: ModelVersion) -> str:
    """What a version says of itself, as Markdown; empty if nothing. Raises BadBundle, OSError."""
    if version.folder or version.task == EMBEDDING:
        return bundle_of(version).card
    shipped = COLD.get(version.task)
    return shipped.card if shipped and shipped.checksum == version.checksum else ""


@lru_cache(maxsize=HELD)
def _embedder(folder: str, checksum: str) -> Embedder:
    return bundles.open_embedder(load(Path(folder)) if folder else cold_start())


def embedder(version: ModelVersion) -> Embedder:
    """The network of a version, held in memory; the checksum is part of the key, so a new bundle is opened anew."""
    return _embedder(version.folder, version.checksum)


@lru_cache(maxsize=HELD)
def _attribute_model(task: str, folder: str, checksum: str) -> AttributeModel:
    return bundles.open_attribute_model(load(Path(folder))) if folder else COLD[task].open()


def attribute_model(version: ModelVersion) -> AttributeModel:
    """The network of an attribute's version, kept in memory as `embedder` is."""
    return _attribute_model(version.task, version.folder, version.checksum)


def sureness(version: ModelVersion) -> Sureness:
    """How far its confidence can be trusted; nobody has measured that of the networks that packages ship."""
    return _sureness(version.folder, version.checksum) if version.folder else Sureness(False, 0.0)


@lru_cache(maxsize=HELD)
def _sureness(folder: str, checksum: str) -> Sureness:
    return Sureness(True, load(Path(folder)).abstain_below)


def calibration(version: ModelVersion) -> Calibration | None:
    """How sure a backbone's cosines make that two faces are one person's; None where nobody has measured it."""
    return _calibration(version.folder, version.checksum)


@lru_cache(maxsize=HELD)
def _calibration(folder: str, checksum: str) -> Calibration | None:
    return (load(Path(folder)) if folder else cold_start()).calibration


def network_of(task: str) -> ModelVersion | None:
    """The version whose network speaks for an attribute now; None where none is known for it.

    Until there is one for real ages, the one for how old people look speaks of them, too.
    """
    live = ensure_attributes()
    return live.get(task) or (live.get(APPARENT_AGE.name) if task == REAL_AGE.name else None)
