"""Tables as files of comma-separated values, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Any  # cells: text or numbers

from django.http import HttpResponse

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would carry out


def csv_file(name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A download of that name; what is null is an empty cell."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    table = csv.writer(response)
    table.writerow(head)
    table.writerows([cell(one) for one in row] for row in rows)
    return response


def cell(value: Any) -> Any:
    """The value, with a quote before text that would be a formula; an import takes the quote away again."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
