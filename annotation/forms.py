"""What comes in through the doors, checked: filters of lists, sources, and whom an act is about."""

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar, get_args

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from annotation import live_settings, visible
from annotation.core.release_query import KNOWABLE, DecidedBy
from annotation.models import (
    AccessToken,
    AuditEvent,
    Erasure,
    Face,
    Identity,
    Intake,
    Label,
    Photo,
    Question,
    Source,
    User,
    require_day_to_come,
)
from annotation.tokens import MOST_CALLS
from annotation.words import called

MERGED_AT_ONCE = 200
YES_NO = [("", later("Any")), ("yes", later("Yes")), ("no", later("No"))]


class NumberInput(forms.NumberInput):
    def __init__(self, **attrs: str) -> None:
        super().__init__(attrs)


class DateInput(forms.DateInput):
    input_type = "date"


# ---- filters: what is not listed here cannot be asked for


F = TypeVar("F", bound=forms.Form)


def for_reader(form: F, user: User) -> F:
    """The same form, which offers this person the sources that they see, and finds by what they may be told."""
    form.reader = user  # type: ignore[attr-defined]
    for field in form.fields.values() if user.restricted else ():
        if isinstance(field, forms.ModelChoiceField) and field.queryset is not None and field.queryset.model is Source:
            field.queryset = field.queryset.filter(pk__in=user.own_sources)
        if isinstance(field, PersonField):
            field.everybody = visible.identities(user)
    return form


class Filter(forms.Form):
    """The filters of a list. Every field is optional; an unknown one is no field."""

    reader: User  # `for_reader` says who

    source = forms.ModelChoiceField(
        Source.objects.order_by("name"), required=False, empty_label=later("Any"), label=later("Source")
    )
    query = forms.CharField(
        required=False,
        max_length=300,
        label=later("Search term"),
        strip=True,
        widget=forms.TextInput(attrs={"placeholder": later("begins with")}),
    )

    def chosen(self) -> dict[str, Any]:
        """The filters that are set, checked."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class PhotoFilter(Filter):
    faces = forms.ChoiceField(
        required=False,
        label=later("Faces"),
        choices=[
            ("", later("Any")),
            ("some", later("With a face")),
            ("none", later("Without a face")),
            ("unsought", later("Not sought yet")),
        ],
    )
    duplicates = forms.ChoiceField(
        required=False,
        label=later("Duplicates"),
        choices=[
            ("", later("All photos")),
            ("only", later("Only duplicates")),
            ("without", later("One of each group")),
        ],
    )
    taken_from = forms.DateField(required=False, label=later("Taken from"), widget=DateInput)
    taken_to = forms.DateField(required=False, label=later("Taken to"), widget=DateInput)

    def of(self, photos: QuerySet[Photo]) -> QuerySet[Photo]:
        found = photos
        for name, value in self.chosen().items():
            match name, value:
                case "source", _:
                    found = found.filter(source=value)
                case "query", _:
                    found = found.filter(visible.told_by(self.reader), query__istartswith=value)
                case "faces", "some":
                    found = found.filter(face_count__gt=0)
                case "faces", "none":
                    found = found.filter(face_count=0, faces_sought_at__isnull=False)
                case "faces", "unsought":
                    found = found.without_faces_sought()  # type: ignore[attr-defined]
                case "duplicates", "only":
                    found = found.filter(self._is_duplicate())
                case "duplicates", "without":
                    found = found.filter(~self._is_duplicate())
                case "taken_from", _:
                    found = found.filter(visible.told_by(self.reader), taken_at__gte=value)
                case "taken_to", _:
                    found = found.filter(visible.told_by(self.reader), taken_at__lte=value)
        return found

    def _is_duplicate(self) -> Q:
        """Of a photo that is not seen, nobody is told that it stands for this one."""
        if self.reader.restricted:
            return Q(duplicate_of__in=visible.photos(self.reader))
        return Q(duplicate_of__isnull=False)


class FaceFilter(Filter):
    label = forms.ChoiceField(
        required=False,
        label=later("Label"),
        choices=[("", later("Any")), ("none", later("None yet")), *called(Label.Verdict.choices)],
    )
    usable = forms.ChoiceField(required=False, label=later("Usable"), choices=YES_NO)
    chosen_face = forms.ChoiceField(required=False, label=later("Chosen"), choices=YES_NO)
    gray = forms.ChoiceField(required=False, label=later("Gray"), choices=YES_NO)
    min_size = forms.IntegerField(required=False, label=later("At least (pixels)"), min_value=1, max_value=100_000)

    def of(self, faces: QuerySet[Face]) -> QuerySet[Face]:
        found = faces
        for name, value in self.chosen().items():
            match name, value:
                case "source", _:
                    found = found.filter(photo__source=value)
                case "query", _:
                    found = found.filter(visible.told_by(self.reader, "photo"), photo__query__istartswith=value)
                case "label", "none":
                    found = found.filter(labelled=False)
                case "label", _:
                    found = found.filter(label__verdict=value)
                case "usable", _:
                    found = found.filter(usable=value == "yes")
                case "chosen_face", _:
                    found = found.filter(chosen=value == "yes")
                case "gray", _:
                    found = found.filter(gray=value == "yes")
                case "min_size", _:
                    found = found.filter(width__gte=value, height__gte=value)
        return found


class PeopleFilter(forms.Form):
    """Who is looked for, and in which order."""

    ORDERS = {"faces": ("-face_count", "pk"), "newest": ("-pk",), "name": ("name", "pk")}

    search = forms.CharField(required=False, max_length=300, label=later("Name"), strip=True)
    sort = forms.ChoiceField(
        required=False,
        choices=[("faces", later("Most faces")), ("newest", later("Newest")), ("name", later("Name"))],
        label=later("Sort by"),
    )

    @property
    def order(self) -> tuple[str, ...]:
        return self.ORDERS[self.cleaned_data["sort"] or "faces"]

    def of(self, people: QuerySet[Identity]) -> QuerySet[Identity]:
        return named(people, self.cleaned_data["search"])


def named(people: QuerySet[Identity], search: str) -> QuerySet[Identity]:
    """Those whose name holds these words, or who have this number."""
    if not search:
        return people
    number = re.fullmatch(r"(?:person\s*)?#?\s*(\d{1,15})", search, re.IGNORECASE)
    return people.filter(Q(name__icontains=search) | (Q(pk=int(number[1])) if number else Q()))


# ---- sources


class RightsForm(forms.Form):
    licence = forms.CharField(
        required=False,
        label=later("Licence"),
        max_length=200,
        help_text=later("Such as CC BY 4.0. A photo's own licence, from a manifest, goes before it."),
    )
    legal_basis = forms.CharField(
        required=False,
        label=later("Legal basis"),
        max_length=200,
        help_text=later("Why you may work on these faces, such as consent, or research under Art. 89 GDPR."),
    )
    retention_until = forms.DateField(
        required=False, widget=DateInput, label=later("Keep until"), help_text=later("Optional.")
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        require_day_to_come(cleaned.get("retention_until"))
        return cleaned


class SourceForm(RightsForm):
    name = forms.CharField(max_length=100, label=later("Name"), help_text=later("Where the photos come from."))
    field_order = ["name"]


class IntakeForm(forms.Form):
    """Photos that are on the server already. Only the folders that DAGER_INTAKE_FOLDERS names are open to the pages."""

    kind = forms.ChoiceField(
        label=later("Kind"),
        choices=[
            (Intake.Kind.FOLDER, later("Folder of photos")),
            (Intake.Kind.ARCHIVE, later("Zip or tar")),
            (Intake.Kind.MANIFEST, later("Manifest (CSV, JSONL, Parquet)")),
        ],
    )
    path = forms.CharField(max_length=4000, label=later("Path on the server"))
    root = forms.CharField(
        max_length=4000,
        required=False,
        label=later("Folder of the manifest’s photos"),
        help_text=later("Empty: the manifest’s own."),
    )

    def clean_path(self) -> str:
        return _allowed(self.cleaned_data["path"])

    def clean_root(self) -> str:
        return _allowed(self.cleaned_data["root"]) if self.cleaned_data["root"] else ""


def _allowed(path: str) -> str:
    """The path without links or `..`, if it is below a folder that pages may take in from."""
    if "\0" in path:
        raise forms.ValidationError(_("A path has no null character."))
    try:
        place = Path(path).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise forms.ValidationError(
            _("{path} cannot be followed: {error}. Give another path.").format(path=path, error=error)
        ) from error
    if any(place.is_relative_to(folder.resolve()) for folder in settings.INTAKE_FOLDERS):
        return str(place)
    open_to_pages = ", ".join(str(folder) for folder in settings.INTAKE_FOLDERS) or _("none")
    told = _(
        "{path} is not below a folder that may be taken in from here ({folders}). "
        "Add its folder to DAGER_INTAKE_FOLDERS, or take it in with `make run PHOTOS=…`."
    )
    raise forms.ValidationError(told.format(path=path, folders=open_to_pages))


# ---- curators


class ConflictFilter(forms.Form):
    """Which conflicts: of an attribute, or of pairs."""

    about = forms.ChoiceField(required=False, label=later("About"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [(name, _(name.replace("_", " ")).capitalize()) for name in live_settings.get("ASKED")]
        self.fields["about"].choices = [("", _("All")), *names, ("pair", _("Pairs"))]  # type: ignore[attr-defined]


class SampleFilter(forms.Form):
    """Whose answers, of which kind, and how many of them."""

    annotator = forms.ModelChoiceField(
        User.objects.filter(is_active=True)
        .exclude(role__in=[User.Role.ENGINEER, User.Role.CLIENT])
        .order_by("username"),
        required=False,
        empty_label=later("Everybody"),
        label=later("Annotator"),
    )
    kind = forms.ChoiceField(
        required=False, label=later("Kind"), choices=[("", later("Any")), *called(Question.Kind.choices)]
    )
    share = forms.ChoiceField(
        required=False,
        choices=[("1", later("All")), ("0.1", later("One in ten")), ("0.01", later("One in a hundred"))],
        label=later("How many"),
    )


class ReassignForm(forms.Form):
    """Which of somebody's answers others are to give instead."""

    kind = forms.ChoiceField(
        required=False, label=later("Kind"), choices=[("", later("Any")), *called(Question.Kind.choices)]
    )
    since = forms.DateTimeField(
        required=False,
        label=later("Since"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=later("Empty: all of them."),
    )


class AskForm(forms.Form):
    """What is to be asked about the faces that a filter finds."""

    what = forms.ChoiceField(label=later("Ask"))
    labelled_too = forms.BooleanField(required=False, label=later("Labelled ones, too"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [(name, _(name.replace("_", " ")).capitalize()) for name in live_settings.get("ASKED")]
        self.fields["what"].choices = [*names, ("identity", _("Who they are"))]  # type: ignore[attr-defined]


# ---- releases


class ReleaseForm(forms.Form):
    """Which faces a release is to hold: `ReleaseQuery`, as a page asks for it."""

    name = forms.CharField(max_length=100, label=later("Name"), help_text=later("It stays: a release is never edited."))
    purpose = forms.CharField(
        required=False,
        label=later("Purpose"),
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=later("Why it is made; the datasheet begins with it."),
    )
    attributes = forms.MultipleChoiceField(
        required=False,
        label=later("Labelled with"),
        choices=called((name, name.replace("_", " ")) for name in KNOWABLE),
        widget=forms.CheckboxSelectMultiple,
    )
    all_of_them = forms.BooleanField(required=False, label=later("all of these, not just one"))
    decided_by = forms.MultipleChoiceField(
        required=False,
        label=later("Only labels decided by"),
        choices=called((name, name) for name in get_args(DecidedBy)),
        widget=forms.CheckboxSelectMultiple,
    )
    min_confidence = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        label=later("Labels believed at least"),
        widget=NumberInput(step="any"),
    )
    sources = forms.ModelMultipleChoiceField(
        Source.objects.order_by("name"),
        required=False,
        label=later("Sources"),
        widget=forms.SelectMultiple(attrs={"size": 4}),
    )
    licences = forms.CharField(
        required=False,
        max_length=1_000,
        label=later("Licences"),
        help_text=later("As sources or photos state them, a semicolon between. Empty: any."),
    )
    min_size = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100_000,
        label=later("Faces of at least (pixels)"),
        widget=NumberInput(step="any"),
    )
    min_sharpness = forms.FloatField(
        required=False, min_value=0, label=later("Sharpness at least"), widget=NumberInput(step="any")
    )
    max_yaw = forms.FloatField(
        required=False,
        min_value=0,
        max_value=90,
        label=later("Turned at most (degrees)"),
        widget=NumberInput(step="any"),
    )
    usable_only = forms.BooleanField(
        required=False, initial=True, label=later("only faces good enough to be asked about")
    )
    chosen_only = forms.BooleanField(required=False, label=later("only the most centred face of each photo"))
    with_duplicates = forms.BooleanField(required=False, label=later("all duplicates, not one of each group"))
    balance = forms.ChoiceField(
        required=False,
        label=later("Ages in training"),
        choices=[("none", later("As they are")), ("weights", later("Weighted, every five years alike"))],
    )
    cap_per_age = forms.IntegerField(
        required=False, min_value=1, max_value=10_000_000, label=later("Faces a year of age, at most (training)")
    )
    seed = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, label=later("Seed of the splits"))

    def query(self) -> dict[str, Any]:
        """What was filled in, as `query_of` takes it."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "", [])}
        for name in ("name", "purpose"):
            said.pop(name, None)
        said["sources"] = [source.name for source in self.cleaned_data["sources"]]
        said["licences"] = [each.strip() for each in self.cleaned_data["licences"].split(";") if each.strip()]
        return said


# ---- people


class PersonField(forms.CharField):
    """Somebody, by number (`12`, `#12`, `Ada (#12)`) or by their whole name."""

    everybody = Identity.objects.all()  # whom the reader may name: `for_reader` says

    def clean(self, value: Any) -> Identity | None:
        text = super().clean(value)
        if not text:
            return None
        number = re.search(r"(?:^|\()\s*(?:person\s*)?#?\s*(\d{1,15})\)?$", text, re.IGNORECASE)
        alive = self.everybody.filter(merged_into=None)
        if number:
            found = list(alive.filter(Q(pk=int(number[1])) | Q(absorbed=int(number[1]))).distinct()[:1])
            found = found or list(alive.filter(name=text)[:2])
        else:
            found = list(alive.filter(name__iexact=text)[:2])
        if not found:
            told = _("There is nobody named {name}. Choose from the list, or give a number such as #12.")
            raise forms.ValidationError(told.format(name=repr(text)))
        if len(found) > 1:
            told = _("Several people are named {name}. Give a number such as #{pk}.")
            raise forms.ValidationError(told.format(name=repr(text), pk=found[0].pk))
        return found[0]


class NameForm(forms.Form):
    name = forms.CharField(required=False, max_length=300, label=later("Name"))


class MergeForm(forms.Form):
    other = PersonField(max_length=330, label=later("Merge with"))


class MergeManyForm(forms.Form):
    """People who are one, and whom they are to be."""

    reader: User  # `for_reader` says who
    people = forms.TypedMultipleChoiceField(
        coerce=int, label=later("People"), error_messages={"required": later("Nobody is selected.")}
    )
    into = forms.IntegerField(required=False)
    other = PersonField(required=False, max_length=330, label=later("Add somebody"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["people"].valid_value = lambda value: str(value).isdecimal() and len(str(value)) < 16  # type: ignore[attr-defined]

    def clean_people(self) -> list[int]:
        """Who they are after all merges, each once."""
        rows = Identity.objects.filter(pk__in=self.cleaned_data["people"]).values_list("pk", "merged_into")
        now = {pk: into or pk for pk, into in rows}
        if self.reader.restricted:
            seen = set(visible.identities(self.reader).filter(pk__in=now.values()).values_list("pk", flat=True))
            now = {pk: into for pk, into in now.items() if into in seen}
        return list(dict.fromkeys(now[pk] for pk in self.cleaned_data["people"] if pk in now))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        people, other = cleaned.get("people", []), cleaned.get("other")
        if other is not None and other.pk not in people:
            people.append(other.pk)
        if len(people) > MERGED_AT_ONCE:
            self.add_error("people", f"{len(people)} people at once are more than anybody looks over. Merge fewer.")
        return cleaned


class SplitForm(forms.Form):
    """Faces that fell out below a threshold, as one list: there may be more than a form has fields."""

    faces = forms.RegexField(r"^\d{1,15}(,\d{1,15})*$", error_messages={"required": "No face falls out."})
    act = forms.ChoiceField(choices=[("split", later("Another person")), ("remove", later("Not this person"))])

    def clean_faces(self) -> list[int]:
        return [int(face) for face in self.cleaned_data["faces"].split(",")]


class FaceSearchForm(forms.Form):
    photo = forms.FileField(error_messages={"required": "Choose or drop a photo."})


class FacesForm(forms.Form):
    """What to do with some faces of a person, a cluster or a photo."""

    ACTS = [
        ("remove", later("Not this person")),
        ("split", later("Another person")),
        ("not_a_face", later("Not a face")),
        ("move", later("Move to")),
        ("new", later("One person")),
    ]

    act = forms.ChoiceField(choices=ACTS)
    faces = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": "No face is selected. Select at least one."}
    )
    to = PersonField(required=False, max_length=330)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Which faces there are is the stage's business; here they only have to be numbers.
        self.fields["faces"].valid_value = lambda value: str(value).isdecimal() and len(str(value)) < 16  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("act") == "move" and not self.errors and cleaned.get("to") is None:
            self.add_error("to", later("Say whom these faces belong to: a name or a number such as #12."))
        return cleaned


# ---- the audit log


class AuditFilter(forms.Form):
    """Which lines: what was done, by whom, when, to what."""

    action = forms.ChoiceField(
        required=False, label=later("What"), choices=[("", later("Any")), *called(AuditEvent.Action.choices)]
    )
    by = forms.ModelChoiceField(
        User.objects.order_by("username"),
        required=False,
        to_field_name="username",
        label=later("Who"),
        widget=forms.TextInput(attrs={"placeholder": later("user name")}),
        error_messages={"invalid_choice": later("Nobody has this user name.")},
    )
    since = forms.DateField(required=False, label=later("From"), widget=DateInput)
    until = forms.DateField(required=False, label=later("To"), widget=DateInput)
    face = forms.IntegerField(required=False, label=later("Face"), min_value=1, max_value=2**62)
    subject = forms.CharField(
        required=False,
        max_length=100,
        label=later("Done to"),
        widget=forms.TextInput(attrs={"placeholder": later("such as photo 12")}),
    )

    def of(self, events: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        said, found = self.cleaned_data, events
        for name in ("action", "by", "subject"):
            if said[name]:
                found = found.filter(**{name: said[name]})
        if said["since"]:
            found = found.filter(at__gte=datetime.combine(said["since"], time.min, UTC))
        if said["until"]:
            found = found.filter(at__lt=datetime.combine(said["until"], time.min, UTC) + timedelta(days=1))
        return found.of_face(said["face"]) if said["face"] else found  # type: ignore[attr-defined]


# ---- tokens

SCOPES = [
    (AccessToken.Scope.PREDICT, later("Predict: what the live models say of photos")),
    (AccessToken.Scope.SEARCH, later("Search: which known people the faces of a photo are; every search is logged")),
    (AccessToken.Scope.ANNOTATE, later("Annotate: take questions and answer them")),
    (AccessToken.Scope.CURATE, later("Curate: read and change sources, photos, faces, people, releases")),
    (AccessToken.Scope.TRAIN, later("Train: read faces and releases; start, stop, promote")),
    (AccessToken.Scope.ADMIN, later("Everything that you may")),
]
DAYS = [(30, later("30 days")), (90, later("90 days")), (365, later("a year")), ("", later("until it is revoked"))]


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, label=later("Name"), help_text=later("by which you know it again"))
    scopes = forms.MultipleChoiceField(choices=SCOPES, label=later("What it may"), widget=forms.CheckboxSelectMultiple)
    days = forms.TypedChoiceField(
        choices=DAYS, coerce=int, empty_value=None, required=False, initial=90, label=later("Valid for")
    )
    calls_a_minute = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_CALLS,
        label=later("Calls a minute"),
        help_text=later("for each of these; left empty: as everybody’s are"),
    )

    def __init__(self, *args: Any, by: User, **options: Any) -> None:
        super().__init__(*args, **options)
        if by.role != User.Role.ADMIN:
            del self.fields["calls_a_minute"]


# ---- what must be forgotten, and what must not

ERASABLE = [
    (Erasure.Kind.PHOTO, later("Photo")),
    (Erasure.Kind.FACE, later("Face")),
    (Erasure.Kind.PERSON, later("Person")),
    (Erasure.Kind.SOURCE, later("Source")),
]
HELD = [("photo", later("Photo")), ("person", later("Person")), ("source", later("Source"))]
LARGEST = 2**62  # ids beyond it no database takes


class IdsField(forms.CharField):
    """Ids with commas or spaces between."""

    def to_python(self, value: str | None) -> list[int]:  # type: ignore[override]
        words = re.split(r"[\s,#]+", (value or "").strip())
        wrong = next((word for word in words if not re.fullmatch(r"[0-9]{1,18}", word)), None)
        if wrong is not None:
            raise forms.ValidationError(_("Give ids, such as 4 or 4, 5."))
        return [int(word) for word in words]


class ErasureForm(forms.Form):
    """What is to be erased."""

    kind = forms.ChoiceField(choices=ERASABLE, label=later("What"))
    ids = IdsField(max_length=2_000, label=later("Ids"))
    black_out = forms.BooleanField(required=False, widget=forms.HiddenInput)


class ErasureReasonForm(forms.Form):
    """Why, and that it was looked at: the count is typed, as nothing brings back what is erased."""

    reason = forms.CharField(
        max_length=500,
        label=later("Why"),
        help_text=later(
            "It is kept in the report and outlives what is erased: an incident or a request, never a name."
        ),
    )
    legal_reference = forms.CharField(
        max_length=200,
        required=False,
        label=later("Legal reference"),
        help_text=later("Such as GDPR Art. 17(1)(b), or a file number."),
    )
    confirm = forms.IntegerField(min_value=0, label=later("The number under “What goes”"))


class HoldForm(forms.Form):
    kind = forms.ChoiceField(choices=HELD, label=later("What"))
    id = forms.IntegerField(min_value=1, max_value=LARGEST, label=later("Its id"))
    because = forms.CharField(max_length=300, label=later("Why"), help_text=later("The case, or who ordered it."))
    until = forms.DateField(
        required=False,
        widget=DateInput,
        label=later("Until"),
        help_text=later("The last day; empty: until it is lifted."),
    )
