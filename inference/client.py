"""DAGER from another program, by nothing but Python's own library. Three lines label a folder:

    dager = Client("https://dager.example.org", token="…")
    for path, outcome in dager.label("photos/"):
        print(path, outcome["error"] or outcome["prediction"]["faces"])

A line that breaks and a server that is busy are tried again, as it says when; what a request made, it made once.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, NotRequired, TypeAlias, TypedDict, cast
from urllib.parse import urlencode, urlsplit

MOST_PHOTOS = 64  # of a batch, as the server takes them
MOST_BYTES = 100_000_000  # of a batch
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}  # of a folder's files
BUSY = {429, 502, 503, 504}
TOO_LARGE = 413  # as a proxy says it
NOT_IN_TIME = 504  # likewise
PAUSE = 0.5  # seconds before the second try; each further one waits twice as long
LONGEST_PAUSE = 60.0

Photo: TypeAlias = "str | Path | bytes"  # where it lies, or what it holds


# ---- what comes back, as the server's schema has it: /api/docs/ tells the unit and range of each


class Box(TypedDict):
    x: float
    y: float
    width: float
    height: float


class Pose(TypedDict):
    yaw: float
    pitch: float
    roll: float


class Quality(TypedDict):
    size: float
    sharpness: float
    brightness: float
    gray: bool
    truncated: bool
    usable: bool
    reason: str


class Years(TypedDict):
    mean: float
    sd: float
    low: int
    high: int
    calibrated: bool
    abstained: bool


class Choice(TypedDict):
    value: str
    confidence: float
    distribution: dict[str, float]
    calibrated: bool
    abstained: bool


class Place(TypedDict):
    box: Box
    box_share: Box
    score: float
    chosen: bool
    landmarks: list[list[float]]
    pose: Pose
    quality: Quality


class PredictedFace(Place):
    real_age: Years | None
    apparent_age: Years | None
    gender: Choice | None
    emotion: Choice | None


class UsedModel(TypedDict):
    id: int
    name: str
    checksum: str
    releases: list[str]


class PredictedPhoto(TypedDict):
    width: int
    height: int
    faces: list[PredictedFace]


class Prediction(PredictedPhoto):
    models: dict[str, UsedModel]


class Refusal(TypedDict):
    code: str
    message: str
    field: str


class OneOfBatch(TypedDict):
    prediction: PredictedPhoto | None
    error: Refusal | None


class FaceVector(Place):
    vector: list[float]


class Embedding(TypedDict):
    width: int
    height: int
    faces: list[FaceVector]
    model: UsedModel


class ComparedPhoto(TypedDict):
    width: int
    height: int
    faces: int
    face: Place


class Verification(TypedDict):
    similarity: float
    threshold: float
    same: bool
    probability: float
    chance_of_error: float
    calibrated: bool
    abstained: bool
    photo_a: ComparedPhoto
    photo_b: ComparedPhoto
    model: UsedModel


class Candidate(TypedDict):
    identity: int
    name: str
    probability: float
    similarity: float


class SoughtFace(Place):
    identity: int | None
    nobody: float
    candidates: list[Candidate]
    calibrated: bool
    abstained: bool


class Search(TypedDict):
    width: int
    height: int
    faces: list[SoughtFace]
    model: UsedModel


class Feedback(TypedDict):
    id: int
    photo: int
    face: int | None
    attribute: str
    value: str
    state: str
    reason: str
    question: int | None
    settled: bool
    at: str


class Model(TypedDict):
    id: int
    task: str
    name: str
    state: str
    live: bool
    checksum: str
    dimensions: int
    releases: list[str]
    erased_photos: int
    metrics: dict[str, Any]
    created_at: str
    live_since: str | None
    retired_at: str | None


class _Page(TypedDict):
    next: NotRequired[str | None]
    results: list[Model]


# ---- what can go wrong


class Refused(Exception):
    """The server said no: `code` is stable, `field` is what it is about, and its log knows the `request_id`."""

    def __init__(self, status: int, code: str, message: str, field: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.field, self.request_id = status, code, field, request_id


class NoAnswer(Exception):
    """The server was away or busy as often as it was asked."""


class _NotInTime(Exception):
    """It still works at what nobody waits for any more. The same again would add to it; half of it might be done."""


# ---- the client


class Client:
    """One connection that is kept open; of several threads each has a client of its own."""

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        tries: int = 6,
        timeout: float = 120.0,  # seconds for each try: a batch of large photos takes its time
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._at = urlsplit(address)
        if self._at.scheme not in ("http", "https") or not self._at.hostname:
            raise ValueError(f"{address!r} is no address of a server. Give one like https://dager.example.org.")
        self._token, self._tries, self._timeout, self._wait = token, tries, timeout, wait
        self._line: HTTPConnection | None = None
        self._at_once = MOST_PHOTOS  # until it takes too long

    def predict(self, photo: Photo) -> Prediction:
        """The faces of a photo with all that is said of them. Raises Refused, NoAnswer, OSError."""
        return cast(Prediction, self._send("predict", {"photo": [photo]}))

    def predict_all(self, photos: Iterable[Photo]) -> Iterator[OneOfBatch]:
        """The same of any number, in their order, sent in batches; each succeeds or fails alone, a file that cannot be
        read as one that the server refuses.

        Raises Refused where it is none of a photo's business (whose token, which role), NoAnswer.
        """
        for batch in _batches(map(_read_file, photos)):
            told = iter(self._batch([each for each in batch if isinstance(each, bytes)]))
            for each in batch:
                yield next(told) if isinstance(each, bytes) else {"prediction": None, "error": each}

    def _batch(self, photos: list[bytes]) -> list[OneOfBatch]:
        """In halves, where the server or a proxy before it takes less at once than it is sent, or takes too long."""
        if not photos:
            return []
        try:
            if len(photos) <= self._at_once:
                told = self._send("predict/batch", {"photos": photos}, halves=len(photos) > 1)
                return cast(list[OneOfBatch], told["results"])
        except _NotInTime:
            self._at_once = len(photos) // 2
        except Refused as refused:
            if refused.status != TOO_LARGE and refused.code != "too_large":
                raise
            if len(photos) == 1:
                return [{"prediction": None, "error": _refusal("too_large", str(refused))}]
        half = len(photos) // 2
        return self._batch(photos[:half]) + self._batch(photos[half:])

    def label(self, folder: str | Path) -> Iterator[tuple[Path, OneOfBatch]]:
        """All photos in a folder and the folders in it, each with what is said of it or why it is refused.

        Raises NotADirectoryError, and as `predict_all` does.
        """
        if not Path(folder).is_dir():
            raise NotADirectoryError(f"{str(folder)!r} is no folder. Name one with photos, or use predict().")
        paths = sorted(each for each in Path(folder).rglob("*") if each.suffix.lower() in SUFFIXES and _is_file(each))
        return zip(paths, self.predict_all(paths), strict=True)

    def embed(self, photo: Photo) -> Embedding:
        """Each face's vector by the live backbone. Raises Refused, NoAnswer, OSError."""
        return cast(Embedding, self._send("embed", {"photo": [photo]}))

    def verify(self, photo_a: Photo, photo_b: Photo) -> Verification:
        """Whether the main faces of both are one person. Raises Refused, NoAnswer, OSError."""
        return cast(Verification, self._send("verify", {"photo_a": [photo_a], "photo_b": [photo_b]}))

    def search(self, photo: Photo, *, most: int = 8) -> Search:
        """Which known people its faces are, or nobody. Raises Refused, NoAnswer, OSError."""
        return cast(Search, self._send("search", {"photo": [photo]}, {"most": most}))

    def correct(
        self,
        photo: Photo,
        attribute: str,
        value: str | int,
        *,
        keep: bool,
        box: Box | None = None,
        predicted: Mapping[str, object] | None = None,
    ) -> Feedback:
        """Say that an attribute of a face is another: people are asked. `keep` agrees that the photo is kept.

        `box` is the `box_share` of the face; without it, the chosen one is meant. Raises Refused, NoAnswer, OSError.
        """
        said: dict[str, object] = {"attribute": attribute, "value": value, "keep": json.dumps(keep)}
        said |= {name: json.dumps(each) for name, each in (("box", box), ("predicted", predicted)) if each is not None}
        return cast(Feedback, self._send("feedback", {"photo": [photo]}, said, key=uuid.uuid4().hex))

    def models(self, **filters: str) -> list[Model]:
        """Those that answer now, or by `state` and `task` any. Raises Refused, NoAnswer."""
        query = urlencode({"state": "live", "limit": 1_000} | filters)
        return cast(_Page, self._ask("GET", f"models?{query}"))["results"]

    def _send(
        self,
        call: str,
        photos: Mapping[str, Iterable[Photo]],
        said: Mapping[str, object] | None = None,
        *,
        key: str = "",
        halves: bool = False,
    ) -> dict[str, Any]:
        border = uuid.uuid4().hex
        body = _form(border, {name: [_bytes(each) for each in sent] for name, sent in photos.items()}, said or {})
        headers = {"Content-Type": f"multipart/form-data; boundary={border}"}
        return self._ask("POST", call, body, headers | ({"Idempotency-Key": key} if key else {}), halves=halves)

    def _ask(
        self,
        method: str,
        call: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        halves: bool = False,
    ) -> dict[str, Any]:
        """Tries again while the line breaks or the server is busy: a photo that is looked at twice does no harm.

        What can be sent in halves raises _NotInTime instead, where it takes too long.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        why, pause = "", 0.0
        for attempt in range(self._tries):
            if pause:
                self._wait(pause)
            kept = self._line is not None
            pause = min(LONGEST_PAUSE, PAUSE * 2**attempt) * random.uniform(1, 1.5)  # clients do not come back as one
            try:
                status, told, after = self._once(method, f"{self._at.path.rstrip('/')}/api/v1/{call}", body, sent)
            except (OSError, HTTPException) as error:
                self.close()
                if halves and isinstance(error, TimeoutError):
                    raise _NotInTime from error
                why = f"{type(error).__name__}: {error}"
                # A server ends a line that nobody used for a while, and says so to whoever uses it next.
                pause = 0.0 if kept and not attempt and isinstance(error, ConnectionError) else pause
                continue
            if halves and status == NOT_IN_TIME:
                raise _NotInTime
            if status not in BUSY and not (status == 409 and b'"key_in_hand"' in told):
                return _read(status, told)
            why = f"status {status}"
            pause = max(pause, _seconds(after))
        raise NoAnswer(f"{self._at.netloc} did not answer {call} in {self._tries} tries; the last time: {why}.")

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        if self._line is None:
            kind = HTTPSConnection if self._at.scheme == "https" else HTTPConnection
            self._line = kind(str(self._at.hostname), self._at.port, timeout=self._timeout)
        self._line.request(method, path, body or None, dict(headers))
        answer = self._line.getresponse()
        return answer.status, answer.read(), answer.headers.get("Retry-After", "")

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _is_file(path: Path) -> bool:
    """A link that leads nowhere is one that cannot be read, which is told; what is no file at all is none."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _batches(photos: "Iterable[bytes | Refusal]") -> "Iterator[list[bytes | Refusal]]":
    batch, size = list["bytes | Refusal"](), 0
    for photo in photos:
        more = len(photo) if isinstance(photo, bytes) else 0
        if batch and (len(batch) == MOST_PHOTOS or size + more > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(photo)
        size += more
    if batch:
        yield batch


def _read_file(photo: Photo) -> "bytes | Refusal":
    if isinstance(photo, bytes):
        return photo
    try:
        return Path(photo).read_bytes()
    except OSError as error:
        return _refusal("unreadable", f"{photo} cannot be read: {error.strerror or error}.")


def _refusal(code: str, message: str) -> Refusal:
    return {"code": code, "message": message, "field": ""}


def _bytes(photo: Photo) -> bytes:
    return photo if isinstance(photo, bytes) else Path(photo).read_bytes()


def _form(border: str, files: Mapping[str, list[bytes]], said: Mapping[str, object]) -> bytes:
    parts = list[bytes]()
    for name, value in said.items():
        parts.append(f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, contents in files.items():
        start = f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="photo"\r\n\r\n'.encode()
        for content in contents:
            parts += [start, content, b"\r\n"]
    return b"".join([*parts, f"--{border}--\r\n".encode()])


def _read(status: int, told: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(told)
    except ValueError as error:
        if status == TOO_LARGE:
            told_by = "A proxy before the server takes less at once. Send a smaller photo, or have it take more."
            raise Refused(status, "too_large", told_by) from error
        raise Refused(status, "unreadable", f"The server answered {status}, and no JSON. Is it DAGER?") from error
    if status >= 300:
        said = answer.get("error", {})
        message = said.get("message", f"The server answered {status}.")
        raise Refused(status, said.get("code", ""), message, said.get("field", ""), answer.get("request_id", ""))
    return answer


def _seconds(after: str) -> float:
    """What Retry-After says, in seconds or as a date; 0 without it. Nobody is kept waiting for longer than a minute."""
    if after.isdecimal():
        return min(float(after), LONGEST_PAUSE)
    try:
        return min(max(parsedate_to_datetime(after).timestamp() - time.time(), 0.0), LONGEST_PAUSE)
    except (TypeError, ValueError):
        return 0.0
