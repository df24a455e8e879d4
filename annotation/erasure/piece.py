"""What one transaction removed, and how the erasure's row keeps the sum of it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from annotation.models import Erasure


@dataclass
class Piece:
    """What one transaction removed."""

    rows: Counter[str] = field(default_factory=Counter)
    releases: Counter[int] = field(default_factory=Counter)
    people: set[int] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    sources: set[int] = field(default_factory=set)
    since: datetime | None = None
    done: int = 0


def write_down(made: Erasure, piece: Piece) -> None:
    kept = Erasure.objects.select_for_update().get(pk=made.pk)
    kept.counts = dict(Counter(kept.counts) + piece.rows)
    kept.releases = {
        str(pk): n for pk, n in (Counter({int(k): v for k, v in kept.releases.items()}) + piece.releases).items()
    }
    kept.people = sorted({*kept.people, *piece.people})
    kept.sources = sorted({*kept.sources, *piece.sources})
    kept.since = min((each for each in (kept.since, piece.since) if each is not None), default=None)
    kept.done += piece.done
    kept.save(update_fields=["counts", "releases", "people", "sources", "since", "done"])
