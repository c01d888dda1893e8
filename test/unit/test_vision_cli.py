from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.vision.accuracy_table import (
    SHIPPED_TABLE,
    Accuracy,
    AccuracyTable,
    Measured,
    read_accuracy_table,
)
from visionscaling_ros.vision.catalog import built_in_catalog
from visionscaling_ros.vision.held_out_scenes import HeldOutScenes
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.training import trainer
from visionscaling_ros.vision.weights_file import SHIPPED_WEIGHTS, load_elastic, read_shape

MODEL = built_in_catalog().names()[0]
SIZES_PX = built_in_catalog().entry(MODEL).input_sizes_px
# at two small sizes and without a process that draws ahead: quick
QUICK = ['evaluate', '--models', MODEL, '--workers', '0']
FEW = [*QUICK, '--images', '4', '--sizes', '64', '96']


def test_evaluate_prints_every_size(capsys: pytest.CaptureFixture[str]) -> None:
    before = SHIPPED_TABLE.read_bytes()
    assert main([*QUICK, '--images', '2']) == 0
    printed = capsys.readouterr().out
    assert all(f' {size_px} ' in printed for size_px in SIZES_PX)
    assert 'Kendall tau-b' in printed
    assert SHIPPED_TABLE.read_bytes() == before  # only --write changes it


def test_the_same_command_gives_the_same_figures_with_any_number_of_workers(
    tmp_path: Path,
) -> None:
    points = []
    for name, workers in (('first', '0'), ('second', '2')):
        path = tmp_path / f'{name}.json'
        assert main([*FEW, '--workers', workers, '--json', str(path)]) == 0
        document = json.loads(path.read_text())
        points.append(
            [{k: v for k, v in p.items() if k != 'forward_s'} for p in document['points']]
        )
    assert points[0] == points[1]
    assert document['meta']['images'] == 4
    assert document['trend']['cost_ratio'] > 1.5
    assert points[0][0]['flops'] > 1e6
    assert set(points[0][0]['domains_map_50_95']) == {'street', 'still'}


def test_evaluate_writes_a_table_of_its_own_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / 'table.yaml'
    write = [*QUICK, '--images', '2', '--write', '--table', str(path)]
    assert main(write) == 0
    table = read_accuracy_table(path)
    assert list(table.models) == [MODEL]
    assert tuple(table.models[MODEL]) == SIZES_PX
    assert table.measured is not None
    assert table.measured.images == 2
    other = {'other': {320: Accuracy(0.25, 0.5)}}
    path.write_text(table.updated(other, table.measured).to_yaml())
    assert main(write) == 0
    assert read_accuracy_table(path).models == {**table.models, **other}


def test_figures_of_other_pictures_do_not_come_into_a_table_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'table.yaml'
    other = AccuracyTable({'other': {320: Accuracy(0.25, 0.5)}}, Measured('fields', 9, 'x'))
    path.write_text(other.to_yaml())
    assert main([*QUICK, '--images', '2', '--write', '--table', str(path)]) == 2
    assert 'fields, 9 pictures' in capsys.readouterr().err
    assert path.read_text() == other.to_yaml()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten street pictures with YOLO labels, and a class the model does not have."""
    folder = tmp_path / 'streets'
    for name in ('images', 'labels'):
        (folder / name).mkdir(parents=True)
    scenes = HeldOutScenes(20)
    for k in range(10):
        image, truth = scenes[k]
        cv2.imwrite(str(folder / 'images' / f'{k}.png'), image)
        boxes = truth.boxes_px / [640, 480, 640, 480]
        rows = np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
        lines = [
            f'{c} {" ".join(f"{v:.6f}" for v in row)}'
            for c, row in zip(truth.class_ids, rows, strict=True)
        ]
        (folder / 'labels' / f'{k}.txt').write_text('\n'.join([*lines, '4 0.5 0.5 0.1 0.1']))
    (folder / 'classes.txt').write_text('Person\nCyclist\nCar\nTruck\nkite\n')
    return folder


def test_evaluate_on_pictures_of_ones_own(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [*QUICK, '--sizes', '224', '--data', str(pictures)]
    assert main(own) == 2
    assert 'kite' in capsys.readouterr().err
    path = tmp_path / 'found.json'
    drawn = ['--split', 'test', '--test-share', '0.5', '--split-seed', '1']
    assert main([*own, '--class-map', 'kite=', *drawn, '--json', str(path)]) == 0
    document = json.loads(path.read_text())
    assert document['meta']['data'] == 'streets, test, share 0.5, seed 1'
    assert 1 <= document['meta']['images'] < 10
    assert document['points'][0]['map_50'] > 0.05
    assert document['points'][0]['domains_map_50_95'] == {}
    assert main([*own, '--class-map', 'kite=', '--images', '3']) == 0
    assert '3 pictures' in capsys.readouterr().out


def test_bad_labels_are_left_out_only_when_asked(
    pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / 'labels' / '3.txt').write_text('0 0.5 0.5 0.1')
    own = [*QUICK, '--sizes', '64', '--data', str(pictures), '--class-map', 'kite=']
    assert main(own) == 2
    assert '3.txt line 1: columns = 4' in capsys.readouterr().err
    assert main([*own, '--skip-bad']) == 0
    assert '1 picture(s) left out' in capsys.readouterr().out


def test_an_interruption_prints_what_there_is_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(scenes: HeldOutScenes, index: int) -> Any:
        if index == 2:
            raise KeyboardInterrupt
        return original(scenes, index)

    original = HeldOutScenes.__getitem__
    monkeypatch.setattr(HeldOutScenes, '__getitem__', draw)
    files = [tmp_path / 'table.yaml', tmp_path / 'all.json', tmp_path / 'plot.png']
    out = ['--write', '--table', str(files[0]), '--json', str(files[1]), '--plot', str(files[2])]
    assert main([*QUICK, '--images', '6', *out]) == 130
    assert 'PARTIAL: 2 of 6 pictures' in capsys.readouterr().out
    assert not any(path.exists() for path in files)


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--models', 'yolo99'], 'yolo99'),
        (['--images', '1'], 'images'),
        (['--engine', 'abacus'], 'abacus'),
        (['--sizes', '33'], '33'),
        (['--sizes', '64', '--write'], '--sizes'),
        (['--table', 'x.yaml'], '--table'),
        (['--data', 'nowhere'], 'nowhere'),
        (['--split', 'test'], '--split'),
        (['--class-map', 'a=b'], '--class-map'),
        (['--data', 'nowhere', '--test-share', '0.5'], '--test-share'),
        (['--threads', '0'], '--threads'),
        (['--workers', '-1'], '--workers'),
    ],
)
def test_evaluate_refuses(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, '--images', '2', *arguments]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments', [[], ['--steps', '1', '--minutes', '1'], ['--model', 'vsdet_n', '--steps', '1']]
)
def test_train_refuses_two_lengths_and_none(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(['train', '--out', str(tmp_path / 'w.safetensors'), *arguments])


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--threads', '0'], '--threads'),
        (['--class-map', 'a=b'], '--class-map'),
        (['--split', 'test'], '--split'),
        (['--data', 'nowhere'], 'nowhere'),
        (['--finetune', 'nowhere.safetensors'], 'nowhere.safetensors'),
    ],
)
def test_train_names_what_it_refuses(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ['--out', str(tmp_path / 'w.safetensors')]
    assert main(['train', '--steps', '1', *out, *arguments]) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / 'w.safetensors').exists()


def test_finetuning_on_pictures_of_ones_own_keeps_the_networks_classes_where_mapped(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, 'BATCH', 2)
    monkeypatch.setattr(trainer, 'INPUT_SIZES_PX', (96, 128))
    monkeypatch.setattr(trainer, 'INPUT_SHARES', (0.5, 0.5))
    for name, mapped, expected in (
        ('own', [], ('Person', 'Cyclist', 'Car', 'Truck', 'kite')),
        ('mapped', ['--class-map', 'kite='], CLASS_NAMES),
    ):
        out = tmp_path / f'{name}.safetensors'
        command = ['train', '--finetune', '--data', str(pictures), '--steps', '2']
        command += ['--out', str(out)]
        assert main([*command, *mapped]) == 0
        assert read_shape(out).class_names == expected
        assert out.with_suffix('.checkpoint.pt').is_file()


def test_the_shipped_weights_are_whole_and_of_four_widths() -> None:
    network = load_elastic(SHIPPED_WEIGHTS)
    assert len(network.shape.ratios) == 4
    assert network.shape.class_names == CLASS_NAMES
    assert SHIPPED_WEIGHTS.stat().st_size < 8e6
