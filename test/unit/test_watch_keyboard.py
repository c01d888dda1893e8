"""Single keys: what they mean, and that the terminal is left as it was."""

from __future__ import annotations

import io
import os
import pty
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.watch.keyboard import Keyboard, key_names


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('jjk', ['down', 'down', 'up']),
        ('\x1b[A\x1b[B', ['up', 'down']),
        ('\x1bOB', ['down']),
        ('xq', ['quit']),
        ('\x1b', []),
        ('\x1b[C', []),
    ],
)
def test_keys_have_names(text: str, names: list[str]) -> None:
    assert key_names(text) == names


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert set(key_names(text)) <= {'up', 'down', 'quit'}


def test_keys_come_without_enter_and_the_terminal_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, other_end = pty.openpty()
    before = termios.tcgetattr(other_end)
    with open(other_end, 'rb', buffering=0) as stdin, monkeypatch.context() as patch:
        patch.setattr('sys.stdin', stdin)
        with Keyboard() as keyboard:
            assert keyboard.present
            os.write(terminal, b'j\x1b[A')
            assert keyboard.wait(10.0) == ['down', 'up']
            assert keyboard.wait(0.0) == []
        assert termios.tcgetattr(other_end) == before
    os.close(terminal)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('sys.stdin', io.StringIO('q'))
    with Keyboard() as keyboard:
        assert not keyboard.present
        assert keyboard.wait(0.0) == []
