"""What one request shows of people: one line of the audit log for all of it, written before the answer leaves.

Whoever hands out a picture's address, or a row of faces, says here which. A page with a hundred faces is one line that
names them; the pictures that it then asks for are told by that line already. What is asked for besides is a line of
its own: a picture that its reader was not shown in the last quarter of an hour, and each export, download and search.
A page that asks for its own news writes one line in that time, too, unless there is somebody new on it.
"""

import logging
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from redis.exceptions import RedisError

from annotation import audit
from annotation.audit import Action
from annotation.models import User

log = logging.getLogger(__name__)

TOLD_FOR = 15 * 60  # seconds: as long as a page is looked at
REMEMBERED = 4_000  # pictures a person, the latest

# Routes that are an access by themselves, whatever they show.
ACTIONS = {
    **dict.fromkeys(("labels-csv", "labels-parquet"), Action.EXPORT),
    **dict.fromkeys(("release-download", "api-release-download"), Action.DOWNLOAD),
    "api-search": Action.SEARCH,
}
PICTURES = {"face-crop": "face", "photo-file": "photo", "photo-small": "photo"}  # routes that serve one
POLLED = ("dashboard-figures",)  # asked again and again by a page that is open
SAYS = ("layout", "source", "by")  # parameters of exports and downloads that are kept: no name of anybody is among them


@dataclass
class Sight:
    """What a request has shown so far, each once and in its order."""

    faces: dict[int, None] = field(default_factory=dict)
    photos: dict[int, None] = field(default_factory=dict)
    people: dict[int, None] = field(default_factory=dict)
    action: Action = Action.SEE
    by_pass: bool = False  # a picture whose address a question handed out: that is a line already

    def __bool__(self) -> bool:
        return bool(self.faces or self.photos or self.people)

    def told(self) -> dict[str, list[int]]:
        return {name: list(ids) for name in ("faces", "photos", "people") if (ids := getattr(self, name))}


current: ContextVar[Sight | None] = ContextVar("sight", default=None)


def show(*, faces: Iterable[int] = (), photos: Iterable[int] = (), people: Iterable[int] = ()) -> None:
    """The request that is being answered shows these. Outside of a request nobody sees anything."""
    sight = current.get()
    if sight is not None:
        sight.faces.update(dict.fromkeys(faces))
        sight.photos.update(dict.fromkeys(photos))
        sight.people.update(dict.fromkeys(people))


def searches() -> None:
    """The request that is being answered looks for people by a face."""
    sight = current.get()
    if sight is not None:
        sight.action = Action.SEARCH


def opened_by_pass() -> None:
    """The request that is being answered is for a picture whose address was handed out to this reader."""
    sight = current.get()
    if sight is not None:
        sight.by_pass = True


def keep(request: HttpRequest, response: HttpResponseBase, sight: Sight) -> None:
    """Write down what this answer shows, if it shows anything. What shows nothing costs no query here."""
    found = request.resolver_match
    route = (found and found.url_name) or ""
    looked_again = response.status_code == 304 and route in PICTURES  # the browser kept it, and shows it
    mistaken = response.status_code == 400 and bool(sight)  # a form that is shown again, with what it is about
    if found is None or not (response.status_code in (200, 201, 206) or looked_again or mistaken):
        return
    if route in PICTURES:
        if not sight.by_pass:
            _keep_picture(request, route, found.kwargs["pk"])
        return
    action = ACTIONS.get(route, sight.action)
    if action == Action.SEE and not sight:
        return
    user = reader(request)
    pictures = [f"face {pk}" for pk in sight.faces] + [f"photo {pk}" for pk in sight.photos]
    if route in POLLED and user is not None and not sight.people and _told(user).keys() >= set(pictures):
        return
    said = {name: request.GET[name] for name in SAYS if name in request.GET and action != Action.SEE}
    said |= {name: str(found.kwargs[name]) for name in SAYS if name in found.kwargs}
    subject = f"{_noun(route)} {found.kwargs['pk']}" if "pk" in found.kwargs else ""
    # PostgreSQL's JSON has no place for a NUL, and a log none for what nobody can read.
    readable = {name: "".join(filter(str.isprintable, value))[:100] for name, value in said.items()}
    details = {"page": route, **sight.told(), **readable}
    audit.write(action, by=user, subject=subject, details=details)
    if user is not None and sight:
        _remember(user, pictures)


def _keep_picture(request: HttpRequest, route: str, pk: int) -> None:
    user, subject = reader(request), f"{PICTURES[route]} {pk}"
    if user is None or subject not in _told(user):
        audit.write(Action.SEE, by=user, subject=subject, details={"page": route})
        if user is not None:
            _remember(user, [subject])


def reader(request: HttpRequest) -> User | None:
    """Who is signed in."""
    return request.user if isinstance(request.user, User) else None


def _noun(route: str) -> str:
    """What a route's id is of: "release" of "api-release-download"."""
    return route.removeprefix("api-").split("-")[0]


# A process that cannot reach the cache, or has one of its own, writes a line too many, and never one too few.


def _told(user: User) -> dict[str, float]:
    now = time.time()
    try:
        known: dict[str, float] = cache.get(f"told:{user.pk}") or {}
    except RedisError as error:
        log.warning("What was shown is not remembered: %s", error)
        return {}
    return {subject: until for subject, until in known.items() if until > now}


def _remember(user: User, subjects: list[str]) -> None:
    """These were told by a line of the log: the pictures themselves need no other."""
    until = time.time() + TOLD_FOR
    known = {**_told(user), **dict.fromkeys(subjects, until)}
    try:
        cache.set(f"told:{user.pk}", dict(list(known.items())[-REMEMBERED:]), TOLD_FOR)
    except RedisError as error:
        log.warning("What was shown is not remembered: %s", error)
