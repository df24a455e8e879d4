"""Photos that may not come back: known by a keyed hash each, so that the list of them is no list of photos."""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from annotation.models import Erasure, Tombstone

SALT = "annotation.tombstones"
NONCE = 16  # bytes


def key_of(sha256: str) -> str:
    """HMAC-SHA-256 of a photo's SHA-256 under the signing key."""
    return salted_hmac(SALT, sha256, algorithm="sha256").hexdigest()


def refuses(sha256: str) -> bool:
    return Tombstone.objects.filter(key=key_of(sha256)).exists()


def sealed(path: str) -> str:
    """A file's name, which has the photo's SHA-256 in it, as only the signing key reads it. The same each time."""
    nonce = salted_hmac(f"{SALT}.nonce", path, algorithm="sha256").digest()[:NONCE]
    return urlsafe_b64encode(nonce + _masked(path.encode(), nonce)).decode()


def unsealed(kept: str) -> str:
    told = urlsafe_b64decode(kept)
    return _masked(told[NONCE:], told[:NONCE]).decode()


def _masked(text: bytes, nonce: bytes) -> bytes:
    """Each byte with one of a stream that the key and the nonce give, as a block cipher in counter mode does."""
    blocks = range(len(text) // 32 + 1)
    stream = b"".join(salted_hmac(f"{SALT}.stream", nonce + bytes([n]), algorithm="sha256").digest() for n in blocks)
    return bytes(one ^ other for one, other in zip(text, stream, strict=False))


def raise_for(sha256s: Sequence[str], erasure: Erasure) -> int:
    """From now on these photos are refused. Returns how many were not before."""
    keys = [key_of(sha256) for sha256 in sha256s]
    before = Tombstone.objects.filter(key__in=keys).count()
    Tombstone.objects.bulk_create([Tombstone(key=key, erasure=erasure) for key in keys], ignore_conflicts=True)
    return len(set(keys)) - before


# ---- the list that outlives the database: a restore reads it, and erases again what an older backup brings back


def list_path() -> Path:
    """Beside the files, which all workers share; `backup` takes it along."""
    return Path(settings.MEDIA_ROOT) / "erasures.jsonl"


def write_down(entries: Sequence[dict[str, Any]]) -> None:
    """Add what is about to be erased, before the rows go: what is listed and not gone is erased again, rightly."""
    if not entries:
        return
    path = list_path()
    lines = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, lines.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def written_down(path: Path) -> Iterator[dict[str, Any]]:
    """What a list holds; a line that a kill cut short is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("key"), str):
                yield entry
