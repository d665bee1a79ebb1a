"""The API's description: true, whole, and the copy in docs/ is the same."""

from pathlib import Path

import pytest
import yaml
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from rlhf.api import schema
from tests.api import Caller

COPY = Path(__file__).parents[2] / "docs" / "openapi.yaml"
OPERATIONS = [
    (path, method)
    for path, methods in schema.document()["paths"].items()
    for method in methods
    if method != "parameters"
]


def test_the_copy_in_docs_is_what_the_service_answers():
    """After a change: manage.py spectacular --file docs/openapi.yaml"""
    assert yaml.safe_load(COPY.read_text()) == yaml.safe_load(yaml.safe_dump(plain(schema.document())))


def test_the_description_is_valid_and_gives_no_warning():
    GENERATOR_STATS.reset()
    schema.document.cache_clear()
    validate_schema(schema.document())
    assert not GENERATOR_STATS


def test_it_is_openapi_3_1():
    assert schema.document()["openapi"] == "3.1.0"


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_each_operation_has_a_summary_and_an_error_set(path, method):
    operation = schema.document()["paths"][path][method]
    assert operation["summary"]
    assert {"400", "401"} <= set(operation["responses"])


def test_everybody_who_is_signed_in_may_read_it(eve):
    assert Caller(eve).get("schema/")["info"]["title"] == "Touchstone"


def plain(value):
    """The description without the types that YAML cannot write."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value
