"""What was trained and how good it is: runs, judgements, promotions."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Release, User
from inference.models import ModelVersion


class TrainingRun(models.Model):
    """One training, from releases to a bundle."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        STOPPED = "stopped"  # by a person; it can go on
        DONE = "done"
        FAILED = "failed"

    class Why(models.TextChoices):
        ASKED = "asked", "somebody asked"
        LABELS = "labels", "enough new labels"
        COVERAGE = "coverage", "certificates short of coverage"
        SCHEDULE = "schedule", "it was time"

    task = models.CharField(max_length=20, choices=ModelVersion.TASKS)
    preset = models.CharField(max_length=20)
    config = models.JSONField()  # all of it, as TrainConfig has it
    releases = models.ManyToManyField(Release, related_name="training_runs")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    why = models.CharField(max_length=10, choices=Why, default=Why.ASKED)
    progress = models.JSONField(
        default=dict
    )  # of the epoch under way: step, steps, loss, images a second, seconds left
    history = models.JSONField(default=list)  # a report an epoch
    stop_wanted = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    version = models.OneToOneField(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="training_run")
    claimed_until = models.DateTimeField(null=True)  # a worker has it in hand, and says so as it goes
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_training_says_why"),
            models.CheckConstraint(
                condition=~Q(state="done") | Q(finished_at__isnull=False), name="a_done_training_has_its_time"
            ),
            models.UniqueConstraint(
                fields=["task"], condition=Q(state__in=["waiting", "running"]), name="one_training_per_task_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"training {self.pk} of {self.get_task_display()}"

    @property
    def under_way(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)


class TrainingPlan(models.Model):
    """A training that the rule wants: its release is frozen first, and then it is run."""

    task = models.CharField(max_length=20, choices=ModelVersion.TASKS)
    why = models.CharField(max_length=10, choices=TrainingRun.Why)
    release = models.OneToOneField(Release, null=True, on_delete=models.SET_NULL, related_name="+")
    run = models.OneToOneField(TrainingRun, null=True, on_delete=models.SET_NULL, related_name="plan")
    error = models.TextField(blank=True)  # why there is no run
    at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(closed_at=None), name="one_plan_per_task_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk} of a training of {self.get_task_display()}"


class Evaluation(models.Model):
    """How good one model is on the test part of one release, beside the model that was live then."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="evaluations")
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="evaluations")
    measured = models.JSONField()  # as training.core.evaluate.Evaluation has it; of a backbone, its true accepts
    against = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    compared = models.JSONField(null=True)  # as training.core.evaluate.Comparison has it
    # The faces that the two models see most differently: face, what each says, what is known.
    differ = models.JSONField(default=list)
    milliseconds = models.FloatField(null=True)  # a face takes, one by one, on one core
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "release", "against"], name="one_evaluation_each"),
        ]


class Promotion(models.Model):
    """A model on its way to being the live one, or back."""

    class State(models.TextChoices):
        REFUSED = "refused"  # the gate says no
        PREPARING = "preparing"  # it passed; all faces are looked at by it, beside the live one
        LIVE = "live"
        FAILED = "failed"
        REPLACED = "replaced"  # another one took its place since
        ROLLED_BACK = "rolled_back", "rolled back"

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="promotions")
    replaced = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=12, choices=State)
    gate = models.JSONField(default=list)  # what was asked of it: name, passed, told
    forced = models.CharField(max_length=300, blank=True)  # why it is promoted against the gate
    error = models.TextField(blank=True)
    prepared = models.PositiveIntegerField(default=0)  # faces that it has looked at
    total = models.PositiveIntegerField(null=True)
    reached = models.BigIntegerField(default=0)  # the face up to which it has looked; who is passed over comes after
    claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    finished_at = models.DateTimeField(null=True)
    taken_back_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="preparing"), name="one_promotion_prepared_at_a_time"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_promotion_says_why"),
        ]

    def __str__(self) -> str:
        return f"promotion of {self.version}"


class BenchmarkResult(models.Model):
    """What one of the paper's protocols measured of our models, where somebody had its set. The latest one counts."""

    protocol = models.CharField(max_length=40)
    outcome = models.JSONField()  # as training.core.benchmarks.protocol.Outcome has it, without the pairs' scores
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["protocol", "-at"], name="result_by_protocol")]

    def __str__(self) -> str:
        return f"{self.protocol} of {self.at:%Y-%m-%d}"
