"""How many re-encoded, resized and slightly cropped copies of photos are found, and how much is mistaken for one.

python -m tests.benchmarks.near_duplicates

Copies are made here: of half of LFW's photos, on which the thresholds were chosen, of the other half, and of
FG-NET's family albums. Everything else of the set is there, too, so that other photos of the same people can be
mistaken. Then `scrape/`, whose truth knows the copies that were planted, but not those that came from the web:
what is called a copy beyond the truth is listed, to be looked at.
"""

import csv
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from inference.core.align import align, stack
from inference.core.bundle import cold_start, open_embedder
from inference.core.detect import cold_detector
from inference.core.duplicates import (
    SAME_DETAIL,
    alike_faces,
    crop_hash,
    detail_correlation,
    perceptual_hash,
    representatives,
    same_photos,
)
from inference.core.faces import find_faces
from inference.core.images import Decoder, PictureRefused
from inference.core.landmarks import cold_landmarker
from inference.core.types import CropSpec, Picture
from tests.benchmarks.shared_data import SHARED_DATA, picture, share

CROP = CropSpec("wide-384", 384)  # what is kept of a face, and compared


# ---- copies


def reencoded(photo: Picture, rng: random.Random) -> Picture:
    _, data = cv2.imencode(".jpg", photo[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 90)])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1], np.uint8)


def resized(photo: Picture, rng: random.Random) -> Picture:
    share_of = rng.uniform(0.5, 0.9)
    small = cv2.resize(photo, None, fx=share_of, fy=share_of, interpolation=cv2.INTER_AREA)
    return reencoded(np.asarray(small, np.uint8), rng)


def cropped(photo: Picture, rng: random.Random) -> Picture:
    """2–8 % of the width and of the height gone, at one end or at both."""
    height, width = photo.shape[:2]
    across, down = (round(rng.uniform(0.02, 0.08) * side) for side in (width, height))
    left, top = rng.randint(0, across), rng.randint(0, down)
    return reencoded(photo[top : top + height - down, left : left + width - across], rng)


def all_three(photo: Picture, rng: random.Random) -> Picture:
    return resized(cropped(photo, rng), rng)


WAYS: dict[str, Callable[[Picture, random.Random], Picture]] = {
    "re-encoded": reencoded,
    "resized": resized,
    "cropped": cropped,
    "cropped and resized": all_three,
}


# ---- what is found


@dataclass
class Album:
    """Photos by name as the pipeline sees them: hashed whole, each face aligned, hashed and embedded."""

    rank: dict[str, tuple[float, ...]] = field(default_factory=dict)
    hashes: dict[str, int | None] = field(default_factory=dict)
    faces: list[tuple[str, bool]] = field(default_factory=list)  # photo, and whether it is the chosen one
    crops: list[Picture] = field(default_factory=list)
    network_crops: list[Picture] = field(default_factory=list)

    def take(self, name: str, photo: Picture, size: int = 0) -> None:
        """With the size of its file in bytes, where photos of one number of pixels are to be told apart."""
        self.rank[name] = (photo.shape[0] * photo.shape[1], size, -len(self.rank))
        self.hashes[name] = perceptual_hash(photo)
        for face in find_faces(photo, cold_detector(), cold_landmarker()):
            self.faces.append((name, face.chosen))
            self.crops.append(align(photo, face.landmarks, CROP)[0])
            self.network_crops.append(align(photo, face.landmarks, NETWORK.crop)[0])

    def duplicates(self) -> dict[str, str]:
        """For each photo that another one stands for: which."""
        names = list(self.rank)
        number = {name: index for index, name in enumerate(names)}
        pairs = [(number[a], number[b]) for a, b in [*self._by_faces(), *self._by_hashes()]]
        stands = representatives(pairs, {index: self.rank[name] for index, name in enumerate(names)})
        return {names[copy]: names[original] for copy, original in stands.items()}

    def _by_faces(self) -> list[tuple[str, str]]:
        """Photos whose chosen faces are one."""
        hashed = [(crop_hash(crop), self.hashes[name]) for crop, (name, _) in zip(self.crops, self.faces, strict=True)]
        rows = np.array([row for row, pair in enumerate(hashed) if None not in pair and self.faces[row][1]])
        crops, photos = np.array([hashed[row] for row in rows], np.uint64).T
        vectors = NETWORK.embed(stack([self.network_crops[row] for row in rows]))
        pairs = [
            (rows[a], rows[b])
            for a, b in alike_faces(vectors, crops, photos, np.arange(len(rows)))
            if detail_correlation(self.crops[rows[a]], self.crops[rows[b]]) >= SAME_DETAIL
        ]
        return [(self.faces[a][0], self.faces[b][0]) for a, b in pairs]

    def _by_hashes(self) -> list[tuple[str, str]]:
        """Photos without a face."""
        with_faces = {name for name, _ in self.faces}
        names = [name for name, hashed in self.hashes.items() if hashed is not None and name not in with_faces]
        pairs = same_photos(np.array([self.hashes[name] for name in names], np.uint64))
        return [(names[a], names[b]) for a, b in pairs]


NETWORK = open_embedder(cold_start())


def copies_of(title: str, paths: Sequence[Path], copied: int, seed: int) -> None:
    """A line for each way of copying every one of `copied` photos, among all others."""
    for number, (way, copy) in enumerate(WAYS.items()):
        rng = random.Random(seed + number)
        originals, album = rng.sample(list(paths), copied), Album()
        for path in paths:
            album.take(path.name, picture(path))
        for path in originals:
            album.take(f"copy of {path.name}", copy(picture(path), rng))
        stands = album.duplicates()
        print(_line(f"{title}, {way}", stands, {f"copy of {path.name}": path.name for path in originals}), flush=True)


def _line(title: str, stands: dict[str, str], truth: dict[str, str]) -> str:
    """Recall over the true copies, precision over all that were called one."""
    group = _groups(truth)
    right = [copy for copy, original in stands.items() if group(copy) == group(original)]
    found = sum(stands.get(copy, copy) == stands.get(of, of) for copy, of in truth.items())
    return f"| {title} | {share(found, len(truth))} | {share(len(right), len(stands))} |"


def _groups(truth: dict[str, str]) -> Callable[[str], str]:
    """A name for each group of one picture: where its chain of copies ends."""

    def group(photo: str) -> str:
        while photo in truth:
            photo = truth[photo]
        return photo

    return group


def scrape() -> None:
    folder = SHARED_DATA / "scrape"
    rows = list(csv.DictReader((folder / "truth.csv").open()))
    album = Album()
    with Decoder() as decoder:
        for row in rows:
            data = (folder / row["file"]).read_bytes()
            try:
                album.take(row["file"], decoder.decode(data).picture, len(data))
            except PictureRefused:
                continue
    stands = album.duplicates()
    truth = {row["file"]: row["of"] for row in rows if row["of"]}
    near = {row["file"]: row["of"] for row in rows if row["fault"] == "near-duplicate"}
    exact = {row["file"]: row["of"] for row in rows if row["fault"] == "exact-duplicate"}
    group = _groups(truth)
    wrong = {copy: of for copy, of in stands.items() if group(copy) != group(of)}
    for title, known in (("near-duplicate", near), ("exact", exact)):
        found = sum(stands.get(copy, copy) == stands.get(of, of) for copy, of in known.items())
        print(f"| scrape, {title} | {share(found, len(known))} | |")
    print(f"| scrape, all, by the truth alone | | {share(len(stands) - len(wrong), len(stands))} |")
    for copy, of in wrong.items():
        print(f"not in the truth: {copy} as {of}")
    for copy, of in near.items():
        if stands.get(copy, copy) != stands.get(of, of):
            print(f"not found: {copy} of {of}")


def main() -> None:
    print("| photos | recall of copies | precision |\n| --- | --- | --- |")
    photos = sorted((SHARED_DATA / "lfw").rglob("*.jpg"))
    halves = photos[: len(photos) // 2], photos[len(photos) // 2 :]
    for title, paths in (("LFW, first half", halves[0]), ("LFW, second half", halves[1])):
        copies_of(title, paths, 250, seed=0)
    copies_of("FG-NET", sorted((SHARED_DATA / "fgnet" / "images").glob("*.[jJ][pP][gG]")), 250, seed=1)
    scrape()


if __name__ == "__main__":
    main()
