"""Recall and false positives on boxed group photos; faces found, and not found, in the scraped ones.

python -m tests.benchmarks.detection

The boxes of groups/boxed are dlib's: squares around the inner face, while YuNet's reach from the hair line to the chin
and are taller than wide. So two ways to match are reported, each box and each face used once, best overlap first: plain
IoU of at least 0.5, and the centre of the found face inside of the box. Background faces that nobody boxed count as
false positives. On the scraped photos truth.csv tells only which have a person and which have none.
"""

import csv
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from inference.core.detect import YuNetDetector, cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import Box
from tests.benchmarks.shared_data import SHARED_DATA, picture, share

GROUPS, SCRAPE = SHARED_DATA / "groups", SHARED_DATA / "scrape"


def read_boxes(file: Path) -> dict[str, list[Box]]:
    """The boxes of each picture in dlib's XML."""
    return {
        image.attrib["file"]: [
            Box(*(float(box.attrib[side]) for side in ("left", "top", "width", "height"))) for box in image.iter("box")
        ]
        for image in ElementTree.parse(file).iter("image")
    }


def matches(found: Sequence[Box], boxes: Sequence[Box], fits: Callable[[Box, Box], bool]) -> int:
    """How many boxes get a face of their own, the best overlaps first."""
    pairs = sorted(
        ((face.iou(box), i, j) for i, face in enumerate(found) for j, box in enumerate(boxes) if fits(face, box)),
        reverse=True,
    )
    used: tuple[set[int], set[int]] = set(), set()
    for _, i, j in pairs:
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
    return len(used[1])


def overlaps(face: Box, box: Box) -> bool:
    return face.iou(box) >= 0.5


def centre_inside(face: Box, box: Box) -> bool:
    x, y = face.centre
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def boxed_groups(detector: YuNetDetector) -> None:
    print("| photo | boxes | found | recall, IoU 0.5 | false | recall, centre in box | false |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    total: Counter[str] = Counter()
    for name, boxes in sorted(read_boxes(GROUPS / "boxed" / "training.xml").items()):
        found = [face.box for face in detector.detect(picture(GROUPS / "boxed" / name))]
        by_overlap, by_centre = matches(found, boxes, overlaps), matches(found, boxes, centre_inside)
        total.update(boxes=len(boxes), found=len(found), overlap=by_overlap, centre=by_centre)
        _print_row(name, len(boxes), len(found), by_overlap, by_centre)
    _print_row("all", total["boxes"], total["found"], total["overlap"], total["centre"])


def _print_row(name: str, boxes: int, found: int, by_overlap: int, by_centre: int) -> None:
    print(
        f"| {name} | {boxes} | {found} | {by_overlap / boxes:.3f} | {found - by_overlap} "
        f"| {by_centre / boxes:.3f} | {found - by_centre} |"
    )


def unboxed_groups(detector: YuNetDetector) -> None:
    print("\n| photo | size | faces found | smallest | ms |\n| --- | --- | --- | --- | --- |")
    for path in sorted(GROUPS.glob("*.jpg"), key=lambda path: int(path.stem)):
        image = picture(path)
        started = time.perf_counter()
        found = detector.detect(image)
        spent = (time.perf_counter() - started) * 1000
        smallest = min((min(face.box.width, face.box.height) for face in found), default=0)
        print(f"| {path.name} | {image.shape[1]}×{image.shape[0]} | {len(found)} | {smallest:.0f} px | {spent:.0f} |")


def scraped(detector: YuNetDetector) -> None:
    landmarker = cold_landmarker()
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    spent = 0.0
    for row in csv.DictReader((SCRAPE / "truth.csv").open()):
        if row["fault"] == "truncated":  # intake refuses those
            continue
        image = picture(SCRAPE / row["file"])
        started = time.perf_counter()
        faces = find_faces(image, detector, landmarker)
        spent += time.perf_counter() - started
        kind = "empty" if row["fault"] == "no-face" else "person"
        counts.update({kind: 1, f"{kind} found": int(bool(faces)), f"{kind} faces": len(faces)})
        for face in faces:
            if face.chosen and not face.quality.usable:
                reasons[face.quality.reason.split(":")[0]] += 1
    photos = counts["person"] + counts["empty"]
    print(f"\nscrape, photos with a person: chosen face found in {share(counts['person found'], counts['person'])}")
    print(f"faces in them: {counts['person faces']}")
    print(f"faces in the {counts['empty']} pictures without one: {counts['empty faces']}")
    print(f"chosen faces that are not usable: {share(reasons.total(), counts['person found'])} {dict(reasons)}")
    print(f"find_faces: {spent / photos * 1000:.1f} ms a photo, one thread")


def main() -> None:
    detector = cold_detector()
    boxed_groups(detector)
    unboxed_groups(detector)
    scraped(detector)


if __name__ == "__main__":
    main()
