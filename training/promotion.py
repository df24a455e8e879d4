"""Candidates in, live models out: through the gate, past every face beside the live model, live at once, and back.

At every moment one model of a task is live, with all that it said. A candidate looks at the faces while the live one
answers; then one transaction makes it live. What rests on a live model's word follows in the rows themselves: the
engine calibrates anew and its certificates begin again, the faces are grouped anew. The gallery of known people is
built before a backbone is live, so that a search finds it there.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from time import sleep

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from annotation import audit, belt, embeddings, gallery, proposals
from annotation.models import ClusteringRun, Embedding, Face, NetworkOutput, User
from inference import registry
from inference.core.bundle import EMBEDDING, BadBundle, Bundle
from inference.core.embed import UnusableBackbone
from inference.models import ModelVersion
from training.core.gate import Check, Shown, gate
from training.errors import NotPromotable, PromotionUnderWay
from training.models import Evaluation, Promotion

log = logging.getLogger(__name__)

BATCH = 128  # faces: seconds of a network for an attribute, half a minute of a slow backbone
CLAIM = timedelta(minutes=10)
REASON = 300  # letters
DROPPED = 5_000  # rows at a time
PATIENCE = 1.0  # seconds until another look whether others have done their part

State = Promotion.State
Live = ModelVersion.State


# ---- through the gate


def promote(version: ModelVersion, *, by: User | None = None, forced: str = "") -> Promotion:
    """Let a model become the live one, if the gate lets it; the belt does the rest. `forced` says why it is let through
    against the gate.

    The first model of a task has nobody to look beside: it is live at once, and the belt looks by it as at new faces.
    Raises NotPromotable, with the refusal kept, and PromotionUnderWay.
    """
    version.refresh_from_db()
    if len(forced) > REASON:
        raise NotPromotable(f"Why it is forced is told in {REASON} letters at most, not {len(forced)}.")
    if version.state == Live.LIVE:
        raise NotPromotable(f"{version} is live already.")
    if under_way() is not None:
        raise PromotionUnderWay
    live, checks = live_of(version.task), examine(version)
    made = Promotion(
        version=version, replaced=live, gate=[asdict(check) for check in checks], forced=forced.strip(), created_by=by
    )
    failed = [check for check in checks if not check.passed]
    if failed and not made.forced:
        made.state, made.finished_at = State.REFUSED, timezone.now()
        made.save()
        reasons = " ".join(f"{check.name}: {check.told}" for check in failed)
        raise NotPromotable(f"{version} did not pass. {reasons}", made)
    made.state = State.PREPARING
    made.prepared = _looked_at(version).count()
    made.total = made.prepared + due(version).count()
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        raise PromotionUnderWay from error
    if live is None:
        finish(made.pk)
        made.refresh_from_db()
        if made.state == State.FAILED:
            raise NotPromotable(made.error, made)
    return made


def live_of(task: str) -> ModelVersion | None:
    registry.ensure_live() if task == EMBEDDING else registry.ensure_attributes()
    return ModelVersion.objects.filter(task=task, state=Live.LIVE).first()


def examine(version: ModelVersion) -> list[Check]:
    """What the gate says of a model, beside the one that is live now. Raises NotPromotable for a damaged bundle."""
    live = live_of(version.task)
    judged = Evaluation.objects.filter(version=version)
    if live is not None:
        judged = judged.filter(against=live)
    found = judged.order_by("-at").first()
    bundle = _bundle(version)
    return gate(
        Shown(
            measured=found.measured if found else None,
            compared=found.compared if found else None,
            milliseconds=found.milliseconds if found else None,
            megabytes=0.0 if bundle is None else _megabytes(bundle),
            beside="" if live is None else live.name,
            # What ships is what clustering goes by where nothing else is stated.
            calibrated=version.task != EMBEDDING or not version.folder or bool(bundle and bundle.calibration),
        )
    )


def _bundle(version: ModelVersion) -> Bundle | None:
    """None for a network for an attribute that ships with a package."""
    if not version.folder and version.task != EMBEDDING:
        return None
    try:
        return registry.bundle_of(version)
    except BadBundle as error:
        raise NotPromotable(f"{version} cannot be promoted: {error}") from error


def _require_usable(version: ModelVersion) -> None:
    """Its bundle is there, whole, and opens: whoever answers from now on opens it anew. Raises NotPromotable."""
    _bundle(version)
    try:
        registry.embedder(version) if version.task == EMBEDDING else registry.attribute_model(version)
    except (BadBundle, UnusableBackbone, OSError) as error:
        raise NotPromotable(f"{version} cannot be promoted: {error}") from error


def _megabytes(bundle: Bundle) -> float:
    """Of what is opened: an ONNX file with all that it refers to; beside safetensors it is for use elsewhere."""
    files = bundle.weights if bundle.architecture == "onnx" else bundle.weights[:1]
    return sum((bundle.folder / each.file).stat().st_size for each in files) / 1e6


# ---- past every face, beside the live model


def under_way() -> Promotion | None:
    return Promotion.objects.filter(state=State.PREPARING).select_related("version").first()


def due(version: ModelVersion) -> QuerySet[Face]:
    """The faces that the live model has looked at and a candidate has not. New faces are the live one's first."""
    if version.task == EMBEDDING:
        seen = Embedding.objects.filter(face=OuterRef("pk"), version=live_of(EMBEDDING))
        return belt.faces_due(version).filter(Exists(seen))
    return proposals.without_output(version)


def _looked_at(version: ModelVersion) -> QuerySet[Embedding] | QuerySet[NetworkOutput]:
    if version.task == EMBEDDING:
        return Embedding.objects.filter(version=version)
    return NetworkOutput.objects.filter(version=version)


def feed(look: Callable[[int, list[int]], object], finish: Callable[[int], object]) -> int:
    """Send the next batches of the promotion under way; with less than a batch left, its end. Returns how many faces
    were sent."""
    promotion = under_way()
    if promotion is None:
        return 0
    left = _left(promotion)
    if len(left) < BATCH:
        finish(promotion.pk)
        return 0

    def here() -> QuerySet[Face]:
        return due(promotion.version).filter(pk__gte=left[0])

    return belt.feed(belt.Stage(due=here, send=lambda faces: look(promotion.pk, faces), batch=BATCH))


def _left(promotion: Promotion) -> list[int]:
    """The next faces, up to a batch, by a mark that moves on: a million that are done are not gone through each time.
    Behind the last one it begins again, with those that were passed over or came since."""
    for reached in dict.fromkeys((promotion.reached, 0)):
        found = due(promotion.version).filter(pk__gt=reached).order_by("pk")
        left = list(found.values_list("pk", flat=True)[:BATCH])
        if len(left) == BATCH or not reached:
            if left and left[0] - 1 != promotion.reached:
                Promotion.objects.filter(pk=promotion.pk).update(reached=left[0] - 1)
            return left
    return []


def look(promotion_id: int, faces: Sequence[int]) -> None:
    """Let the candidate look at these faces; those that it has seen are left alone. What goes wrong ends the promotion,
    not the worker; what was looked at stays, for the next time."""
    promotion = _preparing(promotion_id)
    if promotion is None:
        Face.objects.filter(pk__in=faces).update(claimed_until=None)
        return
    version = promotion.version
    wanted = list(due(version).filter(pk__in=faces).select_related("photo"))
    try:
        done = embeddings.embed(wanted, version) if version.task == EMBEDDING else proposals.look(wanted, version)
    except DatabaseError:
        raise  # the database was away: the sweep sends these faces again
    except Exception as error:  # the edge of a worker
        log.exception("%s failed", promotion)
        _end(promotion_id, State.FAILED, error=f"{type(error).__name__}: {error}")
        Face.objects.filter(pk__in=faces).update(claimed_until=None)
    else:
        Promotion.objects.filter(pk=promotion_id).update(prepared=F("prepared") + done)


def finish(promotion_id: int, now: datetime | None = None) -> bool:
    """Look at the last faces, less than a batch, and make the model live. Returns whether it is.

    Whoever comes in that very moment has a word of the model before, and is looked at again as a new face is.
    """
    now = now or timezone.now()
    free = Promotion.objects.filter(pk=promotion_id, state=State.PREPARING).exclude(claimed_until__gt=now)
    if not free.update(claimed_until=now + CLAIM):
        return False
    try:
        promotion = Promotion.objects.select_related("version").get(pk=promotion_id)
        left = list(due(promotion.version).order_by("pk").values_list("pk", flat=True)[:BATCH])
        if len(left) == BATCH:
            return False
        if left:
            look(promotion_id, left)
        _require_usable(promotion.version)
        if promotion.version.task == EMBEDDING:
            gallery.build(promotion.version)
        return _flip(promotion_id)
    except NotPromotable as error:
        _end(promotion_id, State.FAILED, error=str(error))
        return False
    finally:
        Promotion.objects.filter(pk=promotion_id).update(claimed_until=None)


def carry_out(promotion_id: int) -> None:
    """Do here what the workers would, together with those that there are, until it is live or has failed."""

    def taken(promotion_id: int, faces: Sequence[int]) -> bool:
        look(promotion_id, faces)
        return True

    while _preparing(promotion_id) is not None:
        before = Promotion.objects.get(pk=promotion_id).prepared
        sent = feed(taken, finish)
        if not sent and Promotion.objects.get(pk=promotion_id).prepared == before:
            sleep(PATIENCE if _preparing(promotion_id) else 0)


def _preparing(promotion_id: int) -> Promotion | None:
    return Promotion.objects.filter(pk=promotion_id, state=State.PREPARING).select_related("version").first()


def call_off(by: User | None = None) -> Promotion:
    """Give up the promotion under way; what was looked at stays, for another time. Raises NotPromotable."""
    promotion = under_way()
    if promotion is None:
        raise NotPromotable("No promotion is under way: there is nothing to call off.")
    _end(promotion.pk, State.FAILED, error=f"Called off{f' by {by}' if by else ''}.")
    promotion.refresh_from_db()
    return promotion


def _end(promotion_id: int, state: str, *, error: str = "") -> None:
    Promotion.objects.filter(pk=promotion_id, state=State.PREPARING).update(
        state=state, error=error, claimed_until=None, finished_at=timezone.now()
    )


def release_all_claims() -> None:
    """For the start of the only set of workers: whatever an earlier one held, it holds no more."""
    Promotion.objects.filter(claimed_until__isnull=False).update(claimed_until=None)


# ---- live, and back


@transaction.atomic
def _flip(promotion_id: int) -> bool:
    """The candidate takes the live model's place. Others see one of them or the other, at every moment."""
    promotion = Promotion.objects.select_for_update().filter(pk=promotion_id, state=State.PREPARING).first()
    if promotion is None:
        return False
    version, now = promotion.version, timezone.now()
    Promotion.objects.filter(version__task=version.task, state=State.LIVE).update(state=State.REPLACED)
    promotion.replaced = _take_the_place(version, now)
    promotion.state, promotion.finished_at, promotion.error = State.LIVE, now, ""
    promotion.prepared = promotion.total = _looked_at(version).count()
    promotion.save()
    details = {"promotion": promotion.pk, "task": version.task, "forced": bool(promotion.forced)}
    audit.write(audit.Action.PROMOTE, by=promotion.created_by, subject=f"model {version.pk}", details=details)
    return True


def _take_the_place(version: ModelVersion, now: datetime) -> ModelVersion | None:
    """Within a transaction. The old one goes first, as the database bears no two; both rows stay locked to its end."""
    old = ModelVersion.objects.select_for_update().filter(task=version.task, state=Live.LIVE).first()
    ModelVersion.objects.filter(task=version.task, state=Live.LIVE).update(state=Live.RETIRED, retired_at=now)
    ModelVersion.objects.filter(pk=version.pk).update(state=Live.LIVE, live_since=now, retired_at=None)
    return old


@transaction.atomic
def take_back(version: ModelVersion, *, by: User | None = None) -> Promotion:
    """Roll back, if this model is the live one: of two who ask at once the second must not go back one further.

    Raises NotPromotable, PromotionUnderWay.
    """
    live = ModelVersion.objects.select_for_update().filter(task=version.task, state=Live.LIVE).first()
    if live is None or live.pk != version.pk:
        raise NotPromotable(f"{version} is not live, so there is nothing to roll back; {live or 'none'} is.")
    return rollback(version.task, by=by)


@transaction.atomic
def rollback(task: str, *, by: User | None = None) -> Promotion:
    """Back to the model that was live before, whose words were kept; faces that came since are looked at by the belt.

    Returns the promotion that is taken back. Raises NotPromotable, PromotionUnderWay.
    """
    current = under_way()
    if current is not None and current.version.task == task:
        raise PromotionUnderWay
    promotion = (
        Promotion.objects.select_for_update(of=("self",))
        .filter(version__task=task, version__state=Live.LIVE, state=State.LIVE)
        .select_related("version", "replaced")
        .first()
    )
    if promotion is None or promotion.replaced is None:
        raise NotPromotable(f"There is no model of {task} to go back to: none was live before the one that is.")
    back = promotion.replaced
    if _looked_at(promotion.version).exists() and not _looked_at(back).exists():
        raise NotPromotable(
            f"What {back} said of the faces was dropped since. It looks at them again by `manage.py promote {back.pk}`."
        )
    _require_usable(back)
    now = timezone.now()
    _take_the_place(back, now)
    Promotion.objects.filter(pk=promotion.pk).update(
        state=State.ROLLED_BACK, finished_at=now, taken_back_by=by, claimed_until=None
    )
    before = Promotion.objects.filter(version=back, state=State.REPLACED).order_by("-pk").first()
    if before is not None:
        Promotion.objects.filter(pk=before.pk).update(state=State.LIVE)
    details = {"promotion": promotion.pk, "task": task, "back_to": back.pk}
    audit.write(audit.Action.ROLL_BACK, by=by, subject=f"model {promotion.version_id}", details=details)
    promotion.refresh_from_db()
    return promotion


# ---- what nobody needs any more


def to_drop() -> list[ModelVersion]:
    """Models whose words are not needed: not live, not the last one before, not the last one that was to be promoted,
    and not what the grouping rests on."""
    kept = set(ModelVersion.objects.filter(state=Live.LIVE).values_list("pk", flat=True))
    for task, _ in ModelVersion.TASKS:
        retired = ModelVersion.objects.filter(task=task, state=Live.RETIRED)
        latest = retired.order_by(F("retired_at").desc(nulls_last=True))
        promoted = Promotion.objects.filter(version__task=task).order_by("-pk")
        kept |= {*latest.values_list("pk", flat=True)[:1], *promoted.values_list("version_id", flat=True)[:1]}
    runs = ClusteringRun.objects.filter(state__in=[ClusteringRun.State.APPLIED, ClusteringRun.State.RUNNING])
    kept |= set(runs.values_list("version_id", flat=True))
    others = ModelVersion.objects.exclude(pk__in=kept)
    return [version for version in others if _looked_at(version)[:1]]


def drop_old(most: int = 20 * DROPPED) -> int:
    """Drop such words, so many at a time. Returns how many."""
    done = 0
    for version in to_drop():
        while done < most:
            rows = list(_looked_at(version).values_list("pk", flat=True)[:DROPPED])
            if not rows:
                break
            _looked_at(version).filter(pk__in=rows).delete()
            done += len(rows)
        if version.task == EMBEDDING and not _looked_at(version)[:1]:
            gallery.drop(version)
    return done
