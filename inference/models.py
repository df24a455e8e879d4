"""Which models exist, and which of them answers."""

from django.db import models
from django.db.models import Q


class ModelVersion(models.Model):
    """One bundle that can be served. At every moment one complete version per task is live."""

    class Task(models.TextChoices):
        EMBEDDING = "embedding"

    class State(models.TextChoices):
        CANDIDATE = "candidate"
        LIVE = "live"
        RETIRED = "retired"

    task = models.CharField(max_length=20, choices=Task)
    name = models.CharField(max_length=100)
    folder = models.CharField(max_length=500, blank=True)  # empty: the cold-start bundle, made of packages
    checksum = models.CharField(max_length=64)
    dimensions = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(state="live"), name="one_live_model_per_task"),
            models.UniqueConstraint(fields=["task", "checksum"], name="one_row_per_bundle"),
        ]

    def __str__(self) -> str:
        return self.name
