"""What the helper takes for a request, and what it never does."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.hardware.clockd.protocol import (
    FIELDS,
    MAX_REQUEST_BYTES,
    MAX_TEXT,
    ProtocolError,
    Request,
    encode,
    parse_message,
    parse_request,
)

SET = {'op': 'set', 'backend': 'jetson', 'device': 'gpu', 'frequency_hz': 5e8}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(['op', *SET, 'x']), inner, max_size=5)
    ),
    max_leaves=12,
)


def test_each_request_is_understood() -> None:
    assert parse_request(encode(SET)) == Request('set', 'jetson', 'gpu', 5e8)
    release = {'op': 'release', 'backend': 'jetson', 'device': 'gpu'}
    assert parse_request(encode(release)).device == 'gpu'
    for op in ('hello', 'devices', 'keep_alive'):
        assert parse_request(encode({'op': op})).op == op


def test_a_whole_number_is_a_frequency_too() -> None:
    assert parse_request(encode({**SET, 'frequency_hz': 500000000})).frequency_hz == 5e8


@pytest.mark.parametrize(
    'line',
    [
        b'',
        b'{',
        b'null',
        b'[]',
        b'"set"',
        b'{"op": "set"}',
        b'{"op": "write"}',
        b'{"op": ["set"]}',
        b'{"op": null}',
        b'{"op": "hello", "op": "hello"}',
        b'{"op": "hello", "path": "/etc/passwd"}',
        b'\xff\xfe{\x00}\x00',
        json.dumps({'op': 'hello'}).encode('utf-16'),
        b'{"op": "hello"}' + b' ' * MAX_REQUEST_BYTES,
        b'[' * (MAX_REQUEST_BYTES - 1),
        b'{"op":' * 600,
        *(
            json.dumps({**SET, name: value}).encode()
            for name, value in (
                ('frequency_hz', '5e8'),
                ('frequency_hz', True),
                ('frequency_hz', None),
                ('frequency_hz', [5e8]),
                ('frequency_hz', math.nan),
                ('frequency_hz', -math.inf),
                ('device', 1),
                ('device', {'path': '/'}),
                ('device', 'x' * (MAX_TEXT + 1)),
                ('backend', False),
            )
        ),
    ],
)
def test_anything_else_is_refused_in_words(line: bytes) -> None:
    with pytest.raises(ProtocolError, match=r'\w+ \w+'):
        parse_request(line)


def test_a_number_too_large_for_a_float_is_no_error_of_its_own() -> None:
    line = (
        json.dumps({**SET, 'frequency_hz': 0}).encode().replace(b' 0}', b' ' + b'9' * 3900 + b'}')
    )
    assert parse_request(line).frequency_hz == math.inf


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_refused(line: bytes) -> None:
    try:
        assert parse_request(line).op in FIELDS
    except ProtocolError:
        return


@given(JSON)
def test_any_json_is_a_request_of_the_right_types_or_refused(content: object) -> None:
    try:
        request = parse_request(json.dumps(content).encode())
    except ProtocolError:
        return
    assert isinstance(content, dict)
    assert request.op == content['op']
    assert set(content) == {'op', *FIELDS[request.op]}
    assert isinstance(request.device, str)
    assert isinstance(request.frequency_hz, float)


@given(st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)))
def test_what_is_encoded_is_one_line_and_read_again(message: dict[str, float]) -> None:
    line = encode(message)
    assert line.count(b'\n') == 1
    assert parse_message(line, 10**6) == message


def test_the_document_shows_requests_that_are_understood() -> None:
    document = (Path(__file__).resolve().parents[2] / 'docs' / 'clockd.md').read_text()
    shown = [parse_request(text.encode()).op for text in re.findall(r'`(\{"op".*?\})`', document)]
    assert sorted(shown) == sorted(FIELDS)
    assert f'{MAX_REQUEST_BYTES} bytes' in document
