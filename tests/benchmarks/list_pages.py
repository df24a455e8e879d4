"""How long each list page takes, and in how many SQL queries, with many faces.

python -m tests.services -- python -m tests.benchmarks.list_pages [--faces 1000000] [--times 40] [--restricted]

Made-up faces, a tenth as many people, clusters of ten, pairs, conflicts and acts. Each page is asked for as the browser
asks, without the web server: the first page, and then page after page by its cursor. With `--restricted` also by
curators who see one source only, which has a third, a hundredth, a thousandth of all photos.
"""

import argparse
import os
import re
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import django
import numpy as np
from django.core.management import call_command

PAGES = {
    "people": "/people/",
    "people by name": "/people/?sort=name",
    "people searched": "/people/?search=body+77",
    "perhaps one": "/people/alike",
    "clusters": "/clusters/",
    "history": "/people/acts",
    "merges": "/people/acts?only=merges",
    "photos": "/photos/",
    "faces": "/faces/",
    "faces without a label": "/faces/?label=none",
    "not a face": "/faces/?label=not_a_face",
    "gray faces, one in 3,000": "/faces/?gray=yes",
    "not chosen, one in 1,500": "/faces/?chosen_face=no",
    "not usable, large": "/faces/?usable=no&min_size=500",
    "faces of a search term": "/faces/?query=term+123",
    "faces of a source": "/faces/?source=1",
    "photos of a source": "/photos/?source=1",
    "photos of a search term": "/photos/?query=term+123",
    "photos without a face": "/photos/?faces=none",
    "photos of a week": "/photos/?taken_from=2001-02-03&taken_to=2001-02-09",
    "duplicates": "/photos/?duplicates=only",
    "sources": "/sources/",
    "runs": "/runs/",
    "conflicts": "/curate/",
    "decided": "/curate/decided",
    "live sample": "/curate/live",
    "annotators": "/curate/annotators/",
    "own answers": "/answers/",
}
CLOSED = {"runs", "annotators"}  # to whoever sees some sources only
PATIENCE = 10  # seconds that a query may take
SHARES = {"a third": 1 / 3, "a hundredth": 0.01, "a thousandth": 0.001}


def make(count: int) -> Any:
    """The rows, and the curator who looks at them."""
    from django.utils import timezone  # noqa: PLC0415  Django is set up by now

    from annotation import models as m  # noqa: PLC0415
    from tests.benchmarks import desk  # noqa: PLC0415
    from tests.factories import a_run, a_user  # noqa: PLC0415

    desk.FACES = count
    faces, curator, run = desk._faces(), a_user("carol"), a_run()
    labelled = count - max(count // 50_000, 1)  # nearly all: what is rare takes longest to be found
    people = desk._people(count // 10, faces[:labelled])
    wrong = m.Label.objects.filter(face__in=faces[:labelled:5_000])
    wrong.update(verdict="not_a_face", identity=None)
    m.Photo.objects.filter(pk__in=m.Photo.objects.order_by("pk").values("pk")[:100]).update(face_count=0)
    original = m.Photo.objects.latest("pk")
    m.Photo.objects.filter(pk__in=m.Photo.objects.order_by("pk").values("pk")[100:300]).update(duplicate_of=original)
    clusters, free, few = count // 20, faces[count // 2 :], range(min(desk.ROWS, count // 20))
    desk._store(m.Cluster(run=run, face_count=10) for _ in few)
    desk.multiply(m.Cluster, clusters)
    cluster = desk.first_of(m.Cluster)
    desk._store(m.Membership(run=run, cluster_id=cluster + k, face_id=free[k], belief=0.9) for k in few)
    in_turns = {"cluster_id": f"{cluster} + k % {clusters}", "face_id": f"{free[0]} + k"}
    desk.multiply(m.Membership, len(free), **in_turns)
    desk._store(
        m.Question(kind="pair", identity_id=people[k], other_identity_id=people[k + 1], worth=k % 997, belief=0.5)
        for k in few
    )
    beside = {"identity_id": f"{people[0]} + k", "other_identity_id": f"{people[0]} + k + 1", "worth": "k % 997"}
    desk.multiply(m.Question, len(people) - 1, **beside)
    now = timezone.now()
    for state, settled in (("open", None), ("settled", now)):
        conflicts = [
            m.Question(kind="value", attribute="emotion", purpose="verdict", state=state, settled_at=settled)
            for _ in range(min(2_000, count // 10))
        ]
        desk._store(conflicts)
        desk._store(m.QuestionFace(question=q, face_id=faces[k], place=0, belief=0) for k, q in enumerate(conflicts))
        said = [
            m.Answer(question=q, annotator=curator, content={"verdict": "value", "value": "sad"}, actions=1)
            for q in conflicts
        ]
        desk._store(said)
        desk._store(
            m.Vote(answer=answer, annotator=curator, face_id=faces[k], attribute="emotion", value="sad")
            for k, answer in enumerate(said)
        )
    acts = [
        m.Answer(annotator=curator, content={"act": "merge", "identities": [1], "into": 2}, actions=1)
        for _ in range(min(20_000, count // 10))
    ]
    desk._store(acts)
    desk._store(
        m.Decision(kind="merge", identity_id=people[k], other_identity_id=people[k + 1], person=curator, answer=act)
        for k, act in islice(enumerate(acts), len(people) - 1)
    )
    return curator


def addresses(client: Any, first: str) -> Iterator[str]:
    """The first page, then the one that each page calls the next."""
    address = first
    while True:
        yield address
        found = re.search(r'rel="next" href="([^"]+)"', client.get(address).content.decode())
        if found is None:
            yield from cycle([first])
        address = first.split("?")[0] + found[1].replace("&amp;", "&")  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--again", action="store_true", help="the site is there from an earlier time")
    parser.add_argument("--restricted", action="store_true", help="by curators of some sources, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.conf import settings  # noqa: PLC0415
        from django.db import connection  # noqa: PLC0415
        from django.test import Client  # noqa: PLC0415

        settings.ALLOWED_HOSTS.append("testserver")
        from annotation import dashboard  # noqa: PLC0415
        from annotation.models import User  # noqa: PLC0415

        if not asked.again:
            call_command("migrate", verbosity=0)
        curator = User.objects.get(username="carol") if asked.again else make(asked.faces)
        looking = [("everything", curator)]
        if asked.restricted and asked.again:
            looking += [(name, User.objects.get(username=name)) for name in SHARES]
        elif asked.restricted:
            looking += dealt_out()
        if connection.vendor == "postgresql" and not asked.again:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")  # as autovacuum does in time
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = '{PATIENCE}s'")
        dashboard.take()  # as a worker does every minute: sources are counted there
        print(f"{connection.vendor}, {asked.faces:,} faces")
        for title, user in looking:
            client = Client()
            client.force_login(user)
            client.get("/")  # what only the first request of a process takes
            print(f"\n| sees {title} | queries | median, ms | p95 | slowest query |\n| --- | --- | --- | --- | --- |")
            for name, first in PAGES.items():
                if not (title != "everything" and name in CLOSED):
                    print(f"| {name} {_measured(client, first, asked.times)}", flush=True)


def dealt_out() -> list[tuple[str, Any]]:
    """A curator of each share. Whoever is shown has ten faces all over the photos, so most people are seen in part."""
    from annotation import accounts  # noqa: PLC0415  Django is set up by now
    from annotation.models import Photo, Source  # noqa: PLC0415
    from tests.factories import a_user  # noqa: PLC0415

    photos, begin, found = list(Photo.objects.order_by("pk").values_list("pk", flat=True)), 0, list[tuple[str, Any]]()
    for title, share in SHARES.items():
        source, count = Source.objects.create(name=title), int(share * len(photos))
        Photo.objects.filter(pk__gte=photos[begin], pk__lt=photos[begin + count]).update(source=source)
        begin += count
        user = a_user(title)
        accounts.restrict(user, [source], by=None)
        found.append((title, user))
    return found


def _measured(client: Any, first: str, times: int) -> str:
    from django.db import OperationalError, connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    waits, queries, slowest = [], set[int](), 0.0
    for address in islice(addresses(client, first), times):
        with CaptureQueriesContext(connection) as told:
            begun = time.perf_counter()
            try:
                answer = client.get(address)
            except OperationalError:
                return f"| | more than {PATIENCE}000 | | |"
            waits.append(1000 * (time.perf_counter() - begun))
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")
        queries.add(len(told))
        slowest = max(slowest, *(1000 * float(each["time"]) for each in told.captured_queries))
    spread = f"{min(queries)}" if len(queries) == 1 else f"{min(queries)}–{max(queries)}"
    return f"| {spread} | {np.median(waits):.0f} | {np.percentile(waits, 95):.0f} | {slowest:.0f} |"


if __name__ == "__main__":
    main()
