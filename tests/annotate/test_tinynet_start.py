"""The file of a trained start."""

import json
from dataclasses import replace

import numpy as np
import pytest

from annotate.errors import AnnotateError
from annotate.tinynet.net import Net
from annotate.tinynet.start import Start, read, sent, version, write
from tests.annotate.game import vocabulary


@pytest.fixture(scope="module")
def start() -> Start:
    words = vocabulary()
    net = Net.newborn(1, words.u)
    net.copy[:] = 1.25
    return Start(net, words, "en", 1, {"epochs": 4}, "c0" * 32, "0.1.0", {"paragraphs": 3})


@pytest.fixture(scope="module")
def data(start) -> bytes:
    return write(start)


def header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


def with_header(data: bytes, **changed) -> bytes:
    header = json.loads(data[8 : header_end(data)]) | changed
    text = json.dumps(header).encode()
    return b"LMT1" + len(text).to_bytes(4, "little") + text + data[header_end(data) :]


def test_what_was_written_is_read(start, data):
    found = read(data)
    assert replace(found, net=start.net) == start
    assert write(found) == data


def test_weights_come_back_to_the_precision_of_16_bits(start, data):
    for mine, theirs in zip(start.net.arrays(), read(data).net.arrays(), strict=True):
        np.testing.assert_array_equal(mine.astype(np.float16).astype(np.float64), theirs)
        np.testing.assert_allclose(mine, theirs, rtol=2**-11, atol=2**-25)


def test_weights_begin_at_a_multiple_of_four_and_fill_the_file(data):
    assert header_end(data) % 4 == 0
    assert len(data) - header_end(data) == 70_810


def test_it_is_sent_in_76_kilobytes_and_equally_each_time(data):
    assert len(sent(data)) <= 76 * 1_024
    assert sent(data) == sent(data)


def test_the_seed_of_items_does_not_depend_on_the_table(start):
    assert start.items_seed == replace(start, held_out={}).items_seed
    assert start.items_seed != version(write(start))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"LMT2" + data[4:], "magic"),
        (lambda data: b"", "magic"),
        (lambda data: data[:100], "header"),
        (lambda data: b"LMT1\x04\x00\x00\x00[1] ", "header"),
        (lambda data: with_header(data, format=2), "format"),
        (lambda data: with_header(data, d=16), "shape"),
        (lambda data: with_header(data, v=1_199), "shape"),
        (lambda data: with_header(data, v=4_000), "shape"),
        (lambda data: with_header(data, total=0), "header"),
        (lambda data: with_header(data, total=10_000_000.5), "header"),
        (lambda data: with_header(data, seed=0.5), "header"),
        (lambda data: with_header(data, v=1_199.5), "header"),
        (lambda data: with_header(data, count=["many"] * 1_200), "header"),
        (lambda data: with_header(data, vocab=["word"] * 1_200), "header"),
        (lambda data: data[:-2], "length"),
        (lambda data: data + b"\x00\x00", "length"),
        (lambda data: data[:-2] + b"\x00\x7c", "not_finite"),
        (lambda data: data[:-2] + b"\x01\x7e", "not_finite"),
    ],
)
def test_what_is_no_such_file_is_refused(data, damage, reason):
    with pytest.raises(AnnotateError) as refusal:
        read(damage(data))
    assert (refusal.value.code, refusal.value.facts["reason"]) == ("bad_start", reason)


def test_a_weight_that_does_not_fit_is_not_written(start):
    net = start.net.twin()
    net.g[0] = 70_000
    with pytest.raises(AnnotateError) as refusal:
        write(replace(start, net=net))
    assert refusal.value.facts["reason"] == "not_finite"
