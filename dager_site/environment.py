"""Typed readers of environment variables: a bad value is refused by name, with what it may be."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def text(name: str, default: str) -> str:
    return os.environ.get(name) or default


def flag(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(
        f"{name}={value!r} is neither on nor off. Use one of: {', '.join(sorted(TRUE | FALSE))}."
    )


def whole(name: str, default: int, *, low: int = 0, high: int = 2**31) -> int:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    if not value.isdecimal() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number from {low} to {high}.")
    return int(value)


def share(name: str, default: float) -> float:
    value = text(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ImproperlyConfigured(f"{name}={value!r} is not a share from 0 to 1, such as {default}.")
    return number


def number(name: str, default: float, *, low: float = 0.0, high: float = float("inf")) -> float:
    value = text(name, str(default))
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not low <= found <= high:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number from {low:g} to {high:g}.")
    return found


def one_of(name: str, default: str, choices: Sequence[str]) -> str:
    value = text(name, default).strip()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is not known. Use one of: {', '.join(choices)}.")
    return value


def words(name: str, default: str) -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def folder(name: str, default: Path) -> Path:
    path = Path(text(name, str(default))).expanduser().resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # whoever else has an account here has no business in it
    except OSError as error:
        raise ImproperlyConfigured(f"{name}={str(path)!r} cannot be used as a folder: {error.strerror}.") from error
    return path


def database(name: str, default_folder: Path) -> dict[str, object]:
    """Django's DATABASES entry for `postgres://user:password@host:port/name` or `sqlite:///path`."""
    url = urlsplit(text(name, f"sqlite:///{default_folder / 'dager.sqlite3'}"))
    if url.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(url.path),
            # WAL lets readers go on while one writes; IMMEDIATE takes the write lock at BEGIN, where
            # waiting (timeout) works, rather than in the middle, where SQLite says "database is locked".
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 60,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;",
            },
        }
    if url.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(url.path.lstrip("/")),
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": unquote(url.hostname or ""),
            "PORT": str(url.port or ""),
            # To compile a query of a page takes PostgreSQL up to two seconds, and the query itself milliseconds.
            "OPTIONS": {"options": "-c jit=off"},
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    raise ImproperlyConfigured(
        f"{name} starts with {url.scheme + '://' if url.scheme else 'no scheme'}. "
        "Use postgres://user:password@host:5432/name or sqlite:////absolute/path.sqlite3."
    )


def secret(name: str, data: Path) -> str:
    """The signing key: from the environment, else made at the first start and kept for its owner only."""
    if value := os.environ.get(name):
        return value
    path = data / "secret_key"
    if not path.exists():
        _make_secret(path)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)  # copied by hand, it may have become anybody's to read
    return path.read_text().strip()


def _make_secret(path: Path) -> None:
    """It is there whole or not at all; of two processes that start at once, one makes it and the other reads it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(50))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
