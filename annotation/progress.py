"""How far the photos have come: one count a stage, computed from the rows themselves."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from annotation import belt
from annotation.models import Cluster, ClusteringRun, Embedding, Face, Intake, Label, Photo, Question, Refusal, Source
from inference import registry


@dataclass(frozen=True)
class Step:
    """One stage of the way: how many rows it has done, and of how many as far as is known."""

    name: str
    done: int
    total: int | None


def steps(delivery: Intake | None = None) -> tuple[list[Step], bool]:
    """The stages, and whether nothing is on its way any more. With a delivery, its own files come first."""
    version = registry.ensure_live()
    found = list[Step]()
    if delivery is not None:
        delivery.refresh_from_db()
        found.append(Step(_("Intake"), delivery.seen, delivery.total))
        if delivery.state == Intake.State.FAILED:
            return found, True
    photos, faces = Photo.objects.count(), Face.objects.count()
    vectors = Embedding.objects.filter(version=version).count()
    found.append(Step(_("Faces"), photos - belt.photos_due().count(), photos))
    found.append(Step(_("Embeddings"), vectors, faces - Face.objects.exclude(failure="").count()))
    run = ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).first()
    behind = belt.ungrouped(version, run).count()
    found.append(Step(_("Clusters"), vectors - behind, vectors))
    grouping = ClusteringRun.objects.filter(state=ClusteringRun.State.RUNNING).exists()
    return found, belt.drained(version) and not behind and not grouping


def funnel() -> dict[str, int]:
    """From sources to labels: how many there are of each."""
    version = registry.ensure_live()
    run = ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).first()
    return {
        "sources": Source.objects.count(),
        "refused": Refusal.objects.count(),
        "photos": Photo.objects.count(),
        "duplicates": Photo.objects.exclude(duplicate_of=None).count(),
        "faces": Face.objects.count(),
        "embedded": Embedding.objects.filter(version=version).count(),
        "clusters": Cluster.objects.filter(run=run).count() if run else 0,
        "questions": Question.objects.filter(state=Question.State.OPEN).count(),
        "labels": Label.objects.filter(verdict=Label.Verdict.IDENTITY).count(),
    }
