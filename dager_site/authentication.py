"""How a program says who it is: `Authorization: Bearer <key>`. People sign in, and their browser's session says it."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from annotation import audit, tokens
from annotation.models import AccessToken, User

REFUSED = "This token opens nothing: it is unknown, expired or revoked. Make another one under Tokens."


class BearerToken(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        """None without such a header; with one, no cookie lets in instead. Raises AuthenticationFailed."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        token = tokens.find(words[1].decode("latin-1")) if len(words) == 2 else None
        if token is None:
            raise AuthenticationFailed(REFUSED)
        if (origin := audit.origin.get()) is not None:
            origin.token = token.pk
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="DAGER"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of it; drf-spectacular finds this by its being a subclass."""

    target_class = BearerToken
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "a token made on the page Tokens"}
