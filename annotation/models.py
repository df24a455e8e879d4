"""The data that annotation owns, in the order of its way: from source and photo to decision and label."""

import uuid
from datetime import date, datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from annotation.errors import AuditIsAppendOnly, LedgerIsAppendOnly
from inference.models import ModelVersion

FILE_NAME_LENGTH = 500  # it is indexed, and PostgreSQL's index rows end at 2,700 bytes


class Users(UserManager["User"]):
    def create_superuser(self, *args: Any, **fields: Any) -> "User":
        """Whoever may do everything is an admin in the pages, too."""
        return super().create_superuser(*args, **({"role": User.Role.ADMIN} | fields))


class User(AbstractUser):
    class Role(models.TextChoices):
        CLIENT = "client"  # a program: predictions by its tokens, and nothing of the corpus
        ANNOTATOR = "annotator"  # answers questions
        CURATOR = "curator"  # owns a corpus: intake, rights, conflicts, exports
        ENGINEER = "engineer"  # trains, evaluates, promotes
        ADMIN = "admin"  # people, health, erasure

    role = models.CharField(max_length=10, choices=Role, default=Role.ANNOTATOR)
    paused_at = models.DateTimeField(null=True, blank=True)  # too many answers to known questions were wrong
    paused_because = models.CharField(max_length=300, blank=True)
    let_back_at = models.DateTimeField(null=True, editable=False)  # what they answered before pauses them no more
    practised = models.JSONField(default=list, blank=True)  # kinds of question that they practised on drawn examples

    sessions_ended = models.PositiveIntegerField(default=0, editable=False)  # how often all of theirs were ended
    # Sees only what came from these sources: from none, if none is left. `accounts.restrict` writes both.
    restricted = models.BooleanField(default=False)
    sources: "models.ManyToManyField[Source, Any]" = models.ManyToManyField("Source", blank=True, related_name="+")

    objects: ClassVar[Users] = Users()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=~Q(role="admin") | Q(restricted=False), name="an_admin_sees_everything"),
        ]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of theirs has to have: another password or role ends it, for good."""
        told = f"{super()._get_session_auth_hash(secret)}:{self.role}:{self.sessions_ended}"  # type: ignore[misc]
        return salted_hmac("annotation.models.User", told, secret=secret, algorithm="sha256").hexdigest()

    @property
    def curates(self) -> bool:
        return self.role in (self.Role.CURATOR, self.Role.ADMIN)

    @cached_property
    def own_sources(self) -> list[int]:
        """Of somebody restricted: the ids of the sources that they see. A request looks them up once."""
        return sorted(self.sources.values_list("pk", flat=True))

    @cached_property
    def came_again(self) -> list[int] | None:
        """The photos that these sources brought after another one had; None if there are many. Likewise."""
        copies = Copy.objects.filter(source__in=self.own_sources).exclude(photo__source__in=self.own_sources)
        found = list(copies.order_by().values_list("photo", flat=True).distinct()[: FEW + 1])
        return found if len(found) <= FEW else None


FEW = 500  # photos that are named one by one: a database finds them by an index


class AccessToken(models.Model):
    """A key with which programs act for a person, within its scopes. Of the key itself only a hash is kept."""

    class Scope(models.TextChoices):
        PREDICT = "predict"  # what the live models say of photos that are sent
        SEARCH = "search"  # which known people the faces of a photo that is sent are
        ANNOTATE = "annotate"  # take questions, answer them
        CURATE = "curate"  # read and change the corpus: sources, photos, faces, people, releases
        TRAIN = "train"  # read the corpus and releases; start, stop, promote
        ADMIN = "admin"  # whatever its owner may

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)  # what the key begins with: to tell one from the other
    hashed = models.CharField(max_length=64, unique=True)  # SHA-256 of the key, in hexadecimal
    scopes = models.JSONField(default=list)
    calls_a_minute = models.PositiveIntegerField(null=True)  # for each of them; none: as everybody's are
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)  # to the minute
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        return self.state_at(timezone.now())

    def state_at(self, now: datetime) -> str:
        """One of valid, expired, revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class SignInTries(models.Model):
    """Sign-ins that failed in a row: of one account's name, be there such an account or not, or from one address."""

    of = models.CharField(max_length=64, unique=True)  # a keyed hash of name or address
    failures = models.PositiveIntegerField(default=0)
    until = models.DateTimeField(null=True)  # no further one counts before
    at = models.DateTimeField(default=timezone.now)  # of the last one

    def __str__(self) -> str:
        return f"{self.failures} failed"


def require_day_to_come(until: date | None) -> None:
    """A day that is over would erase all of a source within the hour: that is an admin's to ask for, counts first.

    Raises ValidationError.
    """
    if until is not None and until < timezone.now().date():
        told = _("{day} is over. Name today or a later day, or ask an admin to erase the source.")
        raise ValidationError({"retention_until": told.format(day=until)})


class Source(models.Model):
    """Where a batch of photos came from and under which rights."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(r"^[^\x00-\x1f/\\]+$", "A source's name has no slash and no control character.")],
    )
    licence = models.CharField(max_length=200, blank=True)
    legal_basis = models.CharField(max_length=200, blank=True)
    retention_until = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError for a day that is over, unless it stood there before."""
        before = Source.objects.filter(pk=self.pk).values_list("retention_until", flat=True).first()
        if self.retention_until != before:
            require_day_to_come(self.retention_until)

    @property
    def rights_stated(self) -> bool:
        """Only then may anything of it be released or exported."""
        return bool(self.licence.strip() and self.legal_basis.strip())


class Intake(models.Model):
    """One delivery of photos to a source: a folder, an archive, a manifest, or files uploaded in the browser."""

    class Kind(models.TextChoices):
        FOLDER = "folder"
        ARCHIVE = "archive"
        MANIFEST = "manifest"
        UPLOAD = "upload"
        LABELLED = "labelled"  # a public set in its own layout, with what it says of each picture

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="intakes")
    kind = models.CharField(max_length=10, choices=Kind)
    path = models.TextField(blank=True)  # of the folder, archive or manifest
    root = models.TextField(blank=True)  # the folder that a manifest's paths start from, where it isn't its own
    layout = models.CharField(max_length=20, blank=True)  # of a labelled set
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    error = models.TextField(blank=True)  # why it failed as a whole
    total = models.PositiveIntegerField(null=True)  # files to come, once they are counted
    taken = models.PositiveIntegerField(default=0)  # new photos
    copies = models.PositiveIntegerField(default=0)  # bytes that were here before, under another name
    known = models.PositiveIntegerField(default=0)  # the same file again
    refused = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)  # not offered as pictures: .DS_Store and the like
    claimed_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_intake_says_why"),
            models.CheckConstraint(condition=~Q(kind="labelled") | ~Q(layout=""), name="a_labelled_set_has_a_layout"),
        ]

    @property
    def seen(self) -> int:
        return self.taken + self.copies + self.known + self.refused + self.skipped


class Refusal(models.Model):
    """A file that was not taken, and why: one line of the intake's report."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="refusals")
    intake = models.ForeignKey(Intake, null=True, on_delete=models.SET_NULL, related_name="refusals")
    file = models.CharField(max_length=FILE_NAME_LENGTH)
    code = models.CharField(max_length=40)
    reason = models.TextField()
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "file"], name="one_refusal_per_file")]


class DatePrecision(models.TextChoices):
    YEAR = "year"
    MONTH = "month"
    DAY = "day"


class PhotoQuerySet(models.QuerySet["Photo"]):
    def without_faces_sought(self) -> "PhotoQuerySet":
        return self.filter(faces_sought_at=None)

    def exportable(self) -> "PhotoQuerySet":
        return self.filter(rights_stated())


def rights_stated(photo: str = "") -> Q:
    """That licence (its own or its source's) and legal basis of the photo at this path are stated.

    The few sources are looked up first: a database that knows which they are finds the many photos by an index.
    """
    licences = dict(Source.objects.exclude(legal_basis="").values_list("pk", "licence"))
    of = f"{photo}__" if photo else ""
    licensed, bare = [[pk for pk, said in licences.items() if bool(said) == each] for each in (True, False)]
    return Q(**{f"{of}source__in": licensed}) | (Q(**{f"{of}source__in": bare}) & ~Q(**{f"{of}licence": ""}))


class Photo(models.Model):
    """One picture file as received, known by its SHA-256."""

    sha256 = models.CharField(max_length=64, unique=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="photos")
    intake = models.ForeignKey(Intake, null=True, on_delete=models.SET_NULL, related_name="photos")
    file = models.CharField(max_length=FILE_NAME_LENGTH)  # its name as received, within its source
    format = models.CharField(max_length=5)
    size = models.PositiveIntegerField()  # bytes
    width = models.PositiveIntegerField()  # pixels, upright
    height = models.PositiveIntegerField()
    query = models.CharField(max_length=300, blank=True, db_index=True)  # the search term it was found under
    source_url = models.TextField(blank=True)
    licence = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=300, blank=True)
    caption = models.TextField(blank=True)
    taken_at = models.DateField(null=True)
    taken_at_precision = models.CharField(max_length=5, choices=DatePrecision, blank=True)
    birth_date = models.DateField(null=True)
    birth_date_precision = models.CharField(max_length=5, choices=DatePrecision, blank=True)
    metadata = models.JSONField(default=dict)  # whatever else the manifest said
    imported = models.JSONField(null=True)  # what a labelled set says of its main face, as `imports` reads it
    received_at = models.DateTimeField(auto_now_add=True)

    claimed_until = models.DateTimeField(null=True)  # a worker has it in hand
    faces_sought_at = models.DateTimeField(null=True)
    face_count = models.PositiveIntegerField(default=0)  # found then, so that a list of those without need not look
    failure = models.TextField(blank=True)  # why its faces could not be sought
    perceptual_hash = models.BigIntegerField(null=True)  # 64 bits, as a signed number
    # The photo that stands for this one: the same picture re-encoded, resized or slightly cropped.
    duplicate_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="duplicates")

    objects = PhotoQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(faces_sought_at=None), name="photo_faces_not_sought"),
            models.Index(fields=["source", "id"], name="photo_by_source"),
            models.Index(fields=["source", "file"], name="photo_by_file"),
            models.Index(
                fields=["-id"], condition=Q(face_count=0, faces_sought_at__isnull=False), name="photo_without_face"
            ),
            models.Index(fields=["-id"], condition=Q(duplicate_of__isnull=False), name="photo_duplicate"),
            models.Index(fields=["taken_at", "-id"], name="photo_by_date"),
            models.Index(fields=["id"], condition=~Q(failure=""), name="photo_failed"),
            models.Index(fields=["claimed_until"], condition=Q(claimed_until__isnull=False), name="photo_claimed"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(duplicate_of=F("id")), name="not_its_own_duplicate"),
        ]

    def __str__(self) -> str:
        return self.file

    @property
    def key(self) -> str:
        """Where its bytes are kept."""
        return f"photos/{self.sha256[:2]}/{self.sha256}.{self.format}"


class Copy(models.Model):
    """The bytes of a photo, received again under another name or from another source."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="copies")
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="copies")
    intake = models.ForeignKey(Intake, null=True, on_delete=models.SET_NULL, related_name="photo_copies")
    file = models.CharField(max_length=FILE_NAME_LENGTH)
    query = models.CharField(max_length=300, blank=True)
    source_url = models.TextField(blank=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["photo", "source", "file"], name="one_copy_per_file")]


class FaceQuerySet(models.QuerySet["Face"]):
    def without_vector(self, version: ModelVersion) -> "FaceQuerySet":
        has = Embedding.objects.filter(face=models.OuterRef("pk"), version=version)
        return self.filter(~models.Exists(has))

    def askable(self) -> "FaceQuerySet":
        """Faces good enough to ask about, once per group of duplicate photos."""
        return self.filter(usable=True, duplicate_of=None)


class Face(models.Model):
    """One detected face in a photo. Coordinates are pixels of the upright photo."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="faces")
    number = models.PositiveSmallIntegerField()  # within its photo, from 0, left to right
    x = models.FloatField()
    y = models.FloatField()
    width = models.FloatField()
    height = models.FloatField()
    score = models.FloatField()
    points = models.JSONField()  # 5 × [x, y]
    landmarks = models.JSONField()  # 68 × [x, y]
    chosen = models.BooleanField(default=False)  # the most centred one of its photo
    yaw = models.FloatField()
    pitch = models.FloatField()
    roll = models.FloatField()
    sharpness = models.FloatField()
    brightness = models.FloatField()
    gray = models.BooleanField()
    truncated = models.BooleanField()
    usable = models.BooleanField()  # may be asked about
    unusable_because = models.CharField(max_length=100, blank=True)
    transform = models.JSONField()  # 2 × 3: pixels of the photo to pixels of the shown crop
    # The same face in the photo that stands for this one; it is asked about there, and labelled here, too.
    duplicate_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="duplicates")
    perceptual_hash = models.BigIntegerField(null=True)  # of the crop: 64 bits, as a signed number
    claimed_until = models.DateTimeField(null=True)
    failure = models.TextField(blank=True)  # why it could not be embedded
    # The part that a release first gave it to: in every later one it is there again, as a test may only grow.
    split = models.CharField(max_length=10, blank=True)
    labelled = models.BooleanField(default=False)  # has a `Label`: `labels.derive` writes both

    objects = FaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["photo", "number"], name="one_face_per_number"),
            models.UniqueConstraint(fields=["photo"], condition=Q(chosen=True), name="one_chosen_face_per_photo"),
        ]
        indexes = [
            models.Index(fields=["claimed_until"], condition=Q(claimed_until__isnull=False), name="face_claimed"),
            models.Index(fields=["-id"], condition=Q(labelled=False), name="face_without_label"),
            models.Index(fields=["id"], condition=~Q(failure=""), name="face_failed"),
            # All that a list is filtered by: a million of these are read in a tenth of a second, a million rows in ten.
            # What is rare in one corpus is common in the other.
            models.Index(fields=["gray", "-id"], name="face_gray"),
            models.Index(fields=["chosen", "-id"], name="face_chosen"),
            models.Index(fields=["-id", "usable", "chosen", "gray", "width", "height", "photo"], name="face_filtered"),
        ]

    def __str__(self) -> str:
        return f"face {self.number} of {self.photo}"

    @property
    def crop_key(self) -> str:
        """Where the picture that people are shown of it is kept."""
        return f"crops/{self.photo.sha256[:2]}/{self.photo.sha256}-{self.number}.jpg"


class Embedding(models.Model):
    """A face's unit vector under one model version, as little-endian float16."""

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="embeddings")
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    vector = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "face"], name="one_vector_per_face_and_version")]


class Identity(models.Model):
    """A person. What is known of it comes from the ledger; these columns are derived."""

    name = models.CharField(max_length=300, blank=True, db_index=True)
    merged_into = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="absorbed")
    # The source and the name within it, of somebody who came with a labelled set.
    imported_as = models.CharField(max_length=400, null=True, unique=True)  # noqa: DJ001  unique, so NULL is none
    face_count = models.PositiveIntegerField(default=0)  # labels that name it: `labels.derive` counts them
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identities"
        indexes = [
            models.Index(fields=["-face_count", "id"], condition=Q(face_count__gt=0), name="person_by_faces"),
            models.Index(fields=["name", "id"], condition=Q(face_count__gt=0), name="person_by_name"),
            models.Index(fields=["-id"], condition=Q(face_count__gt=0), name="person_by_age"),
        ]

    def __str__(self) -> str:
        return self.name or f"Person {self.pk}"


class ClusteringRun(models.Model):
    """One grouping of all faces. It is looked at first, and holds only once it is applied."""

    class State(models.TextChoices):
        RUNNING = "running"
        PROPOSED = "proposed"
        APPLIED = "applied"
        REPLACED = "replaced"  # by the next one that was applied
        DISCARDED = "discarded"
        FAILED = "failed"

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    settings = models.JSONField(default=dict)
    changes = models.JSONField(default=dict)  # what applying it changes, as counts
    decisions_seen = models.BigIntegerField(default=0)  # the ledger's line up to which merges were suggested
    error = models.TextField(blank=True)
    claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="running"), name="one_clustering_run_at_a_time"
            ),
            models.UniqueConstraint(fields=["state"], condition=Q(state="applied"), name="one_applied_clustering_run"),
        ]


class ClusterQuerySet(models.QuerySet["Cluster"]):
    def count_faces(self) -> None:
        """Bring `face_count` of these clusters up to date."""
        members = Membership.objects.filter(cluster=models.OuterRef("pk")).order_by().values("cluster")
        count = members.annotate(count=models.Count("pk")).values("count")
        self.update(face_count=Coalesce(models.Subquery(count), 0))


class Cluster(models.Model):
    """A machine's guess at an identity, from one clustering run."""

    run = models.ForeignKey(ClusteringRun, on_delete=models.CASCADE, related_name="clusters")
    # The identity that its verified faces belong to; a cluster holds those of one identity at most.
    identity = models.ForeignKey(Identity, null=True, on_delete=models.SET_NULL, related_name="clusters")
    face_count = models.PositiveIntegerField(default=0)  # so that a list of all clusters need not count

    objects = ClusterQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["run", "-face_count", "id"],
                condition=Q(identity=None, face_count__gte=2),
                name="cluster_unchecked",
            ),
        ]


class Membership(models.Model):
    """A face in a cluster."""

    run = models.ForeignKey(ClusteringRun, on_delete=models.CASCADE, related_name="+")
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="memberships")
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="memberships")
    belief = models.FloatField()  # probability that the face belongs here

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "face"], name="one_cluster_per_face_and_run")]


# Answered a moment ago, and not settled yet: nobody holds it, until a time.
KEPT = Q(state="open", leased_to=None, leased_until__isnull=False)
# What curators look at: where people disagree, and what was settled at a second look.
TO_DECIDE = Q(state="open") & (Q(purpose="verdict") | Q(kind="pair", purpose="again"))
DECIDED = Q(state="settled", purpose__in=["verdict", "again", "doubt", "wanted"])


class QuestionQuerySet(models.QuerySet["Question"]):
    def kept(self) -> "QuestionQuerySet":
        """Those whose answers were kept, and wait to be weighed."""
        return self.filter(KEPT)


class Question(models.Model):
    """What a person is asked. One question may settle many faces."""

    class Kind(models.TextChoices):
        CLUSTER = "cluster"  # are these one person? who does not belong?
        PAIR = "pair"  # are these two people one?
        GRID = "grid"  # which of these are not of this value?
        VALUE = "value"  # which value, or how many years, is this one?
        RECORD = "record"  # is this the right person, and the right photo?

    class Purpose(models.TextChoices):
        """Why it is asked; people are not told, where that would sway them."""

        WORK = "work"  # the machine is unsure
        CONTROL = "control"  # chance picked the face, once and for all: calibrators are fitted on these
        AUDIT = "audit"  # chance picked the faces among those that a certificate may let through, or has
        AGAIN = "again"  # the answers so far do not settle it
        GOLD = "gold"  # known already: it measures who answers
        DOUBT = "doubt"  # settled, but the models, trained without it, disbelieve it
        VERDICT = "verdict"  # people disagree: a curator decides
        WANTED = "wanted"  # a curator wants it asked, or asked again

    class State(models.TextChoices):
        OPEN = "open"
        SETTLED = "settled"
        WITHDRAWN = "withdrawn"  # nothing is left to ask: the clusters changed, or somebody answered elsewhere

    kind = models.CharField(max_length=10, choices=Kind)
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.WORK)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    attribute = models.CharField(max_length=20, blank=True)
    value = models.CharField(max_length=20, blank=True)  # that a grid proposes
    # Of an audit: from which proposals chance drew its faces.
    drawn_above = models.FloatField(null=True)  # the confidence from which on
    calibration = models.ForeignKey("Calibration", null=True, on_delete=models.CASCADE, related_name="+")
    certificate = models.ForeignKey("Certificate", null=True, on_delete=models.CASCADE, related_name="audits")
    reason = models.JSONField(default=dict)  # of a doubt: what speaks against it; `words.against` tells it
    cluster = models.ForeignKey(Cluster, null=True, on_delete=models.CASCADE, related_name="questions")
    identity = models.ForeignKey(Identity, null=True, on_delete=models.CASCADE, related_name="questions")
    other_identity = models.ForeignKey(Identity, null=True, on_delete=models.CASCADE, related_name="+")
    faces = models.ManyToManyField(Face, through="QuestionFace", related_name="questions")
    # The one source that its faces came from: whoever sees some sources only is asked what is of theirs. None: several
    # brought them. `questions.store` writes it down; once another source brings one of the photos, too, it is none.
    source = models.ForeignKey(Source, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    worth = models.FloatField(default=0.0)  # labels it would settle × doubt, the highest first
    belief = models.FloatField(default=0.0)  # how sure the machine is of "yes"
    leased_to = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="leases")
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["-worth", "id"], condition=Q(state="open"), name="question_open_by_worth"),
            models.Index(fields=["kind", "-worth", "id"], condition=Q(state="open"), name="question_open_of_kind"),
            models.Index(fields=["source", "-worth", "id"], condition=Q(state="open"), name="question_open_of_source"),
            models.Index(fields=["id"], condition=KEPT, name="question_kept"),
            models.Index(fields=["-id"], condition=TO_DECIDE, name="question_to_decide"),
            models.Index(fields=["-id"], condition=DECIDED, name="question_decided"),
            # How many of which kind were settled lately, and of the control slice ever, without a look at the rows.
            models.Index(
                fields=["settled_at", "kind", "purpose", "attribute"],
                condition=Q(state="settled"),
                name="question_pace",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="settled", settled_at__isnull=False) | (~Q(state="settled") & Q(settled_at=None)),
                name="settled_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(kind="cluster", cluster__isnull=False)
                | Q(kind="pair", identity__isnull=False, other_identity__isnull=False)
                | (Q(kind="grid") & ~Q(attribute="") & ~Q(value=""))
                | (Q(kind__in=["value", "record"]) & ~Q(attribute="")),
                name="a_question_is_about_something",
            ),
            models.UniqueConstraint(
                fields=["identity", "other_identity"],
                condition=Q(kind="pair", state="open"),
                name="one_open_question_per_pair",
            ),
        ]

    @property
    def blind(self) -> bool:
        """Whoever answers is not told what the machine believes, nor the search term, which speaks in that belief."""
        return self.kind == self.Kind.VALUE


class QuestionFace(models.Model):
    """A face shown in a question, at its place."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="shown")
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="+")
    place = models.PositiveSmallIntegerField()
    belief = models.FloatField()

    class Meta:
        ordering = ["place"]
        constraints = [models.UniqueConstraint(fields=["question", "face"], name="a_face_once_per_question")]


class Answer(models.Model):
    """What one person said to a question, or did on a person's page (then without a question)."""

    question = models.ForeignKey(Question, null=True, on_delete=models.SET_NULL, related_name="answers")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="answers")
    client_id = models.UUIDField(default=uuid.uuid4)  # made by the browser: the same one twice is one answer
    content = models.JSONField()
    actions = models.PositiveSmallIntegerField()  # keys and clicks that carry information
    elapsed_ms = models.PositiveIntegerField(null=True)
    at = models.DateTimeField(default=timezone.now)
    undone_at = models.DateTimeField(null=True)
    # A curator has others asked instead; then it is taken back, and this person is not asked again.
    reassigned_at = models.DateTimeField(null=True)
    reassigned_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotator", "client_id"], name="an_answer_counts_once"),
            models.UniqueConstraint(
                fields=["question", "annotator"],
                condition=Q(undone_at=None),
                name="one_answer_per_person_and_question",
            ),
        ]
        indexes = [
            models.Index(fields=["annotator", "-id"], name="answer_by_annotator"),
            models.Index(fields=["annotator", "-at"], name="answer_of_a_day"),
            models.Index(
                fields=["annotator", "question"], condition=Q(reassigned_at__isnull=False), name="answer_reassigned"
            ),
            models.Index(
                fields=["-id"], condition=Q(reassigned_at__isnull=False, undone_at=None), name="answer_to_take_back"
            ),
            models.Index(fields=["-id"], condition=Q(question=None), name="answer_act"),
        ]

    @property
    def may_be_undone(self) -> bool:
        """What was opened again is not closed by an undo."""
        return self.undone_at is None and self.content.get("act") not in ("reopen", "reassign")


class FaceSearch(models.Model):
    """Somebody looked for a person by a face: whom that concerned, and what was found, for whoever asks later."""

    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    faces = models.PositiveSmallIntegerField()  # on the photo, which is not kept
    found = models.JSONField(default=list)  # identities that were shown


class Feedback(models.Model):
    """A client says that a prediction is wrong. It raises a question; whoever is asked is not told what was claimed."""

    class State(models.TextChoices):
        WAITING = "waiting"  # for its photo's faces, or for a page that shows the face
        ASKED = "asked"
        NOTHING = "nothing", "Nothing to ask"

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="feedback")
    face = models.ForeignKey(Face, null=True, on_delete=models.CASCADE, related_name="feedback")
    box = models.JSONField(null=True)  # x, y, width, height as shares of the photo; none: the chosen face
    attribute = models.CharField(max_length=20)  # or "identity"
    claimed = models.CharField(max_length=300)
    predicted = models.JSONField(default=dict)  # what the client was told, as it repeats it
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)  # why there is nothing to ask
    question = models.ForeignKey(Question, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(state="waiting"), name="feedback_waiting")]

    @property
    def title(self) -> str:
        return self.attribute.replace("_", " ")


class KeptAnswer(models.Model):
    """What a client got for a request that it gave a key: the same again is answered the same, and done once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)  # SHA-256 of the call and all that was sent
    status = models.PositiveSmallIntegerField(null=True)  # none while it is in hand
    body = models.JSONField(null=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_key")]


class Vote(models.Model):
    """What one answer says of an attribute of one face: consensus is made of these."""

    answer = models.ForeignKey(Answer, on_delete=models.CASCADE, related_name="votes")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="votes")
    attribute = models.CharField(max_length=20)
    value = models.CharField(max_length=20)  # a class, "cannot_tell", or years
    denied = models.BooleanField(default=False)  # they said only that it is not this value

    class Meta:
        constraints = [models.UniqueConstraint(fields=["answer", "face"], name="one_vote_per_answer_and_face")]
        indexes = [
            models.Index(fields=["face", "attribute"], name="vote_by_face"),
            # Of which of some faces somebody spoke, without a look at all that they ever said.
            models.Index(fields=["annotator", "face"], name="vote_by_annotator"),
        ]


class DecisionQuerySet(models.QuerySet["Decision"]):
    def standing(self) -> "DecisionQuerySet":
        """Lines that no later line undid."""
        return self.filter(undone_by=None).exclude(kind="undo")

    def update(self, **values: object) -> int:
        raise LedgerIsAppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise LedgerIsAppendOnly


class Decision(models.Model):
    """One line of the append-only ledger. It is undone only by a later line that names it."""

    class Kind(models.TextChoices):
        LABEL = "label"  # this face is this identity
        CANNOT_LINK = "cannot_link", "Cannot link"  # this face, or this identity, is not that identity
        NOT_A_FACE = "not_a_face", "Not a face"
        CANNOT_TELL = "cannot_tell", "Cannot tell"  # a person looked and could not say who this is
        MERGE = "merge"  # this identity is that identity
        NAME = "name"
        VALUE = "value"  # of an attribute of this face, or of this identity and so of all its faces
        UNDO = "undo"

    class By(models.TextChoices):
        PERSON = "person"
        MACHINE = "machine"
        IMPORT = "import"

    OF_FACES = (Kind.LABEL, Kind.CANNOT_LINK, Kind.NOT_A_FACE, Kind.CANNOT_TELL)  # lines that say who a face is, or not

    kind = models.CharField(max_length=12, choices=Kind)
    face = models.ForeignKey(Face, null=True, on_delete=models.PROTECT, related_name="decisions")
    identity = models.ForeignKey(Identity, null=True, on_delete=models.PROTECT, related_name="decisions")
    other_identity = models.ForeignKey(Identity, null=True, on_delete=models.PROTECT, related_name="+")
    attribute = models.CharField(max_length=20, blank=True)
    value = models.CharField(max_length=300, blank=True)  # a name; of an attribute: a class, or years
    detail = models.JSONField(default=dict)  # what the value leaves out: votes by value, years from low to high
    by = models.CharField(max_length=10, choices=By, default=By.PERSON)
    person = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="decisions")
    answer = models.ForeignKey(Answer, null=True, on_delete=models.PROTECT, related_name="decisions")
    undoes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="undone_by")
    evidence = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["kind", "id"], name="decision_by_kind")]
        constraints = [
            models.CheckConstraint(condition=~Q(by="person") | Q(person__isnull=False), name="a_person_signs"),
            models.CheckConstraint(
                condition=Q(kind="undo", undoes__isnull=False) | (~Q(kind="undo") & Q(undoes=None)),
                name="an_undo_names_its_line",
            ),
            models.CheckConstraint(
                condition=Q(kind="label", face__isnull=False, identity__isnull=False) | ~Q(kind="label"),
                name="a_label_has_face_and_identity",
            ),
            models.CheckConstraint(
                condition=Q(kind="merge", identity__isnull=False, other_identity__isnull=False) | ~Q(kind="merge"),
                name="a_merge_has_two_identities",
            ),
            models.CheckConstraint(
                condition=(~Q(attribute="") & ~Q(value="") & (Q(face__isnull=False) ^ Q(identity__isnull=False)))
                | ~Q(kind="value"),
                name="a_value_is_of_an_attribute_of_a_face_or_an_identity",
            ),
        ]

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise LedgerIsAppendOnly
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        raise LedgerIsAppendOnly


class Label(models.Model):
    """Who a face is, as the ledger now has it. Derived: `manage.py rebuild_labels` makes the same again."""

    class Verdict(models.TextChoices):
        IDENTITY = "identity"
        NOT_A_FACE = "not_a_face", "Not a face"
        CANNOT_TELL = "cannot_tell", "Cannot tell"

    face = models.OneToOneField(Face, on_delete=models.CASCADE, related_name="label")
    identity = models.ForeignKey(Identity, null=True, on_delete=models.CASCADE, related_name="labels")
    verdict = models.CharField(max_length=12, choices=Verdict)
    decision = models.ForeignKey(Decision, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="identity", identity__isnull=False) | (~Q(verdict="identity") & Q(identity=None)),
                name="an_identity_label_names_one",
            ),
        ]
        indexes = [
            models.Index(fields=["identity", "face"], name="label_by_identity"),
            models.Index(fields=["verdict", "-face"], name="label_by_verdict"),
        ]


class AttributeLabel(models.Model):
    """What an attribute of a face is, as the ledger now has it. Derived, as `Label` is."""

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="attribute_labels")
    attribute = models.CharField(max_length=20)
    value = models.CharField(max_length=300)  # a class, "cannot_tell", or years
    detail = models.JSONField(default=dict)  # as its line of the ledger has it
    decision = models.ForeignKey(Decision, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["face", "attribute"], name="one_label_per_face_and_attribute")]
        indexes = [models.Index(fields=["attribute", "value"], name="attribute_label_by_value")]

    @property
    def title(self) -> str:
        return self.attribute.replace("_", " ")


class Release(models.Model):
    """A frozen dataset: the folder that holds it, and what became of it. What is in it is never edited."""

    class State(models.TextChoices):
        WAITING = "waiting"
        BUILDING = "building"
        DONE = "done"
        FAILED = "failed"

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[RegexValidator(r"^[^\x00-\x1f/\\]+$", "A release's name has no slash and no control character.")],
    )
    purpose = models.TextField(blank=True)  # of its datasheet: why it was made
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    query = models.JSONField()  # as ReleaseQuery has it
    folder = models.CharField(max_length=500, blank=True)  # relative to the folder of all releases
    checksum = models.CharField(max_length=64, blank=True, db_index=True)  # its id, as the models trained on it name it
    counts = models.JSONField(default=dict)
    changes = models.JSONField(default=dict)  # from its predecessor to it
    predecessor = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="successors")
    error = models.TextField(blank=True)  # why it failed
    written = models.PositiveIntegerField(default=0)  # faces, while it is built
    total = models.PositiveIntegerField(null=True)
    checked_at = models.DateTimeField(null=True)  # when all files were last hashed anew
    damage = models.TextField(blank=True)  # what was found wrong then
    claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # Two at once could give one face to two parts.
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="building"), name="one_release_built_at_a_time"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_release_says_why"),
            models.CheckConstraint(
                condition=~Q(state="done") | (~Q(checksum="") & ~Q(folder="")), name="a_done_release_is_somewhere"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ReleaseErasure(models.Model):
    """A photo that a release holds, and that was erased since. It outlives the photo."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="erasures")
    sha256 = models.CharField(max_length=64, db_index=True)
    faces = models.JSONField()  # their ids, as the release has them
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "sha256"], name="one_erasure_per_photo_and_release")]


class NetworkOutput(models.Model):
    """What the network of one model version says of a face by itself. Beliefs are fused from what the live ones say."""

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="outputs")
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    belief = models.BinaryField()  # little-endian float32: by value of the attribute, or by year
    features = models.BinaryField(null=True)  # float16: what its last layer decided by, if it tells

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "face"], name="one_output_per_face_and_version")]


class Calibration(models.Model):
    """How the sources of one attribute are weighed, and how far the result can be believed; the latest one counts."""

    attribute = models.CharField(max_length=20, db_index=True)
    version = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")  # of the backbone
    network = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")  # the attribute's
    sources = models.JSONField()  # names, in the order of the weights
    weights = models.JSONField()
    bias = models.JSONField()
    answers = models.PositiveIntegerField()  # of the control slice, that it was fitted on
    error = models.FloatField(null=True)  # expected calibration error, each answer judged by a fit without it
    diagram = models.JSONField(default=dict)  # confidence, right and count by bin
    learnt_from = models.PositiveIntegerField(default=0)  # labels that the sources learnt from
    decisions_seen = models.BigIntegerField(default=0)  # the ledger's line up to which they did
    sequences = models.JSONField(default=dict)  # by value: the thresholds to certify, fixed before any audit
    at = models.DateTimeField(default=timezone.now)


class Proposal(models.Model):
    """What the machine believes an attribute of a face to be, and what it rests on."""

    face = models.ForeignKey(Face, on_delete=models.CASCADE, related_name="proposals")
    attribute = models.CharField(max_length=20)
    value = models.CharField(max_length=20)  # the most believed
    confidence = models.FloatField()  # in it
    belief = models.JSONField()  # by value, or by year
    evidence = models.JSONField(default=dict)  # what each source says by itself, in the same order
    # Whose word it rests on. What else that network told, and what others did, is in their outputs.
    network = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    # Of a person's faces one stands for all where the attribute is the person's: it alone is asked about.
    stands = models.BooleanField(default=True)
    calibration = models.ForeignKey(Calibration, null=True, on_delete=models.SET_NULL, related_name="+")  # none: fresh

    class Meta:
        constraints = [models.UniqueConstraint(fields=["attribute", "face"], name="one_proposal_per_face")]
        indexes = [
            models.Index(fields=["attribute", "value", "-confidence"], name="proposal_by_confidence"),
            models.Index(fields=["attribute", "network"], condition=Q(calibration=None), name="proposal_not_fused"),
        ]


class Certificate(models.Model):
    """The right to accept proposals of one value unseen, and the audited answers that gave it."""

    class State(models.TextChoices):
        VALID = "valid"
        REPLACED = "replaced"  # by a later one of the same value
        REVOKED = "revoked"  # for good: later audits broke its promise, or a curator did not believe it
        LAPSED = "lapsed"  # answers that gave it were undone or corrected; others may give it again

    attribute = models.CharField(max_length=20)
    value = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State, default=State.VALID)
    threshold = models.FloatField()  # proposals of this confidence or more are accepted
    target = models.FloatField()
    audited = models.PositiveIntegerField()
    wrong = models.PositiveIntegerField()
    bound = models.FloatField()  # of the error among what it accepts, at 95 %, at whatever time one looks
    coverage = models.FloatField()  # the share of all proposals of the value that it accepts
    calibration = models.ForeignKey(Calibration, on_delete=models.PROTECT, related_name="certificates")
    accepted = models.PositiveIntegerField(default=0)
    audited_since = models.PositiveIntegerField(default=0)  # of what it accepted
    wrong_since = models.PositiveIntegerField(default=0)
    blind = models.PositiveIntegerField(default=0)  # control answers, given without its proposal, about such faces
    blind_wrong = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["attribute", "value"], condition=Q(state="valid"), name="one_valid_certificate_per_value"
            )
        ]


class Thought(models.Model):
    """When the engine last began to think about an attribute, and how much had been said by then."""

    attribute = models.CharField(max_length=20, unique=True)
    votes = models.BigIntegerField(default=0)  # the last one that was seen
    decisions = models.BigIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    at = models.DateTimeField()


class Agreement(models.Model):
    """How far annotators agree on one attribute, on faces that chance picked for more than one of them."""

    class Measure(models.TextChoices):
        ALPHA = "alpha", "Krippendorff's α"
        INTRACLASS = "icc", "intraclass correlation"

    attribute = models.CharField(max_length=20, unique=True)
    measure = models.CharField(max_length=5, choices=Measure)
    value = models.FloatField(null=True)  # none while nothing can be compared
    faces = models.PositiveIntegerField()
    # How often each value, in their order, is that of a face of which the machine says nothing; of years, none.
    frequency = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now)


class Reliability(models.Model):
    """How far one annotator's answers about one attribute can be believed, as last learnt from all answers."""

    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="reliabilities")
    attribute = models.CharField(max_length=20)
    confusion = models.JSONField()  # [true][said], in the order of the attribute's values; of years, empty
    bias = models.FloatField(null=True)  # years that they guess older (+) or younger (−) than others do
    bias_error = models.FloatField(null=True)  # its standard error
    too_fast = models.PositiveIntegerField(default=0)  # answers given faster than anybody reads a face
    drifted = models.BooleanField(default=False)  # their latest answers to gold are worse than their earlier ones
    votes = models.PositiveIntegerField()
    gold = models.PositiveIntegerField(default=0)  # answers to questions whose answer is known
    gold_right = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotator", "attribute"], name="one_reliability_each")]

    @property
    def title(self) -> str:
        return self.attribute.replace("_", " ")


class Snapshot(models.Model):
    """What was counted for the dashboard at one time; the later it is, the more of its time is kept beside it."""

    at = models.DateTimeField(default=timezone.now, unique=True)
    counts = models.JSONField()  # by name: for rates and plots over time
    # Of the latest one only, by the name of the part: when it was counted, in how many ms, and what was found.
    parts = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]


class Claim(models.Model):
    """Work that one worker at a time does, and that belongs to no row: who has it in hand holds it until then."""

    name = models.CharField(max_length=50, primary_key=True)
    until = models.DateTimeField()


class Worker(models.Model):
    """A set of worker processes that says every few seconds that it lives."""

    name = models.CharField(max_length=200, unique=True)
    queues = models.JSONField(default=list)
    processes = models.PositiveIntegerField(default=0)
    busy = models.PositiveIntegerField(default=0)  # processes that have something in hand
    doing = models.JSONField(default=list)  # the names of those tasks
    started_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FaceMap(models.Model):
    """The map of the embeddings, of which there is one, in row 1. Where a face lies on it is a MapPoint."""

    version = models.ForeignKey(ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+")
    of = models.PositiveIntegerField(default=0)  # embedded faces that there were, of which chance picked
    seconds = models.FloatField(default=0)  # it took
    at = models.DateTimeField(null=True)


class MapPoint(models.Model):
    """Where a face lies on the map. This table alone holds it: a face that is erased takes its point along."""

    face = models.OneToOneField(Face, primary_key=True, on_delete=models.CASCADE, related_name="+")
    x = models.FloatField()  # 0 to 1
    y = models.FloatField()


# ---- who did what


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def unsealed(self) -> "AuditEventQuerySet":
        return self.filter(number=None)

    def of_face(self, face: int) -> "AuditEventQuerySet":
        """Lines that name this face, by itself or among those of a page."""
        if connection.vendor == "postgresql":
            among = Q(details__faces__contains=[face])
        else:
            faces = "annotation_auditevent.details, '$.faces'"
            each = f"json_type({faces}) = 'array' AND EXISTS (SELECT 1 FROM json_each({faces}) WHERE value = %s)"
            among = Q(RawSQL(each, [face], output_field=models.BooleanField()))
        return self.filter(Q(subject=f"face {face}") | among)

    def update(self, **values: object) -> int:
        raise AuditIsAppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AuditIsAppendOnly


class AuditEvent(models.Model):
    """One line of the audit log. `audit` writes it and, seconds later, seals it: afterwards nothing of it changes.

    The database itself refuses any other change (triggers of migration 0015). It names things by their ids only, so
    that an erasure has nothing to rewrite here.
    """

    class Action(models.TextChoices):
        SEE = "see", "Faces or photos seen"
        SEARCH = "search", "Search by face"
        EXPORT = "export", "Labels exported"
        DOWNLOAD = "download", "Release downloaded"
        RELEASE = "release", "Release made"
        DECIDE = "decide", "Lines of the ledger"
        ERASE = "erase", "Erasure"
        EXPIRE = "expire", "Erasure by schedule"
        HOLD = "hold", "Legal hold"
        LIFT = "lift", "Legal hold lifted"
        RIGHTS = "rights", "Rights of a source"
        PROMOTE = "promote", "Model promoted"
        ROLL_BACK = "roll_back", "Model rolled back"
        SIGN_IN = "sign_in", "Signed in"
        SIGN_OUT = "sign_out", "Signed out"
        SIGN_IN_FAILED = "sign_in_failed", "Sign-in failed"
        LOCKED_OUT = "locked_out", "Locked out"
        PASSWORD = "password", "Password changed"
        ACCOUNT = "account", "Account made or switched"
        ROLE = "role", "Role changed"
        SCOPE = "scope", "Sources of a person changed"
        TOKEN = "token", "Token made"
        TOKEN_REVOKED = "token_revoked", "Token revoked"
        SETTING = "setting", "Setting changed"
        BACKUP = "backup", "Backup made"
        RESTORE = "restore", "Restored"
        AUDIT = "audit", "Audit log read or exported"

    number = models.BigIntegerField(null=True, unique=True)  # its place in the chain, from 1; none until it is sealed
    hash = models.CharField(max_length=64, blank=True)  # SHA-256 of the hash before and of all the rest of this line
    at = models.DateTimeField(default=timezone.now, db_index=True)
    action = models.CharField(max_length=20)  # an Action; no choices, as another one changes no table
    # None: the machine, or nobody yet.
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    token = models.BigIntegerField(null=True)  # with which a program acted for that person
    request = models.CharField(max_length=64, blank=True)  # the id that its response and the log lines have
    subject = models.CharField(max_length=100, blank=True)  # "face 12"
    details = models.JSONField(default=dict)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=Q(number=None), name="audit_unsealed"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["by", "-id"], name="audit_by_person"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=(Q(number=None) & Q(hash="")) | (Q(number__gte=1) & ~Q(hash="")), name="sealed_has_its_hash"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}".strip()

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AuditIsAppendOnly
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        raise AuditIsAppendOnly

    @property
    def told(self) -> str:
        """The action in words."""
        return str(self.Action(self.action).label) if self.action in self.Action.values else self.action


class Setting(models.Model):
    """A setting that somebody changed at run time; `live_settings` says which there may be."""

    name = models.CharField(max_length=40, primary_key=True)
    value = models.JSONField()
    reason = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return self.name


# ---- what must be forgotten, and what must not


class LegalHold(models.Model):
    """What may not be erased, whoever asks and whatever date passes, until an admin lifts it or its day is over."""

    source = models.ForeignKey(Source, null=True, on_delete=models.CASCADE, related_name="holds")
    photo = models.ForeignKey(Photo, null=True, on_delete=models.CASCADE, related_name="holds")
    identity = models.ForeignKey(Identity, null=True, on_delete=models.CASCADE, related_name="holds")
    because = models.CharField(max_length=300)
    until = models.DateField(null=True)  # the last day that it holds; none: until it is lifted
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    lifted_because = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(source__isnull=False, photo=None, identity=None)
                | Q(source=None, photo__isnull=False, identity=None)
                | Q(source=None, photo=None, identity__isnull=False),
                name="a_hold_is_on_one_thing",
            ),
        ]

    def __str__(self) -> str:
        for name, pk in (("source", self.source_id), ("photo", self.photo_id), ("person", self.identity_id)):
            if pk is not None:
                return f"hold {self.pk} on {name} {pk}"
        return f"hold {self.pk}"


class Erasure(models.Model):
    """Something to be forgotten wholly, how far that is, and the signed report of it. Nothing of what is gone is here
    but ids that nothing has any more.
    """

    class Kind(models.TextChoices):
        PHOTO = "photo"
        FACE = "face"
        PERSON = "person"
        SOURCE = "source"
        EXPIRY = "expiry", "Source past its retention"

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=10, choices=Kind)
    ids = models.JSONField()  # of the photos, faces, identities, or of the one source
    # Faces are blacked out in the pictures that go on: of a person, those on which others are, too.
    black_out = models.BooleanField(default=False)
    reason = models.CharField(max_length=500)
    legal_reference = models.CharField(max_length=200, blank=True)  # "GDPR Art. 17(1)(b)", a file number
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")  # none: the schedule
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    error = models.TextField(blank=True)
    total = models.PositiveIntegerField(null=True)  # photos and faces to go through
    done = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)  # rows by table, and what else was done
    files = models.JSONField(default=dict)  # by kind of file
    people = models.JSONField(default=list)  # identities that lost faces: galleries follow by these
    releases = models.JSONField(default=dict)  # by id: photos of it that were marked
    sources = models.JSONField(default=list)  # that the photos came from
    since = models.DateTimeField(null=True)  # when the first of them was received: exports since then may hold it
    report = models.JSONField(null=True)
    signature = models.CharField(max_length=100, blank=True)
    claimed_until = models.DateTimeField(null=True)
    at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="a_failed_erasure_says_why"),
            models.CheckConstraint(
                condition=~Q(state="done") | ~Q(signature=""), name="a_done_erasure_has_its_signed_report"
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"

    @property
    def subject(self) -> str:
        """What it was about, by ids alone."""
        word = {"expiry": "source"}.get(self.kind, self.kind)
        shown = ", ".join(str(pk) for pk in self.ids[:5]) + (f" and {len(self.ids) - 5} more" if self.ids[5:] else "")
        return f"{word} {shown}"

    @property
    def under_way(self) -> bool:
        return self.state in (self.State.WAITING, self.State.RUNNING)


class ErasedFile(models.Model):
    """A file that has to go. Written with the rows that go, so that a kill leaves none behind; kept for an hour after,
    and removed once more then, as somebody may have been writing it.
    """

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="erased_files")
    key = models.CharField(max_length=200)  # within the storage, sealed by the signing key: it names the photo's digest
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["erasure", "key"], name="one_erased_file_per_key")]


class Tombstone(models.Model):
    """A photo that may not come back, known by a keyed hash: without the signing key nobody tells which one it was."""

    key = models.CharField(max_length=64, unique=True)
    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="tombstones")
    at = models.DateTimeField(default=timezone.now)


class ErasedFace(models.Model):
    """Where in a photo a face was that is erased: whatever is found there again is left out."""

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="erased_faces")
    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="+")
    x = models.FloatField()  # pixels of the upright photo
    y = models.FloatField()
    width = models.FloatField()
    height = models.FloatField()
