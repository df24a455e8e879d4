"""A release told for people: the questions of Gebru et al., "Datasheets for Datasets", CACM 64(12), 2021."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from annotation.core.release import Description
from annotation.core.release_query import IDENTITY
from annotation.core.splits import SPLITS, warnings
from inference.core.attributes import ATTRIBUTES


def datasheet(described: Description) -> str:
    """Markdown. Only what is known is answered; the rest says that nobody stated it."""
    return "\n".join([*_head(described), *_composition(described), *_collection(described), *_uses(described)]) + "\n"


def _head(described: Description) -> Iterator[str]:
    yield f"# Datasheet: {_plain(described.name)}"
    yield ""
    yield (
        f"Frozen on {described.created}. Its id is in release.json: the SHA-256 of that file's content, which "
        "holds the checksums of all others."
    )
    yield from ("", "## Motivation", "")
    yield _plain(str(described.notes.get("purpose") or "")) or "Whoever froze it stated no purpose."


def _composition(described: Description) -> Iterator[str]:
    counts = described.counts
    yield from ("", "## Composition", "")
    yield (
        f"{counts['faces']:,} faces of {counts['photos']:,} photos; {counts['identities']:,} known people. "
        f"Each is a crop of {described.side} pixels (template {described.template}) with 68 landmarks, pose, quality "
        "and its labels, each with who decided it and how far it is believed."
    )
    yield from ("", *_table(["part", "faces", "share"], _parts(counts)), "")
    if counts["decided_by"].get(IDENTITY):
        yield from (f"Who they are is decided by: {_by(counts, IDENTITY)}.", "")
    for name, of in counts["attributes"].items():
        yield from (f"### {name.replace('_', ' ').capitalize()}", "", *_of_attribute(name, of), "")
        yield from (f"Decided by: {_by(counts, name)}.", "")
    yield "### Splits"
    yield ""
    yield f"{described.splits['rule']} Seed {described.splits['seed']}."
    yield (
        f"{counts['groups']:,} groups; the largest has {counts['largest_group'] / counts['faces']:.1%} of the faces "
        f"({counts['largest_group']:,})."
    )
    capped = {"capped": described.notes.get("capped", 0)}
    yield from (f"**{each}**" for each in warnings(dict(counts) | capped, described.splits.get("shares") or {}))
    moved = described.notes.get("moved_to_test", 0)
    if moved:
        yield (
            f"{moved:,} faces that an earlier release had for training or validation are in the test now, since they "
            "turned out to be of people who are. A model trained on an earlier release has seen them."
        )
    control = described.notes.get("control", 0)
    if control:
        yield (
            f"{control:,} faces are of the control slice, or of people whom it tells of (column control). Their "
            "answers measure how far a model is right, so no attribute is learnt from them here. Leave them out of "
            "training, too."
        )
    if described.predecessor:
        yield f"It follows release {described.predecessor}."


def _by(counts: Mapping[str, Any], name: str) -> str:
    return ", ".join(f"{who} {count:,}" for who, count in counts["decided_by"].get(name, {}).items())


def _parts(counts: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for split in SPLITS:
        yield split, f"{counts['splits'][split]:,}", f"{counts['splits'][split] / counts['faces']:.1%}"


def by_value(name: str, of: Mapping[str, Mapping[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """How often each value of an attribute occurs in each part; years by ten."""
    in_years = name in ATTRIBUTES and ATTRIBUTES[name].in_years
    told: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        for value, count in of.get(split, {}).items():
            row = by_ten(value) if in_years else value
            told.setdefault(row, dict.fromkeys(SPLITS, 0))[split] += count
    order = sorted(told, key=lambda row: (int(row.split("–")[0]) if row[0].isdecimal() else 1_000, row))
    return [(row.replace("_", " "), told[row]) for row in order]


def _of_attribute(name: str, of: Mapping[str, Mapping[str, int]]) -> list[str]:
    rows = [[value, *(f"{counts[split]:,}" for split in SPLITS)] for value, counts in by_value(name, of)]
    return list(_table([name.replace("_", " "), *SPLITS], rows))


def by_ten(years: str) -> str:
    """The ten years that a count by the year belongs to; "cannot_tell" as it is."""
    if not years.isdecimal():
        return years
    low = int(years) // 10 * 10
    return f"{low}–{low + 9}"


def _collection(described: Description) -> Iterator[str]:
    notes = described.notes
    yield from ("", "## Collection and rights", "")
    yield "Only faces of photos whose licence and legal basis are both stated are in it."
    rights = [[r["source"], r["licence"], r["legal_basis"], f"{r['faces']:,}"] for r in described.rights]
    yield from ("", *_table(["source", "licence", "legal basis", "faces"], rights), "")
    yield from ("## Labelling", "")
    yield (
        "Labels come from people (answers weighed by each annotator's reliability), from the machine where a "
        "certificate bounds its error, from dates, or from the sets that were imported. Confidence is the consensus' "
        "belief, the calibrated confidence of a certified proposal, and 1 for what was imported, computed from dates "
        "or settled by a curator."
    )
    for name, count in notes.get("annotators", {}).items():
        yield f"- {name.replace('_', ' ')}: {count} people answered."
    for each in notes.get("agreement", []):
        about = each["attribute"].replace("_", " ")
        yield f"- agreement on {about}: {each['measure']} {each['value']:.3f} on {each['faces']} faces."
    for each in notes.get("certificates", []):
        yield (
            f"- certificate for {each['attribute']} {each['value']}: {each['wrong']} wrong of {each['audited']} "
            f"audited, error at most {each['bound']:.4f} (95 %), from confidence {each['threshold']:.3f}, "
            f"of {each['at']}."
        )
    left_out = notes.get("without_picture", [])
    if left_out:
        some = ", ".join(map(str, left_out[:20]))
        yield f"- {len(left_out)} faces were left out, since their kept picture is missing: {some}."
    yield from ("", "The filters that chose the faces:", "")
    yield from _table(["filter", "value"], [[name, _told(value)] for name, value in described.query.items()])


def _uses(described: Description) -> Iterator[str]:
    del described
    yield from ("", "## Uses and limits", "")
    yield (
        "To train and evaluate models of age, gender, emotion and identity within the rights above. Gender and emotion "
        "are what people saw in a face, not what somebody is or feels. Ages, places and groups are as uneven as the "
        "sources; the tables above say how. Faces are biometric data: see *What the law asks of you* in the project's "
        "README."
    )
    yield from ("", "## Maintenance", "")
    yield (
        "It is never edited. What is corrected or erased later is so in the next release; the site lists for this one "
        "which of its photos were erased since."
    )


def _table(header: Sequence[object], rows: Any) -> Iterator[str]:
    yield _line(header)
    yield _line(["---"] * len(header))
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_plain(str(cell)) for cell in cells) + " |"


def _plain(text: str) -> str:
    """A name that was scraped must neither break a table nor become a link or a tag."""
    text = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "|<>[]`*" else sign for sign in text)


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "any"
    return {"None": "none", "True": "yes", "False": "no"}.get(str(value), str(value))
