"""What a claim takes of somebody who sees some sources only, beside somebody who sees everything.

python -m tests.services -- python -m tests.benchmarks.own_sources            (PostgreSQL, a million open questions)

The desk's made-up questions, whose photos are dealt out to sources of which one has a third of them, one a hundredth,
one a thousandth, and one none. A hundredth of the photos came from another source, too. Each annotator claims ten
questions, as the page does, and gives them back, in turns.
"""

import argparse
import os
import tempfile
import time
from itertools import chain

import django
import numpy as np
from django.core.management import call_command

from tests.benchmarks import desk

STRAYS = 0.01  # of the photos, by chance: another source brought them, too
SHARES = {"everything": 1.0, "a third": 1 / 3, "a hundredth": 0.01, "a thousandth": 0.001, "nothing": 0.0}


def deal_out() -> dict[str, int]:
    """The photos to sources; returns an annotator of each share, by its name."""
    from annotation import accounts, questions  # noqa: PLC0415  Django is set up by now
    from annotation.models import Copy, Photo, Question, Source, User  # noqa: PLC0415

    photos = list(Photo.objects.order_by("pk").values_list("pk", flat=True))
    users, begin = {}, 0
    for name, share in SHARES.items():
        user = User.objects.create_user(f"sees {name}")
        users[name] = user.pk
        if share == 1:
            continue
        source, count = Source.objects.create(name=name), int(share * len(photos))
        # Twenty in a row have faces of one grid: whole grids are of one source.
        Photo.objects.filter(pk__in=photos[begin : begin + count]).update(source=source)
        begin += count
        accounts.restrict(user, [source], by=None)
    rng, sources = np.random.default_rng(2), list(Source.objects.order_by("pk").exclude(name="nothing"))
    again = rng.choice(photos, int(STRAYS * len(photos)), replace=False).tolist()
    Copy.objects.bulk_create(
        [Copy(photo_id=pk, source=sources[pk % len(sources)], file=f"again/{pk}.jpg") for pk in again], batch_size=1_000
    )
    questions.find_sources(Question.objects.all())
    return users


def measure(users: dict[str, int], times: int, explain: bool) -> None:
    from django.db import connection  # noqa: PLC0415

    from annotation import queue, reads, visible  # noqa: PLC0415
    from annotation.models import User  # noqa: PLC0415

    taken: dict[str, list[float]] = {name: [] for name in users}
    counted = {}
    for _ in range(times):
        for name, pk in users.items():
            user = User.objects.get(pk=pk)
            started = time.perf_counter()
            found = queue.take_next(user, ahead=10)
            taken[name].append(1000 * (time.perf_counter() - started))
            assert len(found) == (10 if SHARES[name] else 0), (name, len(found))
            queue.give_back(user)
    for name, pk in users.items():
        user, started = User.objects.get(pk=pk), time.perf_counter()
        open_ = reads.tally(user, idle=False).open
        counted[name] = (open_, 1000 * (time.perf_counter() - started))
    print("| sees | claim of ten: median, ms | p95 | open questions, up to 10,000: counted | ms |")
    print("| --- | --- | --- | --- | --- |")
    for name, spent in taken.items():
        low, high = np.percentile(spent, (50, 95))
        print(f"| {name} | {low:.0f} | {high:.0f} | {counted[name][0]} | {counted[name][1]:.0f} |", flush=True)
    if explain:
        for name in users:
            user = User.objects.get(pk=users[name])
            free = queue._free(user.pk, user.curates, None, queue.timezone.now())
            for part in chain.from_iterable(visible.may_be_asked(user)):
                print(f"---- {name}\n{free.filter(part)[:20].explain(analyze=True)}")
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--explain", action="store_true", help="how the database finds them, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        desk.make(asked.open, 0)
        users = deal_out()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        print(f"{connection.vendor}, {asked.open} open questions", flush=True)
        measure(users, asked.times, asked.explain)


if __name__ == "__main__":
    main()
