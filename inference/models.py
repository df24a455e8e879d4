"""Which models exist, and which of them answers."""

from django.db import models
from django.db.models import Q

from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import EMBEDDING


class ModelVersion(models.Model):
    """One bundle that can be served. At every moment one complete version per task is live."""

    class State(models.TextChoices):
        CANDIDATE = "candidate"
        LIVE = "live"
        RETIRED = "retired"

    TASKS = [(task, task.replace("_", " ").capitalize()) for task in (EMBEDDING, *ATTRIBUTES)]

    task = models.CharField(max_length=20, choices=TASKS)
    name = models.CharField(max_length=100)
    folder = models.CharField(max_length=500, blank=True)  # empty: of a package, not of a bundle's folder
    checksum = models.CharField(max_length=64)
    dimensions = models.PositiveIntegerField()
    # The ids of the releases that it learnt from, with spaces: what is erased of one is looked up by them.
    release_ids = models.TextField(blank=True)
    metrics = models.JSONField(default=dict)  # as its bundle states them
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    created_at = models.DateTimeField(auto_now_add=True)
    live_since = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(state="live"), name="one_live_model_per_task"),
            models.UniqueConstraint(fields=["task", "checksum"], name="one_row_per_bundle"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return f"{self.get_task_display()}: {self.name}"
