"""Whatever was proposed so far was the live networks' word: it becomes their output, and need not be made again."""

from array import array
from itertools import islice

from django.db import migrations

BATCH = 2_000


def packed(belief):
    """Little-endian float32, as every machine that this runs on has it."""
    return array("f", belief).tobytes()


def keep(apps, schema_editor):
    output, proposal, calibration, version = (
        apps.get_model(app, name)
        for app, name in (
            ("annotation", "NetworkOutput"), ("annotation", "Proposal"), ("annotation", "Calibration"),
            ("inference", "ModelVersion"),
        )
    )
    for live in version.objects.filter(state="live").exclude(task="embedding"):
        calibration.objects.filter(attribute=live.task).update(network=live)
        rows = proposal.objects.filter(attribute=live.task).values_list("face_id", "belief", "evidence", "features")
        told = rows.order_by("pk").iterator(chunk_size=BATCH)
        while piece := list(islice(told, BATCH)):
            output.objects.bulk_create(
                [
                    output(face_id=face, version=live, belief=packed(evidence.get("network", belief)), features=features)
                    for face, belief, evidence, features in piece
                ],
                ignore_conflicts=True,
            )
        proposal.objects.filter(attribute=live.task).update(network=live)


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0005_network_outputs'),
    ]

    operations = [migrations.RunPython(keep, migrations.RunPython.noop, elidable=True)]
