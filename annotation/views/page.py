"""What every page has: who may open it, and a way back for what went wrong."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from annotation.access import Roles, may, require_all_sources
from annotation.errors import AnnotationError
from annotation.models import Answer, User

Rest = ParamSpec("Rest")


class SignedIn(HttpRequest):
    """A request as the pages get it: nobody comes in without signing in."""

    user: User


View = Callable[Concatenate[SignedIn, Rest], HttpResponseBase]


# `by_source`: it starts from what its reader sees (`visible`), or shows nothing of the corpus. Whatever does not say so
# is closed to whoever sees some sources only.


def page(roles: Roles, *, by_source: bool = False) -> Callable[[View[Rest]], View[Rest]]:
    """A page that only these roles may look at. It changes nothing."""

    def decorate(view: View[Rest]) -> View[Rest]:
        return require_safe(only(roles, view, by_source=by_source))

    return decorate


def act(roles: Roles, *, by_source: bool = False) -> Callable[[View[Rest]], View[Rest]]:
    """What a button does. What a person can mend is told on the page that the button is on."""

    def decorate(view: View[Rest]) -> View[Rest]:
        @wraps(view)
        def telling(request: SignedIn, /, *args: Rest.args, **options: Rest.kwargs) -> HttpResponseBase:
            try:
                return view(request, *args, **options)
            except AnnotationError as error:
                messages.error(request, str(error))
                return back(request)

        return require_POST(only(roles, telling, by_source=by_source))

    return decorate


def only(roles: Roles, view: View[Rest], *, by_source: bool = False) -> View[Rest]:
    @wraps(view)
    def checked(request: SignedIn, /, *args: Rest.args, **options: Rest.kwargs) -> HttpResponseBase:
        if not may(request.user, roles):
            raise PermissionDenied("Your role does not include this page. An admin can give you another one.")
        if not by_source:
            require_all_sources(request.user, options)
        return view(request, *args, **options)

    return checked


def back(request: HttpRequest, default: str = "home", *args: Any) -> HttpResponse:
    """To the page that the form names, if it is one of ours."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(wanted if safe else resolve_url(default, *args))


def tell_undoable(request: HttpRequest, text: str, answer: Answer) -> None:
    """Say what was done, with a button that takes it back."""
    messages.success(request, text, extra_tags=f"undo:{answer.pk}")


def tell_mistakes(request: HttpRequest, form: forms.Form) -> None:
    for name, errors in form.errors.items():
        field = form.fields.get(name)
        label = f"{field.label or name.replace('_', ' ').capitalize()}: " if field else ""
        for error in errors:
            messages.error(request, f"{label}{error}")
