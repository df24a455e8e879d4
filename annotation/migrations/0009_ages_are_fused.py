"""What the network for apparent ages said is proposed of real ages, too, and is evidence as a mean and a spread."""

from itertools import islice

from django.db import migrations
from django.db.models import Exists, OuterRef

BATCH = 2_000


def summed_up(belief):
    """Mean and spread of a belief over the years; whoever is in their first year is a quarter of a year old."""
    mass = sum(belief) or 1.0
    mean = sum(year * each for year, each in enumerate(belief)) / mass
    square = sum(year * year * each for year, each in enumerate(belief)) / mass
    return [round(mean + belief[0] / mass / 4, 5), round(min(max((square - mean * mean) ** 0.5, 1.0), 40.0), 5)]


def propose(apps, schema_editor):
    proposal, version = apps.get_model("annotation", "Proposal"), apps.get_model("inference", "ModelVersion")
    for task in ("apparent_age", "real_age"):
        rows = proposal.objects.filter(attribute=task).order_by("pk")
        for row in rows.iterator(chunk_size=BATCH):
            if len(row.evidence.get("network", row.belief)) > 2:
                row.evidence = {"network": summed_up(row.evidence.get("network", row.belief))}
                row.save(update_fields=["evidence"])
    if version.objects.filter(task="real_age", state="live").exists():
        return
    told = proposal.objects.filter(attribute="real_age", face=OuterRef("face"))
    lacking = proposal.objects.filter(~Exists(told), attribute="apparent_age").order_by("pk")
    rows = lacking.iterator(chunk_size=BATCH)
    while piece := list(islice(rows, BATCH)):
        proposal.objects.bulk_create(
            proposal(
                face_id=row.face_id, attribute="real_age", value=row.value, confidence=row.confidence,
                belief=row.belief, evidence=row.evidence, network_id=row.network_id,
            )
            for row in piece
        )


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0008_claimed_faces'),
        ('inference', '0002_attributes_and_releases'),
    ]

    operations = [migrations.RunPython(propose, migrations.RunPython.noop, elidable=True)]
