"""The one settings file. Every value that a deployment may change is an environment variable, listed in README."""

import os
from pathlib import Path

from dager_site import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.folder("DAGER_DATA", BASE_DIR / "var")

# ---- who may connect
DEBUG = env.flag("DAGER_DEBUG", False)
SECRET_KEY = env.secret("DAGER_SECRET_KEY", DATA_DIR)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
HTTPS = env.flag("DAGER_HTTPS", False)  # on behind a TLS proxy that sets X-Forwarded-Proto
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", "")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$"]  # a supervisor asks the process itself, no proxy between
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_IDLE_MINUTES = env.whole("DAGER_SESSION_IDLE_MINUTES", 480, low=1, high=43_200)  # unused so long, it ends
SESSION_HOURS = env.whole("DAGER_SESSION_HOURS", 168, low=1, high=8760)  # and so old, used or not
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
SESSION_ENGINE = "dager_site.sessions"
X_FRAME_OPTIONS = "DENY"

# ---- where things are kept
DATABASES = {"default": env.database("DATABASE_URL", DATA_DIR)}
MEDIA_ROOT = env.folder("DAGER_FILES", DATA_DIR / "files")  # photos and crops, by their content's hash
RELEASES_DIR = env.folder("DAGER_RELEASES", MEDIA_ROOT / "releases")  # frozen datasets, a folder each
MODELS_DIR = env.folder("DAGER_MODELS", DATA_DIR / "models")  # bundles, and the state of training runs
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---- intake
INTAKE_MEGAPIXELS = env.whole("DAGER_MEGAPIXELS", 50, low=1, high=1000)
INTAKE_FILE_MB = env.whole("DAGER_FILE_MB", 30, low=1, high=1000)
INTAKE_DECODE_SECONDS = env.whole("DAGER_DECODE_SECONDS", 20, low=1, high=600)
INTAKE_URLS = env.flag("DAGER_FETCH_URLS", False)  # the server fetches what a manifest names only when switched on
INTAKE_FOLDERS = [
    Path(word) for word in env.words("DAGER_INTAKE_FOLDERS", "")
]  # folders the web pages may take in from
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000  # of the form without its files
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000  # larger uploads go to a temporary file
REQUESTS_A_MINUTE = env.whole("DAGER_REQUESTS_A_MINUTE", 1200, low=1)  # of the API, by each token or person
PREDICTIONS_A_MINUTE = env.whole("DAGER_PREDICTIONS_A_MINUTE", 600, low=1)  # requests, however many photos each has
ANNOTATE_A_MINUTE = env.whole("DAGER_ANNOTATE_A_MINUTE", 0)  # counted by themselves, as the others; 0: as above
CURATE_A_MINUTE = env.whole("DAGER_CURATE_A_MINUTE", 0)
TRAIN_A_MINUTE = env.whole("DAGER_TRAIN_A_MINUTE", 0)
ADMIN_A_MINUTE = env.whole("DAGER_ADMIN_A_MINUTE", 0)
METRICS_DIR = env.text("PROMETHEUS_MULTIPROC_DIR", "")  # where web processes count together; read by prometheus-client
PREDICT_REQUEST_MB = env.whole("DAGER_REQUEST_MB", 200, low=1, high=4000)  # held in memory, never on disk

# ---- the belt
REDIS = env.text("CELERY_BROKER_URL", "")
QUEUE_DIR = DATA_DIR / "queue"
CELERY_BROKER_URL = REDIS or "filesystem://localhost"
if not REDIS:
    CELERY_BROKER_TRANSPORT = "dager_site.message_folder:Transport"
# Seconds. Without them, a Redis that takes connections and says nothing holds a web request for ever. A worker's wait
# for work is not bound by them: it reads once there is something to read.
REDIS_PATIENCE = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"visibility_timeout": 3600} | REDIS_PATIENCE
    if REDIS
    else {
        # kombu's queue of files: enough for one machine, nothing to install. What a kill loses, the sweep finds.
        "data_folder_in": str(QUEUE_DIR / "messages"),
        "data_folder_out": str(QUEUE_DIR / "messages"),
        "control_folder": str(QUEUE_DIR / "control"),
        "store_processed": False,
        "polling_interval": 0.05,  # seconds; kombu's own second leaves the workers idle half of the time
    }
)
# Requests are counted in it. Without Redis there is one web process, whose memory is enough.
CACHES = {
    "default": {
        "BACKEND": "dager_site.cache.SharedOrOwn",
        "LOCATION": REDIS,
        "KEY_PREFIX": "dager.json",
        "OPTIONS": {"serializer": "dager_site.cached.Json", "socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
    if REDIS
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Once more, by a new connection: the old one may just have been closed.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_IGNORE_RESULT = True
CELERY_ACCEPT_CONTENT = ["json"]  # nothing that is run by being read
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "annotation.tasks.find_faces": {"queue": "vision"},
    "annotation.tasks.embed_faces": {"queue": "vision"},
    "annotation.tasks.propose": {"queue": "vision"},
    "training.tasks.train": {"queue": "train"},
    "training.tasks.prepare": {"queue": "vision"},
    "training.tasks.finish": {"queue": "vision"},
}
SWEEP_SECONDS = env.whole("DAGER_SWEEP_SECONDS", 20, low=1, high=3600)
SNAPSHOT_SECONDS = env.whole("DAGER_SNAPSHOT_SECONDS", 15, low=1, high=3600)
SETTLE_SECONDS = 2  # after an answer it is settled: nobody waits for it
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")  # when it last sent what
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "annotation.tasks.sweep", "schedule": SWEEP_SECONDS},
    "expire": {"task": "annotation.tasks.expire", "schedule": 3600},
    "sweep-training": {"task": "training.tasks.sweep", "schedule": SWEEP_SECONDS},
    # One that nobody had time for is worth nothing once the next one is sent.
    "take-snapshot": {
        "task": "annotation.tasks.take_snapshot",
        "schedule": SNAPSHOT_SECONDS,
        "options": {"expires": max(60, SNAPSHOT_SECONDS)},
    },
    "settle-kept": {
        "task": "annotation.tasks.settle_kept",
        "schedule": min(SETTLE_SECONDS, SWEEP_SECONDS),
        "options": {"expires": 60},
    },
    "seal-audit": {
        "task": "annotation.tasks.seal_audit",
        "schedule": min(5, SWEEP_SECONDS),
        "options": {"expires": 60},
    },
    "know-people": {"task": "annotation.tasks.know_people", "schedule": max(300, SWEEP_SECONDS)},
    # It counts all labels, and they grow by the hour: the sweep's pace would be waste.
    "consider-training": {"task": "training.tasks.consider", "schedule": max(300, SWEEP_SECONDS)},
}
BATCHES_IN_FLIGHT = env.whole("DAGER_BATCHES_IN_FLIGHT", 8, low=1, high=10_000)  # two or more per worker process
WORKERS = env.whole("DAGER_WORKERS", os.cpu_count() or 1, low=1, high=1024)  # worker processes that `up` starts

# ---- the engine
ASKED = env.words("DAGER_ASKED", "gender,emotion")  # attributes; apparent_age takes ten people for each face
CONTROL_SHARE = env.share("DAGER_CONTROL_SHARE", 0.02)  # of all faces: answered blind, drawn once
AUDIT_SHARE = env.share("DAGER_AUDIT_SHARE", 0.02)  # of what a certificate accepts: looked at all the same
TARGET_ERROR = env.share("DAGER_TARGET_ERROR", 0.01)  # that a certificate promises
DOUBT_SHARE = env.share("DAGER_DOUBT_SHARE", 0.01)  # of settled labels: asked again, as the models disbelieve them
OPINIONS = env.whole("DAGER_OPINIONS", 2, low=1, high=100)  # answers at most about a matter of opinion (emotion)
OPINION_BELIEF = env.share("DAGER_OPINION_BELIEF", 0.8)  # that settles such a matter before
GOLD_SHARE = env.share("DAGER_GOLD_SHARE", 0.02)  # of answers: to what is known already, to measure who answers
HOURLY_RATE = env.number("DAGER_HOURLY_RATE", 0.0, high=1_000_000)  # what an hour of an annotator costs; 0: not told

# ---- training by itself
AUTO_TRAIN = env.flag("DAGER_AUTO_TRAIN", False)  # a release and a training for each attribute asked, when worth it
AUTO_PROMOTE = env.flag("DAGER_AUTO_PROMOTE", False)  # and what passes the gate becomes live
TRAIN_PRESET = env.one_of("DAGER_TRAIN_PRESET", "quick", ("quick", "full"))
TRAIN_LABELS = env.whole("DAGER_TRAIN_LABELS", 2000, low=1)  # new ones that are enough
TRAIN_GROWTH = env.share("DAGER_TRAIN_GROWTH", 0.25)  # or such a share of those before
TRAIN_COVERAGE = env.share("DAGER_TRAIN_COVERAGE", 0.5)  # of proposals, that certificates should accept
TRAIN_DAYS = env.whole("DAGER_TRAIN_DAYS", 0, high=3650)  # after so many it is time again; 0: never
TRAIN_COOLDOWN_HOURS = env.whole("DAGER_TRAIN_COOLDOWN_HOURS", 12, high=8760)  # between two of one attribute

# ---- Django
ROOT_URLCONF = "dager_site.urls"
WSGI_APPLICATION = "dager_site.wsgi.application"
AUTH_USER_MODEL = "annotation.User"
AUTHENTICATION_BACKENDS = ["dager_site.sign_in.Guarded"]
INSTALLED_APPS = [
    "inference",
    "annotation",
    "training",
    "dager_site",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]
MIDDLEWARE = [
    "dager_site.middleware.Traced",
    "dager_site.middleware.ContentSecurityPolicy",  # also of refusals and static files, which those below answer
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",  # an ETag for whatever is read: unchanged, it is not sent again
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dager_site.middleware.SessionsEnd",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "dager_site.middleware.Audited",  # the innermost: it writes as who was signed in by then
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "annotation.words.for_scripts",
            ]
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "dager_site.storage.WholeFiles"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True  # a clone serves its own static files without collectstatic
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
LANGUAGE_CODE = "en-gb"
# Those that there is a translation for; Django's own words come in no other either. A new one is a folder of `locale`
# (`manage.py makemessages -l de`), translated and compiled, and a line here; LANGUAGE_CODE says which the pages speak.
LANGUAGES = [("en-gb", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

REST_FRAMEWORK = {
    # The first says in a 401 how to come in.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "dager_site.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "dager_site.parsers.SmallJson",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["dager_site.limits.PerMinute"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "dager_site.api_errors.envelope",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "PAGE_SIZE": 100,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "DAGER",
    "DESCRIPTION": "From a folder of scraped photos to a clean, versioned face dataset.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",  # what comes after it names a call's group
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "dager_site.schema.complete"],
    "ENUM_NAME_OVERRIDES": {
        "DatePrecisionEnum": "annotation.models.DatePrecision",
        "IntakeStateEnum": "annotation.models.Intake.State",  # those of an erasure are called the same
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "traced": {"()": "dager_site.logs.WithRequestId"},
        "refusals": {"()": "dager_site.logs.RefusalsInOneLine"},
    },
    "formatters": {
        "line": {
            "class": "dager_site.logs.Lines",
            "format": "{asctime} {levelname} {name} [{request_id}] {message}",
            "style": "{",
        },
        "json": {"()": "dager_site.logs.JsonLines"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.one_of("DAGER_LOG_FORMAT", "line", ("line", "json")),
            "filters": ["traced", "refusals"],
        }
    },
    "loggers": {
        "faiss.loader": {"level": "WARNING"},  # it reports each build that it tries
        "onnx_ir": {"level": "WARNING"},  # it reports what each of its passes did not find
        "onnxscript": {"level": "WARNING"},  # likewise
        # It warns that torchvision, which no network of ours needs, is not there. Torch sets those above it itself.
        "torch.onnx._internal.exporter._registration": {"level": "ERROR"},
    },
    "root": {"handlers": ["stderr"], "level": env.text("DAGER_LOG_LEVEL", "INFO").upper()},
}
