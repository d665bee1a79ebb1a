"""The service's settings, with all state in a folder that goes when the tests end."""

import atexit
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

_home = mkdtemp(prefix="touchstone-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["TOUCHSTONE_HOME"] = _home
os.environ["APP_ENV"] = "dev"

from rlhf.settings import *  # noqa: E402, F403 the environment must stand before it is read
from rlhf.settings import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {"NAME": str(Path(_home) / "test.sqlite3")}  # a file: threads and children see it too
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Argon2's cost is tested apart
