"""Whatever bytes a weights file holds, reading its header ends in a header or a clear refusal."""

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelUnavailable
from engine.models.files import read_header

numbers = st.integers(-5, 2**40)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F16", 7, None]),
        "shape": st.one_of(st.lists(numbers, max_size=3), st.none(), st.text(max_size=2)),
        "data_offsets": st.one_of(st.lists(numbers, max_size=3), st.none()),
    },
)
headers = st.dictionaries(st.text(max_size=4), st.one_of(entries, st.none(), numbers), max_size=3)


def attempt(content):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.safetensors"
        file.write_bytes(content)
        try:
            return read_header("x", file)
        except ModelUnavailable:
            return None


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content):
    attempt(content)


@given(header=st.one_of(headers, st.lists(numbers, max_size=2), numbers), data=st.integers(0, 64))
def test_any_header_is_read_or_refused(header, data):
    raw = json.dumps(header).encode()
    found = attempt(len(raw).to_bytes(8, "little") + raw + bytes(data))
    if found is not None:
        assert all(entry.size_bytes >= 0 for entry in found.values())
        assert sum(entry.size_bytes for entry in found.values()) == data


def test_a_whole_file_is_read():
    header = {"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}
    raw = json.dumps(header | {"__metadata__": {"who": "me"}}).encode()
    found = attempt(len(raw).to_bytes(8, "little") + raw + bytes(12))
    assert list(found) == ["a"]
    assert (found["a"].shape, found["a"].count, found["a"].size_bytes) == ((2, 3), 6, 12)
