"""What comes in through the doors, checked: filters of lists, sources, and whom an act is about."""

import re
from pathlib import Path
from typing import Any, get_args

from django import forms
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.core.release_query import KNOWABLE, DecidedBy
from annotation.models import Face, Identity, Intake, Label, Photo, Question, Source, User

MERGED_AT_ONCE = 200
YES_NO = [("", "Any"), ("yes", "Yes"), ("no", "No")]


class NumberInput(forms.NumberInput):
    def __init__(self, **attrs: str) -> None:
        super().__init__(attrs)


class DateInput(forms.DateInput):
    input_type = "date"


# ---- filters: what is not listed here cannot be asked for


class Filter(forms.Form):
    """The filters of a list. Every field is optional; an unknown one is no field."""

    source = forms.ModelChoiceField(Source.objects.order_by("name"), required=False, empty_label="Any")
    query = forms.CharField(
        required=False,
        max_length=300,
        label="Search term",
        strip=True,
        widget=forms.TextInput(attrs={"placeholder": "begins with"}),
    )

    def chosen(self) -> dict[str, Any]:
        """The filters that are set, checked."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class PhotoFilter(Filter):
    faces = forms.ChoiceField(
        required=False,
        label="Faces",
        choices=[("", "Any"), ("some", "With a face"), ("none", "Without a face"), ("unsought", "Not sought yet")],
    )
    duplicates = forms.ChoiceField(
        required=False,
        label="Duplicates",
        choices=[("", "All photos"), ("only", "Only duplicates"), ("without", "One of each group")],
    )
    taken_from = forms.DateField(required=False, label="Taken from", widget=DateInput)
    taken_to = forms.DateField(required=False, label="Taken to", widget=DateInput)

    def of(self, photos: QuerySet[Photo]) -> QuerySet[Photo]:
        has_face = Exists(Face.objects.filter(photo=OuterRef("pk")))
        found = photos
        for name, value in self.chosen().items():
            match name, value:
                case "source", _:
                    found = found.filter(source=value)
                case "query", _:
                    found = found.filter(query__istartswith=value)
                case "faces", "some":
                    found = found.filter(has_face)
                case "faces", "none":
                    found = found.filter(~has_face, faces_sought_at__isnull=False)
                case "faces", "unsought":
                    found = found.without_faces_sought()  # type: ignore[attr-defined]
                case "duplicates", "only":
                    found = found.exclude(duplicate_of=None)
                case "duplicates", "without":
                    found = found.filter(duplicate_of=None)
                case "taken_from", _:
                    found = found.filter(taken_at__gte=value)
                case "taken_to", _:
                    found = found.filter(taken_at__lte=value)
        return found


class FaceFilter(Filter):
    label = forms.ChoiceField(
        required=False, label="Label", choices=[("", "Any"), ("none", "None yet"), *Label.Verdict.choices]
    )
    usable = forms.ChoiceField(required=False, label="Usable", choices=YES_NO)
    chosen_face = forms.ChoiceField(required=False, label="Chosen", choices=YES_NO)
    gray = forms.ChoiceField(required=False, label="Gray", choices=YES_NO)
    min_size = forms.IntegerField(required=False, label="At least (pixels)", min_value=1, max_value=100_000)

    def of(self, faces: QuerySet[Face]) -> QuerySet[Face]:
        found = faces
        for name, value in self.chosen().items():
            match name, value:
                case "source", _:
                    found = found.filter(photo__source=value)
                case "query", _:
                    found = found.filter(photo__query__istartswith=value)
                case "label", "none":
                    found = found.filter(label=None)
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

    search = forms.CharField(required=False, max_length=300, label="Name", strip=True)
    sort = forms.ChoiceField(
        required=False, choices=[("faces", "Most faces"), ("newest", "Newest"), ("name", "Name")], label="Sort by"
    )

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
        max_length=200,
        help_text="Such as CC BY 4.0. A photo's own licence, from a manifest, goes before it.",
    )
    legal_basis = forms.CharField(
        required=False,
        max_length=200,
        help_text="Why you may work on these faces, such as consent, or research under Art. 89 GDPR.",
    )
    retention_until = forms.DateField(required=False, widget=DateInput, label="Keep until", help_text="Optional.")


class SourceForm(RightsForm):
    name = forms.CharField(max_length=100, help_text="Where the photos come from.")
    field_order = ["name"]


class IntakeForm(forms.Form):
    """Photos that are on the server already. Only the folders that DAGER_INTAKE_FOLDERS names are open to the pages."""

    kind = forms.ChoiceField(
        choices=[
            (Intake.Kind.FOLDER, "Folder of photos"),
            (Intake.Kind.ARCHIVE, "Zip or tar"),
            (Intake.Kind.MANIFEST, "Manifest (CSV, JSONL, Parquet)"),
        ]
    )
    path = forms.CharField(max_length=4000, label="Path on the server")
    root = forms.CharField(
        max_length=4000, required=False, label="Folder of the manifest’s photos", help_text="Empty: the manifest’s own."
    )

    def clean_path(self) -> str:
        return _allowed(self.cleaned_data["path"])

    def clean_root(self) -> str:
        return _allowed(self.cleaned_data["root"]) if self.cleaned_data["root"] else ""


def _allowed(path: str) -> str:
    """The path without links or `..`, if it is below a folder that pages may take in from."""
    if "\0" in path:
        raise forms.ValidationError("A path has no null character.")
    try:
        place = Path(path).expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise forms.ValidationError(f"{path} cannot be followed: {error}. Give another path.") from error
    if any(place.is_relative_to(folder.resolve()) for folder in settings.INTAKE_FOLDERS):
        return str(place)
    open_to_pages = ", ".join(str(folder) for folder in settings.INTAKE_FOLDERS) or "none"
    raise forms.ValidationError(
        f"{path} is not below a folder that may be taken in from here ({open_to_pages}). "
        "Add its folder to DAGER_INTAKE_FOLDERS, or take it in with `make run PHOTOS=…`."
    )


# ---- curators


class ConflictFilter(forms.Form):
    """Which conflicts: of an attribute, or of pairs."""

    about = forms.ChoiceField(required=False, label="About")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [(name, name.replace("_", " ").capitalize()) for name in settings.ASKED]
        self.fields["about"].choices = [("", "All"), *names, ("pair", "Pairs")]  # type: ignore[attr-defined]


class SampleFilter(forms.Form):
    """Whose answers, of which kind, and how many of them."""

    annotator = forms.ModelChoiceField(
        User.objects.filter(is_active=True).exclude(role=User.Role.ENGINEER).order_by("username"),
        required=False,
        empty_label="Everybody",
    )
    kind = forms.ChoiceField(required=False, choices=[("", "Any"), *Question.Kind.choices])
    share = forms.ChoiceField(
        required=False, choices=[("1", "All"), ("0.1", "One in ten"), ("0.01", "One in a hundred")], label="How many"
    )


class ReassignForm(forms.Form):
    """Which of somebody's answers others are to give instead."""

    kind = forms.ChoiceField(required=False, choices=[("", "Any"), *Question.Kind.choices])
    since = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}), help_text="Empty: all of them."
    )


class AskForm(forms.Form):
    """What is to be asked about the faces that a filter finds."""

    what = forms.ChoiceField(label="Ask")
    labelled_too = forms.BooleanField(required=False, label="Labelled ones, too")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [(name, name.replace("_", " ").capitalize()) for name in settings.ASKED]
        self.fields["what"].choices = [*names, ("identity", "Who they are")]  # type: ignore[attr-defined]


# ---- releases


class ReleaseForm(forms.Form):
    """Which faces a release is to hold: `ReleaseQuery`, as a page asks for it."""

    name = forms.CharField(max_length=100, help_text="It stays: a release is never edited.")
    purpose = forms.CharField(
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Why it is made; the datasheet begins with it.",
    )
    attributes = forms.MultipleChoiceField(
        required=False,
        label="Labelled with",
        choices=[(name, name.replace("_", " ")) for name in KNOWABLE],
        widget=forms.CheckboxSelectMultiple,
    )
    all_of_them = forms.BooleanField(required=False, label="all of these, not just one")
    decided_by = forms.MultipleChoiceField(
        required=False,
        label="Only labels decided by",
        choices=[(name, name) for name in get_args(DecidedBy)],
        widget=forms.CheckboxSelectMultiple,
    )
    min_confidence = forms.FloatField(
        required=False, min_value=0, max_value=1, label="Labels believed at least", widget=NumberInput(step="any")
    )
    sources = forms.ModelMultipleChoiceField(
        Source.objects.order_by("name"), required=False, widget=forms.SelectMultiple(attrs={"size": 4})
    )
    licences = forms.CharField(
        required=False, max_length=1_000, help_text="As sources or photos state them, a semicolon between. Empty: any."
    )
    min_size = forms.FloatField(
        required=False,
        min_value=0,
        max_value=100_000,
        label="Faces of at least (pixels)",
        widget=NumberInput(step="any"),
    )
    min_sharpness = forms.FloatField(
        required=False, min_value=0, label="Sharpness at least", widget=NumberInput(step="any")
    )
    max_yaw = forms.FloatField(
        required=False, min_value=0, max_value=90, label="Turned at most (degrees)", widget=NumberInput(step="any")
    )
    usable_only = forms.BooleanField(required=False, initial=True, label="only faces good enough to be asked about")
    chosen_only = forms.BooleanField(required=False, label="only the most centred face of each photo")
    with_duplicates = forms.BooleanField(required=False, label="all duplicates, not one of each group")
    balance = forms.ChoiceField(
        required=False,
        label="Ages in training",
        choices=[("none", "As they are"), ("weights", "Weighted, every five years alike")],
    )
    cap_per_age = forms.IntegerField(
        required=False, min_value=1, max_value=10_000_000, label="Faces a year of age, at most (training)"
    )
    seed = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1, label="Seed of the splits")

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

    def clean(self, value: Any) -> Identity | None:
        text = super().clean(value)
        if not text:
            return None
        number = re.search(r"(?:^|\()\s*(?:person\s*)?#?\s*(\d{1,15})\)?$", text, re.IGNORECASE)
        alive = Identity.objects.filter(merged_into=None)
        if number:
            found = list(alive.filter(Q(pk=int(number[1])) | Q(absorbed=int(number[1]))).distinct()[:1])
            found = found or list(alive.filter(name=text)[:2])
        else:
            found = list(alive.filter(name__iexact=text)[:2])
        if not found:
            raise forms.ValidationError(
                f"There is nobody named {text!r}. Choose from the list, or give a number such as #12."
            )
        if len(found) > 1:
            raise forms.ValidationError(f"Several people are named {text!r}. Give a number such as #{found[0].pk}.")
        return found[0]


class NameForm(forms.Form):
    name = forms.CharField(required=False, max_length=300)


class MergeForm(forms.Form):
    other = PersonField(max_length=330, label="Merge with")


class MergeManyForm(forms.Form):
    """People who are one, and whom they are to be."""

    people = forms.TypedMultipleChoiceField(coerce=int, error_messages={"required": "Nobody is selected."})
    into = forms.IntegerField(required=False)
    other = PersonField(required=False, max_length=330, label="Add somebody")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["people"].valid_value = lambda value: str(value).isdecimal() and len(str(value)) < 16  # type: ignore[attr-defined]

    def clean_people(self) -> list[int]:
        """Who they are after all merges, each once."""
        rows = Identity.objects.filter(pk__in=self.cleaned_data["people"]).values_list("pk", "merged_into")
        now = {pk: into or pk for pk, into in rows}
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
    act = forms.ChoiceField(choices=[("split", "Another person"), ("remove", "Not this person")])

    def clean_faces(self) -> list[int]:
        return [int(face) for face in self.cleaned_data["faces"].split(",")]


class FaceSearchForm(forms.Form):
    photo = forms.FileField(error_messages={"required": "Choose or drop a photo."})


class FacesForm(forms.Form):
    """What to do with some faces of a person, a cluster or a photo."""

    ACTS = [
        ("remove", "Not this person"),
        ("split", "Another person"),
        ("not_a_face", "Not a face"),
        ("move", "Move to"),
        ("new", "One person"),
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
            self.add_error("to", "Say whom these faces belong to: a name or a number such as #12.")
        return cleaned
