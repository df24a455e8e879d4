"""What a log line says: which request it belongs to, as a line to read or as JSON for a collector."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

from django.core.exceptions import PermissionDenied

request_id: ContextVar[str] = ContextVar("request_id", default="-")


# What would begin a line of its own: a message may repeat what a client sent.
BREAKS = [*range(32), 127, 0x85, 0x2028, 0x2029]
ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in BREAKS}


class WithRequestId(logging.Filter):
    """Django tells of a refused request once that is over; it says then which one it was."""

    def filter(self, record: logging.LogRecord) -> bool:
        told = request_id.get()
        record.request_id = getattr(getattr(record, "request", None), "request_id", told) if told == "-" else told
        return True


class RefusalsInOneLine(logging.Filter):
    """Whoever may not see a page is told so: nothing broke, and where in the code it was said helps nobody."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], PermissionDenied):
            record.exc_info = record.exc_text = None
        return True


class Lines(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = record.message.translate(ESCAPES)
        return super().formatMessage(record)


# What the line of a request says besides, for a collector to sum up.
OF_REQUEST = ("method", "path", "status", "ms")


class JsonLines(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        told |= {name: getattr(record, name) for name in OF_REQUEST if hasattr(record, name)}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)
