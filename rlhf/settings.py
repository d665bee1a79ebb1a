"""The service's settings. `env` reads the environment; all else asks `django.conf`. What is unsafe `checks` refuses."""

from __future__ import annotations

from pathlib import Path

import dj_database_url

from rlhf import env

SOURCE = Path(__file__).resolve().parent.parent
APP_ENV = env.choice("APP_ENV", "production", "dev")
DEV = APP_ENV == "dev"
DEBUG = env.flag("DEBUG", default=False)
HOME = Path(env.text("TOUCHSTONE_HOME", str(SOURCE / "var") if DEV else "/var/lib/touchstone")).absolute()
if DEV:
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)

SECRET_KEY = env.secret("SECRET_KEY") or (env.kept_secret(HOME / "secrets" / "secret_key") if DEV else "")
TICKET_KEY = env.secret("TICKET_KEY") or (env.kept_secret(HOME / "secrets" / "ticket_key") if DEV else "")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if DEV else "")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")

# What stands where

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "annotate",
    "rlhf",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "rlhf.csp.policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "annotate.pages.errors.Refusals",
]
ROOT_URLCONF = "rlhf.urls"
WSGI_APPLICATION = "rlhf.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "rlhf.navigation.navigation",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Rows, files, messages

DATABASES = {"default": dj_database_url.parse(env.secret("DATABASE_URL") or f"sqlite:///{HOME / 'db.sqlite3'}")}
POSTGRESQL = {  # for `annotate.rows`, whose plans are kept: made the first time, and for many rows, not for few
    "prepare_threshold": 0,
    "options": "-c plan_cache_mode=force_generic_plan -c random_page_cost=1.1",
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = 60  # a new one costs 1 ms, and the last one that goes clears the log
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"]["OPTIONS"] = POSTGRESQL | DATABASES["default"].get("OPTIONS", {})

STORAGE_URL = env.text("STORAGE_URL", f"file://{HOME / 'objects'}")
REDIS_PATH = HOME / "redis.path"  # names the socket of the embedded Redis
REDIS_URL = env.secret("REDIS_URL")
CELERY_BROKER_URL = (
    REDIS_URL or f"redis+socket://{REDIS_PATH.read_text() if REDIS_PATH.exists() else HOME / 'no-redis'}"
)
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {"rlhf.tasks.execute_run": {"queue": "train"}}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "beat")
CELERY_BEAT_SCHEDULE = {
    "sweep runs": {"task": "rlhf.tasks.sweep_runs", "schedule": 10.0, "options": {"expires": 10}},
    "sweep leases": {"task": "annotate.tasks.sweep_leases", "schedule": 30.0, "options": {"expires": 30}},
}

# People

AUTH_USER_MODEL = "annotate.User"
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "login", "home", "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SECURE = not DEV
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.flag("COOKIES_SECURE", default=SECURE)
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "annotate.pages.errors.csrf_failed"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# What the network sees

SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", default=31_536_000 if SECURE else 0, low=0, high=63_072_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SSL_REDIRECT = SECURE
FORWARDED_ALLOW_IPS = env.words(
    "FORWARDED_ALLOW_IPS", "127.0.0.1,::1"
)  # gunicorn believes these proxies, and no others
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
TRUSTED_TYPES_PAGES = frozenset({"slot", "slot-submit", "slot-skip", "playground", "tokenizer", "game"})  # without htmx
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
CHAT_STREAMS = env.integer("CHAT_STREAMS", default=4, low=1, high=1_000)
RATE_CLAIMS = env.integer("RATE_CLAIMS", default=0 if DEV else 120, low=0, high=1_000_000)
RATE_SUBMITS = env.integer("RATE_SUBMITS", default=0 if DEV else 120, low=0, high=1_000_000)

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(HOME / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": HOME / "files"}},
    "staticfiles": {"BACKEND": "rlhf.static_files.Hashed"},
}
WHITENOISE_USE_FINDERS = DEV

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotate.api.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "rlhf.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Touchstone",
    "DESCRIPTION": "What every screen can do.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [],  # enums stay where they are used: `kind` and `state` mean many things
}

# Work

BASE_MODELS = env.words("BASE_MODELS")  # hub id@commit; empty: the operator of fetch_model decides each time
WORKER_THREADS = env.integer("WORKER_THREADS", default=0, low=0, high=1_024)  # cores of a run's child; 0: all

# What each app adds to the pages to learn from

LEARN_PLACES = ["annotate.pages.learn.places", "rlhf.pages.learn.places"]
LEARN_NUMBERS = ["annotate.numbers.numbers", "rlhf.pages.numbers.numbers"]
GAME_OPINION_URL_NAME = "api:game-opinion"  # whom the game asks for a second opinion; empty: nobody

USE_TZ, TIME_ZONE = True, "UTC"
USE_I18N, LANGUAGE_CODE, LANGUAGES = True, "en", [("en", "English")]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO" if not DEV else "WARNING"},
}
