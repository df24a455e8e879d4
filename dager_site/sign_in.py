"""How people come in: passwords, with waits after wrong ones. Who came in, or has another password, is written down."""

import math
import time
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import ngettext

from annotation import audit, lockout
from annotation.models import User
from annotation.prepared import Prepared

NOTED = 300  # seconds at most: that a session is used is not written down at each request


class Guarded(ModelBackend):
    """Passwords, a few tries at a time, wherever they are asked for. Who has to wait is let in by no password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **more: Any
    ) -> Any:
        if username is None or password is None:
            return None
        address = address_of(request) if request else ""
        wait = lockout.begin(username, address)
        if wait:
            if request is not None:
                request.has_to_wait = math.ceil(wait.total_seconds() / 60)  # type: ignore[attr-defined]
            return None
        user = super().authenticate(request, username=username, password=password, **more)
        (lockout.failed if user is None else lockout.succeeded)(username, address)
        return user

    def get_user(self, user_id: int) -> User | None:
        """Who a session is of, at each request."""
        return next((user for user in _user(user_id) if self.user_can_authenticate(user)), None)


_user = Prepared[User](lambda pk: User.objects.filter(pk=pk))


class SignIn(AuthenticationForm):
    def get_invalid_login_error(self) -> ValidationError:
        return _has_to_wait(self.request) or super().get_invalid_login_error()


class OwnPassword(PasswordChangeForm):
    """Whoever sits at somebody's open session guesses the old password no faster here than at the door."""

    def __init__(self, user: User, *args: Any, request: HttpRequest, **options: Any) -> None:
        super().__init__(user, *args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        old = str(self.cleaned_data["old_password"])
        if authenticate(self.request, username=self.user.get_username(), password=old) is None:
            wrong = ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
            raise _has_to_wait(self.request) or wrong
        return old


class ChangePassword(PasswordChangeView):
    form_class = OwnPassword
    success_url = "/"

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}


def _has_to_wait(request: HttpRequest | None) -> ValidationError | None:
    minutes = getattr(request, "has_to_wait", 0)
    if not minutes:
        return None
    told = ngettext(
        "Too many tries went wrong. The next one counts in %(n)d minute.",
        "Too many tries went wrong. The next one counts in %(n)d minutes.",
        minutes,
    )
    return ValidationError(told % {"n": minutes}, code="wait")


def address_of(request: HttpRequest) -> str:
    """Behind the TLS proxy the last address that it adds; what a client writes there itself stands before it."""
    passed = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.HTTPS else ""
    return passed.split(",")[-1].strip()[:64] or request.META.get("REMOTE_ADDR", "")


# ---- sessions


def is_over(session: Any, now: float) -> bool:
    """Whether a session ends: unused for a while, or too old, used or not. Else that it is used is noted."""
    began = session.setdefault("began", now)
    seen = session.setdefault("seen", began)
    idle = settings.SESSION_IDLE_MINUTES * 60
    if now - began > settings.SESSION_HOURS * 3600 or now - seen > idle:
        return True
    if now - seen > min(NOTED, idle / 10):
        session["seen"] = now
    return False


@receiver(user_logged_in)
def came_in(sender: object, request: HttpRequest, user: User, **_more: object) -> None:
    request.session["began"] = request.session["seen"] = time.time()
    audit.write(audit.Action.SIGN_IN, by=user, subject=f"account {user.pk}")


@receiver(user_logged_out)
def went(sender: object, request: HttpRequest, user: User | None, **_more: object) -> None:
    if user is not None:
        audit.write(audit.Action.SIGN_OUT, by=user, subject=f"account {user.pk}")


@receiver(post_save, sender=User)
def kept(sender: object, instance: User, created: bool, **_more: object) -> None:
    """Another password, whoever set it and wherever: its hash is in every session, which all end by that.

    By nobody: on the server.
    """
    if not created and instance._password is not None:  # type: ignore[attr-defined]  # as it was set, until it is saved
        told = audit.origin.get()
        audit.write(audit.Action.PASSWORD, by=told.reader() if told else None, subject=f"account {instance.pk}")
