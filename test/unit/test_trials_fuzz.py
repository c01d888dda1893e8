from __future__ import annotations

import json
import random

import cv2
import numpy as np
import pytest

from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.trials import fuzz_messages as messages
from visionscaling_ros.trials.fuzz import fuzz
from visionscaling_ros.trials.fuzz_attackers import ATTACKS
from visionscaling_ros.trials.fuzz_report import (
    FuzzSettings,
    RobotFigures,
    ServerFigures,
    failures,
)
from visionscaling_ros.trials.fuzz_target import Target
from visionscaling_ros.vision.image_header import encoded_size_px
from visionscaling_ros.vision.jpeg import decode_jpeg

JPEG = cv2.imencode('.jpg', np.zeros((48, 64, 3), np.uint8))[1].tobytes()
TARGET = Target('127.0.0.1', 1, 'vsdet_n', 320, JPEG, 'secret')


def test_a_server_under_attack_lives_and_serves() -> None:
    said: list[str] = []
    settings = FuzzSettings(3.0, calm_s=1.0, memory_growth_mib=2048.0, served_share=0.01)
    report = fuzz(settings, lambda _, text: said.append(text))
    assert report.failures == ()
    assert report.server.exit_status == 0
    assert report.attack_errors == {}
    assert sum(report.attacks.values()) > 0
    assert all(robot.outcomes['served'] > 0 for robot in report.robots.values())
    assert any('served' in text for text in said)
    document = json.dumps(report.document(), allow_nan=False)
    assert '"token"' not in document


def test_attacks_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    def made(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [make(rng, TARGET) for make in (messages.lying_request, messages.image_bomb)] + [
            messages.mutated(rng, JPEG)
        ]

    assert made(1) == made(1)
    assert made(1) != made(2)
    assert len({attack.__name__ for attack in ATTACKS}) == len(ATTACKS) >= 20


def test_bombs_are_small_files_of_many_pixels() -> None:
    bomb = messages.png(30_000, 30_000)
    assert len(bomb) < 1 << 20
    assert encoded_size_px(bomb) == (30_000, 30_000)
    with pytest.raises(ImageFormatError, match='30000'):
        decode_jpeg(bomb)
    assert decode_jpeg(messages.png(40, 30)).shape == (30, 40, 3)


def test_what_is_not_as_demanded_is_named() -> None:
    settings = FuzzSettings(1.0, memory_growth_mib=10.0, served_share=0.9)
    good = RobotFigures(10, {'served': 9, 'UNAVAILABLE': 1}, 0.01, 0.02)
    bad = RobotFigures(10, {'served': 8, 'UNAVAILABLE': 2}, 0.01, 0.02)
    fine = ServerFigures([100.0, 110.0, 100.0], [1], [1], exit_status=0)
    attacks = {'flood': 1}
    assert list(failures(settings, {'a': good}, fine, attacks)) == []
    for robots, server, made, words in (
        ({'a': good, 'b': bad}, fine, attacks, 'robot b: 80.0%'),
        ({'a': good}, ServerFigures([100.0, 111.0], [1], [1], exit_status=0), attacks, '11 MiB'),
        ({'a': good}, ServerFigures([1.0], [1], [1], exit_status=-9), attacks, 'status -9'),
        ({'a': good}, ServerFigures([1.0], [1], [1], ended_early=True), attacks, 'server ended'),
        ({'a': good}, fine, {}, 'nothing'),
    ):
        (failure,) = failures(settings, robots, server, made)
        assert words in failure
