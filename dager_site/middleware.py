"""What every response carries."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

from annotation import audit, sightings
from dager_site import metrics, sign_in
from dager_site.logs import request_id

log = logging.getLogger(__name__)

PROBES = ("healthz", "readyz", "metrics")  # asked every few seconds, which would fill the log
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SANE = re.compile(r"[A-Za-z0-9._-]{8,64}")  # a request id that somebody else may have made, and a log can hold
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
NO_PAGE = "default-src 'none'; frame-ancestors 'none'; sandbox"  # pictures, tables, archives, JSON: nothing of it runs
DEVICES = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()"  # the page *Try it* takes a photo


class ContentSecurityPolicy:
    """Nothing but our own files may run or load, on any page: a picture's name or a manifest's caption can never become
    a script, and neither can what is served as a file, should a browser ever be led to open it as a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return response  # what the browser keeps has its own, and would take this one instead
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", POLICY if is_page else NO_PAGE)
        response.headers.setdefault("Permissions-Policy", DEVICES)
        return response


class Traced:
    """An id for each request, in its response and in every log line: the client's own, where it sends a sane one.

    And how many requests are left to whoever was counted.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = request.headers.get("X-Request-ID", "")
        request.request_id = sent if SANE.fullmatch(sent) else uuid.uuid4().hex  # type: ignore[attr-defined]
        before = request_id.set(request.request_id)  # type: ignore[attr-defined]
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            _count(request, response.status_code, time.perf_counter() - started)
            response.headers["X-Request-ID"] = request_id.get()
        finally:
            request_id.reset(before)
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return response


class SessionsEnd:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        there = settings.SESSION_COOKIE_NAME in request.COOKIES and SESSION_KEY in request.session
        if there and sign_in.is_over(request.session, time.time()):
            logout(request)
        return self.get_response(request)


class Audited:
    """What a request shows of people is in the audit log before its answer leaves; if that fails, nothing leaves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sight = sightings.Sight()
        seen = sightings.current.set(sight)
        from_here = audit.origin.set(audit.Origin(request_id.get(), reader=lambda: sightings.reader(request)))
        try:
            response = self.get_response(request)
            sightings.keep(request, response, sight)
        finally:
            sightings.current.reset(seen)
            audit.origin.reset(from_here)
        return response


def _count(request: HttpRequest, status: int, seconds: float) -> None:
    """By route, as addresses have ids in them; files of the pages and what is no address are not counted apart.

    The log has the path and never the query, in which names of people are sought.
    """
    route = request.resolver_match.route if request.resolver_match else "none"
    method = request.method if request.method in METHODS else "other"  # a client may call it as it likes
    metrics.requests.labels(method, route, status).inc()
    metrics.seconds.labels(route).observe(seconds)
    if request.resolver_match and request.resolver_match.url_name not in PROBES:
        told = {
            "method": request.method,
            "path": escape_uri_path(request.path),
            "status": status,
            "ms": round(1000 * seconds, 1),
        }
        log.info("%(method)s %(path)s %(status)d in %(ms).0f ms", told, extra=told)
