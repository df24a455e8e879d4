"""Made-up labelled faces, many and quick: rows only, for what reads no picture."""

import numpy as np
from django.utils import timezone

from annotation.models import AttributeLabel, Decision, Face, Identity, Label, Photo, Source

BATCH = 5_000


def made_up(count: int) -> None:
    """Five faces a person, a tenth of nobody known; an age and a gender each."""
    rng = np.random.default_rng(0)
    source = Source.objects.create(name="made up", licence="CC0-1.0", legal_basis="drawn")
    people = Identity.objects.bulk_create([Identity() for _ in range(count // 5 + 1)], batch_size=BATCH)
    zeros = dict.fromkeys(("x", "y", "yaw", "pitch", "roll"), 0.0)
    plain = {"score": 1.0, "points": [], "landmarks": [], "chosen": True, "sharpness": 90.0, "brightness": 0.5}
    plain |= {"gray": False, "truncated": False, "usable": True, "transform": [], "number": 0}
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        photos = Photo.objects.bulk_create(
            Photo(sha256=f"{n:064x}", source=source, file=f"{n}.jpg", format="jpg", size=1, width=400, height=400,
                  faces_sought_at=timezone.now())
            for n in numbers
        )  # fmt: skip
        faces = Face.objects.bulk_create(
            Face(photo=photo, width=100.0, height=120.0, **zeros, **plain) for photo in photos
        )
        lines = []
        for n, face in zip(numbers, faces, strict=True):
            age = float(np.clip(rng.gamma(4.0, 8.0), 0, 100))
            said = {"by": "import", "face": face}
            lines.append(Decision(kind="label", identity=people[n // 5], **said))
            lines.append(Decision(kind="value", attribute="gender", value=("female", "male")[n // 5 % 2], **said))
            lines.append(Decision(kind="value", attribute="real_age", value=f"{age:.2f}", **said))
        Decision.objects.bulk_create(lines, batch_size=BATCH)
        Label.objects.bulk_create(
            Label(face=line.face, identity=line.identity, verdict="identity", decision=line)
            for line in lines[::3]
            if line.face.pk % 10
        )
        AttributeLabel.objects.bulk_create(
            AttributeLabel(face=line.face, attribute=line.attribute, value=line.value, decision=line)
            for line in lines
            if line.attribute
        )
