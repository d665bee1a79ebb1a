"""How static files are named and sent: by their content, and our scripts without comments and blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

BLOCK = re.compile(r"^[ \t]*/\*\*.*?\*/[ \t]*\n", re.DOTALL | re.MULTILINE)
LINE = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
AFTER = re.compile(r"""[ \t]+//[ \t][^\n"'`]*$""", re.MULTILINE)
INDENT = re.compile(r"^\s+", re.MULTILINE)
GOES_ON = re.compile(r"^((?:(?!//).)*[;{,])\n", re.MULTILINE)  # a line's end that says nothing


class Hashed(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Hashed names with relative imports kept whole; plain names where nothing has been collected yet."""

    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        return str(super().stored_name(name)) if self.hashed_files else name

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:  # noqa: FBT001, FBT002
        """Django's signature; what was collected is rewritten before its hash is taken."""
        ours = [] if dry_run else [path for path in paths if _is_ours(path)]
        for path in ours:
            with self.open(path) as file:
                text = file.read().decode()
            if (kept := without_comments(text)) != text:
                self.delete(path)
                self._save(path, ContentFile(kept.encode()))
        yield from super().post_process(paths | {path: (self, path) for path in ours}, dry_run, **options)


def _is_ours(path: str) -> bool:
    parts = PurePosixPath(path)
    return parts.suffix == ".js" and parts.parts[0] in ("annotate", "rlhf") and "vendor" not in parts.parts


def without_comments(script: str) -> str:
    """Less by comments, by what stands before a line, and by ends of lines that a script does not need.

    No text in our scripts spans lines; a test holds them to it.
    """
    return GOES_ON.sub(r"\1", INDENT.sub("", AFTER.sub("", LINE.sub("", BLOCK.sub("", script)))))
