"""What pages and the API show: named reads over several tables, each in a fixed number of queries."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, takewhile
from typing import Any, Generic, TypeVar

from django.core import signing
from django.core.cache import cache
from django.db.models import Count, F, Model, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import figures, lifetimes, live_settings, progress, sightings, visible
from annotation.core.batches import batched
from annotation.core.sampling import draw
from annotation.models import (
    Agreement,
    Answer,
    AttributeLabel,
    Calibration,
    Certificate,
    Cluster,
    ClusteringRun,
    Decision,
    Face,
    Identity,
    Intake,
    Label,
    Membership,
    Photo,
    Proposal,
    Question,
    QuestionFace,
    Refusal,
    Reliability,
    Snapshot,
    User,
    Vote,
    rights_stated,
)
from annotation.prepared import Prepared
from inference.core.attributes import ATTRIBUTES, Attribute, attribute
from inference.core.years import interval

Row = TypeVar("Row", bound=Model)

EXEMPLARS = 6  # enough to know a person by, few enough to take in at a glance
MANY = 10_000  # beyond this a list says "more than": nobody needs the exact number, and counting it takes seconds
AT_ONCE = 500  # rows looked at again by their ids
COUNT_AGAIN = 30  # seconds
STREAK = 200  # of answers to gold that are looked at


# ---- pages by cursor


@dataclass(frozen=True)
class Page(Generic[Row]):
    """A stretch of a long list. The cursors are signed, so that nobody can ask the database for anything else."""

    rows: list[Row]
    previous: str  # cursor of the page before; empty on the first
    next: str  # and of the one after


def page(rows: QuerySet[Row], *, order: Sequence[str], cursor: str = "", size: int = 48) -> Page[Row]:
    """The rows at a cursor, by keyset: the millionth page costs what the first does.

    `order` names columns or annotations that are never null, `-` before one for descending; together they must tell
    any two rows apart. A cursor that is damaged, or of another list, is the first page.
    """
    values, backwards = _read_cursor(cursor, order)
    direction = [_reverse(name) for name in order] if backwards else list(order)
    found = rows.order_by(*direction)
    if values:
        found = found.filter(_after(direction, values))
    fetched = list(found[: size + 1])
    more, stretch = len(fetched) > size, fetched[:size]
    if backwards:
        stretch.reverse()
    before, after = (more, bool(values)) if backwards else (bool(values), more)
    return Page(
        rows=stretch,
        previous=_cursor(stretch[0], order, backwards=True) if before and stretch else "",
        next=_cursor(stretch[-1], order, backwards=False) if after and stretch else "",
    )


def whole(keys: Sequence[Row], rows: QuerySet[Row]) -> list[Row]:
    """All of these rows, in their order, of which only the key was read: from an index, however rare they are."""
    found = rows.in_bulk([each.pk for each in keys])
    return [found[each.pk] for each in keys if each.pk in found]


def _after(order: Sequence[str], values: Sequence[Any]) -> Q:
    beyond, level = Q(), Q()
    for name, value in zip(order, values, strict=True):
        column, comparison = name.removeprefix("-"), "lt" if name.startswith("-") else "gt"
        beyond |= level & Q(**{f"{column}__{comparison}": value})
        level &= Q(**{column: value})
    return beyond


def _reverse(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _cursor(row: Model, order: Sequence[str], *, backwards: bool) -> str:
    values = [getattr(row, name.removeprefix("-")) for name in order]
    return signing.dumps([list(order), values, backwards], salt="cursor", compress=True)


def _read_cursor(cursor: str, order: Sequence[str]) -> tuple[list[Any], bool]:
    try:
        made_for, values, backwards = signing.loads(cursor, salt="cursor")
    except signing.BadSignature:
        return [], False
    return (values, backwards) if made_for == list(order) else ([], False)


def count_up_to_many(rows: QuerySet[Any]) -> int:
    """How many there are; MANY + 1 stands for "more than MANY"."""
    return rows.order_by()[: MANY + 1].count()


# ---- where things stand


@dataclass(frozen=True)
class Standing:
    counts: dict[str, int]
    steps: list[progress.Step]
    intakes: list[Intake]  # running, waiting, or just ended
    done: bool  # nothing is on its way


def standing(user: User, now: datetime | None = None) -> Standing:
    """Of whoever sees some sources only, what became of these; how far the machine is with all the others, it leaves
    out."""
    recent = Q(finished_at__gte=(now or timezone.now()) - timedelta(hours=1))
    unfinished = Q(state__in=[Intake.State.WAITING, Intake.State.RUNNING])
    deliveries = Intake.objects.filter(source__in=visible.sources(user)) if user.restricted else Intake.objects.all()
    intakes = list(deliveries.filter(unfinished | recent).select_related("source").order_by("-pk")[:10])
    labels = visible.labels(user).filter(verdict=Label.Verdict.IDENTITY)
    exportable = labels.filter(visible.told_by(user, "face__photo"), rights_stated("face__photo"))
    whose = user.pk if user.restricted else "all"
    counts = {
        "people": people(user).count(),
        "exportable": _count_now_and_then(lambda: exportable, f"exportable.{whose}"),
    }
    if user.restricted:
        done = not deliveries.filter(unfinished).exists() and not visible.photos(user).without_faces_sought().exists()
        return Standing(counts=_funnel_of(user) | counts, steps=[], intakes=intakes, done=done)
    steps, done = progress.steps()
    return Standing(counts=progress.funnel() | counts, steps=steps, intakes=intakes, done=done)


def _funnel_of(user: User) -> dict[str, int]:
    """The counts of `progress.funnel`, of what somebody restricted sees; where they are many, of half a minute ago."""
    name = f"funnel.{user.pk}.{hash(tuple(user.own_sources))}"
    known: dict[str, int] | None = cache.get(name)
    if known is not None:
        return known
    found = _count_funnel_of(user)
    if found["faces"] > MANY:
        cache.set(name, found, COUNT_AGAIN)
    return found


def _count_funnel_of(user: User) -> dict[str, int]:
    photos, faces = visible.photos(user), visible.faces(user)
    embedded = faces.filter(embeddings__version__task="embedding", embeddings__version__state="live")
    return {
        "sources": visible.sources(user).count(),
        "refused": Refusal.objects.filter(source__in=visible.sources(user)).count(),
        "photos": photos.count(),
        "duplicates": photos.filter(duplicate_of__in=photos.values("pk")).count(),
        "faces": faces.count(),
        "embedded": embedded.count(),
        "clusters": clusters_with_faces(user).count(),
        "questions": _count_seen(user, Question.objects.filter(state=Question.State.OPEN)),
        "labels": visible.labels(user).filter(verdict=Label.Verdict.IDENTITY).count(),
    }


# ---- people


def people(user: User) -> QuerySet[Identity]:
    """Everyone who has a face; of whoever sees some sources only, a face that is seen."""
    return visible.identities(user).filter(face_count__gt=0)


def people_counted(user: User) -> QuerySet[Identity]:
    """The same of whoever sees some sources only, with how many are seen of each as `seen`: all of them are counted."""
    return Identity.objects.filter(visible.of(user, "labels__face__photo")).annotate(seen=Count("labels"))


def exemplars(identities: Collection[int], user: User, count: int = EXEMPLARS) -> dict[int, list[Face]]:
    """The clearest faces of each of these people: large, usable, one per group of duplicates."""
    if user.restricted:
        ranked = list(_clearest(_one_of_each(user, visible.labels(user).filter(identity__in=identities)), count))
    else:
        ranked = _clearest_of(sorted(identities), count)
    faces = {face.pk: face for face in _faces([face for _, face in ranked])}
    found: dict[int, list[Face]] = defaultdict(list)
    for identity, face in ranked:
        if face in faces:
            found[identity].append(faces[face])
    visible.as_seen(user, list(faces.values()))
    return found


def _clearest(labels: QuerySet[Label], count: int) -> QuerySet[Label, tuple[int, int]]:
    rank = Window(
        RowNumber(), partition_by="identity_id", order_by=[F("face__usable").desc(), F("face__width").desc(), "face_id"]
    )
    best = labels.annotate(rank=rank).filter(rank__lte=count).order_by("identity_id", "rank")
    return best.values_list("identity_id", "face_id")


_LARGE = ("landmarks", "points", "transform", "photo__metadata", "photo__caption")  # columns that no list shows
_faces = Prepared[Face](
    lambda ids: Face.objects.filter(pk__in=ids).select_related("photo__source").defer(*_LARGE).order_by()
)
_clearest_of = Prepared[tuple[int, int]](
    lambda people, count: _clearest(Label.objects.filter(identity__in=people, face__duplicate_of=None), count)
)


def _one_of_each(user: User, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Of rows that have a face: of each group of duplicates the one that stands for it; others if that is not seen."""
    stands = Q(face__duplicate_of=None)
    if user.restricted:
        stands |= ~visible.of(user, "face__duplicate_of__photo")
    return rows.filter(stands)


@dataclass(frozen=True)
class Person:
    """Somebody with a few of their faces."""

    identity: Identity
    face_count: int
    faces: list[Face]


@dataclass(frozen=True)
class Merging:
    """What it would change if these people were one."""

    sides: list[Person]
    into: Identity
    total: int  # faces
    shared_photos: int  # that show two of them or more: one person is hardly twice in a photo
    said_to_differ: list[Decision]
    names_lost: list[str]
    values: list[tuple[str, list[tuple[str, int]]]]  # attributes on which their faces do not agree
    questions: int  # about two of them, which will be asked no more


def merging(people: Sequence[int], user: User, into: int | None = None) -> Merging:
    """The preview of a merge; in a fixed number of queries. Without `into` whoever has most faces stays."""
    persons = _persons(Identity.objects.in_bulk(people).values(), user)
    sides = sorted(persons.values(), key=lambda side: (-side.face_count, side.identity.pk))
    stays = persons[into].identity if into in persons else sides[0].identity
    photos = Label.objects.filter(identity__in=people).order_by().values("face__photo")
    shared = photos.annotate(people=Count("identity", distinct=True)).filter(people__gt=1)
    once = [*people, *Identity.objects.filter(merged_into__in=people).values_list("pk", flat=True)]
    lines = Decision.objects.standing().filter(
        kind=Decision.Kind.CANNOT_LINK, identity__in=once, other_identity__in=once
    )
    among = Question.objects.filter(
        kind=Question.Kind.PAIR, state=Question.State.OPEN, identity__in=once, other_identity__in=once
    )
    return Merging(
        sides=sides,
        into=stays,
        total=sum(side.face_count for side in sides),
        shared_photos=shared.count(),
        said_to_differ=list(lines.select_related("person", "identity", "other_identity").order_by("-pk")[:10]),
        names_lost=sorted(
            {side.identity.name for side in sides if side.identity.name and side.identity.name != stays.name}
        ),
        values=_disagreements(people),
        questions=among.count(),
    )


def _disagreements(people: Collection[int]) -> list[tuple[str, list[tuple[str, int]]]]:
    constant = [each.name for each in ATTRIBUTES.values() if each.of_identity]
    rows = AttributeLabel.objects.filter(attribute__in=constant, face__label__identity__in=people).order_by()
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, value, count in rows.values_list("attribute", "value").annotate(count=Count("pk")):
        found[name][value] = count
    return [(name, values.most_common()) for name, values in found.items() if len(values) > 1]


def suggestions(user: User) -> QuerySet[Question]:
    """Pairs of people who may be one and whom nobody has settled yet."""
    return visible.questions(user).filter(kind=Question.Kind.PAIR, state=Question.State.OPEN)


def suggestions_about(identity: Identity, user: User) -> QuerySet[Question]:
    ids = _once(identity)
    return suggestions(user).filter(Q(identity__in=ids) | Q(other_identity__in=ids)).order_by("-worth", "pk")


def acts_done(user: User) -> QuerySet[Answer]:
    """Everything that was done on pages, rather than answered to questions: merges, splits, names and the like."""
    return visible.answers(user).filter(question=None, content__has_key="act").select_related("annotator", "question")


def merges_done(user: User) -> QuerySet[Decision]:
    """Every merge that was ever written down, by an act or by an answer, undone ones too."""
    related = ("identity", "other_identity", "answer__annotator", "answer__question", "undone_by")
    return visible.decisions(user).filter(kind=Decision.Kind.MERGE, answer__isnull=False).select_related(*related)


def _once(identity: Identity) -> list[int]:
    """This person and all who were merged into them."""
    return [identity.pk, *Identity.objects.filter(merged_into=identity).values_list("pk", flat=True)]


# ---- clusters


def current_run() -> ClusteringRun | None:
    return ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).first()


def unchecked_clusters(user: User) -> QuerySet[Cluster]:
    """Clusters of two faces or more that no person has looked at; of whoever sees some sources only, two that are seen,
    and how many as `seen`."""
    if user.restricted:
        unknown = Q(identity=None) | ~Q(identity__in=visible.identities(user))
        return clusters_with_faces(user).filter(unknown, seen__gte=2)  # type: ignore[misc]
    return Cluster.objects.filter(run=current_run(), identity=None, face_count__gte=2)


def clusters_with_faces(user: User) -> QuerySet[Cluster]:
    """The clusters of the grouping that holds in which somebody restricted sees faces, and how many as `seen`."""
    in_sight = Cluster.objects.filter(visible.of(user, "memberships__face__photo"), run=current_run())
    return in_sight.annotate(seen=Count("memberships"))


def members_seen(user: User) -> QuerySet[Membership]:
    return Membership.objects.filter(visible.of(user, "face__photo"))


def without_strangers(user: User, clusters: Sequence[Cluster]) -> Sequence[Cluster]:
    """The same clusters, in place: of how many faces, and of whom, as this person sees them. Never to be saved."""
    if user.restricted:
        known = set(visible.identities(user).filter(clusters__in=clusters).values_list("pk", flat=True))
        members = members_seen(user).filter(cluster__in=clusters).order_by()
        counts = dict(members.values_list("cluster").annotate(count=Count("pk")))
        for each in clusters:
            each.face_count = counts.get(each.pk, 0)
            if each.identity_id not in known:
                each.identity = None
    return clusters


def surest_faces(clusters: Collection[int], user: User, count: int = EXEMPLARS) -> dict[int, list[Face]]:
    """The faces of each cluster that the machine is surest of."""
    rank = Window(
        RowNumber(), partition_by="cluster_id", order_by=[F("face__usable").desc(), F("belief").desc(), "face_id"]
    )
    members = _one_of_each(user, members_seen(user).filter(cluster__in=clusters))
    members = members.annotate(rank=rank).filter(rank__lte=count)
    found: dict[int, list[Face]] = defaultdict(list)
    for member in members.select_related("face__photo__source").order_by("cluster_id", "rank"):
        found[member.cluster_id].append(member.face)
    visible.as_seen(user, [face for faces in found.values() for face in faces])
    return found


def terms_of(clusters: Collection[int], user: User) -> dict[int, list[tuple[str, int]]]:
    """The search terms of each cluster's photos, the most frequent first."""
    members = Membership.objects.filter(visible.told_by(user, "face__photo"), cluster__in=clusters)
    members = members.exclude(face__photo__query="")
    counted = (
        members.values_list("cluster_id", "face__photo__query")
        .annotate(count=Count("pk"))
        .order_by("-count", "face__photo__query")
    )
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for cluster, query, count in counted:
        found[cluster].append((query, count))
    return found


# ---- questions


@dataclass(frozen=True)
class Asked:
    """A question with everything that its page shows, and nothing besides: no belief that could sway the answer."""

    question: Question
    faces: list[Face]  # shuffled, so that their places say nothing; of a pair, none
    people: list[Person]  # whom a cluster would extend, or the two of a pair, left and right by chance
    queries: list[tuple[str, int]]  # search terms with their counts
    sources: list[tuple[str, int]]

    @property
    def title(self) -> str:
        return self.question.attribute.replace("_", " ")

    @property
    def values(self) -> tuple[str, ...]:
        """What the attribute that is asked about may be; none for years, and for who somebody is."""
        return attribute(self.question.attribute).values if self.question.attribute else ()

    @property
    def facts(self) -> dict[int, str]:
        """By face, what is written of it: only where that is what is asked about."""
        if self.question.kind != Question.Kind.RECORD:
            return {}
        beside = [face for person in self.people for face in person.faces]
        return {face.pk: facts_of(face.photo) for face in (*self.faces, *beside)}


def facts_of(photo: Photo) -> str:
    """The dates that came with a photo, in words."""
    low, high = (photo.imported or {}).get("age") or (None, None)
    age = "" if low is None else f"{low:g}"
    if low is not None and high - low > 1:
        age = _("{low} to {high}").format(low=age, high=f"{high:g}")
    facts = [
        _("taken {date}").format(date=lifetimes.date_of(photo, "taken_at")) if photo.taken_at else "",
        _("born {date}").format(date=lifetimes.date_of(photo, "birth_date")) if photo.birth_date else "",
        _("aged {age}").format(age=age) if age else "",
    ]
    return ", ".join(fact for fact in facts if fact)


def asked(questions: Sequence[Question], user: User) -> list[Asked]:
    """These questions, which this person may see, as they are shown."""
    shown: dict[int, list[Face]] = defaultdict(list)
    for place in _shown([question.pk for question in questions]):
        shown[place.question_id].append(place.face)
    visible.as_seen(user, [face for faces in shown.values() for face in faces])
    people_of = _people_of(questions)
    everybody = _persons((person for people in people_of.values() for person in people), user)
    return [
        Asked(
            question=question,
            faces=_shuffled(question, shown[question.pk]),
            people=[everybody[person.pk] for person in _sides(question, people_of[question.pk])],
            queries=[] if question.blind else tally_of(face.photo.query for face in shown[question.pk]),
            sources=tally_of(face.photo.source.name for face in shown[question.pk]),
        )
        for question in questions
    ]


_shown = Prepared[QuestionFace](
    lambda questions: (
        QuestionFace.objects.filter(question__in=questions)
        .select_related("face__photo__source")
        .defer(*(f"face__{name}" for name in _LARGE))
        .order_by("place")
    )
)


def _shuffled(question: Question, faces: list[Face]) -> list[Face]:
    """In an order that is always the same for this question, and tells nothing; dated photos stay in theirs."""
    if question.kind == Question.Kind.RECORD:
        return faces
    return sorted(faces, key=lambda face: draw(str(face.pk), f"place{question.pk}"))


def _sides(question: Question, people: list[Identity]) -> list[Identity]:
    return people[::-1] if draw(str(question.pk), "side") < 0.5 else people


def _people_of(questions: Sequence[Question]) -> dict[int, list[Identity]]:
    """Who each question is about, as they are after all merges."""
    about = {
        question.pk: [pk for pk in (question.identity_id, question.other_identity_id) if pk is not None]
        for question in questions
    }
    clusters = {question.cluster_id for question in questions if question.cluster_id and not about[question.pk]}
    extended = Cluster.objects.filter(pk__in=clusters, identity__isnull=False)
    known = dict(extended.values_list("pk", "identity_id")) if clusters else {}
    for question in questions:
        if question.cluster_id in known and not about[question.pk]:
            about[question.pk] = [known[question.cluster_id]]
    mentioned = {pk for pks in about.values() for pk in pks}
    known_as = Identity.objects.select_related("merged_into").in_bulk(mentioned)
    now = {pk: row.merged_into or row for pk, row in known_as.items()}
    return {question: [now[pk] for pk in pks if pk in now] for question, pks in about.items()}


def _persons(people: Iterable[Identity], user: User) -> dict[int, Person]:
    rows = {person.pk: person for person in people}
    visible.as_seen(user, list(rows.values()))
    faces = exemplars(rows.keys(), user) if rows else {}
    return {pk: Person(row, row.face_count, faces.get(pk, [])) for pk, row in rows.items()}


def tally_of(values: Iterable[str]) -> list[tuple[str, int]]:
    return Counter(value for value in values if value).most_common()


@dataclass(frozen=True)
class Tally:
    """How far one person has come."""

    answered_today: int
    open: int  # questions of that kind that wait for anybody, or for a curator; of many, as of a while ago
    skipped: int  # by this person, still open; counted where nothing else is left to ask


def tally(annotator: User, kind: str | None = None, *, idle: bool, now: datetime | None = None) -> Tally:
    """How far somebody has come, and whether, `idle` as they are, something that they skipped might be asked again."""
    today = (now or timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    name = f"{kind}.{annotator.curates}"
    if annotator.restricted:
        answered = _answered(visible.answers(annotator), annotator.pk, today).count()
        # Other sources end all sessions: what was counted of those before is not told again.
        name += f".{annotator.pk}.{annotator.sessions_ended}"
        open_ = _count_seldom(annotator, _waiting(annotator, kind), name)
    else:
        answered = sum(_count_answered(annotator.pk, today))
        open_ = _count_now_and_then(partial(_waiting, annotator, kind), name)
    skipped = visible.answers(annotator).filter(
        annotator=annotator, undone_at=None, question__state=Question.State.OPEN, content__verdict="skip"
    )
    return Tally(answered_today=answered, open=open_, skipped=skipped.count() if idle else 0)


def _waiting(annotator: User, kind: str | None) -> QuerySet[Question]:
    waiting = Question.objects.filter(state=Question.State.OPEN)
    if not annotator.curates:
        waiting = waiting.exclude(purpose=Question.Purpose.VERDICT)
    return waiting.filter(kind=kind) if kind else waiting


def _answered(answers: QuerySet[Answer], annotator: int, since: datetime) -> QuerySet[Answer]:
    own = answers.filter(annotator=annotator, question__isnull=False, undone_at=None, at__gte=since)
    return own.exclude(content__verdict="skip")


_count_answered = Prepared[int](
    lambda annotator, since: (
        _answered(Answer.objects.all(), annotator, since)
        .order_by()
        .values("annotator")
        .annotate(count=Count("pk"))
        .values_list("count", flat=True)
    )
)


def _count_now_and_then(wanted: Callable[[], QuerySet[Any]], name: str) -> int:
    """How many there are: exact up to many; beyond that counted twice a minute by one of all who ask."""
    name = f"count.{name}"
    known = cache.get(name)
    if known is not None and not cache.add(f"{name}.now", True, COUNT_AGAIN):
        return int(known)
    rows = wanted()
    count = count_up_to_many(rows)
    if count > MANY:
        count = rows.order_by().count()
        cache.set(name, count, None)
        cache.set(f"{name}.now", True, COUNT_AGAIN)
    else:
        cache.delete(name)
    return count


def _count_seldom(user: User, rows: QuerySet[Question], name: str) -> int:
    """How many there are, up to many, as of half a minute ago: whoever sees some sources only has a count of their
    own, which takes longer."""
    count = cache.get(f"count.{name}")
    if count is None:
        count = _count_seen(user, rows)
        cache.set(f"count.{name}", count, COUNT_AGAIN)
    return int(count)


def _count_seen(user: User, rows: QuerySet[Question]) -> int:
    """As `count_up_to_many`, of questions that somebody sees. What is about a person, or of several sources, is looked
    at as when it is asked."""
    if not user.restricted:
        return count_up_to_many(rows)
    plain = Q(source__in=user.own_sources, identity=None, cluster__identity=None)
    count, found = count_up_to_many(rows.filter(plain)), set[int]()
    for part in chain.from_iterable(visible.may_be_asked(user)):
        if count <= MANY:
            found.update(rows.filter(part).exclude(plain).order_by().values_list("pk", flat=True)[: MANY + 1])
    for chunk in batched(sorted(found), AT_ONCE):
        if count <= MANY:
            count += visible.questions(user).filter(pk__in=chunk).count()
    return min(count, MANY + 1)


def gold_streak(annotator: User) -> int:
    """How many of this person's last answers to questions whose answer is known were right, up to the last that was
    not."""
    gold = Vote.objects.filter(
        annotator=annotator, answer__undone_at=None, answer__question__purpose=Question.Purpose.GOLD
    )
    guessed = [each.name for each in ATTRIBUTES.values() if each.in_years]  # a guess is not right or wrong to the year
    said = gold.exclude(attribute__in=guessed).order_by("-id").values_list("value", "answer__question__value")[:STREAK]
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], said))


# ---- the engine


def standing_of(name: str) -> dict[str, Any]:
    """How one attribute stands: counts, the calibration that holds with its reliability diagram, all certificates.

    Counted are the faces that it is proposed for: labelled in one way or another, or not yet.
    """
    proposed = Proposal.objects.filter(attribute=name).exclude(face__label__verdict=Label.Verdict.NOT_A_FACE)
    labels = AttributeLabel.objects.filter(attribute=name, face__proposals__attribute=name)
    by = dict(labels.order_by().values_list("decision__by").annotate(count=Count("pk")))
    holds = dict(
        labels.filter(decision__by=Decision.By.MACHINE)
        .order_by()
        .values_list("decision__evidence__certificate")
        .annotate(count=Count("pk"))
    )
    certificates = list(
        Certificate.objects.filter(attribute=name)
        .select_related("calibration__version", "calibration__network")
        .order_by("-pk")[:50]
    )
    for held in certificates:
        held.holds = holds.get(held.pk, 0)  # type: ignore[attr-defined]
    return {
        "name": name,
        "title": name.replace("_", " "),
        "proposed": proposed.count(),
        "unlabelled": proposed.count() - sum(by.values()),
        "nobody_can_tell": labels.filter(value="cannot_tell").count(),
        "by_people": by.get("person", 0),
        "by_machine": by.get("machine", 0),
        "imported": by.get("import", 0),
        "open": Question.objects.filter(attribute=name, state=Question.State.OPEN).count(),
        "agreement": Agreement.objects.filter(attribute=name).first(),
        "certificates": certificates,
    } | calibrated(name)


def calibrated(name: str) -> dict[str, Any]:
    """The calibration that holds, with its reliability diagram."""
    calibration = Calibration.objects.filter(attribute=name).order_by("-pk").first()
    told = calibration.diagram if calibration else {}
    points = zip(told.get("confidence", []), told.get("right", []), told.get("count", []), strict=True)
    return {
        "calibration": calibration,
        "diagram": [
            {
                "x": round(100 * at, 2),
                "y": round(100 - 100 * right, 2),
                "confidence": at,
                "right": right,
                "count": count,
            }
            for at, right, count in points
        ],
    }


def standing_of_years(name: str) -> dict[str, Any]:
    """How an attribute in years stands: where its labels are from, how far people agree, and what can be believed."""
    labels = AttributeLabel.objects.filter(attribute=name)
    by = dict(labels.order_by().values_list("decision__by").annotate(count=Count("pk")))
    guessed = Vote.objects.filter(attribute=name, answer__undone_at=None).exclude(
        face__attribute_labels__attribute=name
    )
    return {
        "name": name,
        "title": name.replace("_", " "),
        "in_years": True,
        "asked": name in live_settings.get("ASKED"),
        "answers": attribute(name).answers,
        "by_dates": by.get("machine", 0),
        "imported": by.get("import", 0),
        "by_people": by.get("person", 0),
        "nobody_can_tell": labels.filter(value="cannot_tell").count(),
        "begun": guessed.values("face").distinct().count(),
        "open": Question.objects.filter(attribute=name, state=Question.State.OPEN).count(),
        "agreement": Agreement.objects.filter(attribute=name).first(),
        "proposed": Proposal.objects.filter(attribute=name).count(),
    } | calibrated(name)


def reliabilities() -> list[Reliability]:
    """Everybody who answered about an attribute, those most in doubt first, with what they get right by value."""
    rows = with_values(Reliability.objects.select_related("annotator"))
    return sorted(rows, key=lambda row: 2.0 if row.right is None else row.right)  # type: ignore[attr-defined]


def with_values(rows: Iterable[Reliability]) -> list[Reliability]:
    """What each of these gets right: by value, the worst first, and on the mean of all values."""
    found = list(rows)
    for row in found:
        values = attribute(row.attribute).values
        by_value = {values[number]: line[number] for number, line in enumerate(row.confusion)}
        row.by_value = sorted(by_value.items(), key=lambda each: each[1])  # type: ignore[attr-defined]
        row.right = sum(by_value.values()) / len(by_value) if by_value else None  # type: ignore[attr-defined]
    return found


# ---- people at work


@dataclass(frozen=True)
class AtWork:
    """An annotator, and what they did lately."""

    user: User
    answered_today: int
    last_at: datetime | None
    right: float | None  # on the mean of all attributes


def at_work(users: Sequence[User], now: datetime | None = None) -> list[AtWork]:
    today = (now or timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    recent = Answer.objects.filter(annotator__in=users, question__isnull=False, undone_at=None, at__gte=today)
    counts = dict(recent.order_by().values_list("annotator").annotate(count=Count("pk")))
    latest = Answer.objects.filter(annotator=OuterRef("pk")).order_by("-pk").values("at")[:1]
    last = dict(User.objects.filter(pk__in=[user.pk for user in users]).values_list("pk", Subquery(latest)))
    right: dict[int, list[float]] = defaultdict(list)
    for row in with_values(Reliability.objects.filter(annotator__in=users)):
        if row.right is not None:  # type: ignore[attr-defined]
            right[row.annotator_id].append(row.right)  # type: ignore[attr-defined]
    return [
        AtWork(
            user=user,
            answered_today=counts.get(user.pk, 0),
            last_at=last.get(user.pk),
            right=sum(right[user.pk]) / len(right[user.pk]) if user.pk in right else None,
        )
        for user in users
    ]


@dataclass(frozen=True)
class Watched:
    """An answer as a curator looks over somebody's shoulder."""

    answer: Answer
    asked: Asked | None  # none: the question is gone
    told: str
    faces: list[tuple[Face, str]]  # with what was said of each
    seconds: float | None


def watched(answers: Sequence[Answer], user: User) -> list[Watched]:
    """These answers with the faces that they are about; in a fixed number of queries."""
    questions = {answer.question_id: answer.question for answer in answers if answer.question is not None}
    shown = {each.question.pk: each for each in asked(list(questions.values()), user)}
    acts = {act.answer.pk: act.told for act in told(answers)}
    return [
        Watched(
            answer=answer,
            asked=shown.get(answer.question_id or 0),
            told=acts[answer.pk],
            faces=_faces_said(answer, shown.get(answer.question_id or 0)),
            seconds=None if answer.elapsed_ms is None else answer.elapsed_ms / 1000,
        )
        for answer in answers
    ]


def _faces_said(answer: Answer, about: Asked | None) -> list[tuple[Face, str]]:
    if about is None:
        return []
    faces = about.faces or [face for person in about.people for face in person.faces[:3]]
    marks = answer.content.get("marks", {})
    said = {face.pk: str(marks.get(str(face.pk), "")).replace("_", " ") for face in faces}
    return [(face, _(said[face.pk]) if said[face.pk] else "") for face in faces]


# ---- the ledger as people read it


@dataclass(frozen=True)
class Act:
    """An answer, or what somebody did on a person's page, with what it wrote in the ledger."""

    answer: Answer
    told: str
    lines: int


def acts_of(identity: Identity, user: User) -> QuerySet[Answer]:
    """Everything that people said about this person, or about anybody who is one with them now: what took a face from
    them, too, though its line names the face alone."""
    ids = _once(identity)
    named = Decision.objects.filter(Q(identity__in=ids) | Q(other_identity__in=ids)).exclude(answer=None)
    said = Q(pk__in=named.values("answer")) | Q(pk__in=_taken_from(ids).values("answer"))
    return visible.answers(user).filter(said).select_related("annotator")


def _taken_from(ids: Sequence[int]) -> QuerySet[Decision]:
    """Lines of answers that say something else of a face that was one of these people until then."""
    label, refusal = Decision.Kind.LABEL, Decision.Kind.CANNOT_LINK
    theirs = Decision.objects.filter(kind=label, identity__in=ids)
    before = (
        Decision.objects.filter(face=OuterRef("face"), pk__lt=OuterRef("pk"), kind__in=Decision.OF_FACES)
        .filter(Q(undone_by=None) | Q(undone_by__gt=OuterRef("pk")))
        .exclude(~Q(identity__in=ids), kind=refusal)  # by which nobody else's face leaves them
        .order_by("-pk")
    )
    of_them = Decision.objects.filter(kind__in=Decision.OF_FACES, face__in=theirs.values("face")).exclude(answer=None)
    later = of_them.exclude(identity__in=ids)  # which name one of them
    return later.annotate(before=Subquery(before.values("pk")[:1])).filter(before__in=theirs.values("pk"))


def told(answers: Sequence[Answer]) -> list[Act]:
    """These answers in words. Whom they name is shown by them."""
    sightings.show(people=[pk for each in answers for pk in named_in(each.content)[1]])
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    lines = Decision.objects.filter(answer__in=answers).exclude(kind=Decision.Kind.UNDO)
    for answer, kind, count in lines.order_by().values_list("answer_id", "kind").annotate(count=Count("pk")):
        counts[answer][kind] = count
    return [Act(answer, _in_words(answer, counts[answer.pk]), counts[answer.pk].total()) for answer in answers]


def named_in(content: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """The faces and the people that an answer or an act names."""
    faces = [*content.get("faces", []), *map(int, content.get("marks", {}))]
    return faces, [*content.get("identities", []), *(content[each] for each in ("identity", "into") if each in content)]


def _in_words(answer: Answer, lines: Counter[str]) -> str:
    content = answer.content
    match content.get("act"):
        case "rename":
            return _("named “{name}”").format(name=content["name"]) if content["name"] else _("took the name away")
        case "merge":
            merged = ", ".join(_("person {pk}").format(pk=pk) for pk in content["identities"])
            return _("merged {people} into person {pk}").format(people=merged, pk=content["into"])
        case "split":
            told = _("split {faces} off person {of} as person {pk}")
            return told.format(faces=faces_in_words(len(content["faces"])), of=content["identity"], pk=content["into"])
        case "remove":
            told = _("said of {faces}: not person {pk}")
            return told.format(faces=faces_in_words(len(content["faces"])), pk=content["identity"])
        case "assign":
            told = _("said of {faces}: person {pk}")
            return told.format(faces=faces_in_words(len(content["faces"])), pk=content["identity"])
        case "describe":
            told = _("said of person {pk}: {attribute} {value}")
            said_of, value = _(content["attribute"].replace("_", " ")), _(str(content["value"]))
            return told.format(pk=content["identity"], attribute=said_of, value=value)
        case "not_a_face":
            return _("said of {faces}: not a face").format(faces=faces_in_words(len(content["faces"])))
        case "ask":
            what, count = _(content["what"].replace("_", " ")), content["count"]
            told = ngettext(
                "wanted {count} question asked first: {what}", "wanted {count} questions asked first: {what}", count
            )
            return told.format(count=count, what=what)
        case "reopen":
            return _("opened question {pk} again").format(pk=content["question"])
        case "reassign":
            told = ngettext(
                "had others asked instead of {name}: {count} answer",
                "had others asked instead of {name}: {count} answers",
                content["count"],
            )
            return told.format(name=content["name"], count=content["count"])
    match content.get("verdict"):
        case "same" | "different" as verdict:
            told = _("answered: one person") if verdict == "same" else _("answered: two people")
            return _and_no_faces(told, lines)
        case "skip":
            reason = content.get("reason", "").replace("_", " ")
            return _("skipped: {reason}").format(reason=_(reason)) if reason else _("skipped")
        case "cannot_tell":
            return _and_no_faces(_("answered: cannot tell"), lines)
        case "value" if str(content["value"]).isdecimal():
            years = int(content["value"])
            return ngettext("answered: {years} year", "answered: {years} years", years).format(years=years)
        case "value":
            return _("answered: {said}").format(said=_(str(content["value"])))
        case "marked":
            if not content["marks"]:
                return _("looked a page over and marked none")
            told = _("looked a page over and marked {faces}")
            return told.format(faces=faces_in_words(len(content["marks"])))
    said = [_count_in_words(kind, lines[kind]) for kind in Decision.Kind if lines[kind]]
    return _("answered: {said}").format(said=", ".join(said)) if said else _("answered")


def _and_no_faces(told: str, lines: Counter[str]) -> str:
    count = lines[Decision.Kind.NOT_A_FACE]
    return f"{told}, {_count_in_words(Decision.Kind.NOT_A_FACE, count)}" if count else told


def _count_in_words(kind: str, count: int) -> str:
    match kind:
        case Decision.Kind.LABEL:
            return _("{faces} labelled").format(faces=faces_in_words(count))
        case Decision.Kind.CANNOT_LINK:
            return _("{count} said to be somebody else").format(count=count)
        case Decision.Kind.NOT_A_FACE:
            return _("{count} not a face").format(count=count)
        case Decision.Kind.CANNOT_TELL:
            return _("{count} that nobody can tell").format(count=count)
        case Decision.Kind.NAME:
            return _("a name")
        case Decision.Kind.VALUE:
            return ngettext("{count} value", "{count} values", count).format(count=count)
    return f"{count} × {kind}"


def faces_in_words(count: int) -> str:
    return ngettext("{count} face", "{count} faces", count).format(count=count)


def lines_of(face: Face, user: User) -> list[Decision]:
    """The ledger of a face, and of the face that stands for it; the latest line first."""
    faces = [pk for pk in (face.pk, face.duplicate_of_id) if pk is not None]
    about = Q(face__in=faces) | Q(undoes__face__in=faces)
    label = Label.objects.filter(face=face, identity__isnull=False).select_related("identity").first()
    if label is not None and label.identity is not None:
        about |= Q(kind=Decision.Kind.VALUE, identity__in=_once(label.identity))
    lines = visible.decisions(user).filter(about)
    related = ("identity", "other_identity", "person", "answer", "undoes", "undone_by")
    found = list(lines.select_related(*related).order_by("-pk")[:200])
    visible.tell_evidence(user, found)
    return found


def attribute_labels(face: Face) -> list[AttributeLabel]:
    return list(face.attribute_labels.select_related("decision__person").order_by("attribute"))


@dataclass(frozen=True)
class Proposed:
    """What the machine proposes of an attribute of a face, and what each of its sources says."""

    title: str
    value: str
    confidence: float
    calibrated: bool
    said: list[tuple[str, str, float]]  # source, the value that it believes most, and how much; of an age, ± years
    between: tuple[int, int] | None = None  # of an age: the years from and to that nine in ten are within


def proposals_of(face: Face) -> list[Proposed]:
    rows = Proposal.objects.filter(face=face.duplicate_of_id or face.pk).order_by("attribute")
    return [_proposed(row) for row in rows]


def _proposed(row: Proposal) -> Proposed:
    values = attribute(row.attribute).values
    if not values:
        return Proposed(
            title=row.attribute.replace("_", " "),
            value=row.value,
            confidence=row.confidence,
            calibrated=row.calibration_id is not None,
            said=[(source, f"{mean:.0f}", spread) for source, (mean, spread) in row.evidence.items()],
            between=interval(row.belief),
        )
    best = {source: max(range(len(told)), key=told.__getitem__) for source, told in row.evidence.items()}
    return Proposed(
        title=row.attribute.replace("_", " "),
        value=row.value,
        confidence=row.confidence,
        calibrated=row.calibration_id is not None,
        said=[(source, values[number], row.evidence[source][number]) for source, number in best.items()],
    )


@dataclass(frozen=True)
class OfPerson:
    """An attribute that is constant over a person: what their faces have of it."""

    attribute: Attribute
    counts: dict[str, int]  # faces by value


def attributes_of_person(identity: Identity, user: User) -> list[OfPerson]:
    found = []
    labels_seen = AttributeLabel.objects.filter(visible.of(user, "face__photo"))
    for each in ATTRIBUTES.values():
        if each.of_identity:
            labels = labels_seen.filter(attribute=each.name, face__label__identity=identity)
            counts = dict(labels.values_list("value").annotate(count=Count("pk")).order_by("value"))
            found.append(OfPerson(each, counts))
    return found


# ---- sources


@dataclass(frozen=True)
class SourceCounts:
    photos: int = 0
    copies: int = 0
    faces: int = 0
    refusals: int = 0
    labels: int = 0


def source_counts(of: Collection[int]) -> dict[int, SourceCounts]:
    """What came of each of these sources; of one with many photos as the dashboard counted it last."""
    counted: dict[str, Any] = Snapshot.objects.values_list("parts__sources__is", flat=True).first() or {}
    known = {pk: counted[str(pk)] for pk in of if str(pk) in counted}
    known |= figures.of_sources([pk for pk in of if pk not in known])
    return {pk: SourceCounts(**counts) for pk, counts in known.items()}


def chosen_faces(photos: Iterable[Photo]) -> dict[int, Face]:
    """The chosen face of each of these photos that has one."""
    faces = Face.objects.filter(photo__in=list(photos), chosen=True).select_related("photo")
    return {face.photo_id: face for face in faces}
