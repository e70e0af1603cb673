"""Whether a long past slows the next turn: conversations of 10,000 messages beside ones of ten."""

import os
import subprocess

from tests.bench.plan import Plan
from tests.bench.processes import ROOT, python
from tests.bench.rounds import Rounds
from tests.bench.stage import Stage
from tests.bench.subjects import Subject
from tests.bench.table import Figure
from tests.bench.tabs import Place

SHORT, LONG = 10, 10_000
RATIO = 1.5
GAP_S = 0.1


def history(stage: Stage) -> None:
    """Measure from sending to the first delta, in short and long conversations by turns."""
    stage.table.title = "history: a turn late in a long conversation"
    stage.table.columns = (f"{LONG} messages", f"{SHORT} messages", "")
    tabs, rounds = (8, 6) if stage.is_full else (4, 3)
    with stage.subjects("product") as (subject,):
        short = stage.play(subject, Plan(sockets=tabs, turns=SHORT // 2)).places
        long = stage.play(subject, Plan(sockets=tabs, turns=SHORT // 2)).places
        lengthen(subject, long)
        found = {"short": Rounds(), "long": Rounds()}
        for _ in range(rounds):
            for name, places in (("short", short), ("long", long)):
                plan = Plan(sockets=tabs, turns=5, stagger_s=tabs * GAP_S, places=tuple(places))
                found[name].reports.append(stage.play(subject, plan))
    for percent, at_most in ((50, RATIO), (90, None)):
        stage.table.figures.append(
            Figure(
                name=f"sending to first delta, p{percent} ms",
                product=found["long"].first_after_send_ms(percent),
                bare=found["short"].first_after_send_ms(percent),
                at_most=at_most,
                against="ratio",
                decimals=2,
            )
        )
    stage.table.figures += [
        Figure(
            name="CPU ms per turn",
            product=found["long"].cpu_ms_per_turn(),
            bare=found["short"].cpu_ms_per_turn(),
            against="ratio",
            decimals=2,
        ),
        Figure(name="faults", product=found["long"].faults + found["short"].faults, at_most=0, decimals=0),
    ]


def lengthen(subject: Subject, places: list[Place]) -> None:
    """Give the conversations their past, behind the product's back."""
    conversations = [str(place.conversation_id) for place in places]
    env = {**os.environ, **subject.env, "DJANGO_SETTINGS_MODULE": "chatbot.settings"}
    subprocess.run(python("-m", "tests.bench.seed", str(LONG), *conversations), cwd=ROOT, env=env, check=True)
