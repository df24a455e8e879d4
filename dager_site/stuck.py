"""What is stuck, why, and what mends it: the first that the dashboard tells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import figures, holds, live_settings, workers
from annotation.access import ADMINISTER, ANNOTATE, BROWSE, CURATE, GROUP_AND_EXPORT, Roles, may
from annotation.core.certificate import needed
from annotation.models import (
    Calibration,
    Certificate,
    ClusteringRun,
    Erasure,
    Face,
    Intake,
    Photo,
    Release,
    ReleaseErasure,
    Source,
    User,
    Worker,
)
from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import EMBEDDING
from inference.models import ModelVersion
from training import drift
from training.models import Promotion, TrainingRun

FULL = 0.05  # of a disk that is free, or so many bytes: below either it is told
LITTLE = 2_000_000_000
LATE = timedelta(minutes=2)  # after which figures are old enough to say why
SOURCES = 5  # that are named
SWEEP = "sweep"  # tried again: everything that a worker held and let go


@dataclass(frozen=True)
class Stuck:
    """One thing that does not go on by itself."""

    text: str
    why: str = ""
    address: str = ""  # where it is mended
    again: str = ""  # or the kind of failure that a button tries again, all of it
    button: str = ""
    grave: bool = False


def stuck(
    user: User,
    now: datetime,
    *,
    parts: Mapping[str, Any],
    at: datetime | None,
    failed: Mapping[str, int],
    queues: Mapping[str, int] | None,
) -> list[Stuck]:
    """The gravest first. `queues` is None where the broker does not answer."""
    found = [
        *_machine(now, at, queues),
        *_models(),
        *_drifts(),
        *_failures(failed),
        *_let_go(now),
        *_grouping(user),
        *_people(user, parts),
        *_certificates(user, parts),
        *_rights(user, now),
        *_releases(),
    ]
    return sorted(found, key=lambda each: not each.grave)


def _link(user: User, roles: Roles, name: str, *args: Any, button: str) -> dict[str, Any]:
    """A link for those who may follow it."""
    return {"address": reverse(name, args=args), "button": button} if may(user, roles) else {}


# ---- the machine


def _machine(now: datetime, at: datetime | None, queues: Mapping[str, int] | None) -> Iterator[Stuck]:
    start = _("Start them: `manage.py up` on one machine, `celery -A dager_site worker` in a team.")
    known = list(Worker.objects.all())
    living = [worker for worker in known if not workers.silent(worker, now)]
    if not living:
        yield Stuck(_("No worker has been heard of: nothing goes on."), start, grave=True)
    for worker in known:
        if living and workers.silent(worker, now):
            since = _("last heard of at {at:%H:%M} UTC").format(at=worker.heard_at)
            yield Stuck(_("The workers {name} are silent.").format(name=worker.name), since)
    if living and (at is None or now - at > LATE):
        busy = all(worker.processes and worker.busy >= worker.processes for worker in living)
        why = _("All worker processes are busy: these figures wait for one.") if busy else ""
        why = why or _("No beat runs, or its messages are lost: `celery -A dager_site beat`.")
        yield Stuck(_("These figures are not counted anew."), why)
    if queues is None and settings.REDIS:
        yield Stuck(_("The queue does not answer."), _("Check CELERY_BROKER_URL, and that Redis runs."), grave=True)
    for disk in figures.disks():
        if disk["free"] < max(LITTLE, FULL * disk["total"]):
            text = _("The disk of {folder} is nearly full: {free:.1f} GB are free.")
            yield Stuck(
                text.format(folder=disk["folder"], free=disk["free"] / 1e9),
                _("Nothing can be taken in once it is full. Free some space, or move DAGER_FILES."),
                grave=True,
            )


def _models() -> Iterator[Stuck]:
    mend: dict[str, Any] = {"address": reverse("models"), "button": _("Models")}
    live = list(ModelVersion.objects.filter(state=ModelVersion.State.LIVE))
    if not any(version.task == EMBEDDING for version in live):
        why = _("No face is embedded without one. The first intake makes the shipped one live, or promote one.")
        yield Stuck(_("No backbone is live."), why, grave=True, **mend)
    for version in live:
        if version.folder and not Path(version.folder).is_dir():
            text = _("The bundle of {name} is gone.").format(name=version.title)
            yield Stuck(
                text, _("Bring {folder} back, or promote another.").format(folder=version.folder), grave=True, **mend
            )


def _drifts() -> Iterator[Stuck]:
    for each in drift.drifts():
        if each.high:
            text = _("{name} says other things to clients than where it was measured.").format(name=each.version.title)
            why = _("Drift {moved:.2f} (population stability index, {said:,} faces against {before:,}); 0.25 is much.")
            yield Stuck(
                text,
                why.format(moved=each.moved, said=each.said, before=each.before),
                address=reverse("model", args=[each.version.pk]),
                button=_("Look at it"),
            )


# ---- the belt


def _failures(failed: Mapping[str, int]) -> Iterator[Stuck]:
    texts = {
        "intake": ("{count} delivery failed.", "{count} deliveries failed."),
        "photo": (
            "The faces of {count} photo could not be sought.",
            "The faces of {count} photos could not be sought.",
        ),
        "face": ("{count} face could not be embedded.", "{count} faces could not be embedded."),
        "run": ("The last clustering run failed.", "The last clustering run failed."),
        "release": ("{count} release failed.", "{count} releases failed."),
        "training": ("{count} training failed.", "{count} trainings failed."),
        "promotion": ("{count} promotion failed.", "{count} promotions failed."),
    }
    for kind, count in failed.items():
        if count:
            text = ngettext(*texts[kind], count).format(count=f"{count:,}")
            yield Stuck(text, _("Why each of them did, is told below."), address="#failures", button=_("Look"))


def _let_go(now: datetime) -> Iterator[Stuck]:
    """What a worker took and was not heard of since: the sweep sends it again by itself."""
    lost = Q(claimed_until__lte=now)
    counts = {
        _("photos"): Photo.objects.filter(lost, faces_sought_at=None).count(),
        _("faces"): Face.objects.filter(lost).count(),
        _("deliveries"): Intake.objects.filter(lost, state=Intake.State.RUNNING).count(),
        _("releases"): Release.objects.filter(lost, state=Release.State.BUILDING).count(),
        _("trainings"): TrainingRun.objects.filter(lost, state=TrainingRun.State.RUNNING).count(),
        _("promotions"): Promotion.objects.filter(lost, state=Promotion.State.PREPARING).count(),
    }
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    if told:
        why = _("The workers that held them have not been heard of since; every {seconds} s they are sent again.")
        text = _("Claims that expired: {told}.").format(told=told)
        yield Stuck(text, why.format(seconds=settings.SWEEP_SECONDS), again=SWEEP, button=_("Send them now"))


def _grouping(user: User) -> Iterator[Stuck]:
    for run in ClusteringRun.objects.filter(state=ClusteringRun.State.PROPOSED).order_by("-pk")[:1]:
        text = _("Clustering run {pk} waits to be applied.").format(pk=run.pk)
        mend = _link(user, GROUP_AND_EXPORT, "run", run.pk, button=_("Look at it"))
        yield Stuck(text, _("Somebody asked for it; nothing changes until it is applied or discarded."), **mend)


# ---- people


def _people(user: User, parts: Mapping[str, Any]) -> Iterator[Stuck]:
    queue = parts.get("queue", {})
    if verdicts := queue.get("verdicts", 0):
        text = ngettext("{count} question waits for a curator.", "{count} questions wait for a curator.", verdicts)
        mend = _link(user, CURATE, "conflicts", button=_("Decide"))
        yield Stuck(text.format(count=f"{verdicts:,}"), _("People disagree about them."), **mend)
    waiting = sum(queue.get("open", {}).values())
    if waiting and queue["old"] and not sum(queue["settled"]["day"].values()):
        text = ngettext("{count} question is open.", "{count} questions are open.", waiting)
        mend = _link(user, ANNOTATE, "annotate", button=_("Annotate"))
        yield Stuck(text.format(count=f"{waiting:,}"), _("None was settled within a day: nobody answers."), **mend)
    for paused in User.objects.filter(paused_at__isnull=False, is_active=True).order_by("username")[:SOURCES]:
        text = _("{name} is paused.").format(name=paused.username)
        yield Stuck(text, paused.paused_because, **_link(user, BROWSE, "engine", button=_("Engine")))


def _certificates(user: User, parts: Mapping[str, Any]) -> Iterator[Stuck]:
    funnel = parts.get("funnel", {})
    valid = set(Certificate.objects.filter(state=Certificate.State.VALID).values_list("attribute", "value"))
    for name in figures.asked_about():
        values = [value for value in ATTRIBUTES[name].values if (name, value) not in valid]
        unlabelled = funnel.get(f"proposed.{name}", 0) - funnel.get(f"labelled.{name}", 0)
        if not values or unlabelled <= 0:
            continue
        title = _(name.replace("_", " "))
        text = _("No certificate of {attribute} for {values}: all of it is asked.")
        why = _("It takes {count} audited answers, none of them wrong, or more with some.")
        if not Calibration.objects.filter(attribute=name, answers__gt=0).exists():
            why = _("Nothing is calibrated yet: that begins with answers to the control slice.")
        yield Stuck(
            text.format(attribute=title, values=", ".join(_(value) for value in values)),
            why.format(count=needed(live_settings.get("TARGET_ERROR"))),
            **_link(user, BROWSE, "engine", button=_("Engine")),
        )


# ---- rights and releases


def _rights(user: User, now: datetime) -> Iterator[Stuck]:
    silent = Source.objects.filter(
        Q(legal_basis="") | Q(licence=""), Exists(Photo.objects.filter(source=OuterRef("pk")))
    )
    more = silent.count() - SOURCES
    for source in silent.order_by("name")[:SOURCES]:
        text = _("{source} does not state its rights.").format(source=source.name)
        why = _("Nothing of it is released or exported until licence and legal basis are stated.")
        yield Stuck(text, why, **_link(user, BROWSE, "source", source.pk, button=_("State them")))
    if more > 0:
        text = ngettext("{count} more source does not.", "{count} more sources do not.", more).format(count=more)
        yield Stuck(text, **_link(user, BROWSE, "sources", button=_("Sources")))
    for source in Source.objects.filter(retention_until__lt=now.date()).order_by("name")[:SOURCES]:
        left = Photo.objects.filter(source=source).count()
        if not left:
            continue  # what it was is told by its name alone
        held = holds.held(Photo.objects.filter(source=source)).count()
        text = _("{source} should be gone since {day}.").format(source=source.name, day=source.retention_until)
        if held:
            why = ngettext("A legal hold keeps {count} photo.", "Legal holds keep {count} photos.", held)
            yield Stuck(text, why.format(count=held), **_link(user, ADMINISTER, "holds", button=_("Legal holds")))
        else:
            why = _("Nothing of it is released or exported any more; within the hour it is erased.")
            yield Stuck(text, why, **_link(user, BROWSE, "source", source.pk, button=_("Look at it")))
    for made in Erasure.objects.filter(state=Erasure.State.FAILED)[:SOURCES]:
        text = _("Erasure {pk} has stopped.").format(pk=made.pk)
        yield Stuck(text, made.error, **_link(user, ADMINISTER, "erasure", made.pk, button=_("Look at it")), grave=True)


def _releases() -> Iterator[Stuck]:
    for release in Release.objects.exclude(damage="").order_by("-pk")[:SOURCES]:
        text = _("The release {name} is damaged.").format(name=release.name)
        yield Stuck(
            text, release.damage, address=reverse("release", args=[release.pk]), button=_("Look at it"), grave=True
        )
    latest = Release.objects.filter(state=Release.State.DONE).order_by("-pk").first()
    erased = ReleaseErasure.objects.filter(release=latest).aggregate(count=Count("pk"))["count"] if latest else 0
    if erased:
        text = _("The latest release holds what was erased since: it is not handed out.")
        yield Stuck(text, _("A new one leaves it out."), address=reverse("release-new"), button=_("Freeze a new one"))
