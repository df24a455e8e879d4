"""The model card: what a network is, what it learnt from, what it can and cannot (Mitchell et al., FAT* 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.core.release import Release
from training.core.bootstrap import Measured
from training.core.config import TrainConfig
from training.core.evaluate import FEWEST, Evaluation

PURPOSE = {
    "embedding": "tells faces of one person from faces of others",
    "real_age": "estimates how old a person is",
    "apparent_age": "estimates how old a person looks to others",
    "gender": "estimates whether a face would be called female or male",
    "emotion": "estimates which of seven expressions others would see in a face",
}
LIMITS = (
    "It states what a picture looks like, with its uncertainty, and no fact about a person. It must not decide about "
    "anybody. Its errors differ between groups of people as the tables say; of groups that the dataset does not name "
    "nothing is known. Small, covered, turned and very dark faces are judged worse."
)
DECISIVE = {"accuracy": "share right", "mae": "mean error in years", "epsilon": "apparent error ε"}


def card(
    config: TrainConfig,
    releases: Sequence[Release],
    judged: Evaluation | None,
    metrics: Mapping[str, Any],
    *,
    counts: tuple[int, int, int],
) -> str:
    """Markdown. `counts` are the faces that it learnt from, was chosen by and is judged on."""
    task = config.task.replace("_", " ")
    lines = [
        f"# {task.capitalize()} by {config.architecture}",
        "",
        f"This network {PURPOSE.get(config.task, f'estimates {task}')}, from an aligned crop of {config.side} pixels.",
        "",
        "## Data",
        "",
        f"{counts[0]:,} faces to learn from, {counts[1]:,} to choose by, {counts[2]:,} to judge by; no person, photo "
        "or duplicate is in two of these.",
        "",
        *(f"- Release {each.description.name} (`{each.id[:12]}`) of {each.description.created}" for each in releases),
        *(_rights(right) for each in releases for right in each.description.rights),
        "",
        "## How good it is",
        "",
        *(_judged(judged) if judged else _accepts(metrics)),
        "",
        "## Limits",
        "",
        LIMITS,
    ]
    return "\n".join(lines) + "\n"


def _rights(right: Mapping[str, Any]) -> str:
    return f"- {right['source']}: {right['faces']:,} faces, licence {right['licence']}, {right['legal_basis']}"


def _accepts(metrics: Mapping[str, Any]) -> list[str]:
    if metrics.get("true_accepts") is None:
        return ["Too few people are twice in the test part to say how well it tells them apart."]
    return [
        f"Of pairs of one person {metrics['true_accepts']:.4f} are found where {metrics['false_accepts']:.2%} of pairs "
        f"of two people are taken for one ({metrics['faces']:,} faces of {metrics['people']:,} people)."
    ]


def _judged(judged: Evaluation) -> list[str]:
    lines = [
        f"On {judged.n:,} faces of {judged.groups:,} groups (a person, or a set of duplicates); intervals of 95 % by "
        "bootstrap over groups.",
        "",
        "| what | faces | measured |",
        "| --- | ---: | --- |",
        *(f"| {_named(name)} | {judged.n:,} | {_told(each)} |" for name, each in judged.metrics.items()),
    ]
    for by, parts in judged.slices.items():
        lines += [
            f"| {_named(judged.main)}, {by} {name} | {part.n:,} | {_told(part.metrics[judged.main])} |"
            for name, part in parts.items()
            if judged.main in part.metrics
        ]
    return [
        *lines,
        "",
        f"Parts of fewer than {FEWEST} faces are not told. Calibration error {judged.calibration_error:.3f}.",
    ]


def _named(metric: str) -> str:
    return DECISIVE.get(metric, metric.replace("_", " "))


def _told(each: Measured) -> str:
    if each.low is None or each.high is None:
        return f"{each.value:.3f}"
    return f"{each.value:.3f} ({each.low:.3f}–{each.high:.3f})"
