"""The belt: Celery tasks. Ids in, nothing out; each is safe to run twice, and the sweep finds what a crash left."""

import logging
from datetime import datetime
from typing import Any

from celery import shared_task
from celery.signals import heartbeat_sent, worker_ready, worker_shutdown
from celery.worker import state
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation import (
    answers,
    audit,
    belt,
    clustering,
    dashboard,
    embeddings,
    engine,
    erasure,
    faces,
    feedback,
    gallery,
    idempotency,
    intake,
    maps,
    proposals,
    releases,
    wanted,
    workers,
)
from annotation.models import ClusteringRun, Embedding, Face, Photo, Release
from inference import registry
from inference.core.attributes import ATTRIBUTES, attribute
from inference.models import ModelVersion

log = logging.getLogger(__name__)

PHOTOS = 16  # a batch; a few seconds of work
FACES = 32


@shared_task(acks_late=True)
def take_in(intake_id: int) -> None:
    """Take in what this delivery holds; what was taken before is known by its hash."""
    intake.take_in(intake_id, on_progress=feed_belt)
    feed_belt()


@shared_task(acks_late=True)
def find_faces(photo_ids: list[int]) -> None:
    """Find the faces of these photos; those that were sought are left alone."""
    faces.seek(list(Photo.objects.without_faces_sought().filter(pk__in=photo_ids)))
    feedback.ask_waiting()
    feed_belt()


@shared_task(acks_late=True)
def embed_faces(version_id: int, face_ids: list[int]) -> None:
    """Give these faces a vector from this model; those that have one are left alone."""
    version = ModelVersion.objects.get(pk=version_id)
    embeddings.embed(
        list(Face.objects.without_vector(version).filter(pk__in=face_ids).select_related("photo")), version
    )
    feed_belt()


@shared_task(acks_late=True)
def propose(face_ids: list[int]) -> None:
    """Let the attribute networks look at these faces; those that they have seen are left alone."""
    proposals.propose(
        list(proposals.without_proposal(Face.objects.all()).filter(pk__in=face_ids).select_related("photo"))
    )
    feed_belt()


@shared_task(acks_late=True)
def think(attribute_name: str) -> None:
    """Bring beliefs, certificates and questions about an attribute up to date; somebody else at it is enough."""
    engine.keep_up(attribute(attribute_name))


@shared_task(acks_late=True)
def follow(attribute_name: str) -> None:
    """Let proposals of an attribute that nobody is asked about say what its live network says."""
    proposals.follow_network(attribute(attribute_name))


@shared_task(acks_late=True)
def group() -> None:
    """Bring the grouping up to date with new vectors and new decisions; somebody else at it is enough."""
    clustering.keep_up()


@shared_task(acks_late=True)
def cluster(run_id: int) -> None:
    """Compute a run that somebody asked for."""
    clustering.compute(ClusteringRun.objects.get(pk=run_id))


@shared_task
def know_people() -> None:
    """Keep everybody's mean vector at hand for searches by face."""
    gallery.keep_up()


@shared_task
def settle_kept() -> None:
    """Settle what people answered a moment ago."""
    answers.settle_kept()


@shared_task
def seal_audit() -> None:
    """Chain what was written to the audit log since; of two at it at once, one does it."""
    audit.seal()


@shared_task(acks_late=True)
def take_back() -> None:
    """Take back answers that a curator has others give instead."""
    wanted.take_back()


@shared_task(acks_late=True)
def build_release(release_id: int) -> None:
    """Freeze a release that waits; one that is built, or that somebody else has in hand, is left alone."""
    releases.build(release_id)


@shared_task(acks_late=True)
def verify_release(release_id: int) -> None:
    """Hash the files of a release anew."""
    releases.verify(Release.objects.get(pk=release_id))


@shared_task(acks_late=True)
def erase(erasure_id: int) -> None:
    """Carry out an erasure, or go on with one; somebody else at it is enough."""
    erasure.carry_out(erasure_id)


@shared_task
def expire() -> None:
    """Beat runs this: what is kept longer than it may be is erased, unless a legal hold keeps it."""
    for asked in erasure.expire():
        erase.delay(asked.pk)


@shared_task
def take_snapshot() -> None:
    """Count what the dashboard shows; what was counted a moment ago is left alone."""
    dashboard.take()


@shared_task(acks_late=True)
def draw_map() -> None:
    """Draw the map of the embeddings anew, if it is behind; somebody else at it is enough."""
    maps.keep_up()


def feed_belt() -> None:
    """Send the next batches of each stage; with nothing left to send, look whether the grouping is behind."""
    version = registry.ensure_live()
    stages = (
        belt.Stage(due=belt.photos_due, send=find_faces.delay, batch=PHOTOS),
        belt.Stage(
            due=lambda: belt.faces_due(version), send=lambda ids: embed_faces.delay(version.pk, ids), batch=FACES
        ),
        belt.Stage(due=lambda: proposals_due(version), send=propose.delay, batch=FACES),
    )
    for stage in stages:
        belt.feed(stage)
    if clustering.behind(version):
        group.delay()
    for each in engine.asked():
        if engine.behind(each):
            think.delay(each.name)


def proposals_due(version: ModelVersion) -> QuerySet[Face]:
    """Faces that have their vector, but no proposals yet."""
    embedded = Embedding.objects.filter(face=OuterRef("pk"), version=version)
    return proposals.without_proposal(Face.objects.filter(Exists(embedded)))


@shared_task
def sweep() -> None:
    """Beat runs this. What a crash or a lost message left behind goes back on the belt."""
    now = timezone.now()
    for delivery in belt.intakes_due(now):
        take_in.delay(delivery.pk)
    for release in belt.releases_due(now)[:1]:
        build_release.delay(release.pk)
    for asked in erasure.due(now)[:1]:
        erase.delay(asked.pk)
    erasure.sweep(now)
    clustering.fail_lost_runs(now)
    feedback.ask_waiting()
    idempotency.forget(now)
    if wanted.due().exists():
        take_back.delay()
    if maps.due(now):
        draw_map.delay()
    for each in ATTRIBUTES.values():
        if proposals.behind_network(each).exists():
            follow.delay(each.name)
    feed_belt()


# ---- that they live


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    """The parent of the worker processes has begun; it says so by itself, as a queue of files knows nobody."""
    queues = sorted(sender.app.amqp.queues.consume_from)
    _say(sender.hostname, queues=queues, processes=getattr(sender.pool, "num_processes", 1))


@heartbeat_sent.connect
def live(sender: Any, **_: Any) -> None:
    """Celery sends one every two seconds; so many rows a minute would be for nothing."""
    name, now = sender.eventer.hostname, timezone.now()
    if name not in _said or now - _said[name] >= workers.SAYS:
        _say(name, doing=[str(request.name) for request in list(state.active_requests)])


@worker_shutdown.connect
def end(sender: Any, **_: Any) -> None:
    workers.gone(sender.hostname)
    connection.close()


_said: dict[str, datetime] = {}  # by the name of the workers of this process


def _say(name: str, **told: Any) -> None:
    _said[name] = timezone.now()
    workers.heard(name, **told)
    connection.close()  # whoever says it forks the workers, who must not share it
