"""The REST interface of what must be forgotten and what must not: for admins, and their tokens of the scope admin."""

from typing import Any, ClassVar

from django import forms
from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import erasure, holds, tasks
from annotation.access import ADMINISTER, Scope
from annotation.api import Filtered, OfRoles, parameters, signed_in
from annotation.forms import ERASABLE, HELD, LARGEST
from annotation.models import Erasure, LegalHold


class Administers(OfRoles):
    roles, scopes = ADMINISTER, frozenset({Scope.ADMIN})


class ErasureSerializer(serializers.ModelSerializer):
    """An erasure, and how far it is. It names what went by ids alone."""

    by = serializers.SerializerMethodField(help_text="who asked; empty: the schedule")

    class Meta:
        model = Erasure
        fields = [
            "id", "kind", "ids", "black_out", "reason", "legal_reference", "by", "state", "error", "done", "total",
            "counts", "files", "releases", "at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "kind": {"help_text": "photo, face, person, source, or expiry of a source"},
            "ids": {"help_text": "of what was to be erased; nothing has them any more"},
            "black_out": {"help_text": "whether faces are blacked out in pictures that go on"},
            "reason": {"help_text": "as it was given"},
            "legal_reference": {"help_text": "as it was given; may be empty"},
            "state": {"help_text": "waiting, running, done or failed"},
            "error": {"help_text": "why it stopped; empty if it did not"},
            "done": {"help_text": "photos and faces that are gone"},
            "total": {"help_text": "photos and faces that there were; null before it is counted"},
            "counts": {"help_text": "rows that went, by table, and what else was done"},
            "files": {"help_text": "files that went, by kind"},
            "releases": {"help_text": "by id of a release that is marked: photos of it that were erased"},
        }

    def get_by(self, made: Erasure) -> str:
        return made.by.username if made.by else ""


class ErasureInput(serializers.Serializer):
    kind = serializers.ChoiceField([kind for kind, _ in ERASABLE], help_text="of what is to go")
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST), allow_empty=False, help_text="of what is to go"
    )
    dry_run = serializers.BooleanField(default=True, help_text="only count what would go; false: erase it")
    black_out = serializers.BooleanField(
        default=False, help_text="of a face, or of a person on photos of others: the photo goes on, that face black"
    )
    reason = serializers.CharField(
        max_length=500,
        default="",
        allow_blank=True,
        help_text="kept in the report, so never a name; asked for to erase",
    )
    legal_reference = serializers.CharField(
        max_length=200, default="", allow_blank=True, help_text="an article, a file number"
    )


class ForeseenSerializer(serializers.Serializer):
    """What an erasure would remove. Nothing was erased."""

    count = serializers.IntegerField(help_text="photos, and faces of photos that stay")
    exact = serializers.BooleanField(help_text="all was done and taken back; else only the main tables are counted")
    rows = serializers.DictField(child=serializers.IntegerField(), help_text="by table, and what else would be done")
    files = serializers.IntegerField(help_text="files that would go")
    photos = serializers.ListField(child=serializers.IntegerField(), help_text="ids of the first that would go")
    handed_over = serializers.IntegerField(help_text="photos that stay under another source")
    releases = serializers.ListField(child=serializers.CharField(), help_text="names of those that would be marked")
    guessed = serializers.ListField(
        child=serializers.IntegerField(), help_text="ids of photos that only the grouping takes for theirs: they stay"
    )
    duplicates = serializers.ListField(
        child=serializers.IntegerField(), help_text="ids of near-duplicates of what goes: they stay"
    )


class SignedReportSerializer(serializers.Serializer):
    report = serializers.DictField(help_text="what, who, when, why, and counts by table and kind of file")
    signature = serializers.CharField(help_text="HMAC-SHA-256 of it by this installation's key")


class GenuineSerializer(serializers.Serializer):
    genuine = serializers.BooleanField(help_text="whether this installation signed it, and it is unchanged")


class LetBackSerializer(serializers.Serializer):
    photos = serializers.IntegerField(help_text="that may come back")


class ErasureFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Erasure.State.choices], label="how far it is")

    def of(self, rows: Any) -> Any:
        state = self.cleaned_data["state"]
        return rows.filter(state=state) if state else rows


@extend_schema_view(list=extend_schema(parameters=parameters(ErasureFilter)))
class Erasures(Filtered):
    """What was to be forgotten, the latest first."""

    permission_classes = [Administers]
    filter_form = ErasureFilter
    serializer_class = ErasureSerializer
    queryset = Erasure.objects.select_related("by")

    @extend_schema(request=ErasureInput, responses={200: ForeseenSerializer, 202: ErasureSerializer})
    def create(self, request: Request) -> Response:
        """Count what an erasure would remove, or with `dry_run` false erase it: look at its state until it is done."""
        given = ErasureInput(data=request.data)
        given.is_valid(raise_exception=True)
        asked = dict(given.validated_data)
        if asked.pop("dry_run"):
            foreseen = erasure.dry_run(erasure.draft(**asked, by=signed_in(request)))
            return Response(ForeseenSerializer(foreseen).data)
        made = erasure.request(**asked, by=signed_in(request))
        transaction.on_commit(lambda: tasks.erase.delay(made.pk), robust=True)  # without it, the sweep finds it
        return Response(ErasureSerializer(made).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses=SignedReportSerializer)
    @action(detail=True)
    def report(self, request: Request, pk: str) -> Response:
        """The signed report of one that is done."""
        made = self.get_object()
        if made.report is None:
            raise NotFound(f"Erasure {made.pk} is {made.state}: its report is written at its end.")
        return Response({"report": made.report, "signature": made.signature})

    @extend_schema(request=SignedReportSerializer, responses=GenuineSerializer)
    @action(detail=False, methods=["post"])
    def verify(self, request: Request) -> Response:
        """Whether a report is as this installation signed it."""
        given = SignedReportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        return Response({"genuine": erasure.is_genuine(said["report"], said["signature"])})

    @extend_schema(request=None, responses={202: ErasureSerializer})
    @action(detail=True, methods=["post"], url_path="go-on")
    def go_on(self, request: Request, pk: str) -> Response:
        """Let one that stopped go on, once what stopped it is out of the way."""
        made = self.get_object()
        erasure.go_on(made)
        transaction.on_commit(lambda: tasks.erase.delay(made.pk), robust=True)
        made.refresh_from_db()
        return Response(ErasureSerializer(made).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=LetBackSerializer)
    @action(detail=True, methods=["post"], url_path="let-back")
    def let_back(self, request: Request, pk: str) -> Response:
        """Let the photos of one come back: until then they are refused at intake."""
        return Response({"photos": erasure.lift_tombstones(self.get_object(), by=signed_in(request))})


# ---- legal holds


class HoldSerializer(serializers.ModelSerializer):
    """Something that may not be erased, until its day is over or an admin lifts it."""

    person = serializers.IntegerField(
        source="identity_id", read_only=True, allow_null=True, help_text="id; null if it is not on one"
    )
    by = serializers.CharField(source="by.username", read_only=True, help_text="who placed it")
    lifted_by = serializers.SerializerMethodField(help_text="empty while it stands")

    class Meta:
        model = LegalHold
        fields = ["id", "source", "photo", "person", "because", "until", "by", "at", "lifted_at", "lifted_by",
                  "lifted_because"]  # fmt: skip
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "source": {"help_text": "id; null if it is not on one"},
            "photo": {"help_text": "id; null if it is not on one"},
            "because": {"help_text": "the case, or who ordered it"},
            "until": {"help_text": "the last day that it holds; null: until it is lifted"},
            "lifted_at": {"help_text": "when, in UTC; null while it stands"},
            "lifted_because": {"help_text": "why; empty while it stands"},
        }

    def get_lifted_by(self, hold: LegalHold) -> str:
        return hold.lifted_by.username if hold.lifted_by else ""


class HoldInput(serializers.Serializer):
    kind = serializers.ChoiceField([kind for kind, _ in HELD], help_text="of what may not be erased")
    id = serializers.IntegerField(min_value=1, max_value=LARGEST, help_text="of what may not be erased")
    because = serializers.CharField(max_length=300, help_text="the case, or who ordered it")
    until = serializers.DateField(default=None, allow_null=True, help_text="the last day; null: until it is lifted")


class LiftInput(serializers.Serializer):
    because = serializers.CharField(max_length=300, help_text="why it is lifted")


class HoldFilter(forms.Form):
    state = forms.ChoiceField(
        required=False, choices=[("", "Any"), ("standing", "Standing")], label="those alone that stand now"
    )

    def of(self, rows: Any) -> Any:
        standing = holds.standing().values("pk")
        return rows.filter(pk__in=standing) if self.cleaned_data["state"] else rows


@extend_schema_view(list=extend_schema(parameters=parameters(HoldFilter)))
class Holds(Filtered):
    """Legal holds, the latest first."""

    permission_classes = [Administers]
    filter_form = HoldFilter
    serializer_class = HoldSerializer
    queryset = LegalHold.objects.select_related("by", "lifted_by")

    @extend_schema(request=HoldInput, responses={201: HoldSerializer})
    def create(self, request: Request) -> Response:
        """Nothing of this is erased from now on, whoever asks and whatever date passes."""
        given = HoldInput(data=request.data)
        given.is_valid(raise_exception=True)
        said = given.validated_data
        on = holds.about(said["kind"], said["id"])
        made = holds.place(on=on, because=said["because"], until=said["until"], by=signed_in(request))
        return Response(HoldSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=LiftInput, responses=HoldSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:
        """What it held may be erased again."""
        given = LiftInput(data=request.data)
        given.is_valid(raise_exception=True)
        hold = self.get_object()
        holds.lift(hold=hold, because=given.validated_data["because"], by=signed_in(request))
        hold.refresh_from_db()
        return Response(HoldSerializer(hold).data)
