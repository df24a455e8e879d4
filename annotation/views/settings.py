"""Settings that an admin may change while everything runs."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from annotation import live_settings
from annotation.access import ADMINISTER
from annotation.errors import BadSetting
from annotation.views.page import SignedIn, act, page


@page(ADMINISTER)
def settings(request: SignedIn) -> HttpResponse:
    return render(request, "annotation/settings.html", {"settings": live_settings.all_of_them()})


@act(ADMINISTER)
def change(request: SignedIn) -> HttpResponse:
    name, reason = request.POST.get("name", ""), request.POST.get("reason", "")
    if name not in live_settings.ADJUSTABLE:
        raise BadSetting(f"{name!r} is no setting that may change at run time.")
    usual = request.POST.get("act") == "usual"
    value = None if usual else live_settings.read(name, request.POST.get("value", ""))
    live_settings.change(name, value, by=request.user, reason=reason)
    now = live_settings.written(live_settings.get(name))
    messages.success(request, _("{name} is {value} now, everywhere within seconds.").format(name=name, value=now))
    return redirect("settings")
