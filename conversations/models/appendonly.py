"""Tables whose rows never change: triggers refuse it, whoever asks.

Django makes a SQLite table anew when a migration alters it, and the triggers of the old one are gone:
so they are installed after every `migrate`, and a system check looks for them.
"""

from collections.abc import Sequence

from django.db import connection, transaction

TABLES: tuple[str, ...] = (
    "conversations_ledgerentry",
    "conversations_price",
    "conversations_exchangerate",
    "conversations_budgetchange",
    "conversations_rulechange",
    "conversations_auditentry",
)

# PostgreSQL: one function for all tables; TRUNCATE fires no row trigger, so it has one of its own.
_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""


def _statements(table: str) -> dict[str, str]:
    """Return what makes the triggers of a table, by their names."""
    if connection.vendor == "postgresql":
        return {
            f"{table}_{name}": f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table}"
            f" FOR EACH {unit} EXECUTE FUNCTION refuse_change()"
            for name, event, unit in (
                ("stays", "UPDATE OR DELETE", "ROW"),
                ("stays_whole", "TRUNCATE", "STATEMENT"),
            )
        }
    return {
        f"{table}_{name}": f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for name, event in (("stays", "UPDATE"), ("stays_whole", "DELETE"))
    }


def missing() -> list[str]:
    """Return the triggers that should be there and are not, of those tables that are there."""
    there = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE tgenabled = 'O'")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        known = {name for (name,) in cursor.fetchall()}
    return [name for table in TABLES if table in there for name in _statements(table) if name not in known]


def install() -> None:
    """Make the triggers that are missing."""
    wanted = missing()
    if not wanted:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
        for table in TABLES:
            for name, statement in _statements(table).items():
                if name in wanted:
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}" + _of(table))
                    cursor.execute(statement)


def lift(tables: Sequence[str] = TABLES) -> None:
    """Take the triggers away: for tests, which empty their tables."""
    with connection.cursor() as cursor:
        for table in tables:
            for name in _statements(table):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}" + _of(table))


def _of(table: str) -> str:
    return f" ON {table}" if connection.vendor == "postgresql" else ""
