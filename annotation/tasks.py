"""The belt: Celery tasks. Ids in, nothing out; each is safe to run twice, and the sweep finds what a crash left."""

import logging

from celery import shared_task
from django.utils import timezone

from annotation import belt, clustering, embeddings, faces, intake
from annotation.models import ClusteringRun, Face, Photo
from inference import registry
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
def group() -> None:
    """Bring the grouping up to date with new vectors and new decisions; somebody else at it is enough."""
    clustering.keep_up()


@shared_task(acks_late=True)
def cluster(run_id: int) -> None:
    """Compute a run that somebody asked for."""
    clustering.compute(ClusteringRun.objects.get(pk=run_id))


def feed_belt() -> None:
    """Send the next batches of each stage; with nothing left to send, look whether the grouping is behind."""
    version = registry.ensure_live()
    stages = (
        belt.Stage(due=belt.photos_due, send=find_faces.delay, batch=PHOTOS),
        belt.Stage(
            due=lambda: belt.faces_due(version), send=lambda ids: embed_faces.delay(version.pk, ids), batch=FACES
        ),
    )
    for stage in stages:
        belt.feed(stage)
    if clustering.behind(version):
        group.delay()


@shared_task
def sweep() -> None:
    """Beat runs this. What a crash or a lost message left behind goes back on the belt."""
    now = timezone.now()
    for delivery in belt.intakes_due(now):
        take_in.delay(delivery.pk)
    clustering.fail_lost_runs(now)
    feed_belt()
