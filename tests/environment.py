"""The environment tests run in: a plugin of pytest, loaded before Django reads its settings.

Nothing of the developer's own settings, `.env` or `var/` takes part. TEST_DATABASE (`sqlite` or
`postgres`) says which database the tests run on; DATABASE_URL names one that is there already.
"""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

import hypothesis  # noqa: F401 - Python 3.11.7 fails to import it while a failure is reported

EXAMPLE = Path(__file__).parent.parent / ".env.example"
KEPT = {"DATABASE_URL"}

for name in re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.MULTILINE):
    if name not in KEPT:
        os.environ[name] = ""  # an empty value counts as unset, and `.env` does not replace it
        os.environ.pop(f"{name}_FILE", None)

VAR_DIR = tempfile.mkdtemp(prefix="chatbot-tests-")
atexit.register(shutil.rmtree, VAR_DIR, ignore_errors=True)

os.environ["CHATBOT_VAR"] = VAR_DIR
os.environ["SECRET_KEY"] = "only-for-tests-only-for-tests-only-for-tests"
# Nobody listens there: a test that needs Redis starts one.
os.environ["REDIS_URL"] = f"unix://{VAR_DIR}/no-redis.sock"

if os.environ.get("TEST_DATABASE") == "postgres" and not os.environ.get("DATABASE_URL"):
    from tests import postgres

    os.environ["DATABASE_URL"] = postgres.start()
