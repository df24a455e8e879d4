"""Who is still there: whatever is erased while somebody works on it must not come back, nor be pointed at."""

from collections.abc import Collection

from annotation.core.batches import batched
from annotation.models import Face, Identity
from annotation.prepared import Prepared
from annotation.turns import take_turn

CHUNK = 500


def faces_there(faces: Collection[int]) -> set[int]:
    """Those of these faces that are there, and stay until the transaction ends: an erasure waits for it.

    Call within the transaction that writes rows about them. One that goes on to derive who is who takes its turn first.
    """
    take_turn(shared=True)
    return known_faces(faces)


def people_there(identities: Collection[int]) -> set[int]:
    """The same of people."""
    take_turn(shared=True)
    return known_people(identities)


def known_faces(faces: Collection[int]) -> set[int]:
    """For whoever has taken their turn already."""
    found = set[int]()
    for chunk in batched(sorted(faces), CHUNK):
        found.update(_faces(chunk))
    return found


def known_people(identities: Collection[int]) -> set[int]:
    """For whoever has taken their turn already."""
    found = set[int]()
    for chunk in batched(sorted(identities), CHUNK):
        found.update(_people(chunk))
    return found


# Every answer asks these.
_faces = Prepared[int](lambda faces: Face.objects.filter(pk__in=faces).values_list("pk", flat=True))
_people = Prepared[int](lambda people: Identity.objects.filter(pk__in=people).values_list("pk", flat=True))
