"""Figures as the dashboard's sections tell them: rows with titles, in the reader's language."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from annotation import figures, live_settings, reads, workers
from annotation.core.datasets.entry import CANNOT_TELL
from annotation.core.effort import Effort, Measured
from annotation.core.pace import seconds_left
from annotation.dashboard import FOLLOWED, PLOTS
from annotation.figures import IDENTITY
from annotation.models import Agreement, Certificate, Question, Reliability, Worker
from inference.core.attributes import ATTRIBUTES

Parts = Mapping[str, Mapping[str, Any]]
SERIES = 6  # colours that can be told apart in one plot; what comes after is one
YEARS = 100  # from this age on there is one bar
VALID = Certificate.State.VALID


def title_of(what: str) -> str:
    return _("who they are") if what == IDENTITY else _(what.replace("_", " "))


def failure_titles() -> dict[str, str]:
    return {
        "intake": _("Deliveries"),
        "photo": _("Photos"),
        "face": _("Faces"),
        "run": _("Clustering runs"),
        "release": _("Releases"),
        "training": _("Trainings"),
        "promotion": _("Promotions"),
    }


# ---- the funnel


@dataclass(frozen=True)
class Step:
    name: str
    title: str
    count: int
    address: str
    note: str
    rates: Mapping[str, float | None]


def steps(parts: Parts) -> list[Step]:
    """From photos to what was released; labels of all kinds together."""
    counts, rates = parts.get("funnel", {}), parts.get("pace", {}).get("rates", {})
    if not counts:
        return []
    machine = sum(_by(parts, name).get("machine", 0) for name in figures.asked_about())
    asked = parts.get("queue", {}).get("faces", {})
    waiting = counts["photos"] - counts["looked_at"]
    rows = [
        ("photos", _("photos"), counts["photos"], "photos", _("{count} to look at").format(count=_n(waiting))),
        ("faces", _("faces"), counts["faces"], "faces", _("{count} not a face").format(count=_n(counts["not_a_face"]))),
        ("embedded", _("embedded"), counts["embedded"], "faces", _left(counts["faces"] - counts["embedded"])),
        ("grouped", _("grouped"), counts["grouped"], "clusters", _left(counts["embedded"] - counts["grouped"])),
        ("proposed", _("proposed"), counts["proposed"], "engine", _("of those usable, one of duplicates")),
        ("accepted", _("accepted"), machine, "engine", _("labels under a certificate")),
        ("queued", _("queued"), sum(asked.values()), "annotate", _("faces in open questions")),
        ("labelled", _("labelled"), counts["labelled"], "people", _("labels of all kinds")),
        ("released", _("released"), counts["released"], "releases", _("faces in the latest release")),
    ]
    return [
        Step(name, title, count, reverse(address), note, rates.get(name, {}))
        for name, title, count, address, note in rows
    ]


def _left(count: int) -> str:
    return _("{count} to come").format(count=_n(max(count, 0)))


def _n(count: int) -> str:
    return f"{count:,}"


def _by(parts: Parts, what: str) -> Mapping[str, int]:
    found: Mapping[str, int] = parts.get("labels", {}).get("by", {}).get(what, {})
    return found


def labelled(parts: Parts) -> list[dict[str, Any]]:
    """For each thing that is labelled: what is proposed of it, and what became of that."""
    counts, asked = parts.get("funnel", {}), parts.get("queue", {}).get("faces", {})
    if not counts:
        return []
    rows = []
    for what in (IDENTITY, *ATTRIBUTES):
        identity = what == IDENTITY
        proposed = counts["grouped"] if identity else counts.get(f"proposed.{what}", 0)
        done = counts["labels"] + counts["not_a_face"] if identity else counts.get(f"labelled.{what}", 0)
        by = _by(parts, what)
        if not (identity or by or what in figures.asked_about()):
            continue
        rows.append(
            {
                "title": title_of(what),
                "proposed": proposed,
                "machine": by.get("machine", 0),
                "people": by.get("person", 0),
                "imported": by.get("import", 0),
                "queued": asked.get(what, 0),
                "left": max(proposed - done, 0),
            }
        )
    return rows


# ---- over time


def plots(parts: Parts) -> list[dict[str, Any]]:
    """By span: a row a slot of time, a column a count; how many an hour."""
    known = parts.get("pace", {}).get("plots", {})
    titles = {
        "photos": _("photos"),
        "faces": _("faces"),
        "embedded": _("embedded"),
        "grouped": _("grouped"),
        "proposed": _("proposed"),
        "questions": _("open questions"),
        "answers": _("answers"),
        "labelled": _("labels"),
        "released": _("released"),
    }
    spans = {"hour": _("Last hour"), "day": _("Last day"), "week": _("Last week")}
    found = []
    for span in PLOTS:
        table: dict[str, dict[str, float]] = {}
        for name in FOLLOWED:
            for at, value in known.get(span, {}).get(name, []):
                table.setdefault(at, {})[name] = value
        rows = [(datetime.fromisoformat(at), [table[at].get(name) for name in FOLLOWED]) for at in sorted(table)]
        found.append({"span": span, "title": spans[span], "names": [titles[name] for name in FOLLOWED], "rows": rows})
    return found


# ---- the queue


def queue(parts: Parts) -> dict[str, Any]:
    """By kind: how many wait, how many were settled lately, and how long the rest takes at that pace."""
    found = parts.get("queue", {})
    kinds = {
        "cluster": _("one person?"),
        "pair": _("these two one?"),
        "grid": _("which are not?"),
        "value": _("which value?"),
        "record": _("right person and date?"),
    }
    rows = []
    for kind in Question.Kind.values:
        settled = {span: found.get("settled", {}).get(span, {}).get(kind, 0) for span in figures.SPANS}
        waiting = found.get("open", {}).get(kind, 0)
        rows.append(
            {"title": kinds[kind], "kind": kind, "open": waiting, "settled": settled, "left": _time(waiting, settled)}
        )
    every = {span: sum(row["settled"][span] for row in rows) for span in figures.SPANS}
    waiting = sum(row["open"] for row in rows)
    return {
        "rows": rows,
        "open": waiting,
        "settled": every,
        "left": _time(waiting, every),
        "held": found.get("held", 0),
        "verdicts": found.get("verdicts", 0),
    }


def _time(waiting: int, settled: Mapping[str, int]) -> str:
    if not waiting:
        return _("nothing waits")
    left = seconds_left(waiting, settled, figures.SPANS)
    if left is None:
        return _("nobody answers")
    seconds, span = left
    paces = {
        "hour": _("at the last hour’s pace"),
        "day": _("at the last day’s pace"),
        "week": _("at the last week’s pace"),
    }
    return f"{duration(seconds)} {paces[span]}"


def duration(seconds: float) -> str:
    """In the unit that fits."""
    for unit, told in ((86_400, _("{count} days")), (3_600, _("{count} h")), (60, _("{count} min"))):
        if seconds >= 2 * unit:
            return told.format(count=f"{seconds / unit:,.0f}")
    return _("{count} s").format(count=f"{seconds:.0f}")


# ---- what a label costs


def effort(parts: Parts) -> list[dict[str, Any]]:
    """Actions per label, and per label that is right; in the control slice, where nothing helps; and the money."""
    spent, people = parts.get("effort", {}), reads.reliabilities()
    rows = []
    for what in (IDENTITY, *figures.asked_about()):
        row, by = spent.get(what, {}), _by(parts, what)
        told = Effort(
            actions=row.get("actions", 0),
            by_people=by.get("person", 0),
            by_machine=by.get("machine", 0) if what != IDENTITY else 0,
            control=_blind(what),
            known=_gold(what, people),
        )
        if not told.actions and not told.labels:
            continue
        control = row.get("control_labels", 0)
        rows.append(
            {
                "title": title_of(what),
                "of": told,
                "clean": told.per_clean,
                "control": {"actions": row.get("control_actions", 0), "labels": control}
                | ({"per_label": row.get("control_actions", 0) / control} if control else {}),
                "cost": _cost(row, told.labels),
            }
        )
    return rows


def _blind(what: str) -> Measured:
    """Of control answers about faces that a certificate lets through: those that agree with it."""
    held = list(Certificate.objects.filter(attribute=what, state=VALID).values_list("blind", "blind_wrong"))
    n, wrong = sum(row[0] for row in held), sum(row[1] for row in held)
    return Measured(n - wrong, n)


def _gold(what: str, people: Iterable[Reliability]) -> Measured:
    """Of ages none: a guess in line with the others' is not a right one, and the label is the mean of ten."""
    guessed = what in ATTRIBUTES and ATTRIBUTES[what].in_years
    rows = [row for row in people if row.attribute == what and not guessed]
    return Measured(sum(row.gold_right for row in rows), sum(row.gold for row in rows))


def _cost(row: Mapping[str, int], labels: int) -> float | None:
    """What a label costs by the hour: the time that was measured, for all actions alike."""
    if not live_settings.get("HOURLY_RATE") or not row.get("timed") or not labels:
        return None
    hours = row["ms"] / 3_600_000 * row["actions"] / row["timed"]
    return float(hours * live_settings.get("HOURLY_RATE") / labels)


# ---- how far it can be believed


def trust() -> list[dict[str, Any]]:
    """By attribute: certificates, agreement, calibration, annotators."""
    held: dict[tuple[str, str], Certificate] = {
        (each.attribute, each.value): each for each in Certificate.objects.filter(state=VALID)
    }
    agreement = {each.attribute: each for each in Agreement.objects.all()}
    people = reads.reliabilities()
    rows = list[dict[str, Any]]()
    for name in [*figures.asked_about(), *(each.name for each in ATTRIBUTES.values() if each.in_years)]:
        if any(row["name"] == name for row in rows):
            continue
        right = [row.right for row in people if row.attribute == name and row.right is not None]  # type: ignore[attr-defined]
        of_it = [row for row in people if row.attribute == name]
        rows.append(
            {
                "name": name,
                "title": title_of(name),
                "in_years": ATTRIBUTES[name].in_years,
                "values": [(_(value), held.get((name, value))) for value in ATTRIBUTES[name].values],
                "agreement": agreement.get(name),
                "people": len(of_it),
                "right": median(right) if right else None,
                "worst": min(right) if right else None,
                "drifted": sum(row.drifted for row in of_it),
            }
            | reads.calibrated(name)
        )
    return rows


# ---- what the labels are


def balance(parts: Parts) -> list[dict[str, Any]]:
    """By attribute with values: labels by source and value."""
    found = []
    for name, sources in parts.get("labels", {}).get("values", {}).items():
        values = ATTRIBUTES[name].values
        if values:
            columns = [*values, CANNOT_TELL]
            rows = [
                (_source(source), [counts.get(value, 0) for value in columns]) for source, counts in sources.items()
            ]
            total = [sum(row[1][at] for row in rows) for at in range(len(columns))]
            kept = [at for at, count in enumerate(total) if count or columns[at] != CANNOT_TELL]
            found.append(
                {
                    "title": title_of(name),
                    "columns": [_(columns[at].replace("_", " ")) for at in kept],
                    "rows": [(source, [counts[at] for at in kept], sum(counts)) for source, counts in rows],
                    "total": [total[at] for at in kept],
                    "all": sum(total),
                }
            )
    return found


def _source(name: str) -> str:
    return name or _("all others")


def ages(parts: Parts) -> list[dict[str, Any]]:
    """By attribute in years: labels by age and source."""
    found = []
    for name, sources in parts.get("labels", {}).get("values", {}).items():
        if not ATTRIBUTES[name].in_years:
            continue
        columns = _few({_source(source): Counter(counts) for source, counts in sources.items()})
        bars = range(0, YEARS + 1, figures.AGES)
        rows = [(_bar(low), [_of_age(counts, low) for counts in columns.values()]) for low in bars]
        while rows and not any(rows[-1][1]):
            rows.pop()
        if rows:
            total = sum(sum(row[1]) for row in rows)
            found.append({"title": title_of(name), "columns": list(columns), "rows": rows, "all": total})
    return found


def _few(columns: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    names = list(columns)
    if len(names) <= SERIES:
        return columns
    rest: Counter[str] = sum((columns[name] for name in names[SERIES - 1 :]), Counter())
    return {name: columns[name] for name in names[: SERIES - 1]} | {_("all others"): rest}


def _bar(low: int) -> str:
    return f"{low}+" if low >= YEARS else f"{low}–{low + figures.AGES - 1}"


def _of_age(counts: Mapping[str, int], low: int) -> int:
    if low < YEARS:
        return counts.get(str(low), 0)
    return sum(count for age, count in counts.items() if age.isdecimal() and int(age) >= YEARS)


# ---- how good the faces are


def quality(parts: Parts) -> dict[str, Any]:
    found = parts.get("quality", {})
    if not found.get("faces"):
        return {}
    titles = {
        "sharpness": (_("Sharpness"), _("variance of the Laplacian on a face of 112 px; the more the sharper")),
        "size": (_("Width"), _("of the face in its photo, in pixels")),
        "brightness": (_("Brightness"), _("mean of the face, 0 to 1")),
        "yaw": (_("Turned to the side"), _("in degrees, either way")),
        "pitch": (_("Turned up or down"), _("in degrees, either way")),
    }
    flags = {
        "usable": _("usable"),
        "gray": _("gray"),
        "truncated": _("cut off by the frame"),
        "chosen": _("the main face of their photo"),
        "duplicates": _("in a duplicate photo"),
    }
    because = {
        "too small": _("too small"),
        "cut off": _("cut off"),
        "too dark": _("too dark"),
        "too bright": _("too bright"),
        "blurred": _("blurred"),
        "turned away": _("turned away"),
    }
    return {
        "faces": found["faces"],
        "flags": [(title, found[name], 100 * found[name] / found["faces"]) for name, title in flags.items()],
        "because": [
            (title, found[f"because.{reason}"]) for reason, title in because.items() if found[f"because.{reason}"]
        ],
        "plots": [
            {"title": title, "unit": unit, "rows": list(_bars(found, name))} for name, (title, unit) in titles.items()
        ],
    }


def _bars(found: Mapping[str, int], name: str) -> Iterable[tuple[str, int]]:
    edges = figures.EDGES[name][1]
    for number in range(len(edges) + 1):
        low = f"{edges[number - 1]:g}" if number else ""
        high = f"{edges[number]:g}" if number < len(edges) else ""
        told = f"< {high}" if not low else f"≥ {low}" if not high else f"{low}–{high}"
        yield told, found[f"{name}.{number}"]


# ---- the machine


def machine(parts: Parts, queues: Mapping[str, int] | None, now: datetime) -> dict[str, Any]:
    folders = parts.get("files", {})
    return {
        "disks": [
            each | {"used": each["total"] - each["free"], "share": 100 * (1 - each["free"] / max(each["total"], 1))}
            for each in figures.disks()
        ],
        "folders": sorted(folders.items(), key=lambda each: -each[1]),
        "database": parts.get("database", {}).get("bytes"),
        "queues": queues,
        "workers": [(worker, workers.silent(worker, now)) for worker in Worker.objects.all()],
    }
