"""Trainings as they run, models with what is known of them, and how far they are beside what others published."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from annotation import reads
from annotation import releases as frozen
from annotation.access import BROWSE, TRAIN, may
from annotation.models import Face, Release
from annotation.views.page import Rest, SignedIn, View, act, back, page, tell_mistakes
from annotation.words import called
from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import BadBundle
from inference.core.late import Late
from inference.models import ModelVersion
from training import drift, promotion, runs, tasks
from training.core import evaluate
from training.core.benchmarks.protocol import Figure, shown
from training.core.benchmarks.published import PUBLISHED
from training.core.benchmarks.registry import BENCHMARKS
from training.core.config import PRESETS, preset
from training.core.markdown import as_html
from training.core.plain import plain
from training.errors import TrainingError
from training.models import BenchmarkResult, Evaluation, Promotion, TrainingRun
from training.words import RUN

if TYPE_CHECKING:
    from training.core import plots
else:
    plots = Late("training.core.plots")

ROWS = 30
RETIRED = 20  # models a task that are listed
EVALUATIONS = 10
PICTURES = {
    "confusion": later("Confusion: rows are the truth"),
    "reliability": later("Reliability: believed against right"),
    "error_by_age": later("Error by true age"),
    "cumulative": later("Share of faces within so many years"),
}
SETTINGS = ("epochs", "batch", "rate", "balance", "augment", "patience", "seed")


class TrainingForm(forms.Form):
    """A preset with a few changes; what is left empty is the preset's."""

    task = forms.ChoiceField(choices=called(ModelVersion.TASKS), label=later("What it learns"))
    preset = forms.ChoiceField(
        choices=called((name, name.capitalize()) for name in PRESETS),
        label=later("Preset"),
        help_text=later("Quick takes minutes on two cores; full wants a GPU."),
    )
    releases = forms.ModelMultipleChoiceField(
        Release.objects.none(), label=later("Releases"), help_text=later("The last one’s test part judges it.")
    )
    epochs = forms.IntegerField(required=False, label=later("Epochs at most"))
    batch = forms.IntegerField(required=False, label=later("Faces a step"))
    rate = forms.FloatField(required=False, label=later("Rate of learning"))
    balance = forms.FloatField(
        required=False, label=later("Balance"), help_text=later("0: as they come; 1: all classes alike.")
    )
    augment = forms.FloatField(required=False, label=later("Variation of pictures"), help_text=later("0: none."))
    patience = forms.IntegerField(required=False, label=later("Epochs without progress"))
    seed = forms.IntegerField(required=False, label=later("Seed"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Those that something was erased of are not trained from.
        done = Release.objects.filter(state=Release.State.DONE, erasures=None).order_by("-pk")
        self.fields["releases"].queryset = done  # type: ignore[attr-defined]
        usual = {name: preset(name, "gender") for name in PRESETS}
        for name in SETTINGS:
            values = list(dict.fromkeys(str(getattr(each, name)) for each in usual.values()))
            self.fields[name].widget.attrs["placeholder"] = _(" or ").join(values)

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in SETTINGS if self.cleaned_data[name] is not None}


class PromotionForm(forms.Form):
    forced = forms.CharField(
        required=False, max_length=promotion.REASON, label=later("Why it is let through all the same")
    )


def trains(view: View[Rest]) -> Callable[Concatenate[SignedIn, Rest], HttpResponseBase]:
    """What a button of an engineer does; what they can mend is told on the page that it is on."""

    @wraps(view)
    def telling(request: SignedIn, /, *args: Rest.args, **options: Rest.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **options)
        except TrainingError as error:
            messages.error(request, str(error))
            return back(request, "trainings")

    return act(TRAIN)(telling)


def _context(request: SignedIn, **more: Any) -> dict[str, Any]:
    return {"trains": may(request.user, TRAIN), **more}


# ---- trainings


@page(BROWSE)
def trainings(request: SignedIn) -> HttpResponse:
    rows = TrainingRun.objects.select_related("created_by", "version").prefetch_related("releases")
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=ROWS)
    under_way = any(each.under_way for each in found.rows)
    form = TrainingForm() if may(request.user, TRAIN) else None
    context = _context(request, page=found, trainings=found.rows, under_way=under_way, form=form)
    return render(request, "training/trainings.html", context)


@trains
def start(request: SignedIn) -> HttpResponse:
    form = TrainingForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return back(request, "trainings")
    said = form.cleaned_data
    asked = runs.start_run(
        task=said["task"],
        releases=list(said["releases"].order_by("pk")),
        preset_name=said["preset"],
        changes=form.changes(),
        by=request.user,
    )
    transaction.on_commit(lambda: tasks.train.delay(asked.pk))
    told = _("A training of {task} waits for a worker.")
    messages.success(request, told.format(task=_(str(asked.get_task_display()))))
    return redirect("training", asked.pk)


@page(BROWSE)
def training(request: SignedIn, pk: int) -> HttpResponse:
    run = get_object_or_404(TrainingRun.objects.select_related("created_by", "version"), pk=pk)
    usual = preset(run.preset, run.task)
    config = [
        {"name": each.name.replace("_", " "), "value": value, "changed": _plain(getattr(usual, each.name)) != value}
        for each in fields(usual)
        if (value := run.config.get(each.name)) is not None
    ]
    context = _context(request, run=run, config=config, releases=run.releases.order_by("pk"), words=RUN)
    return render(request, "training/training.html", context)


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return [list(each) for each in value] if isinstance(value, tuple) else value


@page(BROWSE)
def progress(request: SignedIn, pk: int) -> HttpResponse:
    return JsonResponse(how_it_goes(get_object_or_404(TrainingRun, pk=pk)))


def how_it_goes(run: TrainingRun) -> dict[str, Any]:
    """What the page draws. A number that is none, as a loss that ran away, is null."""
    return {
        "state": run.state,
        "under_way": run.under_way,
        "epochs": run.config["epochs"],
        "progress": plain(run.progress),
        "history": plain(run.history),
    }


@trains
def stop(request: SignedIn, pk: int) -> HttpResponse:
    get_object_or_404(TrainingRun, pk=pk)
    runs.stop_run(pk)
    messages.success(request, _("It stops within seconds, and can go on from there."))
    return redirect("training", pk)


@trains
def go_on(request: SignedIn, pk: int) -> HttpResponse:
    get_object_or_404(TrainingRun, pk=pk)
    runs.go_on(pk)
    transaction.on_commit(lambda: tasks.train.delay(pk))
    messages.success(request, _("It goes on from where it was."))
    return redirect("training", pk)


# ---- models


@page(BROWSE)
def models(request: SignedIn) -> HttpResponse:
    found = ModelVersion.objects.order_by("-pk")
    retired = found.filter(state=ModelVersion.State.RETIRED)[: RETIRED * len(ModelVersion.TASKS)]
    rows = [*found.exclude(state=ModelVersion.State.RETIRED), *retired]
    latest = {each.version_id: each for each in Evaluation.objects.filter(version__in=rows).order_by("at")}
    by_task = [
        {
            "name": name,
            "title": title,
            "models": [
                {"version": row, **_main(latest.get(row.pk))}
                for state in ("live", "candidate", "retired")
                for row in rows
                if row.task == name and row.state == state
            ],
        }
        for name, title in ModelVersion.TASKS
    ]
    return render(request, "training/models.html", _context(request, tasks=by_task))


def _main(evaluation: Evaluation | None) -> dict[str, Any]:
    """The one figure that decides, in short."""
    if evaluation is None:
        return {}
    told = evaluation.measured
    if "main" not in told:
        return {"metric": "true accepts", "measured": {"value": told.get("true_accepts")}, "n": told.get("faces")}
    return {"metric": told["main"].replace("_", " "), "measured": told["metrics"][told["main"]], "n": told["n"]}


@page(BROWSE)
def model(request: SignedIn, pk: int) -> HttpResponse:
    version = get_object_or_404(ModelVersion, pk=pk)
    found = version.evaluations.select_related("release", "against").order_by("-at")[:EVALUATIONS]
    context = _context(
        request,
        version=version,
        learnt_from=Release.objects.filter(checksum__in=version.release_ids.split()),
        erased=frozen.erased_since(version),
        run=TrainingRun.objects.filter(version=version).first(),
        drift=drift.of_model(version) if version.task in ATTRIBUTES else None,
        evaluations=[_judged(each) for each in found],
        promotions=version.promotions.select_related("replaced", "created_by").order_by("-pk"),
        **_card(version),
    )
    return render(request, "training/model.html", context)


def _card(version: ModelVersion) -> dict[str, Any]:
    try:
        return {"card": mark_safe(as_html(registry.card_of(version)))}
    except (BadBundle, OSError) as error:
        return {"damage": str(error)}


def _judged(each: Evaluation) -> dict[str, Any]:
    told, compared = each.measured, each.compared or {}
    if "main" not in told:
        return {"row": each, "backbone": told, "compared": compared}
    return {
        "row": each,
        "main": told["main"].replace("_", " "),
        "n": told["n"],
        "left_out": told.get("left_out", 0),
        "calibration_error": told["calibration_error"],
        "metrics": [
            {"name": name.replace("_", " "), **figure, "beside": compared.get("metrics", {}).get(name)}
            for name, figure in told["metrics"].items()
        ],
        "slices": [
            {
                "by": by,
                "name": name,
                "n": part["n"],
                **part["metrics"].get(told["main"], {}),
                "beside": compared.get("slices", {}).get(by, {}).get(name),
            }
            for by, parts in told["slices"].items()
            for name, part in parts.items()
        ],
        "pictures": [(name, title) for name, title in PICTURES.items() if _drawn(told, name)],
    }


def _drawn(told: Mapping[str, Any], picture: str) -> bool:
    column = {"error_by_age": "by_age"}.get(picture, picture)
    return bool(told.get(column))


@page(BROWSE)
def picture(request: SignedIn, pk: int, name: str) -> HttpResponseBase:
    """Drawn once, from what is stored of the evaluation; the folder may be deleted at any time."""
    each = get_object_or_404(Evaluation, pk=pk)
    if name not in PICTURES or not _drawn(each.measured, name):
        raise Http404("There is no such picture of this evaluation.")
    folder = Path(settings.MODELS_DIR) / "pictures" / f"{each.pk}-{each.at:%Y%m%d%H%M%S%f}"
    if not (folder / f"{name}.png").exists():
        plots.evaluation_plots(evaluate.Evaluation.from_json(each.measured), folder)
    return HttpResponse((folder / f"{name}.png").read_bytes(), content_type="image/png")


@page(BROWSE)
def differences(request: SignedIn, pk: int) -> HttpResponse:
    """The faces that two models see most differently. Those erased since are not shown."""
    each = get_object_or_404(Evaluation.objects.select_related("version", "release", "against"), pk=pk)
    there = Face.objects.in_bulk([row["face"] for row in each.differ])
    is_class = bool(ATTRIBUTES[each.version.task].values) if each.version.task in ATTRIBUTES else False
    rows = [
        {
            **row,
            "face": there[row["face"]],
            "wrong": is_class and row["says"] != row["known"],
            "other_wrong": is_class and row["against"] != row["known"],
        }
        for row in each.differ
        if row["face"] in there
    ]
    context = _context(request, evaluation=each, rows=rows, erased=len(each.differ) - len(rows))
    return render(request, "training/differences.html", context)


# ---- leader board


@page(BROWSE)
def leader_board(request: SignedIn) -> HttpResponse:
    task = request.GET.get("task", "")
    if task not in dict(ModelVersion.TASKS):
        task = ModelVersion.TASKS[0][0]
    protocols = [name for name in BENCHMARKS if task in _judges(name)]
    kept = BenchmarkResult.objects.filter(protocol__in=protocols).order_by("-at")[:200]
    boards = [_board(name, [each for each in kept if each.protocol == name]) for name in protocols]
    judged = Evaluation.objects.filter(version__task=task).select_related("version", "release")
    context = _context(
        request,
        task=task,
        titles=ModelVersion.TASKS,
        boards=boards,
        ours=[{"row": each, **_main(each)} for each in judged.order_by("-release_id", "-at")[:50]],
    )
    return render(request, "training/leader_board.html", context)


def _judges(protocol: str) -> set[str]:
    return {each.name for each in BENCHMARKS[protocol].judges} or {"embedding"}


def _board(protocol: str, kept: list[BenchmarkResult]) -> dict[str, Any]:
    """Our latest row of each method, and then the published ones."""
    ours: dict[str, dict[str, Any]] = {}
    for each in kept:
        for row in each.outcome["ours"]:
            ours.setdefault(row["method"], {**row, "at": each.at})
    published = PUBLISHED.get(protocol, ())
    measured = [name for each in kept for name in each.outcome["columns"]]
    columns = list(dict.fromkeys([*measured, *(name for each in published for name in each.figures)]))
    return {
        "name": protocol,
        "what": BENCHMARKS[protocol].what,
        "layout": BENCHMARKS[protocol].layout,
        "columns": columns,
        "ours": [
            {
                "method": row["method"],
                "n": row["n"],
                "at": row["at"],
                "figures": [shown(c, Figure(**row["figures"][c])) if c in row["figures"] else "" for c in columns],
            }
            for row in ours.values()
        ],
        "published": [(each, [each.figures.get(c, "") for c in columns]) for each in published],
    }


@trains
def promote(request: SignedIn, pk: int) -> HttpResponse:
    """Through the gate, or against it with a written reason; what the gate says is kept on the page either way."""
    version = get_object_or_404(ModelVersion, pk=pk)
    form = PromotionForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("model", pk)
    made = promotion.promote(version, by=request.user, forced=form.cleaned_data["forced"])
    transaction.on_commit(tasks.feed)
    if made.state == Promotion.State.LIVE:
        messages.success(request, _("It is live: the first one of its task."))
    else:
        messages.success(request, _("It looks at every face now, beside the live one; then it takes its place."))
    return redirect("model", pk)


@trains
def roll_back(request: SignedIn, pk: int) -> HttpResponse:
    taken_back = promotion.take_back(get_object_or_404(ModelVersion, pk=pk), by=request.user)
    messages.success(request, _("%(name)s is live again.") % {"name": taken_back.replaced})
    return redirect("model", taken_back.replaced_id or pk)
