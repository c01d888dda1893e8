from __future__ import annotations

from pathlib import Path

import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.vision.model_zoo import ACCURACY_FILE, weights_path


def test_evaluate_prints_every_size(capsys: pytest.CaptureFixture[str]) -> None:
    before = ACCURACY_FILE.read_bytes()
    assert main(['evaluate', '--models', 'vsdet_n', '--images', '4']) == 0
    printed = capsys.readouterr().out
    assert all(f' {size_px} ' in printed for size_px in (160, 224, 320, 416))
    assert ACCURACY_FILE.read_bytes() == before  # only --write changes it


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--models', 'yolo99'], 'yolo99'),
        (['--images', '1'], 'images'),
        (['--models', 'vsdet_n', '--write'], 'models'),
        (['--weights', 'some.safetensors'], 'weights'),
    ],
)
def test_evaluate_refuses(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['evaluate', *arguments]) == 2
    assert named in capsys.readouterr().err


def test_train_refuses_unknown_models_and_two_lengths(tmp_path: Path) -> None:
    out = ['--out', str(tmp_path / 'w.safetensors')]
    for arguments in (
        ['--model', 'yolo99', '--steps', '1'],
        ['--model', 'vsdet_n', '--steps', '1', '--minutes', '1'],
        ['--model', 'vsdet_n'],
    ):
        with pytest.raises(SystemExit):
            main(['train', *arguments, *out])


def test_shipped_weights_are_found_beside_the_code() -> None:
    assert weights_path('vsdet_n').is_file()
