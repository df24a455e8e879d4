"""What one release has and another has not: faces, parts, labels."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from annotation.core.release import Release
from annotation.core.splits import SPLITS
from inference.core.attributes import ATTRIBUTES

EXAMPLES = 12  # faces of each kind of change that are named
FROM_TEST = "test →"


@dataclass(eq=False)
class Change:
    """One kind of difference: how often, and some of the faces."""

    count: int = 0
    faces: list[int] = field(default_factory=list)

    def see(self, face: int) -> None:
        self.count += 1
        if len(self.faces) < EXAMPLES:
            self.faces.append(face)


@dataclass(eq=False)
class Difference:
    """From an older release to a newer one."""

    older: str  # ids
    newer: str
    added: Change = field(default_factory=Change)
    removed: Change = field(default_factory=Change)
    left_test: Change = field(default_factory=Change)  # of those removed
    kept: int = 0
    moved: dict[str, Change] = field(default_factory=dict)  # "train → test"
    renamed: Change = field(default_factory=Change)  # another identity, or none now
    labels: dict[str, dict[str, Change]] = field(default_factory=dict)  # by attribute: "none → female"
    splits: dict[str, int] = field(default_factory=dict)  # by part: how many faces more or fewer

    @property
    def test_only_grew(self) -> bool:
        """All faces of the older test are in the newer one's."""
        return not self.left_test.count and not any(name.startswith(FROM_TEST) for name in self.moved)

    def as_json(self) -> dict[str, Any]:
        def told(change: Change) -> dict[str, Any]:
            return {"count": change.count, "faces": change.faces}

        return {
            "older": self.older,
            "newer": self.newer,
            "kept": self.kept,
            "added": told(self.added),
            "removed": told(self.removed),
            "renamed": told(self.renamed),
            "moved": {name: told(change) for name, change in self.moved.items()},
            "labels": {name: {key: told(each) for key, each in of.items()} for name, of in self.labels.items()},
            "splits": self.splits,
            "left_test": told(self.left_test),
            "test_only_grew": self.test_only_grew,
        }


def diff(older: Release, newer: Release) -> Difference:
    """What changed. Both are read once, side by side by ascending face: no more than a batch of each is in memory.

    Raises BadRelease.
    """
    found = Difference(older.id, newer.id)
    counts = Counter[str]()
    before, after = _labels(older), _labels(newer)
    one, other = next(before, None), next(after, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one["face"] < other["face"]):
            assert one is not None
            found.removed.see(one["face"])
            if one["split"] == "test":
                found.left_test.see(one["face"])
            counts[one["split"]] -= 1
            one = next(before, None)
        elif one is None or other["face"] < one["face"]:
            found.added.see(other["face"])
            counts[other["split"]] += 1
            other = next(after, None)
        else:
            _compare(found, counts, one, other)
            one, other = next(before, None), next(after, None)
    found.splits = {name: counts[name] for name in SPLITS}
    return found


def of_test(changes: Mapping[str, Any], _: Callable[[str], str] = str) -> str:
    """What became of the older test, from a difference as JSON; `_` puts it into the reader's language."""
    if any(name.startswith(FROM_TEST) for name in changes["moved"]):
        return _("Faces moved out of the test.")
    if "left_test" not in changes and changes["removed"]["count"]:  # of a release that was frozen by older code
        return _("No face moved out of the test.")
    if changes["test_only_grew"]:
        return _("The test only grew.")
    left = changes["left_test"]["count"]
    return _("No face moved out of the test; {left} left the release.").format(left=f"{left:,}")


def _labels(release: Release) -> Any:
    columns = ["face", "split", "identity", *(name for name in ATTRIBUTES if name in release.columns)]
    for batch in release.rows(columns, at_once=2_000):
        yield from batch.to_pylist()


def _compare(found: Difference, counts: Counter[str], one: dict[str, Any], other: dict[str, Any]) -> None:
    face = other["face"]
    found.kept += 1
    if one["split"] != other["split"]:
        counts[one["split"]] -= 1
        counts[other["split"]] += 1
        found.moved.setdefault(f"{one['split']} → {other['split']}", Change()).see(face)
    if one["identity"] != other["identity"]:
        found.renamed.see(face)
    for name, attribute in ATTRIBUTES.items():
        was, now = one.get(name), other.get(name)
        if was != now:
            told = "another age" if attribute.in_years and None not in (was, now) else f"{_word(was)} → {_word(now)}"
            found.labels.setdefault(name, {}).setdefault(told, Change()).see(face)


def _word(value: str | float | None) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else "an age"
