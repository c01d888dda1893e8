"""For all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# The same examples in every run, so that a change that fails is the change's fault.
# --hypothesis-profile=random looks for new ones.
settings.register_profile('the_same', derandomize=True)
settings.register_profile('random', derandomize=False)
settings.load_profile('the_same')

# A program started in the background of a shell ignores Ctrl-C, one under nohup a closed terminal,
# and so would all they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope='session', autouse=True)
def _clock_states_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp('states')
        patch.setenv('VISIONSCALING_STATE_HOME', str(place))
        yield
