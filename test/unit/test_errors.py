from __future__ import annotations

import pickle

from visionscaling_ros.errors import InvalidValueError


def test_a_refusal_comes_whole_out_of_another_process() -> None:
    error = pickle.loads(pickle.dumps(InvalidValueError('rate_fps', -1, 'above 0')))
    assert (error.name, error.value, error.allowed) == ('rate_fps', -1, 'above 0')
    assert str(error) == 'rate_fps = -1 is not allowed; allowed: above 0'
