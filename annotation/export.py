"""Identity labels out, each with its provenance: who said so, when, on which evidence."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import QuerySet

from annotation.core import tables
from annotation.core.batches import batched
from annotation.errors import RightsNotStated
from annotation.models import Label, Photo, Source

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
    ]
)
ROWS = 10_000


@dataclass(frozen=True)
class Summary:
    labels: int  # that an export would hold
    withheld: int  # labels of photos whose rights are not stated
    withheld_sources: list[str]


def _identity_labels(source: Source | None) -> QuerySet[Label]:
    labels = Label.objects.filter(verdict=Label.Verdict.IDENTITY)
    return labels.filter(face__photo__source=source) if source else labels


def _exportable(labels: QuerySet[Label]) -> QuerySet[Label]:
    return labels.filter(face__photo__in=Photo.objects.exportable())


def summary(source: Source | None = None) -> Summary:
    labels = _identity_labels(source)
    withheld = labels.exclude(pk__in=_exportable(labels).values("pk"))
    return Summary(
        labels=_exportable(labels).count(),
        withheld=withheld.count(),
        withheld_sources=list(
            withheld.order_by("face__photo__source__name")
            .values_list("face__photo__source__name", flat=True)
            .distinct()
        ),
    )


def rows(source: Source | None = None) -> Iterator[dict[str, Any]]:
    """One row a label, in constant memory. Raises RightsNotStated, at once, if rights withhold every label."""
    found = summary(source)
    if found.withheld and not found.labels:
        raise RightsNotStated(found.withheld_sources)
    return _rows(source)


def _rows(source: Source | None) -> Iterator[dict[str, Any]]:
    labels = _exportable(_identity_labels(source)).select_related("face__photo__source", "identity", "decision__person")
    for label in labels.order_by("face_id").iterator(chunk_size=2_000):
        face, photo, decision = label.face, label.face.photo, label.decision
        yield {
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
            "identity_id": label.identity_id,
            "identity_name": label.identity.name if label.identity else "",
            "duplicate_of": face.duplicate_of_id,
            "decided_by": decision.person.username if decision.person else decision.by,
            "decided_at": decision.at,
            "decision_id": decision.pk,
            "evidence": json.dumps(decision.evidence, sort_keys=True),
        }


def csv_lines(source: Source | None = None) -> Iterator[str]:
    """The CSV, line by line, with its header. Raises RightsNotStated before the first line."""
    table = rows(source)
    return tables.csv_lines(SCHEMA.names, ([_written(row[name]) for name in SCHEMA.names] for row in table))


def _written(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def write_parquet(stream: IO[bytes], source: Source | None = None) -> int:
    """Write the Parquet file to a stream; returns the number of labels. Raises RightsNotStated."""
    table, count = rows(source), 0
    with pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for batch in batched(table, ROWS):
            writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))
            count += len(batch)
    return count
