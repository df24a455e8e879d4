"""The signed report: what went, what was marked, and that nothing is left."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.files.storage import default_storage
from django.core.signing import BadSignature, Signer

from annotation import releases, tombstones
from annotation.erasure.scope import count
from annotation.models import AuditEvent, Erasure, Release

FORMAT = 1
ERASURES = 50  # the latest, whose exports are told on the export's page
EXPORTS = 500  # lines of the audit log that are looked at


def signature(report: Mapping[str, Any]) -> str:
    """HMAC-SHA-256 of the report as canonical JSON, by the signing key of this installation."""
    return _signer().signature(_canonical(report))


def is_genuine(report: Mapping[str, Any], signed: str) -> bool:
    try:
        _signer().unsign(f"{_canonical(report)}:{signed}")
    except BadSignature:
        return False
    return True


def _signer() -> Signer:
    return Signer(salt="annotation.erasure.report", algorithm="sha256")


def _canonical(report: Mapping[str, Any]) -> str:
    return json.dumps(report, sort_keys=True, separators=(",", ":"))


def report_of(made: Erasure, now: datetime) -> dict[str, Any]:
    marked = list(Release.objects.filter(pk__in=[int(pk) for pk in made.releases]).order_by("pk"))
    left = made.erased_files.filter(removed_at__isnull=False)
    return {
        "format": FORMAT,
        "erasure": made.pk,
        "subject": made.subject,
        "kind": made.kind,
        "black_out": made.black_out,
        "reason": made.reason,
        "legal_reference": made.legal_reference,
        "by": made.by.username if made.by else "the schedule",
        "asked": made.at.isoformat(timespec="seconds"),
        "finished": now.isoformat(timespec="seconds"),
        "rows": dict(sorted(made.counts.items())),
        "files": made.files,
        "left": {
            "rows": count(made),
            "files": sum(default_storage.exists(tombstones.unsealed(row.key)) for row in left),
        },
        "releases": [
            {
                "id": each.pk,
                "name": each.name,
                "checksum": each.checksum,
                "folder": each.folder,
                "photos": made.releases[str(each.pk)],
                "models": [
                    {"id": model.pk, "task": model.task, "name": model.name} for model in releases.models_of(each)
                ],
            }
            for each in marked
        ],
        "exports": list(_exports(made, marked)),
        "note": "Frozen releases are not rewritten: those named here still hold it, and are not handed out any more. "
        "Exports and downloads are with whoever took them: those named here may hold it.",
    }


def _exports(made: Erasure, marked: Sequence[Release]) -> Iterator[dict[str, Any]]:
    """Labels that were exported since the first of these photos was there, and downloads of the releases that are
    marked, by their lines in the audit log: the latest."""
    taken = AuditEvent.objects.filter(at__gte=made.since or made.at).select_related("by").order_by("-pk")
    sources = {str(pk) for pk in made.sources}
    for line in taken.filter(action=AuditEvent.Action.EXPORT)[:EXPORTS]:
        if line.details.get("source", "") in {"", *sources}:
            yield _taken(line)
    of_marked = [f"release {each.pk}" for each in marked]
    for line in taken.filter(action=AuditEvent.Action.DOWNLOAD, subject__in=of_marked)[:EXPORTS]:
        yield _taken(line)


def stale_exports(most: int = 20) -> list[dict[str, Any]]:
    """The latest exports of labels that may hold what was erased after they were taken, each with the last erasure."""
    found: dict[int, dict[str, Any]] = {}
    done = Erasure.objects.filter(state=Erasure.State.DONE).order_by("-pk")[:ERASURES]
    for pk, report in done.values_list("pk", "report"):
        for each in (report or {}).get("exports", []):
            if each["what"].startswith("labels"):
                found.setdefault(each["line"], each | {"erasure": pk})
    return [found[line] for line in sorted(found, reverse=True)[:most]]


def _taken(line: AuditEvent) -> dict[str, Any]:
    what = line.subject or line.details.get("page", "")
    return {
        "line": line.pk,
        "at": line.at.isoformat(timespec="seconds"),
        "by": line.by.username if line.by else "",
        "what": what,
    }
