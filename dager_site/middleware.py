"""What every response carries."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

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
