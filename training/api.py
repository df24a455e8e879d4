"""The REST interface of training, under /api/v1/: runs, models, promotions, certificates."""

from typing import Any, ClassVar

from django import forms
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import releases as frozen
from annotation.access import PREDICT, TRAIN, Roles, Scope, Scopes
from annotation.api import Browses, Filtered, OfRoles, parameters, signed_in
from annotation.models import Certificate, Release
from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import BadBundle
from inference.models import ModelVersion
from training import promotion, runs, tasks
from training.core.config import PRESETS
from training.models import Evaluation, Promotion, TrainingRun


class BrowsesOrTrains(OfRoles):
    """Whoever may browse may look; only who trains may ask for something."""

    look = Browses.roles, Browses.scopes

    def asked(self, request: Request) -> tuple[Roles, Scopes]:
        looks = request.method in ("GET", "HEAD", "OPTIONS")
        return self.look if looks else (TRAIN, frozenset({Scope.TRAIN}))


class SeesModels(BrowsesOrTrains):
    """Whoever asks models for predictions may read of them, too."""

    look = PREDICT, Browses.scopes | {Scope.PREDICT}


# ---- runs

_PROGRESS = {
    "type": "object",
    "description": "of the epoch under way; empty if none is",
    "properties": {
        "epoch": {"type": "integer", "description": "number of the epoch, from 1"},
        "step": {"type": "integer", "description": "steps done of the whole run"},
        "steps": {"type": "integer", "description": "steps of the whole run"},
        "loss": {"type": "number", "description": "mean loss, without a unit"},
        "rate": {"type": "number", "description": "of learning, without a unit"},
        "images_per_second": {"type": "number", "description": "faces a second"},
        "seconds_left": {"type": "number", "description": "of the whole run, at this pace, in seconds"},
    },
}
_HISTORY = {
    "type": "array",
    "description": "a report an epoch",
    "items": {
        "type": "object",
        "properties": {
            "epoch": {"type": "integer", "description": "number of the epoch, from 0"},
            "epochs": {"type": "integer", "description": "epochs at most"},
            "loss": {"type": "number", "description": "on what it learns from, without a unit"},
            "figures": {"type": "object", "description": "on the validation part: shares from 0 to 1, mae in years"},
            "score": {"type": "number", "description": "that decides: the higher, the better"},
            "best": {"type": "boolean", "description": "whether it is the best so far"},
            "seconds": {"type": "number", "description": "of learning, from the start"},
        },
    },
}


@extend_schema_field(_PROGRESS)
class ProgressField(serializers.JSONField):
    pass


@extend_schema_field(_HISTORY)
class HistoryField(serializers.JSONField):
    pass


class RunSerializer(serializers.ModelSerializer):
    """A training: what was asked for, how far it is, what came of it."""

    progress = ProgressField(read_only=True)
    history = HistoryField(read_only=True)

    class Meta:
        model = TrainingRun
        fields = [
            "id", "task", "preset", "config", "releases", "state", "why", "progress", "history", "stop_wanted", "error",
            "version", "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "task": {"help_text": "an attribute, or embedding"},
            "config": {"help_text": "every setting, as the run uses it"},
            "releases": {"help_text": "ids of the releases that it learns from"},
            "why": {"help_text": "somebody asked, or which rule did"},
            "stop_wanted": {"help_text": "whether it was asked to stop and has not yet"},
            "error": {"help_text": "why it failed; empty if it did not"},
            "version": {"help_text": "id of the model that came of it; null until it is done"},
        }


class RunInput(serializers.Serializer):
    task = serializers.ChoiceField(ModelVersion.TASKS, help_text="an attribute, or embedding")
    releases = serializers.PrimaryKeyRelatedField(
        many=True,
        allow_empty=False,
        queryset=Release.objects.all(),
        help_text="ids of releases that are done; the test part of the last one judges it",
    )
    preset = serializers.ChoiceField(PRESETS, default="quick", help_text="quick: two cores, minutes; full: a GPU")
    changes = serializers.DictField(default=dict, help_text="settings of the preset to change, by name")


class RunFilter(forms.Form):
    task = forms.ChoiceField(required=False, choices=[("", "Any"), *ModelVersion.TASKS], label="what it learns")
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *TrainingRun.State.choices], label="where it is")

    def of(self, rows: QuerySet[TrainingRun]) -> QuerySet[TrainingRun]:
        return rows.filter(**{name: value for name, value in self.cleaned_data.items() if value})


@extend_schema_view(list=extend_schema(parameters=parameters(RunFilter)))
class Runs(Filtered):
    """Trainings, the latest first."""

    permission_classes = [BrowsesOrTrains]
    filter_form = RunFilter
    serializer_class = RunSerializer
    queryset = TrainingRun.objects.prefetch_related("releases")

    @extend_schema(request=RunInput, responses={202: RunSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a training. A worker carries it out: look at its state until it is done."""
        given = RunInput(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        asked = runs.start_run(
            task=said["task"],
            releases=said["releases"],
            preset_name=said["preset"],
            changes=said["changes"],
            by=signed_in(request),
        )
        transaction.on_commit(lambda: tasks.train.delay(asked.pk), robust=True)
        return Response(RunSerializer(asked).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Ask a run to stop; it does within seconds, and can go on from there."""
        runs.stop_run(self.get_object().pk)
        return Response(RunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"], url_path="go-on")
    def go_on(self, request: Request, pk: str) -> Response:
        """Let a run that was stopped, or that failed, go on from its last checkpoint."""
        run = self.get_object()
        runs.go_on(run.pk)
        transaction.on_commit(lambda: tasks.train.delay(run.pk), robust=True)
        return Response(RunSerializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED)


# ---- models


class ModelSerializer(serializers.ModelSerializer):
    """A model that can be served, and whether it answers now."""

    live = serializers.SerializerMethodField(help_text="whether it answers now")
    releases = serializers.SerializerMethodField(help_text="checksums of the releases that it learnt from")
    erased_photos = serializers.SerializerMethodField(help_text="how many photos it learnt from that were erased since")

    class Meta:
        model = ModelVersion
        fields = [
            "id", "task", "name", "state", "live", "checksum", "dimensions", "releases", "erased_photos", "metrics",
            "created_at", "live_since", "retired_at",
        ]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "task": {"help_text": "what it tells: an attribute, or embedding"},
            "checksum": {"help_text": "SHA-256 of its bundle"},
            "dimensions": {"help_text": "of its vector, or values of its attribute"},
            "metrics": {"help_text": "as its bundle states them: shares from 0 to 1, errors in years"},
        }

    def get_live(self, version: ModelVersion) -> bool:
        return version.state == ModelVersion.State.LIVE

    def get_releases(self, version: ModelVersion) -> list[str]:
        return version.release_ids.split()

    def get_erased_photos(self, version: ModelVersion) -> int:
        return frozen.erased_since(version)


class EvaluationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Evaluation
        fields = ["id", "release", "measured", "against", "compared", "milliseconds", "at"]
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "release": {"help_text": "id of the release whose test part it was judged on"},
            "measured": {"help_text": "metrics with intervals of 95 %, by slice; shares from 0 to 1, errors in years"},
            "against": {"help_text": "id of the model that was live then; null if none was"},
            "compared": {"help_text": "both on the same faces: gain with its interval, p of no difference"},
            "milliseconds": {"help_text": "that one face takes, on one core"},
        }


class CardSerializer(serializers.Serializer):
    card = serializers.CharField(help_text="Markdown: data, rights, figures, limits")
    damage = serializers.CharField(help_text="why its bundle cannot be read; empty if it can")
    evaluations = EvaluationSerializer(many=True, help_text="the latest first, at most 20")


class ModelFilter(forms.Form):
    task = forms.ChoiceField(required=False, choices=[("", "Any"), *ModelVersion.TASKS], label="what it tells")
    state = forms.ChoiceField(
        required=False, choices=[("", "Any"), *ModelVersion.State.choices], label="live, candidate or retired"
    )

    def of(self, rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
        return rows.filter(**{name: value for name, value in self.cleaned_data.items() if value})


_GATE = {
    "type": "array",
    "description": "what was asked of it, in order",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "of the check"},
            "passed": {"type": "boolean"},
            "told": {"type": "string", "description": "what was seen, with its figures"},
        },
    },
}


@extend_schema_field(_GATE)
class GateField(serializers.JSONField):
    pass


class PromotionSerializer(serializers.ModelSerializer):
    """A model on its way to being the live one, or back."""

    task = serializers.CharField(source="version.task", read_only=True, help_text="what the model tells")
    gate = GateField(read_only=True)

    class Meta:
        model = Promotion
        fields = [
            "id", "version", "task", "replaced", "state", "gate", "forced", "error", "prepared", "total", "created_at",
            "finished_at",
        ]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "version": {"help_text": "id of the model that is promoted"},
            "replaced": {"help_text": "id of the model in whose place it comes; null if it is the first of its task"},
            "forced": {"help_text": "why it is let through against the gate; empty if it passed"},
            "error": {"help_text": "why it failed; empty if it did not"},
            "prepared": {"help_text": "faces that it has looked at"},
            "total": {"help_text": "faces that it is to look at"},
        }


class PromotionInput(serializers.Serializer):
    forced = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=promotion.REASON,
        help_text="why it is to be let through against the gate; left out, the gate decides",
    )


@extend_schema_view(list=extend_schema(parameters=parameters(ModelFilter)))
class Models(Filtered):
    """Models, the latest first; `?state=live` gives those that answer now."""

    permission_classes = [SeesModels]
    filter_form = ModelFilter
    serializer_class = ModelSerializer
    queryset = ModelVersion.objects.all()

    @extend_schema(responses=CardSerializer)
    @action(detail=True)
    def card(self, request: Request, pk: str) -> Response:
        """Its card, and how it was judged."""
        version = self.get_object()
        text, damage = "", ""
        try:
            text = registry.card_of(version)
        except (BadBundle, OSError) as error:
            damage = str(error)
        told = {"card": text, "damage": damage, "evaluations": version.evaluations.order_by("-at")[:20]}
        return Response(CardSerializer(told).data)

    @extend_schema(request=PromotionInput, responses={202: PromotionSerializer})
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, pk: str) -> Response:
        """Let it become the live model, if the gate lets it: it looks at every face first, while the live one answers.

        What the gate saw is kept among the promotions, also of one that is refused.
        """
        given = PromotionInput(data=request.data)
        given.is_valid(raise_exception=True)
        made = promotion.promote(self.get_object(), by=signed_in(request), forced=given.validated_data["forced"])
        transaction.on_commit(tasks.feed, robust=True)
        return Response(PromotionSerializer(made).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={200: PromotionSerializer})
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: str) -> Response:
        """From this model, which is live, back to the one before. Returns the promotion that is taken back."""
        return Response(PromotionSerializer(promotion.take_back(self.get_object(), by=signed_in(request))).data)


class PromotionFilter(forms.Form):
    version = forms.ModelChoiceField(ModelVersion.objects.all(), required=False, label="id of a model")
    state = forms.ChoiceField(
        required=False, choices=[("", "Any"), *Promotion.State.choices], label="how far it is, or how it ended"
    )

    def of(self, rows: QuerySet[Promotion]) -> QuerySet[Promotion]:
        return rows.filter(**{name: value for name, value in self.cleaned_data.items() if value})


@extend_schema_view(list=extend_schema(parameters=parameters(PromotionFilter)))
class Promotions(Filtered):
    """Promotions, the latest first; one in the state `preparing` tells how many faces it has looked at."""

    filter_form = PromotionFilter
    serializer_class = PromotionSerializer
    queryset = Promotion.objects.select_related("version")


# ---- certificates


class CertificateSerializer(serializers.ModelSerializer):
    """A promise on how often proposals of one value are wrong, above a confidence."""

    class Meta:
        model = Certificate
        fields = [
            "id", "attribute", "value", "state", "threshold", "target", "audited", "wrong", "bound", "coverage", "at",
            "ended_because",
        ]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "threshold": {"help_text": "confidence from which on proposals are accepted, from 0 to 1"},
            "target": {"help_text": "the error that is promised at most, as a share"},
            "audited": {"help_text": "answers that it rests on"},
            "wrong": {"help_text": "of the audited ones"},
            "bound": {"help_text": "of the error with 95 % confidence, as a share"},
            "coverage": {"help_text": "share of the proposals of this value that it accepts"},
            "ended_because": {"help_text": "why it does not hold any more; empty if it does"},
        }


class CertificateFilter(forms.Form):
    attribute = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((name, name) for name in ATTRIBUTES)], label="that it is about"
    )
    state = forms.ChoiceField(
        required=False, choices=[("", "Any"), *Certificate.State.choices], label="whether it holds"
    )

    def of(self, rows: QuerySet[Certificate]) -> QuerySet[Certificate]:
        return rows.filter(**{name: value for name, value in self.cleaned_data.items() if value})


@extend_schema_view(list=extend_schema(parameters=parameters(CertificateFilter)))
class Certificates(Filtered):
    """Certificates, the latest first."""

    filter_form = CertificateFilter
    serializer_class = CertificateSerializer
    queryset = Certificate.objects.all()
