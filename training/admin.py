"""Django's admin: trainings, evaluations and promotions, to read only. They are asked for on their own pages."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from training.models import BenchmarkResult, Evaluation, Promotion, TrainingPlan, TrainingRun


class _ToRead(admin.ModelAdmin):
    show_full_result_count = False
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TrainingRun)
class TrainingRuns(_ToRead):
    list_display = ["id", "task", "preset", "state", "why", "created_at", "finished_at"]
    list_filter = ["task", "state"]


@admin.register(TrainingPlan)
class TrainingPlans(_ToRead):
    list_display = ["id", "task", "why", "release", "run", "error", "at"]
    list_select_related = ["release", "run"]
    list_filter = ["task"]


@admin.register(Evaluation)
class Evaluations(_ToRead):
    list_display = ["id", "version", "release", "against", "at"]
    list_select_related = ["version", "release", "against"]


@admin.register(Promotion)
class Promotions(_ToRead):
    list_display = ["id", "version", "state", "forced", "created_at", "finished_at"]
    list_select_related = ["version"]
    list_filter = ["state"]


@admin.register(BenchmarkResult)
class BenchmarkResults(_ToRead):
    list_display = ["id", "protocol", "at"]
    list_filter = ["protocol"]
