"""*Try it*: a photo in, what the live models say of it drawn on it. The page asks the same call as any program."""

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from annotation.access import BROWSE
from annotation.views.page import SignedIn, page
from annotation.words import TRY, names
from inference.core.attributes import ATTRIBUTES, OLDEST


@page(BROWSE, by_source=True)
def try_it(request: SignedIn) -> HttpResponse:
    context = {
        "words": TRY | {"names": names()},
        "attributes": list(ATTRIBUTES),
        "oldest": OLDEST,
        "file_mb": settings.INTAKE_FILE_MB,
        "site": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "annotation/try_it.html", context)
