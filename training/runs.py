"""Releases in, model versions out: training runs, asked for, carried out, stopped, gone on with, judged."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, close_old_connections, transaction
from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.utils import timezone

from annotation import releases as frozen
from annotation.core import release as format_
from annotation.erasure import erased
from annotation.models import Face, Release, User
from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import EMBEDDING, Bundle, load
from inference.core.late import Late
from inference.errors import NoLiveModel
from inference.models import ModelVersion
from training.core.apart import Ints, learnt
from training.core.config import BadConfig, TrainConfig, parse, preset
from training.core.evaluate import compare, evaluate
from training.core.plain import plain
from training.errors import BadTraining, TrainingUnderWay
from training.models import Evaluation, TrainingRun

if TYPE_CHECKING:
    from training.core import data, finish, judge, learners, train, verification
    from training.core import run as recipe
else:
    data, finish, judge = Late("training.core.data"), Late("training.core.finish"), Late("training.core.judge")
    learners, recipe, train = Late("training.core.learners"), Late("training.core.run"), Late("training.core.train")
    verification = Late("training.core.verification")

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=3)  # a worker says every minute that it is still at it
BEAT = 60.0  # seconds
LOOKED_AT = 100  # releases
LOOKED = 2.0  # seconds between two looks whether somebody wants it stopped
State = TrainingRun.State


@transaction.atomic
def start_run(
    *,
    task: str,
    releases: Sequence[Release],
    preset_name: str = "quick",
    changes: dict[str, Any] | None = None,
    why: str = TrainingRun.Why.ASKED,
    by: User | None = None,
) -> TrainingRun:
    """Ask for a training; the belt carries it out. Raises BadTraining, TrainingUnderWay."""
    if not releases:
        raise BadTraining("A training needs at least one release. Freeze one first.")
    for release in releases:
        if release.state != Release.State.DONE:
            raise BadTraining(f"The release {release.name} is {release.state}. Wait until it is done, or name another.")
        _require_whole(release)
    try:
        config = preset(preset_name, task, **(changes or {}))
    except BadConfig as error:
        raise BadTraining(str(error)) from error
    made = TrainingRun(task=task, preset=preset_name, config=asdict(config), why=why, created_by=by)
    _require_free(task)
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:
        raise TrainingUnderWay(task) from error
    made.releases.set(releases)
    return made


def _require_whole(release: Release) -> None:
    """What is erased is not learnt from, nor judged by. Raises BadTraining."""
    erased = release.erasures.count()
    if erased:
        told = "1 photo was" if erased == 1 else f"{erased:,} photos were"
        raise BadTraining(
            f"Of the release {release.name} {told} erased since. Freeze a new one without: `manage.py release NAME`."
        )


def latest_release(task: str) -> Release | None:
    """The one that a training or a judgement is about if nobody says which: the latest that knows of the task; else
    the latest, whose refusal says what it lacks, or that photos of it were erased."""
    done = Release.objects.filter(state=Release.State.DONE).order_by("-pk")
    whole = done.filter(erasures=None)
    known = (each for each in whole[:LOOKED_AT] if _knows(each, task))
    return next(known, None) or whole.first() or done.first()


def _knows(release: Release, task: str) -> bool:
    if task == EMBEDDING:
        return bool(release.counts.get("identities"))
    return bool(release.counts.get("attributes", {}).get(task, {}).get("test"))


def _require_free(task: str) -> None:
    if TrainingRun.objects.filter(task=task, state__in=[State.WAITING, State.RUNNING]).exists():
        raise TrainingUnderWay(task)


def stop_run(pk: int) -> None:
    """Ask a run to stop; it does within seconds, and can go on from there. Raises BadTraining."""
    run_ = TrainingRun.objects.get(pk=pk)
    if not run_.under_way:
        raise BadTraining(f"Training {pk} is {run_.state}: there is nothing to stop.")
    TrainingRun.objects.filter(pk=pk, state=State.WAITING).update(state=State.STOPPED, finished_at=timezone.now())
    TrainingRun.objects.filter(pk=pk, state=State.RUNNING).update(stop_wanted=True)


def go_on(pk: int) -> None:
    """Let a run that was stopped, or that failed, go on from its last checkpoint. Raises BadTraining."""
    again = TrainingRun.objects.filter(pk=pk, state__in=[State.STOPPED, State.FAILED])
    run_ = again.first()
    if run_ is None:
        raise BadTraining(f"Training {pk} is {TrainingRun.objects.get(pk=pk).state}: it cannot go on.")
    try:
        with transaction.atomic():
            again.update(state=State.WAITING, stop_wanted=False, error="", finished_at=None, claimed_until=None)
    except IntegrityError as error:
        raise TrainingUnderWay(run_.task) from error


def due(now: datetime | None = None) -> QuerySet[TrainingRun]:
    """Runs that wait, or whose worker has not been heard of."""
    free = Q(claimed_until=None) | Q(claimed_until__lte=now or timezone.now())
    return TrainingRun.objects.filter(free, state__in=[State.WAITING, State.RUNNING]).order_by("pk")


def release_all_claims() -> None:
    """For the start of the only set of workers: whatever an earlier one held, it holds no more."""
    TrainingRun.objects.filter(claimed_until__isnull=False).update(claimed_until=None)


# ---- carried out


def folder_of(run_: TrainingRun) -> Path:
    """Where its state is: weights, history, crops."""
    return Path(settings.MODELS_DIR) / "runs" / str(run_.pk)


def bundle_folder(run_: TrainingRun) -> Path:
    return Path(settings.MODELS_DIR) / f"{run_.task}-{run_.pk}"


def cache() -> Path:
    """Crops that runs share; it may be deleted at any time."""
    return Path(settings.MODELS_DIR) / "crops"


def forget_crops() -> int:
    """Drop the kept crops of releases that something was erased of. Returns how many releases had some."""
    erased = Release.objects.filter(erasures__isnull=False).exclude(checksum="").distinct()
    folders = [data.crops_folder(cache(), checksum) for checksum in erased.values_list("checksum", flat=True)]
    there = [folder for folder in folders if folder.exists()]
    for folder in there:
        shutil.rmtree(folder, ignore_errors=True)
    return len(there)


@receiver(erased)
def forget_erased(**_: Any) -> dict[str, int]:
    """Nothing that was made from what is erased stays: kept crops, and the examples of evaluations. Who learns from a
    release that held it stops."""
    TrainingRun.objects.filter(state=State.RUNNING, releases__erasures__isnull=False).update(stop_wanted=True)
    shortened = 0
    for each in Evaluation.objects.exclude(differ=[]):
        there = set(Face.objects.filter(pk__in=[row["face"] for row in each.differ]).values_list("pk", flat=True))
        differ = [row for row in each.differ if row["face"] in there]
        if differ != each.differ:
            shortened += Evaluation.objects.filter(pk=each.pk).update(differ=differ)
    return {"kept crops of releases": forget_crops(), "training.Evaluation (shortened)": shortened}


def carry_out(run_id: int, now: datetime | None = None) -> None:
    """Train until it is done, stopped or failed; somebody else at it is enough."""
    run_ = _claim(run_id, now or timezone.now())
    if run_ is None:
        return
    try:
        with _alive(run_id):
            version = _train(run_)
            if version is not None:
                evaluate_version(version, run_.releases.order_by("-pk")[0])
    except (BadTraining, *recipe.Troubles) as error:
        log.warning("%s failed: %s", run_, error)
        _close(run_, State.FAILED, error=str(error))
    except Exception as error:  # the edge of a worker
        log.exception("%s failed", run_)
        _close(run_, State.FAILED, error=f"{type(error).__name__}: {error}")
    else:
        _close(run_, State.STOPPED if version is None else State.DONE, version=version)


def _claim(run_id: int, now: datetime) -> TrainingRun | None:
    taken = due(now).filter(pk=run_id).update(state=State.RUNNING, claimed_until=now + CLAIM)
    if not taken:
        return None
    TrainingRun.objects.filter(pk=run_id, started_at=None).update(started_at=now)
    return TrainingRun.objects.get(pk=run_id)


@contextmanager
def _alive(run_id: int) -> Iterator[None]:
    """While this lasts the run is in this worker's hands, however long a step takes."""
    done = Event()

    def beat() -> None:
        while not done.wait(BEAT):
            TrainingRun.objects.filter(pk=run_id).update(claimed_until=timezone.now() + CLAIM)
            close_old_connections()

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _train(run_: TrainingRun) -> ModelVersion | None:
    """The version of the bundle, or None if it was stopped. A bundle that is there already is registered only."""
    out, config = bundle_folder(run_), parse(run_.config)
    if not out.exists():
        opened = [_opened(release) for release in run_.releases.order_by("pk")]
        name = f"{run_.task.replace('_', '-')}-{run_.pk}"
        steps = recipe.run(config, opened, folder_of(run_), out, name=name, cache=cache(), stop=_stop_wanted(run_.pk))
        if not _told(run_, steps):
            return None
    bundle = load(out)
    _require_own(bundle, run_, config)
    return registry.register(bundle, folder=str(out))


def _opened(release: Release) -> format_.Release:
    _require_whole(release)
    return frozen.opened(release)


def _require_own(bundle: Bundle, run_: TrainingRun, config: TrainConfig) -> None:
    """That the folder is not left from another database, whose training had the same number. Raises BadTraining."""
    learnt = " ".join(run_.releases.order_by("pk").values_list("checksum", flat=True))
    if bundle.release != learnt or bundle.metrics.get("config") != finish.as_metrics(config):
        raise BadTraining(
            f"{bundle.folder} holds what another training wrote. Move it away, or set DAGER_MODELS to a free folder."
        )


def _told(run_: TrainingRun, steps: "Iterator[train.Report | recipe.Finished]") -> bool:
    """Write down how it goes. Returns whether it came to its end."""
    for report in steps:
        if isinstance(report, train.Stopped):
            return False
        if isinstance(report, train.Progress):
            run_.progress = plain(asdict(report))
        elif isinstance(report, train.EpochDone):
            run_.history = [*run_.history[: report.epoch], plain(asdict(report))]
        else:
            return True
        run_.save(update_fields=["progress", "history"])
    return False


def _stop_wanted(run_id: int) -> Any:
    looked, said = 0.0, False

    def ask() -> bool:
        nonlocal looked, said
        if monotonic() - looked > LOOKED:
            said, looked = TrainingRun.objects.filter(pk=run_id, stop_wanted=True).exists(), monotonic()
        return said

    return ask


def _close(run_: TrainingRun, state: str, **columns: Any) -> None:
    TrainingRun.objects.filter(pk=run_.pk).update(
        state=state, claimed_until=None, finished_at=timezone.now(), stop_wanted=False, progress={}, **columns
    )


# ---- judged


def evaluate_version(version: ModelVersion, release: Release) -> Evaluation:
    """Judge a model on a release's test part, beside the live one on the same faces; done twice, the later one holds.

    Raises BadRelease, NothingToLearnFrom, BadTraining.
    """
    _require_whole(release)
    try:
        live = registry.ensure_live() if version.task == EMBEDDING else registry.live(version.task)
    except NoLiveModel:
        live = None
    against = None if live is None or live.pk == version.pk else live
    found = _backbone(version, against, release) if version.task == EMBEDDING else _attribute(version, against, release)
    kept, _ = Evaluation.objects.update_or_create(
        version=version, release=release, against=against, defaults=plain(found) | {"at": timezone.now()}
    )
    return kept


def _learnt(release: Release, *models: ModelVersion | None) -> Ints:
    """The test faces that one of these models has learnt from, or from the same person: they came into the test since,
    as two people turned out to be one."""
    ids = {each for version in models if version is not None for each in version.release_ids.split()}
    rows = Release.objects.filter(checksum__in=ids - {release.checksum}, state=Release.State.DONE)
    return learnt(frozen.opened(release), [frozen.opened(row) for row in rows.order_by("pk")])


def _attribute(version: ModelVersion, against: ModelVersion | None, release: Release) -> dict[str, Any]:
    without = _learnt(release, version, against)
    ours = heard(version, release, without)
    found: dict[str, Any] = {
        "measured": evaluate(ours.beliefs, ours.truth).as_json() | {"left_out": len(without)},
        "milliseconds": ours.milliseconds,
        "compared": None,
        "differ": [],
    }
    if against is not None:
        theirs = heard(against, release, without)
        found["compared"] = compare(ours.beliefs, theirs.beliefs, ours.truth).as_json()
        found["differ"] = judge.most_different(ours, theirs)
        found["compared"]["milliseconds"] = theirs.milliseconds
    return found


def heard(version: ModelVersion, release: Release, without: Ints | None = None) -> "judge.Heard":
    assert version.task in ATTRIBUTES
    return judge.hear(registry.attribute_model(version), frozen.opened(release), cache(), without=without)


def _backbone(version: ModelVersion, against: ModelVersion | None, release: Release) -> dict[str, Any]:
    without = _learnt(release, version, against)

    def told(placed: "judge.Placed") -> dict[str, Any]:
        return {
            "true_accepts": verification.true_accepts(placed.vectors, placed.identity, learners.FALSE_ACCEPTS),
            "false_accepts": learners.FALSE_ACCEPTS,
            "faces": len(placed.identity),
            "left_out": len(without),
            "milliseconds": placed.milliseconds,
        }

    ours = judge.place(registry.embedder(version), frozen.opened(release), cache(), without=without)
    found: dict[str, Any] = {"measured": told(ours), "milliseconds": ours.milliseconds, "compared": None, "differ": []}
    if against is not None:
        theirs = judge.place(registry.embedder(against), frozen.opened(release), cache(), without=without)
        accepts, truth = learners.FALSE_ACCEPTS, ours.identity
        beside = verification.compare_accepts(ours.vectors, theirs.vectors, truth, accepts, slices=ours.slices)
        found["compared"] = told(theirs) | ({} if beside is None else beside.as_json())
    return found
