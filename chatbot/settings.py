"""Django settings. Everything runs with nothing set; `.env.example` says what can be."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

from chatbot.env import BadSettingError, Environment, secret_kept_in

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(BASE_DIR / ".env")

# ── where things are ─────────────────────────────────────────────────────────────────────────────
VAR_DIR = env.path("CHATBOT_VAR", BASE_DIR / "var", shown="var")
CONFIG_FILE = env.path("CHATBOT_CONFIG", BASE_DIR / "config.yaml", shown="config.yaml")
try:
    VAR_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise BadSettingError(
        f"`CHATBOT_VAR` is `{VAR_DIR}`, which cannot be made ({error.strerror});"
        " name a directory we may write to."
    ) from None

# ── who may reach us, and as whom ────────────────────────────────────────────────────────────────
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY_FILE = VAR_DIR / "secret_key"
SECRET_KEY = env.secret("SECRET_KEY") or secret_kept_in(SECRET_KEY_FILE)
if len(SECRET_KEY) < 32:
    raise BadSettingError(
        "`SECRET_KEY` is shorter than 32 characters, which can be guessed;"
        " leave it unset and one is made, or give a longer one."
    )
PUBLIC_URL = env.url("PUBLIC_URL")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or ""
PUBLIC_ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(PUBLIC_URL)).lower() if PUBLIC_URL else ""
IS_PUBLIC_HTTPS = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS") or [
    "localhost", "127.0.0.1", "[::1]", *([PUBLIC_HOST] if PUBLIC_HOST else []),
]  # fmt: skip
ALLOWED_ORIGINS = env.origins("ALLOWED_ORIGINS")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
METRICS_TOKEN = env.secret("METRICS_TOKEN")

# ── what a visitor may do ────────────────────────────────────────────────────────────────────────
SCREENING_FAIL_OPEN = env.flag("SCREENING_FAIL_OPEN", default=False)
DRAIN_S = env.number("DRAIN_S", 20, at_most=3600)
CONVERSATION_IDLE_H = env.number("CONVERSATION_IDLE_H", 24, at_least=1)
MESSAGE_MAX_CHARS = env.number("MESSAGE_MAX_CHARS", 4000, at_least=1, at_most=15_000)  # fits a 64 KiB frame
LIMIT_FRAMES_PER_10S = env.number("LIMIT_FRAMES_PER_10S", 100)
LIMIT_TURNS_PER_MINUTE_VISITOR = env.number("LIMIT_TURNS_PER_MINUTE_VISITOR", 20)
LIMIT_TURNS_PER_MINUTE_ADDRESS = env.number("LIMIT_TURNS_PER_MINUTE_ADDRESS", 60)
LIMIT_PARALLEL_TURNS_VISITOR = env.number("LIMIT_PARALLEL_TURNS_VISITOR", 3)

# ── the application ──────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "chatbot",
    "conversations",
    "channels",
    "csp",
    "django_htmx",
    "conversations.apps.RecordsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "chatbot.probes.ProbeMiddleware",
    "chatbot.middleware.ClientMiddleware",
    "chatbot.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "chatbot.urls"
ASGI_APPLICATION = "chatbot.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "chatbot.assets.AssetStorage"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A visitor's largest form is a search; staff write prompts.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# ── language and time ────────────────────────────────────────────────────────────────────────────
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "conversations" / "locale"]
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600

# ── the database: the only place where facts live ────────────────────────────────────────────────
DATABASE = env.database(
    "DATABASE_URL", f"sqlite:///{VAR_DIR}/chatbot.sqlite3", shown="sqlite:///var/chatbot.sqlite3"
)
DATABASE["CONN_MAX_AGE"] = 0  # above 0 each ASGI thread keeps a connection until PostgreSQL has none left
if DATABASE["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: without it two transactions that read and then write end in "database is locked".
    # FULL: NORMAL may lose acknowledged commits in a power cut.
    DATABASE["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=2000;",
    }
else:
    # max_size x processes has to stay below the server's max_connections (100 by default).
    DATABASE["OPTIONS"] = {
        "connect_timeout": 5,
        "pool": {"min_size": 1, "max_size": 8, "timeout": 10},
        **DATABASE.get("OPTIONS", {}),
    }
DATABASES: dict[str, dict[str, Any]] = {"default": DATABASE}

# ── Redis: nothing in it that may not vanish ─────────────────────────────────────────────────────
REDIS_URL = env.url("REDIS_URL", "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "unix"))
# No CHANNEL_LAYERS: a consumer with a layer dies with Redis, and state.py carries the notices.

# ── tasks: chatbot/celery.py holds the queues and the schedule ───────────────────────────────────
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")  # kombu's spelling
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TIMEZONE = TIME_ZONE

# ── staff: passwords, sessions, and what a browser is told ───────────────────────────────────────
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/console/"
LOGOUT_REDIRECT_URL = LOGIN_URL
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_AGE = 14 * 3600  # a working day
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = IS_PUBLIC_HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_ORIGIN] if PUBLIC_ORIGIN else []
# Only a trusted proxy can say it: ClientMiddleware removes the header of everybody else.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if IS_PUBLIC_HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# ── mail, logs, numbers ──────────────────────────────────────────────────────────────────────────
vars().update(env.email("EMAIL_URL", "console://"))
EMAIL_TIMEOUT = 10
ALERT_EMAILS = env.listed("ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.url("ALERT_WEBHOOK_URL")
ALERT_WEBHOOK_SECRET = env.secret("ALERT_WEBHOOK_SECRET")
BUDGET_CURRENCY = env.currency("BUDGET_CURRENCY", "USD")
LOGGING_CONFIG = "chatbot.logs.configure"
LOGGING = {
    "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    "format": env.choice("LOG_FORMAT", "text", ("json", "text")),
}
# All processes of this machine count into one directory, and /metrics of any web process adds them
# up. The host's name keeps apart containers that share a volume: each numbers its processes from 1.
METRICS_DIR = VAR_DIR / "metrics" / socket.gethostname()
METRICS_DIR.mkdir(parents=True, exist_ok=True)
