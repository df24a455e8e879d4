"""Which model answers, opened once per process."""

from functools import cache
from pathlib import Path

from django.db import transaction

from inference.core.bundle import Bundle, cold_start, load, open_embedder
from inference.core.cold_attributes import cold_age, cold_emotion, cold_gender
from inference.core.types import AttributeModel, Embedder
from inference.errors import NoLiveModel
from inference.models import ModelVersion

EMBEDDING = ModelVersion.Task.EMBEDDING


def live() -> ModelVersion:
    """The live embedding model. Raises NoLiveModel."""
    version = ModelVersion.objects.filter(task=EMBEDDING, state=ModelVersion.State.LIVE).first()
    if version is None:
        raise NoLiveModel(EMBEDDING)
    return version


@transaction.atomic
def ensure_live() -> ModelVersion:
    """The live embedding model; on a new database the cold-start bundle becomes it."""
    version = ModelVersion.objects.filter(task=EMBEDDING, state=ModelVersion.State.LIVE).first()
    return version or register(cold_start(), folder="", state=ModelVersion.State.LIVE)


def register(bundle: Bundle, *, folder: str, state: ModelVersion.State = ModelVersion.State.CANDIDATE) -> ModelVersion:
    """The row of this bundle; the same bundle twice is one row."""
    version, _ = ModelVersion.objects.get_or_create(
        task=EMBEDDING,
        checksum=bundle.checksum,
        defaults={
            "name": bundle.name,
            "folder": folder,
            "dimensions": bundle.dimensions,
            "state": state,
        },
    )
    return version


def bundle_of(version: ModelVersion) -> Bundle:
    """The bundle of a version, its checksums verified."""
    return load(Path(version.folder)) if version.folder else cold_start()


@cache
def _embedder(folder: str, checksum: str) -> Embedder:
    return open_embedder(load(Path(folder)) if folder else cold_start())


def embedder(version: ModelVersion) -> Embedder:
    """The network of a version. It stays in memory; the checksum is part of the key, so a new bundle is opened anew."""
    return _embedder(version.folder, version.checksum)


def attribute_models() -> list[AttributeModel]:
    """The networks that make the first proposals, of each attribute that one is known for."""
    return [cold_gender(), cold_age(), cold_emotion()]
