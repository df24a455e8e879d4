"""Who may do what: each page and each call of the API names one of these."""

from collections.abc import Mapping
from functools import cache

from django.core.exceptions import PermissionDenied
from django.core.signing import BadSignature, Signer
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from annotation import sightings, visible
from annotation.models import AccessToken, User

Role = User.Role
Roles = frozenset[User.Role]
Scope = AccessToken.Scope
Scopes = frozenset[AccessToken.Scope]

EVERYBODY: Roles = frozenset(Role)
ANNOTATE: Roles = frozenset({Role.ANNOTATOR, Role.CURATOR, Role.ADMIN})
BROWSE: Roles = frozenset({Role.CURATOR, Role.ENGINEER, Role.ADMIN})
CURATE: Roles = frozenset({Role.CURATOR, Role.ADMIN})
GROUP_AND_EXPORT: Roles = frozenset({Role.CURATOR, Role.ENGINEER, Role.ADMIN})
ADMINISTER: Roles = frozenset({Role.ADMIN})
PREDICT: Roles = BROWSE | {Role.CLIENT}
SEARCH: Roles = CURATE | {Role.CLIENT}
TRAIN: Roles = frozenset({Role.ENGINEER, Role.ADMIN})


def may(user: User, roles: Roles) -> bool:
    return user.is_active and user.role in roles


ONLY_SOME = "Your account is for some sources only, and this is about all of them. Only an admin can change that."


def require_all_sources(user: User, said: Mapping[str, object]) -> None:
    """Refuse somebody restricted what nobody has made to start from its reader's sources.

    `said` is what the address names: whether there is such a thing is told nobody. Raises Http404, PermissionDenied.
    """
    if user.restricted:
        raise Http404("There is nothing here.") if said else PermissionDenied(ONLY_SOME)


def opens(token: AccessToken, scopes: Scopes) -> bool:
    """Whether a token may be used where one of these scopes is asked for; that its owner may is another question."""
    return Scope.ADMIN in token.scopes or not scopes.isdisjoint(token.scopes)


# Whoever hands out the address of a picture shows it: that is written to the audit log.
#
# An annotator sees the pictures of the questions that they were asked, and no others: each address that a question
# hands out carries a pass, which is the reader's own and opens that one picture until the next day is over: whoever
# kept it for longer would look at somebody of whom no line of these days tells. Whoever may browse needs none.


#
# A program that annotates has no session: it is handed an address of the API, which opens with its token while its
# owner holds that question.


def crop_address(face_id: int, user: User, *, question: int | None = None) -> str:
    """`question`: that a program is told of, to which its token opens the picture."""
    sightings.show(faces=[face_id])
    return _address("face-crop", face_id, user) if question is None else _held("api-held-crop", question, face_id, user)


def photo_address(photo_id: int, user: User, *, question: int | None = None) -> str:
    """Likewise."""
    sightings.show(photos=[photo_id])
    if question is not None:
        return _held("api-held-photo", question, photo_id, user)
    return _address("photo-file", photo_id, user)


def small_address(photo_id: int, user: User) -> str:
    sightings.show(photos=[photo_id])
    return _address("photo-small", photo_id, user)


def may_see(user: User, name: str, pk: int, token: str) -> bool:
    """Whether this person may look at the picture that the URL `name` has under this id. Raises Http404."""
    seen = visible.faces(user) if name == "face-crop" else visible.photos(user)
    if user.restricted and not seen.filter(pk=pk).exists():
        raise Http404("There is no such picture.")
    if may(user, BROWSE):
        return True
    if not may(user, ANNOTATE):
        return False  # whoever is asked nothing any more has no use for yesterday's questions
    subject, today = _subject(name, pk, user), _today()
    opened = any(constant_time_compare(_pass(subject, day), token) for day in (today, today - 1))
    if opened:
        sightings.opened_by_pass()
    return opened


def was_handed_out(name: str, question: int, pk: int, user: User, token: str) -> bool:
    """Whether the API's URL `name` was handed out for this picture, with this question, to this person."""
    try:
        return _signer().unsign(f"{_subject(f'{name}/{question}', pk, user)}:{token}") != ""
    except BadSignature:
        return False


def _held(name: str, question: int, pk: int, user: User) -> str:
    signature = _signer().signature(_subject(f"{name}/{question}", pk, user))
    return f"{reverse(name, args=[question, pk])}?pass={signature}"


def _address(name: str, pk: int, user: User) -> str:
    path = reverse(name, args=[pk])
    return path if may(user, BROWSE) else f"{path}?pass={_pass(_subject(name, pk, user), _today())}"


def _pass(subject: str, day: int) -> str:
    return _signer().signature(f"{subject}/{day}")


def _today() -> int:
    return timezone.now().toordinal()


@cache
def _signer() -> Signer:
    return Signer(salt="annotation.access")


def _subject(name: str, pk: int, user: User) -> str:
    return f"{name}/{pk}/{user.pk}"
