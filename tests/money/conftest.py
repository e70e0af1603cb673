from tests.commands.conftest import configured, terminal
from tests.staff.conftest import jonas, mei, quick_passwords, staff, visitor

__all__ = ["configured", "jonas", "mei", "quick_passwords", "staff", "terminal", "visitor"]
