"""Django's admin: trainings, evaluations and promotions, to read only. They are asked for on their own pages."""

from django.contrib import admin

from annotation.admin import Written
from training.models import BenchmarkResult, Evaluation, Promotion, TrainingPlan, TrainingRun


@admin.register(TrainingRun)
class TrainingRuns(Written):
    list_display = ["id", "task", "preset", "state", "why", "created_at", "finished_at"]
    list_filter = ["task", "state"]


@admin.register(TrainingPlan)
class TrainingPlans(Written):
    list_display = ["id", "task", "why", "release", "run", "error", "at"]
    list_select_related = ["release", "run"]
    list_filter = ["task"]


@admin.register(Evaluation)
class Evaluations(Written):
    list_display = ["id", "version", "release", "against", "at"]
    list_select_related = ["version", "release", "against"]


@admin.register(Promotion)
class Promotions(Written):
    list_display = ["id", "version", "state", "forced", "created_at", "finished_at"]
    list_select_related = ["version"]
    list_filter = ["state"]


@admin.register(BenchmarkResult)
class BenchmarkResults(Written):
    list_display = ["id", "protocol", "at"]
    list_filter = ["protocol"]
