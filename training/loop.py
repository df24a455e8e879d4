"""The loop closes: enough new labels, or certificates short of coverage, or time, start a release and a training.

A plan is a row: first its release is built, then its run carried out, both by the belt; whoever is killed in between
leaves a row that the next sweep goes on with. What comes out is a candidate. To promote it is a person's act unless
DAGER_AUTO_PROMOTE is on: the gate sees figures on a test part, and a person also sees what that part does not hold.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max
from django.utils import timezone

from annotation import live_settings, proposals, releases
from annotation.errors import AnnotationError
from annotation.models import AttributeLabel, Certificate, Decision, Proposal, Release
from inference.core.attributes import Attribute, attribute
from training import promotion, runs
from training.core.rule import Rule, Seen, why_train
from training.errors import BadTraining, NotPromotable, PromotionUnderWay, TrainingUnderWay
from training.models import TrainingPlan, TrainingRun

log = logging.getLogger(__name__)

PURPOSE = "Frozen by the rule for the next training of {task}: {why}."


def rule() -> Rule:
    return Rule(
        labels=live_settings.get("TRAIN_LABELS"),
        growth=live_settings.get("TRAIN_GROWTH"),
        coverage=live_settings.get("TRAIN_COVERAGE"),
        days=live_settings.get("TRAIN_DAYS"),
        cooldown=timedelta(hours=live_settings.get("TRAIN_COOLDOWN_HOURS")),
    )


def consider(now: datetime | None = None) -> list[TrainingPlan]:
    """Look at each attribute that people are asked about; returns the trainings that are planned anew."""
    if not live_settings.get("AUTO_TRAIN"):
        return []
    now, made = now or timezone.now(), list[TrainingPlan]()
    for wanted in map(attribute, live_settings.get("ASKED")):
        why = why_train(seen(wanted, now), rule())
        planned = plan(wanted, why, now) if why else None
        if planned is not None:
            made.append(planned)
    return made


def seen(wanted: Attribute, now: datetime) -> Seen:
    labels = proposals.labels_known(wanted)
    trained = TrainingRun.objects.filter(task=wanted.name)
    planned = TrainingPlan.objects.filter(task=wanted.name)
    going = [TrainingRun.State.WAITING, TrainingRun.State.RUNNING]
    ends = [
        trained.aggregate(last=Max("finished_at"))["last"],
        planned.aggregate(last=Max("closed_at"))["last"],
    ]
    return Seen(
        now=now,
        labels=labels,
        new=_new_labels(wanted, labels),
        last=max((end for end in ends if end is not None), default=None),
        under_way=planned.filter(closed_at=None).exists() or trained.filter(state__in=going).exists(),
        coverage=None if wanted.in_years else coverage(wanted),
    )


def _new_labels(wanted: Attribute, all_of_them: int) -> int:
    """Since the release of the last training that came to its end, or that a person stopped."""
    ended = TrainingRun.objects.filter(
        task=wanted.name, state__in=[TrainingRun.State.DONE, TrainingRun.State.STOPPED]
    ).order_by("-pk")
    last = ended.first()
    since = last.releases.aggregate(at=Max("created_at"))["at"] if last else None
    if since is None:
        return all_of_them
    known = AttributeLabel.objects.filter(attribute=wanted.name).exclude(decision__by=Decision.By.MACHINE)
    return known.filter(decision__at__gt=since).count()


def coverage(wanted: Attribute) -> float:
    """The share of an attribute's proposals that its valid certificates accept."""
    rows = Proposal.objects.filter(attribute=wanted.name, stands=True)
    count = dict(rows.values_list("value").annotate(count=Count("pk")).order_by())
    held = Certificate.objects.filter(attribute=wanted.name, state=Certificate.State.VALID)
    accepted = sum(covered * count.get(value, 0) for value, covered in held.values_list("value", "coverage"))
    return float(accepted / max(sum(count.values()), 1))


def plan(wanted: Attribute, why: str, now: datetime) -> TrainingPlan | None:
    """Ask for the release that a training is to learn from; None where somebody else did, or none can be built."""
    query = {"attributes": [wanted.name]} | ({"balance": "weights"} if wanted.in_years else {})
    purpose = PURPOSE.format(task=wanted.name.replace("_", " "), why=TrainingRun.Why(why).label)
    try:
        with transaction.atomic():
            made = TrainingPlan.objects.create(task=wanted.name, why=why, at=now)
            name = f"{wanted.name.replace('_', '-')} {now:%Y-%m-%d} ({made.pk})"
            made.release = releases.create_release(name=name, query=query, purpose=purpose, by=None)
            made.save(update_fields=["release"])
    except IntegrityError:
        return None
    except AnnotationError as error:
        log.warning("No release for a training of %s: %s", wanted.name, error)
        return None
    return made


def go_on() -> list[TrainingRun]:
    """Start the trainings whose release is done; returns those. One whose release failed is over."""
    started = list[TrainingRun]()
    for pk in TrainingPlan.objects.filter(closed_at=None).order_by("pk").values_list("pk", flat=True):
        run = _start(pk)
        if run is not None:
            started.append(run)
    return started


@transaction.atomic
def _start(pk: int) -> TrainingRun | None:
    """The lock queues up two sweeps: the second finds it started."""
    rows = TrainingPlan.objects.select_for_update(of=("self",)).select_related("release")
    planned = rows.filter(pk=pk, closed_at=None).first()
    if planned is None:
        return None
    release = planned.release
    if release is None:
        return _close(planned, error="Its release was deleted.")
    if release.state == Release.State.FAILED:
        return _close(planned, error=f"Its release {release} failed: {release.error}")
    if release.state != Release.State.DONE:
        return None
    try:
        run = runs.start_run(task=planned.task, releases=[release], preset_name=settings.TRAIN_PRESET, why=planned.why)
    except TrainingUnderWay:
        return None  # somebody started one meanwhile: this comes after
    except BadTraining as error:
        return _close(planned, error=str(error))
    return _close(planned, run=run)


def _close(planned: TrainingPlan, *, run: TrainingRun | None = None, error: str = "") -> TrainingRun | None:
    if error:
        log.warning("%s: %s", planned, error)
    planned.run, planned.error, planned.closed_at = run, error, timezone.now()
    planned.save(update_fields=["run", "error", "closed_at"])
    return run


def promote_trained() -> None:
    """With DAGER_AUTO_PROMOTE: let what the loop trained through the gate, each model once."""
    if not live_settings.get("AUTO_PROMOTE"):
        return
    done = TrainingPlan.objects.filter(
        run__state=TrainingRun.State.DONE, run__version__state="candidate", run__version__promotions=None
    )
    latest = done.order_by("task", "pk").values("task").annotate(last=Max("run"))
    for run in TrainingRun.objects.filter(pk__in=[row["last"] for row in latest]).select_related("version"):
        assert run.version is not None
        try:
            promotion.promote(run.version)
        except PromotionUnderWay:
            return  # after that one
        except NotPromotable as error:
            log.warning("%s", error)
