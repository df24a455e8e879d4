"""Settings that an admin may change while everything runs: what is not listed here may not, and nothing but its value.

What nobody changed is as the environment has it. A change is a row, so each process sees it within seconds, without a
restart, and costs the others one small query in so many seconds.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings
from django.db import transaction

from annotation import audit
from annotation.errors import BadSetting
from annotation.models import Setting, User
from inference.core.attributes import ATTRIBUTES

SECONDS = 3  # within which each process sees a change
Kind = Literal["whole", "share", "amount", "words", "flag"]


@dataclass(frozen=True)
class Adjustable:
    """What a value may be, and what hangs on it."""

    kind: Kind
    what: str
    low: float = 0
    high: float = 1
    choices: Sequence[str] = ()
    only_up: str = ""  # why it is never lowered
    grave: str = ""  # what it does to promises that were made: to change it needs a written reason


_ASKED = [name for name, each in ATTRIBUTES.items() if each.asked]
ADJUSTABLE: dict[str, Adjustable] = {
    "ASKED": Adjustable("words", "the attributes that people are asked about", choices=_ASKED),
    "CONTROL_SHARE": Adjustable(
        "share",
        "the control slice's share of all faces",
        high=0.5,
        only_up="Its faces were drawn once and for all: a larger share keeps them and adds others, a smaller one would "
        "throw answers away that calibrators and certificates rest on.",
        grave="More faces are answered blind, and calibrators are fitted anew on them. A network that is live may have "
        "learnt from some that are new among them and seem surer than it is right, until the next training.",
    ),
    "TARGET_ERROR": Adjustable(
        "share",
        "the error that a certificate promises at most",
        low=0.0001,
        high=0.2,
        grave="Certificates that were given keep the promise that they were given for; later ones promise this.",
    ),
    "AUDIT_SHARE": Adjustable("share", "of what certificates accepted: audited all the same", low=0.001),
    "DOUBT_SHARE": Adjustable("share", "of settled labels: asked again at most", high=0.5),
    "OPINIONS": Adjustable("whole", "answers about a face's emotion at most", low=1, high=100),
    "OPINION_BELIEF": Adjustable("share", "belief that settles an emotion before that", low=0.3, high=0.999),
    "GOLD_SHARE": Adjustable("share", "of answers: to questions whose answer is known", high=0.5),
    "REQUESTS_A_MINUTE": Adjustable("whole", "calls of the API by one token or person", low=1, high=10**9),
    "PREDICTIONS_A_MINUTE": Adjustable("whole", "calls for a prediction by one token or person", low=1, high=10**9),
    **{
        f"{scope}_A_MINUTE": Adjustable("whole", f"calls that {what}; 0: as REQUESTS_A_MINUTE", high=10**9)
        for scope, what in (
            ("ANNOTATE", "take and answer questions"),
            ("CURATE", "read and change the corpus"),
            ("TRAIN", "start and promote, or read by a token of this scope"),
            ("ADMIN", "only an admin may make"),
        )
    },
    "HOURLY_RATE": Adjustable("amount", "what an hour of an annotator costs; 0: not told", high=1_000_000),
    "AUTO_TRAIN": Adjustable("flag", "a release and a training for each attribute asked about, when it is worth it"),
    "AUTO_PROMOTE": Adjustable("flag", "what was trained so becomes live if it passes the gate"),
    "TRAIN_LABELS": Adjustable("whole", "new labels that make a training worth it", low=1, high=10**9),
    "TRAIN_GROWTH": Adjustable("share", "or such a share of the labels before", high=100),
    "TRAIN_COVERAGE": Adjustable("share", "or certificates that accept less than this share, while labels grew"),
    "TRAIN_DAYS": Adjustable("whole", "or so many days, with anything new; 0: never", high=3650),
    "TRAIN_COOLDOWN_HOURS": Adjustable("whole", "between two trainings of one attribute", high=8760),
}

_held: tuple[float, dict[str, Any]] = (0.0, {})  # until when it holds, and what was changed
_one_at_a_time = threading.Lock()


def get(name: str) -> Any:
    """What it is now. Raises KeyError for one that may not change."""
    ADJUSTABLE[name]  # a name that is none is a mistake here, not a setting that nobody changed
    until, changed = _held
    if time.monotonic() >= until:
        changed = _read()
    return changed[name] if name in changed else getattr(settings, name)


def forget() -> None:
    """The next look reads the rows anew."""
    global _held
    _held = (0.0, {})


def hold_for_ever(changed: dict[str, Any]) -> None:
    """Without a look at the rows, until somebody changes one here: for tests and scratch databases."""
    global _held
    _held = (float("inf"), changed)


def _read() -> dict[str, Any]:
    global _held
    with _one_at_a_time:
        until, changed = _held
        if time.monotonic() >= until:
            changed = dict(Setting.objects.values_list("name", "value"))
            _held = (time.monotonic() + SECONDS, changed)
        return changed


@transaction.atomic
def change(name: str, value: Any, *, by: User | None, reason: str = "") -> None:
    """Set it, for all processes; None makes it what the environment says again. Raises BadSetting."""
    if name not in ADJUSTABLE:
        raise BadSetting(f"{name!r} is no setting that may change at run time. There are: {', '.join(ADJUSTABLE)}.")
    row = Setting.objects.select_for_update().filter(name=name).first()
    before = row.value if row else getattr(settings, name)
    after = getattr(settings, name) if value is None else checked(name, value)
    if after == before:
        return
    about, reason = ADJUSTABLE[name], reason.strip()
    if about.only_up and after < before:
        raise BadSetting(f"{name} is {before} and is never lowered. {about.only_up}")
    if about.grave and not reason:
        raise BadSetting(f"{name} does not change without a written reason. {about.grave} Say why.")
    if value is None:
        Setting.objects.filter(name=name).delete()
    else:
        Setting.objects.update_or_create(name=name, defaults={"value": after, "changed_by": by, "reason": reason})
    audit.write(audit.Action.SETTING, by=by, subject=name, details={"from": before, "to": after, "reason": reason})
    transaction.on_commit(forget)
    forget()


def read(name: str, text: str) -> Any:
    """What somebody typed, as a value; what makes no sense is left for `checked` to refuse."""
    kind, text = ADJUSTABLE[name].kind, text.strip()
    if kind == "flag":
        return {"on": True, "off": False}.get(text.lower(), text)
    if kind == "words":
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        return int(text) if kind == "whole" else float(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Shown:
    """A setting as a page tells it."""

    name: str
    about: Adjustable
    value: str
    usual: str  # what the environment says
    row: Setting | None  # who changed it, if anybody did


def all_of_them() -> list[Shown]:
    rows = {row.name: row for row in Setting.objects.select_related("changed_by")}
    return [
        Shown(name, about, written(rows[name].value if name in rows else usual), written(usual), rows.get(name))
        for name, about in ADJUSTABLE.items()
        for usual in [getattr(settings, name)]
    ]


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def checked(name: str, value: Any) -> Any:
    """The value as it is kept. Raises BadSetting, with what it may be."""
    about = ADJUSTABLE[name]
    if about.kind == "flag":
        if isinstance(value, bool):
            return value
        raise BadSetting(f"{name} is on or off, not {value!r}.")
    if about.kind == "words":
        words = value if isinstance(value, list) else []
        if words and all(word in about.choices for word in words):
            return [word for word in about.choices if word in words]
        raise BadSetting(f"{name} is one or more of {', '.join(about.choices)}, not {value!r}.")
    number = not isinstance(value, bool) and isinstance(value, int if about.kind == "whole" else int | float)
    if number and about.low <= value <= about.high:
        return value
    kind = "a whole number" if about.kind == "whole" else "a number"
    raise BadSetting(f"{name} is {kind} from {about.low:g} to {about.high:,g}, not {value!r}.")
