"""The belt without a broker: the stages one after the other, until nothing is due."""

from annotation import belt, clustering, embeddings, faces
from annotation.models import Face
from inference import registry


def run_belt() -> None:
    version = registry.ensure_live()
    faces.seek(list(belt.photos_due()))
    embeddings.embed(list(belt.faces_due(version).select_related("photo")), version)
    Face.objects.filter(claimed_until__isnull=False).update(claimed_until=None)
    clustering.keep_up()
