"""One's own tokens: made and shown once, listed, revoked."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation import tokens
from annotation.access import EVERYBODY
from annotation.forms import TokenForm
from annotation.models import AccessToken
from annotation.views.page import SignedIn, act, only


def _tokens(request: SignedIn) -> HttpResponse:
    form, made = TokenForm(request.POST or None, by=request.user), None
    if form.is_valid():
        token, key = tokens.make(owner=request.user, **form.cleaned_data, by=request.user)
        made, form = {"token": token, "key": key}, TokenForm(by=request.user)
    context = {"form": form, "made": made, "tokens": request.user.tokens.all()}
    return render(request, "annotation/tokens.html", context, status=400 if form.errors else 200)


own = never_cache(require_http_methods(["GET", "HEAD", "POST"])(only(EVERYBODY, _tokens, by_source=True)))


@act(EVERYBODY, by_source=True)
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    token = get_object_or_404(AccessToken, pk=pk, owner=request.user)
    tokens.revoke(token, by=request.user)
    messages.success(request, _("%(name)s is revoked: it opens nothing any more.") % {"name": token})
    return redirect("tokens")
