"""Celery: two queues, one schedule, and publishers that never wait for a broker that is away.

`after` holds what follows a turn, in milliseconds; `long` what may take minutes.
"""

import os
import warnings
from typing import Any

from celery import Celery
from celery.signals import (
    beat_embedded_init,
    setup_logging,
    task_failure,
    task_retry,
    task_success,
    worker_ready,
)
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatbot.settings")

from chatbot import children, logs, metrics, presence

# It warns of root because of pickle, which is not accepted here; in a container everybody is root.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

app = Celery("chatbot")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_queues=[Queue("after"), Queue("long")],
    task_default_queue="after",
    task_routes={
        name: {"queue": "long"}
        for name in ("conversations.forget_done", "conversations.send_budget_alert", "conversations.reprice")
    },
    task_create_missing_queues=False,
    accept_content=["json"],
    # A lost task is sent again by the sweep, so nobody has to wait for the broker to redeliver it.
    broker_transport_options={
        "visibility_timeout": 3600,
        "socket_timeout": 10,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "max_retries": 0,
    },
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a worker waits for its broker for ever; publishers do not
    task_publish_retry=False,
    # In memory: all that is on the schedule is a sweep, which may come early or late.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "send what was not sent": {
            "task": "conversations.sweep_outbox",
            "schedule": 15.0,
            "options": {"expires": 15.0},
        },
        "close what nobody closed": {
            "task": "conversations.sweep_ledger",
            "schedule": 15.0,
            "options": {"expires": 15.0},
        },
        "forget what is done": {
            "task": "conversations.forget_done",
            "schedule": 3600.0,
            "options": {"expires": 3600.0},
        },
    },
    worker_send_task_events=False,
)
WORKER = os.getpid()  # also in the process of the schedule, which is forked from it
_is_telling = False
app.autodiscover_tasks(["conversations"])


@setup_logging.connect
def keep_our_logging(**_about: Any) -> None:
    """Keep Celery from replacing the handlers that settings.LOGGING made."""
    logs.catch_the_rest()


@beat_embedded_init.connect
def _end_with_the_worker(**_about: Any) -> None:
    """The schedule runs in a process of its own, which would go on without the worker."""
    children.die_with(WORKER)


@worker_ready.connect
def _say_that_we_are_here(sender: Any = None, **_about: Any) -> None:
    """Tell which queues have a worker. Comes again after each reconnection to the broker."""
    global _is_telling
    if not _is_telling:
        _is_telling = True
        queues = [queue.name for queue in sender.task_consumer.queues]
        presence.tell_from_a_thread(queues, f"{sender.hostname}:{os.getpid()}")


@task_success.connect
def _count_success(sender: Any = None, **_about: Any) -> None:
    metrics.TASKS.labels(sender.name, "done").inc()


@task_retry.connect
def _count_retry(sender: Any = None, **_about: Any) -> None:
    metrics.TASKS.labels(sender.name, "retried").inc()


@task_failure.connect
def _count_failure(sender: Any = None, **_about: Any) -> None:
    metrics.TASKS.labels(sender.name, "failed").inc()
