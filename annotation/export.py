"""Labelled faces out, each label with its provenance: who said so, when, on which evidence.

`by` is who takes them along; None is whoever sits at the server. Who sees some sources only takes along what was first
received from these: its rights are theirs to look after, those of another source's photo are not.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from annotation import visible
from annotation.core import tables
from annotation.core.batches import batched
from annotation.core.datasets.entry import CANNOT_TELL
from annotation.errors import RightsNotStated
from annotation.models import AttributeLabel, Decision, Face, Label, Source, User, rights_stated
from inference.core.attributes import ATTRIBUTES

SCHEMA = pa.schema(
    [
        pa.field("face_id", pa.int64()),
        pa.field("file", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("source", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("legal_basis", pa.string()),
        pa.field("source_url", pa.string()),
        pa.field("x", pa.float64()),
        pa.field("y", pa.float64()),
        pa.field("width", pa.float64()),
        pa.field("height", pa.float64()),
        pa.field("identity_id", pa.int64()),
        pa.field("identity_name", pa.string()),
        pa.field("duplicate_of", pa.int64()),
        pa.field("decided_by", pa.string()),
        pa.field("decided_at", pa.timestamp("us", tz="UTC")),
        pa.field("decision_id", pa.int64()),
        pa.field("evidence", pa.string()),
        *[pa.field(name, pa.float64() if each.in_years else pa.string()) for name, each in ATTRIBUTES.items()],
        pa.field("attributes", pa.string()),  # JSON: each attribute with all that its label holds and rests on
    ]
)
ROWS = 10_000
READ = 2_000


@dataclass(frozen=True)
class Summary:
    faces: int  # with a label, that an export would hold
    withheld: int  # those of photos whose rights are not stated
    withheld_sources: list[str]


def _labelled(source: Source | None, by: User | None) -> QuerySet[Face]:
    described = AttributeLabel.objects.filter(face=OuterRef("pk"))
    seen = Q() if by is None else visible.told_by(by, "photo")
    faces = Face.objects.filter(seen).filter(Q(label__verdict=Label.Verdict.IDENTITY) | Exists(described))
    return faces.filter(photo__source=source) if source else faces


def _exportable(faces: QuerySet[Face]) -> QuerySet[Face]:
    return faces.filter(rights_stated("photo"))


def summary(source: Source | None = None, *, by: User | None = None) -> Summary:
    faces = _labelled(source, by)
    withheld = faces.exclude(pk__in=_exportable(faces).values("pk"))
    sources = withheld.order_by("photo__source__name").values_list("photo__source__name", flat=True).distinct()
    return Summary(faces=_exportable(faces).count(), withheld=withheld.count(), withheld_sources=list(sources))


def rows(source: Source | None = None, *, by: User | None = None) -> Iterator[dict[str, Any]]:
    """One row a face, in constant memory. Raises RightsNotStated, at once, if rights withhold every one."""
    found = summary(source, by=by)
    if found.withheld and not found.faces:
        raise RightsNotStated(found.withheld_sources)
    return _rows(source, by)


def exportable_faces(source: Source | None = None, *, by: User | None = None) -> QuerySet[Face]:
    """The labelled faces whose rights are stated, with all that `row` reads."""
    described = Prefetch("attribute_labels", AttributeLabel.objects.select_related("decision__person"))
    faces = _exportable(_labelled(source, by)).select_related(
        "photo__source", "label__identity", "label__decision__person"
    )
    return faces.prefetch_related(described)


def _rows(source: Source | None, by: User | None) -> Iterator[dict[str, Any]]:
    for faces in batched(exportable_faces(source, by=by).order_by("pk").iterator(chunk_size=READ), READ):
        for face in faces if by is None else visible.as_seen(by, faces):
            told = row(face)
            yield told | {name: _as_json(told[name]) for name in ("evidence", "attributes")}


def _as_json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def row(face: Face) -> dict[str, Any]:
    """What is said of a face, by column."""
    photo = face.photo
    return {
        "face_id": face.pk,
        "file": photo.file,
        "sha256": photo.sha256,
        "source": photo.source.name,
        "licence": photo.licence or photo.source.licence,
        "legal_basis": photo.source.legal_basis,
        "source_url": photo.source_url,
        "x": face.x,
        "y": face.y,
        "width": face.width,
        "height": face.height,
        "duplicate_of": face.duplicate_of_id,
        **_identity(getattr(face, "label", None)),
        **_attributes(face.attribute_labels.all()),
    }


def _identity(label: Label | None) -> dict[str, Any]:
    if label is None or label.identity is None:
        columns = ("identity_id", "identity_name", "decided_by", "decided_at", "decision_id", "evidence")
        return dict.fromkeys(columns)
    return {
        "identity_id": label.identity.pk,
        "identity_name": label.identity.name,
        "decided_by": _author(label.decision),
        "decided_at": label.decision.at,
        "decision_id": label.decision.pk,
        "evidence": label.decision.evidence,
    }


def _attributes(labels: Iterable[AttributeLabel]) -> dict[str, Any]:
    """A column for each attribute: a class, or years. Who cannot be told has none there, but says so in the JSON."""
    columns: dict[str, Any] = dict.fromkeys(ATTRIBUTES)
    told = dict[str, dict[str, Any]]()
    for label in labels:
        decision = label.decision
        told[label.attribute] = {
            "value": label.value,
            "detail": label.detail,
            "decided_by": _author(decision),
            "decided_at": decision.at.isoformat(),
            "decision_id": decision.pk,
            "evidence": decision.evidence,
        }
        if label.value != CANNOT_TELL:
            columns[label.attribute] = float(label.value) if ATTRIBUTES[label.attribute].in_years else label.value
    return columns | {"attributes": told}


def _author(decision: Decision) -> str:
    return decision.person.username if decision.person else decision.by


def csv_lines(source: Source | None = None, *, by: User | None = None) -> Iterator[str]:
    """The CSV, line by line, with its header. Raises RightsNotStated before the first line."""
    table = rows(source, by=by)
    return tables.csv_lines(SCHEMA.names, ([_written(row[name]) for name in SCHEMA.names] for row in table))


def _written(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def write_parquet(stream: IO[bytes], source: Source | None = None, *, by: User | None = None) -> int:
    """Write the Parquet file to a stream; returns the number of faces. Raises RightsNotStated."""
    table, count = rows(source, by=by), 0
    with pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for batch in batched(table, ROWS):
            writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
            count += len(batch)
    return count
