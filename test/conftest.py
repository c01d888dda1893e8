"""For all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

# A program started in the background of a shell ignores Ctrl-C, and so would all it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session', autouse=True)
def _clock_states_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp('states')
        patch.setenv('VISIONSCALING_STATE_HOME', str(place))
        yield
