"""What every response carries."""

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from dager_site.logs import request_id

SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")  # a request id that somebody else may have made, and a log can hold
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# The API's page and Django's admin bring inline styles and scripts of their own.
RELAXED = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
RELAXED_WITH_SCRIPT = RELAXED.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")


class ContentSecurityPolicy:
    """Nothing but our own files may run or load: a picture's name or a manifest's caption can never become a script."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path == "/api/docs/":
            policy = RELAXED_WITH_SCRIPT
        else:
            policy = RELAXED if request.path.startswith("/admin/") else POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response


class Traced:
    """An id for each request, in its response and in every log line: the client's own, where it sends a sane one.

    And how many requests are left to whoever was counted.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get("X-Request-ID", "")
        before = request_id.set(sent if SANE.fullmatch(sent) else uuid.uuid4().hex)
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = request_id.get()
        finally:
            request_id.reset(before)
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return response
