"""How long the page takes from a key to the next question on the screen, in Chromium.

python -m tests.benchmarks.desk_page [--questions 160] [--thought 1]

A grid of twenty drawn faces after the other, on SQLite, served by gunicorn. First somebody who thinks for a second:
from the key to the frame that shows the next question with all of its pictures. Then a script that answers as soon as
it can.
"""

import argparse
import io
import os
import tempfile
import time

import django
import numpy as np
from django.core.files.base import ContentFile
from django.core.management import call_command
from playwright.sync_api import Page, sync_playwright

FACES = 20
CROP = 384  # pixels, as intake makes them

# Resolves once a frame with another grid and all of its pictures was handed to the screen.
ANSWER = """() => new Promise((resolve) => {
  const shown = () => [...document.querySelectorAll("#grid img")];
  const before = shown()[0].src;
  const begun = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
  const look = () => {
    const now = shown();
    if (document.querySelector("#question").hidden) return resolve(null);
    if (now.length && now[0].src !== before && now.every((each) => each.complete && each.naturalWidth)) {
      const channel = new MessageChannel(); // after the frame, not before it
      channel.port1.onmessage = () => resolve(performance.now() - begun);
      return channel.port2.postMessage(0);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""


def make(questions: int) -> int:
    from django.core.files.storage import default_storage  # noqa: PLC0415  Django is set up by now

    from annotation.core.drawn import draw_portrait  # noqa: PLC0415
    from tests.factories import a_face, a_grid, a_photo, a_source, a_user, a_version  # noqa: PLC0415

    a_version()
    source = a_source("drawn")
    crops = []
    for seed in range(40):
        encoded = io.BytesIO()
        draw_portrait(seed, seed, (CROP, CROP)).save(encoded, "JPEG")
        crops.append(encoded.getvalue())
    for number in range(questions):
        faces = [a_face(a_photo(source)) for _ in range(FACES)]
        for place, face in enumerate(faces):
            default_storage.save(face.crop_key, ContentFile(crops[(number + place) % len(crops)]))
        a_grid(faces, value="happy", attribute="emotion")
    return int(a_user("ann").pk)


def answer(page: Page, count: int, thought: float) -> list[float]:
    waits = []
    for _ in range(count):
        time.sleep(thought)
        waits.append(page.evaluate(ANSWER))
    return [wait for wait in waits if wait is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=160)
    parser.add_argument("--thought", type=float, default=1.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING", "DJANGO_ALLOW_ASYNC_UNSAFE": "true"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from tests.benchmarks.desk import cookies_of, served  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        user = make(asked.questions)
        with served(1) as port, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            address = f"http://127.0.0.1:{port}"
            context.add_cookies([{"name": k, "value": v, "url": address} for k, v in cookies_of(user).items()])
            page = context.new_page()
            page.goto(f"{address}/annotate/")
            page.wait_for_function("() => document.querySelectorAll('#grid img').length === 20")
            page.wait_for_load_state("networkidle")
            waits = answer(page, asked.questions // 2, asked.thought)
            print(f"from the key to the next question, ms: median {np.median(waits):.0f}, ", end="")
            print(f"p95 {np.percentile(waits, 95):.0f}, worst {max(waits):.0f} (n {len(waits)})")
            begun = time.perf_counter()
            waits = answer(page, asked.questions // 2 - 5, 0.0)
            page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('dager.answer.'))")
            spent = time.perf_counter() - begun
            print(f"as fast as it goes: {60 * len(waits) / spent:.0f} grids a minute, all kept; ", end="")
            print(f"p95 {np.percentile(waits, 95):.0f} ms")
            browser.close()


if __name__ == "__main__":
    main()
