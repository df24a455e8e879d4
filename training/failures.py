"""Trainings and promotions that failed, and the way to try them again."""

from collections.abc import Collection, Mapping
from operator import attrgetter

from django.db.models import Max, QuerySet

from annotation.failures import Kind
from annotation.models import User
from training import promotion, runs
from training.models import Promotion, TrainingRun


def trainings_again(keys: Collection[int], by: User) -> int:
    """Each goes on from its last checkpoint. Raises BadTraining, TrainingUnderWay."""
    failed = TrainingRun.objects.filter(pk__in=keys, state=TrainingRun.State.FAILED).order_by("pk")
    wanted = list(failed.values_list("pk", flat=True))
    for pk in wanted:
        runs.go_on(pk)
    return len(wanted)


def promotions_again(keys: Collection[int], by: User) -> int:
    """Through the gate once more, for the reason it was forced before. Raises NotPromotable, PromotionUnderWay."""
    failed = (
        Promotion.objects.filter(pk__in=keys, state=Promotion.State.FAILED).select_related("version").order_by("pk")
    )
    wanted = list(failed)
    for each in wanted:
        promotion.promote(each.version, by=by, forced=each.forced)
    return len(wanted)


def failed_trainings() -> QuerySet[TrainingRun]:
    """The last one of each task, if it failed: earlier ones a later training has made good."""
    last = TrainingRun.objects.order_by().values("task").annotate(last=Max("pk")).values("last")
    return TrainingRun.objects.filter(pk__in=last, state=TrainingRun.State.FAILED)


def failed_promotions() -> QuerySet[Promotion]:
    """The last one of each model, if it failed."""
    last = Promotion.objects.order_by().values("version").annotate(last=Max("pk")).values("last")
    return Promotion.objects.filter(pk__in=last, state=Promotion.State.FAILED)


KINDS: Mapping[str, Kind] = {
    "training": Kind(
        rows=failed_trainings,
        told=lambda row: (f"{row.get_task_display()} {row.pk}", row.error),
        page="training",
        again=trainings_again,
    ),
    "promotion": Kind(
        rows=failed_promotions,
        told=lambda row: (str(row.version), row.error),
        page="model",
        of_page=attrgetter("version_id"),
        again=promotions_again,
        related=("version",),
    ),
}
