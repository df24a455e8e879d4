"""The REST interface of annotation, under /api/v1/: questions and answers, and the data behind them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, get_args

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import generics, mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from annotation import answers, export, idempotency, intake, queue, reads, releases, served, sightings, tasks, visible
from annotation import forms as filters
from annotation.access import (
    ANNOTATE,
    BROWSE,
    CURATE,
    GROUP_AND_EXPORT,
    PREDICT,
    SEARCH,
    Roles,
    Scope,
    Scopes,
    crop_address,
    may,
    opens,
    photo_address,
    require_all_sources,
    was_handed_out,
)
from annotation.core.answers import SkipReason
from annotation.core.practice import EXAMPLES, SIDE, Example
from annotation.core.release_formats.formats import FORMATS
from annotation.core.release_query import ReleaseQuery
from annotation.errors import NotUndoable, QueueAway
from annotation.models import (
    AccessToken,
    Answer,
    DatePrecision,
    Face,
    Feedback,
    Identity,
    Intake,
    KeptAnswer,
    Photo,
    Question,
    Release,
    Source,
    User,
)
from annotation.turns import beginning_again
from annotation.words import PRACTICE, against_for, why_asked
from inference.core.attributes import ATTRIBUTES, attribute

AHEAD = 10  # questions that one person may hold at once


class OfRoles(BasePermission):
    """A person by their role; a token by its owner's role, as it is at this moment, and by one of its scopes."""

    roles: Roles
    scopes: Scopes  # of which a token needs one; calls are counted by them, too
    by_source = False  # as a page says it; a view may say so, too

    def asked(self, request: Request) -> tuple[Roles, Scopes]:
        return self.roles, self.scopes

    def has_permission(self, request: Request, view: APIView) -> bool:
        roles, scopes = self.asked(request)
        if not isinstance(request.user, User) or not may(request.user, roles):
            return False
        if isinstance(request.auth, AccessToken) and not opens(request.auth, scopes):
            return False
        if not (self.by_source or getattr(view, "by_source", False)):
            require_all_sources(request.user, view.kwargs)
        return True


class Annotates(OfRoles):
    roles, scopes = ANNOTATE, frozenset({Scope.ANNOTATE})


class Browses(OfRoles):
    roles, scopes = BROWSE, frozenset({Scope.CURATE, Scope.TRAIN})


class Predicts(OfRoles):
    """Whoever answers blind questions gets no machine to ask. What models say tells nothing of the corpus."""

    roles, scopes = PREDICT, frozenset({Scope.PREDICT})
    by_source = True


class Searches(OfRoles):
    """Who somebody is, is told to those who may say it, and to programs that an admin lets in for that.

    By a scope of its own, whatever else a token may: finding people by their face is a privilege by itself.
    """

    roles, scopes = SEARCH, frozenset({Scope.SEARCH})


class Curates(OfRoles):
    roles, scopes = CURATE, frozenset({Scope.CURATE})


class Exports(OfRoles):
    roles, scopes = GROUP_AND_EXPORT, frozenset({Scope.CURATE, Scope.TRAIN})


class AnnotatesOrBrowses(OfRoles):
    roles, scopes = ANNOTATE | BROWSE, frozenset({Scope.ANNOTATE, Scope.CURATE})


class ById(CursorPagination):
    """By keyset; `limit` sets the size of a page, up to 1,000.

    A database finds the keys of a page by an index, however rare its rows are; whole rows are read of that page alone.
    """

    ordering: tuple[str, ...] = ("-id",)
    page_size = 100
    page_size_query_param = "limit"
    page_size_query_description = "rows of a page, 1 to 1,000; more are taken as 1,000, and without it 100"
    cursor_query_description = "of `next` or `previous`, whose whole address is meant to be followed"
    max_page_size = 1_000

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        refuse_unknown(request.query_params, [*_filters_of(view), self.cursor_query_param, "limit"])
        columns = [name.removeprefix("-") for name in self.ordering]
        keys = queryset.select_related(None).prefetch_related(None).only("pk", *columns)
        try:
            return reads.whole(super().paginate_queryset(keys, request, view) or (), queryset)
        except NotFound as error:
            raise ValidationError({"cursor": "This is no cursor. Take the whole of `next` or `previous`."}) from error


class ByPhoto(ById):
    """Faces of whom the photo decides whether they are meant: so photos are looked through, and not all faces."""

    ordering = ("-photo_id", "-id")
    offset_cutoff = 10_000  # faces of one photo


def _filters_of(view: Any) -> Iterable[str]:
    form: type[forms.Form] | None = getattr(view, "filter_form", None)
    return form.base_fields if form else ()


class Repeated(Exception):
    """This request was answered before; not an error, but what DRF lets end a request early."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__(kept.key)
        self.kept = kept


KEY = "Idempotency-Key"
_KEY = OpenApiParameter(
    KEY,
    str,
    OpenApiParameter.HEADER,
    description="made by the client, 1 to 200 letters: the same request under the same key is done once and answered "
    "the same for a day; another request under it is refused",
)


class KeyedSchema(api_settings.DEFAULT_SCHEMA_CLASS):  # type: ignore[name-defined]
    def get_override_parameters(self) -> list[OpenApiParameter]:
        return [*super().get_override_parameters(), *([_KEY] if self.method == "POST" else [])]


class Idempotent(APIView):
    """A POST that comes with a key is done once, however often a bad line has the client send it.

    What it does and the answer that is kept of it are one transaction: whoever is killed leaves both or neither. What
    is no row: messages to the workers go out after it, and those that are lost the sweep sends, from the rows (a wish
    to hash a release anew, which no row keeps, is refused if it cannot be sent); a file that no row names yet
    is known by its content, or named by chance, and taken by nobody.
    """

    schema = KeyedSchema()
    _claimed: KeptAnswer | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get(KEY)
        if request.method != "POST" or key is None:
            return
        if not (key.isprintable() and 0 < len(key) <= 200):
            raise ValidationError({KEY: "A key has 1 to 200 letters that can be printed, such as a UUID."})
        kept = idempotency.claim(user=signed_in(request), key=key, digest=_digest(request))
        if kept.status is not None:
            raise Repeated(kept)
        self._claimed = kept
        self.post = _once(self.post, kept)  # type: ignore[has-type]  # the call, whatever class it is of

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Repeated):
            return Response(exc.kept.body, status=exc.kept.status, headers={"Idempotent-Replayed": "true"})
        if self._claimed is not None:
            idempotency.release(self._claimed)
            self._claimed = None
        return super().handle_exception(exc)


Call = Callable[..., Response]


def _once(call: Call, claimed: KeptAnswer) -> Call:
    """The call in one transaction with its answer's being kept. A refusal keeps what the call wrote of it, as without
    a key; a failure keeps nothing."""

    @beginning_again
    def done(request: Request, *args: Any, **kwargs: Any) -> Response | Exception:
        for _, files in request.FILES.lists():
            for file in files:
                file.seek(0)  # it may have been read by a try that two who waited for each other ended
        try:
            answer = call(request, *args, **kwargs)
        except Exception as error:
            if not _refuses(error):
                raise
            return error
        body = json.loads(JSONRenderer().render(answer.data) or b"null")
        idempotency.keep(claimed, status=answer.status_code, body=body)
        return answer

    def told(*args: Any, **kwargs: Any) -> Response:
        answer = done(*args, **kwargs)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return told


def _refuses(error: Exception) -> bool:
    """Whether it was foreseen: our own errors have a code that programs know them by, as Django's and DRF's do."""
    return isinstance(error, APIException | Http404 | PermissionDenied) or hasattr(error, "code")


def _digest(request: Request) -> str:
    """Of the call and all that was sent; the border between a form's parts is another one each time."""
    data = request.data
    parts = sorted(data.lists()) if isinstance(data, QueryDict) else [("", [data])]
    told = hashlib.sha256(f"{request.method} {request.get_full_path()}".encode())
    for name, values in parts:
        for value in values:
            content = [value.name, _sum(value)] if isinstance(value, File) else value
            told.update(json.dumps([name, content], sort_keys=True).encode())
    return told.hexdigest()


def _sum(file: "File[bytes]") -> str:
    told = hashlib.sha256()
    for chunk in file.chunks():
        told.update(chunk)
    file.seek(0)
    return told.hexdigest()


class Query(serializers.Serializer):
    """The parameters of an address: one that is not known is refused, with the list of those that are."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):  # JSON may be anything
            refuse_unknown(data, self.fields)
        return super().to_internal_value(data)


def refuse_unknown(sent: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValidationError."""
    if unknown := sorted(set(sent) - set(known)):
        raise ValidationError({unknown[0]: f"There is no filter {unknown[0]!r}. Known: {', '.join(known) or 'none'}."})


def signed_in(request: Request) -> User:
    assert isinstance(request.user, User)  # every permission class here says so
    return request.user


# ---- questions


@extend_schema_field(
    {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "crop": {"type": "string", "description": "address of its picture"},
            "photo": {"type": "string", "description": "address of the whole photo"},
            "photo_size": {"type": "array", "items": {"type": "integer"}, "description": "width and height in pixels"},
            "box": {"type": "array", "items": {"type": "number"}, "description": "x, y, width, height in pixels"},
            "query": {"type": "string"},
            "source": {"type": "string"},
            "taken_at": {"type": "string", "nullable": True},
        },
    }
)
class FaceField(serializers.Field):
    """A face in a question: where its pictures are, and where it is in its photo."""

    def to_representation(self, face: Face) -> dict[str, Any]:
        return _face(face, self.context["user"], self.context.get("question"))


def _face(face: Face, user: User, question: int | None) -> dict[str, Any]:
    photo = face.photo
    return {
        "id": face.pk,
        "crop": crop_address(face.pk, user, question=question),
        "photo": photo_address(photo.pk, user, question=question),
        "photo_size": [photo.width, photo.height],
        "box": [face.x, face.y, face.width, face.height],
        "query": photo.query,
        "source": photo.source.name,
        "taken_at": photo.taken_at,
    }


class PersonSerializer(serializers.Serializer):
    """Somebody, with a few of their faces."""

    id = serializers.IntegerField(source="identity.pk")
    name = serializers.CharField(source="identity.name")
    face_count = serializers.IntegerField()
    faces = serializers.ListField(child=FaceField())


class QuestionSerializer(serializers.Serializer):
    """A question as it is shown: nothing in it could sway the answer."""

    id = serializers.IntegerField(source="question.pk")
    kind = serializers.ChoiceField(Question.Kind.choices, source="question.kind")
    attribute = serializers.CharField(source="question.attribute", help_text="that is asked about; empty for who it is")
    value = serializers.CharField(read_only=True, help_text="that a grid proposes for all of its faces")
    values = serializers.ListField(child=serializers.CharField(), help_text="of the attribute; none for whole years")
    faces = serializers.ListField(child=FaceField(), help_text="in an order that tells nothing")
    people = PersonSerializer(many=True, help_text="whom a cluster would extend, or the two people of a pair")
    reason = serializers.CharField(read_only=True, help_text="what speaks against what is written")
    why = serializers.CharField(read_only=True, help_text="why it is asked, and nothing that would sway the answer")
    facts = serializers.DictField(help_text="of a record, by face: the dates that came with it")
    queries = serializers.ListField(child=serializers.ListField(), help_text="search terms with their counts")
    sources = serializers.ListField(child=serializers.ListField(), help_text="sources with their counts")

    def to_representation(self, asked: reads.Asked) -> dict[str, Any]:
        """Written down, field by field: DRF would ask each field for it, and annotators wait for this."""
        user: User = self.context["user"]
        question = asked.question
        told_of = question.pk if self.context["by_token"] else None
        faces = [_face(face, user, told_of) for face in asked.faces]
        people = [
            {
                "id": person.identity.pk,
                "name": person.identity.name,
                "face_count": person.face_count,
                "faces": [_face(face, user, told_of) for face in person.faces],
            }
            for person in asked.people
        ]
        return {
            "id": question.pk,
            "kind": question.kind,
            "attribute": question.attribute,
            "value": question.value if question.kind == Question.Kind.GRID else "",  # gold knows its own
            "values": asked.values,
            "faces": [face | {"query": ""} for face in faces] if question.blind else faces,
            "people": people,
            "reason": against_for(question, curates=user.curates),
            "why": why_asked(question, curates=user.curates),
            "facts": asked.facts,
            "queries": asked.queries,
            "sources": asked.sources,
        }


class TallySerializer(serializers.Serializer):
    answered_today = serializers.IntegerField()
    open = serializers.IntegerField()
    skipped = serializers.IntegerField()


class NextQuestionsSerializer(serializers.Serializer):
    questions = QuestionSerializer(many=True)
    tally = TallySerializer()


class NextQuery(Query):
    ahead = serializers.IntegerField(min_value=1, max_value=AHEAD, default=3, help_text="how many to lease")
    kind = serializers.ChoiceField(Question.Kind.choices, required=False)
    known = serializers.RegexField(
        r"^\d+(,\d+)*$",
        max_length=1_000,
        default="",
        allow_blank=True,
        help_text="ids, with commas between, that the client has: leased on, but not told again",
    )


class AnswerInput(serializers.Serializer):
    client_id = serializers.UUIDField(help_text="made by the client; the same one twice is one answer")
    content = serializers.DictField(
        help_text='of a cluster: {"verdict": "one_person" | "cannot_tell", '
        '"marks": {"<face>": "other" | "not_a_face" | "cannot_tell"}, "marked_are_one": false, "name": ""}; '
        'of a pair: {"verdict": "same" | "different" | "cannot_tell", "marks": {"<face>": "not_a_face"}}; '
        'of a grid: {"verdict": "marked", "marks": {"<face>": "other" | "not_a_face" | "cannot_tell" | "<value>"}}; '
        'of a record: {"verdict": "marked", '
        '"marks": {"<face>": "other" | "wrong_date" | "not_a_face" | "cannot_tell"}}; '
        'of a value: {"verdict": "value" | "not_a_face" | "cannot_tell", "value": "<value>" | <whole years>}'
    )
    elapsed_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)


class SkipInput(serializers.Serializer):
    client_id = serializers.UUIDField()
    reason = serializers.ChoiceField([each for each in get_args(SkipReason) if each], default="", allow_blank=True)
    elapsed_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)


class AnswerSerializer(serializers.ModelSerializer):
    class Meta:
        model = Answer
        fields = ["id", "question", "client_id", "content", "actions", "elapsed_ms", "at", "undone_at"]
        read_only_fields = fields


def _kept(answer: Answer) -> dict[str, Any]:
    """As AnswerSerializer has it, which looks at the model anew each time."""
    told = {"id": answer.pk, "question": answer.question_id, "client_id": answer.client_id, "content": answer.content}
    return told | {name: getattr(answer, name) for name in ("actions", "elapsed_ms", "at", "undone_at")}


class NextQuestions(APIView):
    permission_classes = [Annotates]
    by_source = True

    @extend_schema(parameters=[NextQuery], responses=NextQuestionsSerializer)
    def get(self, request: Request) -> Response:
        """Lease the most worthwhile questions; asking again renews the leases that are held."""
        query = NextQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        kind = query.validated_data.get("kind")
        leased = queue.take_next(signed_in(request), kind=kind, ahead=query.validated_data["ahead"])
        known = {int(each) for each in query.validated_data["known"].split(",") if each}
        new = [question for question in leased if question.pk not in known]
        user = signed_in(request)
        body = {"questions": reads.asked(new, user), "tally": reads.tally(user, kind, idle=not leased)}
        return Response(NextQuestionsSerializer(body, context=_reader(request)).data)


def _reader(request: Request) -> dict[str, Any]:
    """Whom a question is told to: that decides by which addresses its pictures open."""
    return {"user": signed_in(request), "by_token": isinstance(request.auth, AccessToken)}


class HeldPicture(APIView):
    """A picture of a question that the caller holds, at the address that the question came with, and for no longer.

    For a token of the scope `annotate` as for a session, so that a program can be a desk.
    """

    permission_classes = [Annotates]
    by_source = True
    throttle_classes = []  # a page has two dozen of them, and the call that told of it was counted

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        return JSONRenderer(), JSONRenderer.media_type  # whatever is asked for: errors are told in JSON

    def opened(self, request: Request, name: str, question: int, pk: int) -> None:
        """Raises Http404, whatever the reason: nobody learns what there is."""
        user = signed_in(request)
        handed_out = was_handed_out(name, question, pk, user, request.query_params.get("pass", ""))
        if not (handed_out and queue.holds(user, question)):
            raise Http404("This is no picture of a question that you hold. Ask for the next ones.")


_PASS = OpenApiParameter("pass", str, description="as the question's address of this picture has it")


class HeldCrop(HeldPicture):
    @extend_schema(parameters=[_PASS], responses={(200, "image/jpeg"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int, face: int) -> HttpResponseBase:
        """The crop of a face in a question that you hold."""
        self.opened(request, "api-held-crop", pk, face)
        return served.crop(request._request, get_object_or_404(Face.objects.select_related("photo"), pk=face))


class HeldPhoto(HeldPicture):
    @extend_schema(parameters=[_PASS], responses={(200, kind): OpenApiTypes.BINARY for kind in served.TYPES.values()})
    def get(self, request: Request, pk: int, photo: int) -> HttpResponseBase:
        """The whole photo that a face in a question which you hold is of."""
        self.opened(request, "api-held-photo", pk, photo)
        return served.photo(request._request, get_object_or_404(Photo, pk=photo))


class GiveBack(Idempotent):
    permission_classes = [Annotates]
    by_source = True

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Free all questions that are leased to the caller."""
        queue.give_back(signed_in(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


_BROUGHT_BACK = {
    "type": "object",
    "properties": {"questions": {"type": "integer", "minimum": 0, "description": "how many are asked again"}},
}


class BringBackSkipped(Idempotent):
    permission_classes = [Annotates]
    by_source = True

    @extend_schema(request=None, responses={200: _BROUGHT_BACK})
    def post(self, request: Request) -> Response:
        """Ask once more what the caller skipped."""
        return Response({"questions": queue.bring_back_skipped(signed_in(request))})


class GiveAnswer(Idempotent):
    permission_classes = [Annotates]
    by_source = True

    @extend_schema(request=AnswerInput, responses={201: AnswerSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Answer a question."""
        given = AnswerInput(data=request.data)
        given.is_valid(raise_exception=True)
        answer = answers.record_answer(
            question_id=pk, annotator=signed_in(request), settle_later=True, **given.validated_data
        )
        return Response(_kept(answer), status=status.HTTP_201_CREATED)


class Skip(Idempotent):
    permission_classes = [Annotates]
    by_source = True

    @extend_schema(request=SkipInput, responses={201: AnswerSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Leave a question to somebody else."""
        given = SkipInput(data=request.data)
        given.is_valid(raise_exception=True)
        answer = answers.record_answer(
            question_id=pk,
            annotator=signed_in(request),
            content={"verdict": "skip", "reason": given.validated_data.pop("reason")},
            **given.validated_data,
        )
        return Response(_kept(answer), status=status.HTTP_201_CREATED)


_EXAMPLES = {
    "type": "object",
    "properties": {
        "examples": {
            "type": "array",
            "items": {"type": "object"},
            "description": "each as a question, and besides `expected`, what is right, and `explained`, why",
        }
    },
}


class PracticeQuery(Query):
    part = serializers.ChoiceField(list(EXAMPLES), help_text="a kind of question; guessing years is one of its own")


class Practice(Idempotent):
    """Examples on drawn faces, with their answers: what somebody practises on before real questions."""

    permission_classes = [Annotates]
    by_source = True

    @extend_schema(parameters=[PracticeQuery], responses={200: _EXAMPLES})
    def get(self, request: Request) -> Response:
        """The examples of one part, as questions are, each with what is right and why."""
        query = PracticeQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        return Response({"examples": [_as_question(each) for each in EXAMPLES[query.validated_data["part"]]]})

    @extend_schema(request=PracticeQuery, responses={204: None})
    def post(self, request: Request) -> Response:
        """Remember that the caller has practised this part."""
        given = PracticeQuery(data=request.data)
        given.is_valid(raise_exception=True)
        queue.remember_practice(signed_in(request), given.validated_data["part"])
        return Response(status=status.HTTP_204_NO_CONTENT)


def _as_question(example: Example) -> dict[str, Any]:
    """As the page gets real ones; faces are numbered as they are shown."""
    shown = (*example.faces, *(name for person in example.people for name in person))
    number = {name: place for place, name in enumerate(shown, 1)}

    def face(name: str) -> dict[str, Any]:
        address, size = reverse("practice-picture", args=[name]), SIDE
        box = [0.2 * size, 0.15 * size, 0.6 * size, 0.65 * size]
        return {"id": number.get(name, 0), "crop": address, "photo": address, "photo_size": [size, size], "box": box}

    return {
        "id": -1,
        "kind": example.kind,
        "attribute": example.attribute,
        "value": example.value,
        "values": attribute(example.attribute).values if example.attribute else (),
        "faces": [face(name) for name in example.faces],
        "people": [
            {"id": place, "name": "", "face_count": len(faces), "faces": [face(name) for name in faces]}
            for place, faces in enumerate(example.people, 1)
        ],
        "facts": {number[name]: fact for name, fact in example.facts.items()},
        "queries": [],
        "sources": [],
        "explained": PRACTICE[example.name],
        "expected": {
            "verdicts": example.verdicts,
            "marks": {number[name]: marks for name, marks in example.marks.items()},
            "values": example.values,
            "years": example.years,
        },
    }


class OwnAnswers(generics.ListAPIView):
    """What the caller answered, the latest first."""

    permission_classes = [Annotates]
    by_source = True
    serializer_class = AnswerSerializer
    pagination_class = ById

    def get_queryset(self) -> QuerySet[Answer]:
        user = signed_in(self.request)
        return visible.answers(user).filter(annotator=user)

    def paginate_queryset(self, queryset: Any) -> Any:
        return _show(super().paginate_queryset(queryset), signed_in(self.request))


class UndoneSerializer(serializers.Serializer):
    question = QuestionSerializer(allow_null=True, help_text="the question, if the caller may answer it anew")


class Undo(Idempotent):
    permission_classes = [AnnotatesOrBrowses]
    by_source = True

    @extend_schema(request=None, responses=UndoneSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Take back an answer or an act. Its question is asked again, of whoever gave the answer first.

        A token that may only annotate takes back its owner's answers to questions, whatever its owner may besides.
        """
        if isinstance(request.auth, AccessToken) and not opens(request.auth, Curates.scopes):
            own = Answer.objects.filter(pk=pk, annotator=signed_in(request), question__isnull=False)
            if not own.exists():
                raise NotUndoable(f"There is no answer {pk} of yours.")
        user = signed_in(request)
        answers.undo_answer(answer_id=pk, by=user)
        reopened = visible.questions(user).filter(answers=pk, state=Question.State.OPEN).first()
        is_own = Answer.objects.filter(pk=pk, annotator=user).exists()
        if reopened is not None and is_own and not queue.hold(user, reopened.pk):
            reopened = None
        shown = reads.asked([reopened], user)[0] if reopened else None
        return Response(UndoneSerializer({"question": shown}, context=_reader(request)).data)


# ---- lists of data


class Filtered(Idempotent, viewsets.ReadOnlyModelViewSet):
    """Rows to read, with the filters of the page of the same name. An unknown or impossible filter is refused."""

    filter_form: type[forms.Form]
    permission_classes = [Browses]
    pagination_class = ById

    def paginate_queryset(self, queryset: Any) -> Any:
        return _show(super().paginate_queryset(queryset), signed_in(self.request))

    def get_object(self) -> Any:
        return _show([super().get_object()], signed_in(self.request))[0]

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        form = filters.for_reader(self.filter_form(self.request.query_params), signed_in(self.request))
        if not form.is_valid():
            raise ValidationError({name: [str(text) for text in told] for name, told in form.errors.items()})
        return form.of(queryset)  # type: ignore[attr-defined]


def _show(rows: Any, user: User) -> Any:
    visible.as_seen(user, rows)
    for row in rows:
        sightings.show(**_named_by(row))
    return rows


def _named_by(row: Any) -> dict[str, list[int]]:
    """Whom a row tells something of: the audit log is told."""
    match row:
        case Face():
            return {"faces": [row.pk]}
        case Photo():
            return {"photos": [row.pk]}
        case Identity():
            return {"people": [row.pk]}
        case Feedback():
            return {"photos": [row.photo_id], "faces": [row.face_id] if row.face_id else []}
        case Answer():
            return dict(zip(("faces", "people"), reads.named_in(row.content), strict=True))
    return {}


def parameters(form: type[forms.Form]) -> list[OpenApiParameter]:
    """The filters as OpenAPI describes them."""
    described = []
    for name, field in form.base_fields.items():
        choices = None
        if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
            choices = [value for value, _ in field.choices if value]  # type: ignore[union-attr,misc]
        whole = isinstance(field, forms.IntegerField | forms.ModelChoiceField)
        described.append(
            OpenApiParameter(name, int if whole else str, enum=choices, description=str(field.label or ""))
        )
    return described


class SourceSerializer(serializers.ModelSerializer):
    rights_stated = serializers.BooleanField(read_only=True)

    class Meta:
        model = Source
        fields = ["id", "name", "licence", "legal_basis", "retention_until", "rights_stated", "created_at"]
        read_only_fields = ["id", "rights_stated", "created_at"]
        # That the name is free is create_source()'s business, which says so in words.
        extra_kwargs: ClassVar[dict[str, Any]] = {"name": {"validators": []}}


class PhotoSerializer(serializers.ModelSerializer):
    taken_at_precision = serializers.ChoiceField(DatePrecision.choices, read_only=True, allow_blank=True)
    birth_date_precision = serializers.ChoiceField(DatePrecision.choices, read_only=True, allow_blank=True)

    class Meta:
        model = Photo
        fields = [
            "id", "sha256", "source", "file", "format", "size", "width", "height", "query", "source_url", "licence",
            "name", "caption", "taken_at", "taken_at_precision", "birth_date", "birth_date_precision", "metadata",
            "received_at", "faces_sought_at", "failure", "duplicate_of",
        ]  # fmt: skip
        read_only_fields = fields


class FaceSerializer(serializers.ModelSerializer):
    identity = serializers.SerializerMethodField()
    verdict = serializers.SerializerMethodField()
    attributes = serializers.SerializerMethodField()

    class Meta:
        model = Face
        fields = [
            "id", "photo", "number", "x", "y", "width", "height", "score", "points", "landmarks",
            "chosen", "yaw", "pitch", "roll", "sharpness", "brightness", "gray", "truncated", "usable",
            "unusable_because", "duplicate_of", "verdict", "identity",
            "attributes",
        ]  # fmt: skip
        read_only_fields = fields

    def get_identity(self, face: Face) -> int | None:
        label = getattr(face, "label", None)
        return label.identity_id if label else None

    def get_verdict(self, face: Face) -> str | None:
        label = getattr(face, "label", None)
        return label.verdict if label else None

    def get_attributes(self, face: Face) -> dict[str, str]:
        """What each attribute is, by its name: a class, "cannot_tell", or years."""
        return {label.attribute: label.value for label in face.attribute_labels.all()}


class IdentitySerializer(serializers.ModelSerializer):
    face_count = serializers.IntegerField()

    class Meta:
        model = Identity
        fields = ["id", "name", "face_count", "created_at"]
        read_only_fields = fields


class LabelSerializer(serializers.Serializer):
    """A row of the export, under the names of its columns."""

    face_id = serializers.IntegerField()
    file = serializers.CharField()
    sha256 = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    licence = serializers.CharField()
    legal_basis = serializers.CharField()
    source_url = serializers.CharField()
    x = serializers.FloatField()
    y = serializers.FloatField()
    width = serializers.FloatField()
    height = serializers.FloatField()
    identity_id = serializers.IntegerField(allow_null=True)
    identity_name = serializers.CharField(allow_null=True)
    duplicate_of = serializers.IntegerField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decision_id = serializers.IntegerField(allow_null=True)
    evidence = serializers.DictField(allow_null=True)
    real_age = serializers.FloatField(allow_null=True)
    apparent_age = serializers.FloatField(allow_null=True)
    gender = serializers.CharField(allow_null=True)
    emotion = serializers.CharField(allow_null=True)
    attributes = serializers.DictField(help_text="each attribute with all that its label holds and rests on")

    def to_representation(self, instance: Face) -> Any:
        return super().to_representation(export.row(instance))


class SourceFilter(forms.Form):
    """Sources are few: there is nothing to filter by."""

    def of(self, sources: QuerySet[Source]) -> QuerySet[Source]:
        return sources


class Sources(mixins.CreateModelMixin, Filtered):
    """Where photos come from, and under which rights."""

    filter_form = SourceFilter
    serializer_class = SourceSerializer
    queryset = Source.objects.all()

    @property
    def by_source(self) -> bool:
        """To look at. Whoever sees some sources only makes none: they would choose what they see."""
        return self.action in ("list", "retrieve")

    def get_queryset(self) -> QuerySet[Source]:
        return visible.sources(signed_in(self.request))

    def get_permissions(self) -> list[BasePermission]:
        return [Browses() if self.action in ("list", "retrieve") else Curates()]

    def perform_create(self, serializer: serializers.BaseSerializer[Source]) -> None:
        serializer.instance = intake.create_source(**serializer.validated_data, by=signed_in(self.request))


@extend_schema_view(list=extend_schema(parameters=parameters(filters.PhotoFilter)))
class Photos(Filtered):
    """Photos, the latest first."""

    filter_form = filters.PhotoFilter
    serializer_class = PhotoSerializer
    by_source = True
    queryset = Photo.objects.none()

    def get_queryset(self) -> QuerySet[Photo]:
        return visible.photos(signed_in(self.request))


@extend_schema_view(list=extend_schema(parameters=parameters(filters.FaceFilter)))
class Faces(Filtered):
    """Faces, the latest first."""

    filter_form = filters.FaceFilter
    pagination_class = ByPhoto
    serializer_class = FaceSerializer
    by_source = True
    queryset = Face.objects.none()

    def get_queryset(self) -> QuerySet[Face]:
        return visible.faces(signed_in(self.request)).select_related("label").prefetch_related("attribute_labels")


class IdentityFilter(forms.Form):
    search = forms.CharField(required=False, max_length=300, label="part of the name, or the number")

    def of(self, people: QuerySet[Identity]) -> QuerySet[Identity]:
        return filters.named(people, self.cleaned_data["search"])


@extend_schema_view(list=extend_schema(parameters=parameters(IdentityFilter)))
class Identities(Filtered):
    """People who have a face, the latest first."""

    filter_form = IdentityFilter
    serializer_class = IdentitySerializer
    by_source = True
    queryset = Identity.objects.none()

    def get_queryset(self) -> QuerySet[Identity]:
        return reads.people(signed_in(self.request))


# ---- releases


class ReleaseFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *Release.State.choices], label="where it is")

    def of(self, releases: QuerySet[Release]) -> QuerySet[Release]:
        state = self.cleaned_data["state"]
        return releases.filter(state=state) if state else releases


class ReleaseSerializer(serializers.ModelSerializer):
    """A release, and while it is built how far it is."""

    warnings = serializers.SerializerMethodField(help_text="what to know before trusting its parts")
    erased_photos = serializers.SerializerMethodField(help_text="SHA-256 of photos in it that were erased since")

    class Meta:
        model = Release
        fields = [
            "id", "name", "purpose", "state", "error", "query", "checksum", "counts", "changes", "predecessor",
            "written", "total", "checked_at", "damage", "warnings", "erased_photos", "created_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_warnings(self, release: Release) -> list[str]:
        return releases.warnings_of(release)

    def get_erased_photos(self, release: Release) -> list[str]:
        return sorted(each.sha256 for each in release.erasures.all())


class QueryInput(serializers.Serializer):
    query = serializers.DictField(
        default=dict,
        help_text="filters, all of them optional: "
        + ", ".join(f"{name} ({json.dumps(value)})" for name, value in ReleaseQuery().as_json().items()),
    )


class ReleaseInput(QueryInput):
    name = serializers.CharField(max_length=100)
    purpose = serializers.CharField(max_length=2_000, default="", allow_blank=True)
    predecessor = serializers.PrimaryKeyRelatedField(
        queryset=Release.objects.filter(state=Release.State.DONE),
        required=False,
        help_text="that it follows; the latest one that is done if left out",
    )


class PreviewSerializer(serializers.Serializer):
    faces = serializers.IntegerField()
    splits = serializers.DictField(child=serializers.IntegerField(), help_text="faces by part")
    identities = serializers.IntegerField()
    groups = serializers.IntegerField(help_text="that stay together: linked by person, duplicates or one photo")
    largest_group = serializers.IntegerField()
    attributes = serializers.DictField(help_text="by attribute, part and value: faces; ages by the year")
    moved_to_test = serializers.IntegerField(help_text="faces that an earlier release had in another part")
    capped = serializers.IntegerField(help_text="faces left out of training: enough of their age")
    warnings = serializers.ListField(child=serializers.CharField(), help_text="what to know before trusting the parts")
    one_in = serializers.IntegerField(help_text="above 1, all counts are estimated from one face in so many")


class AgainstQuery(Query):
    against = serializers.PrimaryKeyRelatedField(queryset=Release.objects.all())


class DownloadQuery(Query):
    layout = serializers.ChoiceField(list(FORMATS))
    by = serializers.ChoiceField(["", *ATTRIBUTES], default="")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["by"] and given["layout"] != "images":
            raise ValidationError({"by": "Only the layout images has folders by an attribute. Leave it out."})
        return given


_LAYOUT = OpenApiParameter("layout", str, enum=list(FORMATS), required=True, description="the format")
_BY = OpenApiParameter("by", str, enum=list(ATTRIBUTES), description="with the layout images: a folder a value")
_TAR = {(200, "application/x-tar"): OpenApiTypes.BINARY}
_CHANGE = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 0, "description": "how many faces"},
        "faces": {"type": "array", "items": {"type": "integer"}, "description": "ids of some of them"},
    },
}
_DIFFERENCE = {
    "type": "object",
    "properties": {
        "older": {"type": "string", "description": "its checksum"},
        "newer": {"type": "string", "description": "its checksum"},
        "kept": {"type": "integer", "minimum": 0, "description": "faces that both have"},
        "added": _CHANGE | {"description": "faces that only the newer one has"},
        "removed": _CHANGE | {"description": "faces that only the older one has"},
        "renamed": _CHANGE | {"description": "faces that are of somebody else now, or of nobody"},
        "moved": {
            "type": "object",
            "additionalProperties": _CHANGE,
            "description": "faces that are in another part, as `train → test`",
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": _CHANGE},
            "description": "by attribute, faces that have another value, as `none → female`",
        },
        "splits": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "by part, how many faces more or, below 0, fewer",
        },
        "left_test": _CHANGE | {"description": "of the removed, those of the older test"},
        "test_only_grew": {
            "type": "boolean",
            "description": "whether all faces of the older test are in the newer one's test",
        },
    },
}


@extend_schema_view(list=extend_schema(parameters=parameters(ReleaseFilter)))
class Releases(Filtered):
    """Frozen datasets, the latest first."""

    permission_classes = [Exports]
    filter_form = ReleaseFilter
    serializer_class = ReleaseSerializer
    queryset = Release.objects.prefetch_related("erasures")

    @extend_schema(request=ReleaseInput, responses={202: ReleaseSerializer})
    def create(self, request: Request) -> Response:
        """Ask for a release. It is built in the background: look at its state until it is done."""
        given = ReleaseInput(data=request.data)
        given.is_valid(raise_exception=True)
        asked = releases.create_release(**given.validated_data, by=signed_in(request))
        transaction.on_commit(lambda: tasks.build_release.delay(asked.pk), robust=True)
        return Response(ReleaseSerializer(asked).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=QueryInput, responses=PreviewSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What a release of these filters would hold. Nothing is kept."""
        given = QueryInput(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(releases.preview(releases.checked_query(given.validated_data["query"])))

    @extend_schema(request=None, responses={202: ReleaseSerializer})
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Hash all its files anew, in the background: `checked_at` and `damage` tell the outcome."""
        release = self.get_object()
        releases.opened(release)
        if tasks.verify_release.delay(release.pk) is None:
            raise QueueAway
        return Response(ReleaseSerializer(release).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        parameters=[OpenApiParameter("against", int, required=True, description="the older release's id")],
        responses={200: _DIFFERENCE},
    )
    @action(detail=True)
    def diff(self, request: Request, pk: str) -> Response:
        """What it has and an older one has not: faces, parts, labels, with examples."""
        older = AgainstQuery(data=request.query_params)
        older.is_valid(raise_exception=True)
        return Response(releases.compare(older.validated_data["against"], self.get_object()).as_json())

    @extend_schema(parameters=[_LAYOUT, _BY], responses=_TAR)
    @action(detail=True)
    def download(self, request: Request, pk: str) -> StreamingHttpResponse:
        """The release as one tar, made while it is sent."""
        wanted = DownloadQuery(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        release, layout = self.get_object(), wanted.validated_data["layout"]
        pieces = releases.tar(release, layout, by=wanted.validated_data["by"])
        response = StreamingHttpResponse(pieces, content_type="application/x-tar")
        response["Content-Disposition"] = f'attachment; filename="{releases.tar_name(release, layout)}"'
        return response


class LabelFilter(forms.Form):
    source = forms.ModelChoiceField(Source.objects.all(), required=False, label="id of a source")

    def of(self, faces: QuerySet[Face]) -> QuerySet[Face]:
        source = self.cleaned_data["source"]
        return faces.filter(photo__source=source) if source else faces


@extend_schema_view(list=extend_schema(parameters=parameters(LabelFilter)))
class Labels(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Labelled faces as they are exported: those whose rights are not stated are left out."""

    permission_classes = [Exports]
    pagination_class = ByPhoto
    serializer_class = LabelSerializer
    filter_form = LabelFilter
    filter_queryset = Filtered.filter_queryset
    by_source = True
    queryset = Face.objects.none()

    def get_queryset(self) -> QuerySet[Face]:
        return export.exportable_faces(by=signed_in(self.request))

    def paginate_queryset(self, queryset: Any) -> Any:
        return _show(super().paginate_queryset(queryset), signed_in(self.request))


# ---- photos in


class UploadSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(["taken", "copy", "known", "refused", "delivery"])
    photo = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="why it was refused")
    intake = serializers.IntegerField(
        allow_null=True, help_text="of an archive or a manifest, which is taken in afterwards"
    )


_SENT = {"type": "string", "format": "binary", "description": "the photo, archive or manifest, with its name"}


class Upload(Idempotent):
    """One file a request, so that a bad one spoils only itself."""

    permission_classes = [Curates]
    by_source = True
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": {"type": "object", "properties": {"file": _SENT}, "required": ["file"]}},
        responses={200: UploadSerializer},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Take in a photo, an archive (zip, tar) or a manifest (CSV, JSONL, Parquet)."""
        source = get_object_or_404(visible.sources(signed_in(request)), pk=pk)
        file = request.FILES.get("file")
        if file is None:
            raise ValidationError({"file": "Send one file in the field `file`, as multipart/form-data."})
        name = file.name or "unnamed"
        if name.lower().endswith(intake.DELIVERIES):
            return Response(self._deliver(source, name, file, signed_in(request)))
        # One byte more than is taken is enough to refuse it by its size.
        data = file.read(settings.INTAKE_FILE_MB * 1_000_000 + 1)
        taken = intake.take_upload(source=source, name=name, data=data, by=signed_in(request))
        if taken.outcome == "taken":
            transaction.on_commit(tasks.feed_belt, robust=True)  # without it, the sweep finds the photo
        body = {
            "outcome": taken.outcome,
            "photo": taken.photo.pk if taken.photo else None,
            "reason": taken.refusal.reason if taken.refusal else "",
            "intake": None,
        }
        return Response(UploadSerializer(body).data)

    def _deliver(self, source: Source, name: str, file: UploadedFile, user: User) -> dict[str, Any]:
        path = intake.keep_upload(name, iter(file.chunks()))
        kind = Intake.Kind.ARCHIVE if _is_archive(name) else Intake.Kind.MANIFEST
        delivery = intake.start_intake(source=source, kind=kind, path=str(path), by=user)
        transaction.on_commit(lambda: tasks.take_in.delay(delivery.pk), robust=True)
        return UploadSerializer({"outcome": "delivery", "photo": None, "reason": "", "intake": delivery.pk}).data


def _is_archive(name: str) -> bool:
    return not name.lower().endswith((".csv", ".tsv", ".jsonl", ".parquet"))


# ---- where things stand


class IntakeSerializer(serializers.ModelSerializer):
    source_name = serializers.CharField(source="source.name")
    seen = serializers.IntegerField(read_only=True)

    class Meta:
        model = Intake
        fields = [
            "id", "source", "source_name", "kind", "state", "error", "seen", "total", "taken", "copies", "known",
            "refused", "skipped", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class StepSerializer(serializers.Serializer):
    name = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)


class StandingSerializer(serializers.Serializer):
    counts = serializers.DictField(child=serializers.IntegerField())
    steps = StepSerializer(many=True)
    intakes = IntakeSerializer(many=True)
    done = serializers.BooleanField(help_text="nothing is on its way")


class Standing(APIView):
    permission_classes = [Browses]
    by_source = True

    @extend_schema(responses=StandingSerializer)
    def get(self, request: Request) -> Response:
        """Where things stand: counts from photos to labels, and what is under way."""
        return Response(StandingSerializer(reads.standing(signed_in(request))).data)


class Intakes(generics.ListAPIView):
    """The deliveries of a source, the latest first."""

    permission_classes = [Browses]
    by_source = True
    serializer_class = IntakeSerializer
    pagination_class = ById
    queryset = Intake.objects.none()

    def get_queryset(self) -> QuerySet[Intake]:
        source = get_object_or_404(visible.sources(signed_in(self.request)), pk=self.kwargs["pk"])
        return Intake.objects.filter(source=source).select_related("source")
