from tests.commands.conftest import configured, terminal

__all__ = ["configured", "terminal"]
