"""Errors as the doors tell them: one envelope for the API, one table of statuses, plain pages for people."""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from annotation import errors as annotation
from dager_site import limits
from dager_site.logs import request_id
from inference import errors as inference
from training import errors as training

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], int] = {
    annotation.BadAct: status.HTTP_400_BAD_REQUEST,
    annotation.BadAnswer: status.HTTP_400_BAD_REQUEST,
    annotation.BadErasure: status.HTTP_400_BAD_REQUEST,
    annotation.HeldBack: status.HTTP_409_CONFLICT,
    annotation.BadFeedback: status.HTTP_400_BAD_REQUEST,
    annotation.KeyInHand: status.HTTP_409_CONFLICT,
    annotation.KeyReused: status.HTTP_422_UNPROCESSABLE_ENTITY,
    annotation.BadIntake: status.HTTP_400_BAD_REQUEST,
    annotation.BadSetting: status.HTTP_400_BAD_REQUEST,
    annotation.AccountRefused: status.HTTP_403_FORBIDDEN,
    annotation.BadToken: status.HTTP_400_BAD_REQUEST,
    annotation.RightsNotStated: status.HTTP_403_FORBIDDEN,
    annotation.ClusteringUnderWay: status.HTTP_409_CONFLICT,
    annotation.NotUndoable: status.HTTP_409_CONFLICT,
    annotation.NothingToRehearse: status.HTTP_409_CONFLICT,
    annotation.QuestionClosed: status.HTTP_409_CONFLICT,
    annotation.QuestionHeld: status.HTTP_409_CONFLICT,
    annotation.AnnotatorPaused: status.HTTP_403_FORBIDDEN,
    annotation.BadReleaseQuery: status.HTTP_400_BAD_REQUEST,
    annotation.ReleaseDamaged: status.HTTP_409_CONFLICT,
    annotation.ReleaseExists: status.HTTP_409_CONFLICT,
    annotation.ReleaseHasErased: status.HTTP_410_GONE,
    annotation.ReleaseNotDone: status.HTTP_409_CONFLICT,
    annotation.QueueAway: status.HTTP_503_SERVICE_UNAVAILABLE,
    annotation.RunNotProposed: status.HTTP_409_CONFLICT,
    annotation.RunOutdated: status.HTTP_409_CONFLICT,
    annotation.SourceExists: status.HTTP_409_CONFLICT,
    training.BadTraining: status.HTTP_400_BAD_REQUEST,
    training.TrainingUnderWay: status.HTTP_409_CONFLICT,
    training.NotPromotable: status.HTTP_409_CONFLICT,
    training.PromotionUnderWay: status.HTTP_409_CONFLICT,
    inference.BadPhoto: status.HTTP_400_BAD_REQUEST,
    inference.NoLiveModel: status.HTTP_503_SERVICE_UNAVAILABLE,
}

# What Django counts while it reads a request: by itself it would answer with a page that tells nothing.
TOO_MUCH: dict[type[Exception], str] = {
    RequestDataTooBig: f"More than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE / 1e6:g} MB were sent that are no files. Send "
    "them in parts, and photos as files of a form.",
    TooManyFilesSent: f"More than {settings.DATA_UPLOAD_MAX_NUMBER_FILES} files were sent. Send them in parts.",
    TooManyFieldsSent: f"More than {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} fields were sent. Send those described.",
}


def envelope(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What nobody foresaw goes on to Django, which logs it and answers 500."""
    error = limits.counted(error, context)
    if type(error) in STATUS:
        set_rollback()
        return Response(_body(code_of(error), str(error), getattr(error, "field", "")), status=STATUS[type(error)])
    if type(error) in TOO_MUCH:
        error = exceptions.ParseError(TOO_MUCH[type(error)])
    if isinstance(error, exceptions.NotAcceptable):
        error = exceptions.NotAcceptable("Answers are JSON. Accept application/json, or leave `Accept` out.")
    answer = exception_handler(error, context)
    if answer is None:
        return None
    if isinstance(error, exceptions.NotAuthenticated):
        answer.status_code = status.HTTP_401_UNAUTHORIZED
    answer.data = _told(error)
    return answer


def code_of(error: Exception | type[Exception]) -> str:
    """What programs know an error of ours by."""
    return str(error.code)  # type: ignore[union-attr]  # all of STATUS have one


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        field, message = _first(error.detail)
        return _body("invalid", message, field)
    if isinstance(error, Http404):
        return _body("not_found", str(error) or "There is nothing here.")
    if isinstance(error, PermissionDenied):
        return _body("permission_denied", str(error) or "Your role does not include this.")
    assert isinstance(error, exceptions.APIException)
    return _body(error.default_code, str(error.detail))


def _first(detail: Any, field: str = "") -> tuple[str, str]:
    """The first complaint, and the field that it is about."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        own = "" if name == "non_field_errors" else str(name)
        return _first(inner, ".".join(part for part in (field, own) if part))
    if isinstance(detail, list):
        return _first(detail[0], field)
    return field, str(detail)


def _body(code: str, message: str, field: str = "") -> dict[str, Any]:
    """The envelope. Its request id is in the log, so that a person can be asked for it."""
    log.info("Refused: %s: %s", code, message)
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return {"error": error, "request_id": request_id.get()}


# ---- pages of Django itself: outside the API's views, too, its clients are answered in its envelope


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 400, "bad_request", "This request makes no sense to the server.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 403, "permission_denied", str(exception) or "Your role does not include this page.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404, "not_found", "There is nothing at this address. It may have been merged or erased.")


def server_error(request: HttpRequest) -> HttpResponse:
    return _page(request, 500, "server_error", "Something went wrong on the server. Its log says what.")


def _page(request: HttpRequest, code: int, name: str, message: str) -> HttpResponse:
    body = _body(name, message)
    if request.path.startswith("/api/"):
        return JsonResponse(body, status=code)
    return render(request, "error.html", {"status": code, "message": message} | body, status=code)
