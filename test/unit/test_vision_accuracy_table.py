from __future__ import annotations

from pathlib import Path

import pytest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.accuracy_table import (
    SHIPPED_TABLE,
    Accuracy,
    AccuracyTable,
    Measured,
    load_accuracy_table,
    read_accuracy_table,
)

STREETS = Measured('streets', 200, 'visionscaling evaluate --data streets')
TABLE = AccuracyTable(
    {
        'small': {320: Accuracy(0.25, 0.5, {'street': 0.3}), 192: Accuracy(0.125, 0.25)},
        'large': {320: Accuracy(0.5, 0.75)},
    },
    STREETS,
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / 'table.yaml'
    path.write_text(text, encoding='utf-8')
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = TABLE.to_yaml()
    assert read_accuracy_table(written(tmp_path, text)) == TABLE
    assert text.index('192:') < text.index('320:')


def test_figures_are_rounded_and_names_may_be_of_any_script(tmp_path: Path) -> None:
    table = AccuracyTable({'größe': {64: Accuracy(0.123456, 0.987654)}})
    read = load_accuracy_table(written(tmp_path, table.to_yaml()))
    assert read == {'größe': {64: Accuracy(0.1235, 0.9877)}}


def test_the_shipped_table_can_be_read() -> None:
    table = load_accuracy_table(SHIPPED_TABLE)
    assert all(
        0.0 < accuracy.map_50_95 < accuracy.map_50 < 1.0
        for sizes in table.values()
        for accuracy in sizes.values()
    )


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('models: [', 'accuracy table'),
        ('{}', 'models = None'),
        ('models: {}', 'names of models'),
        ('models: {a: {}}', 'models.a'),
        ('models: {a: 0.3}', 'mapping'),
        ('models: {3: {320: {map_50_95: 0.2, map_50: 0.4}}}', 'names of models'),
        ('models: {a: {big: {map_50_95: 0.2, map_50: 0.4}}}', "key = 'big'"),
        ('models: {a: {-1: {map_50_95: 0.2, map_50: 0.4}}}', '-1'),
        ('models: {a: {true: {map_50_95: 0.2, map_50: 0.4}}}', 'input sizes in whole px'),
        ('models: {a: {320: {map_50_95: 46.3, map_50: 0.4}}}', 'models.a.320.map_50_95 = 46.3'),
        ('models: {a: {320: {map_50_95: .nan, map_50: 0.4}}}', 'map_50_95 = nan'),
        ('models: {a: {320: {map_50_95: 0.2}}}', 'map_50 = None'),
        ('models: {a: {320: {map_50_95: 0.2, map_50: 0.4, map50: 0.4}}}', "key = 'map50'"),
        ('models: {a: {320: {map_50_95: 0.2, map_50: 0.4, still_map_50_95: 2}}}', 'still'),
        ('models: {a: {320: {map_50_95: 0.2, map_50: 0.4}}}\nmodel: 3', "key = 'model'"),
        ('models: {a: {320: {map_50_95: 0.2, map_50: 0.4}, 320: {}}}', '320 is there twice'),
        ('measured: {data: x, images: 0, command: y}\nmodels: {a: {}}', 'images = 0'),
        ('measured: {data: x, images: 3}\nmodels: {a: {}}', 'command = None'),
    ],
)
def test_a_bad_table_is_refused_with_file_field_and_value(
    tmp_path: Path, text: str, told: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidValueError) as caught:
        load_accuracy_table(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r'none\.yaml'):
        load_accuracy_table(tmp_path / 'none.yaml')
    path = tmp_path / 'table.yaml'
    path.write_bytes(b'\xff\xfe\x00\x01')
    with pytest.raises(InvalidValueError, match=r'table\.yaml'):
        load_accuracy_table(path)


def test_updating_one_model_keeps_the_others() -> None:
    again = Measured('streets', 200, 'another command')
    table = TABLE.updated({'large': {416: Accuracy(0.6, 0.8)}, 'new': {64: Accuracy(0, 0)}}, again)
    assert table.models['small'] == TABLE.models['small']
    assert table.models['large'] == {416: Accuracy(0.6, 0.8)}
    assert list(table.models) == ['small', 'large', 'new']
    assert table.measured == again


def test_figures_of_other_pictures_do_not_come_beside_those_that_stay() -> None:
    for other in (Measured('fields', 200, 'x'), Measured('streets', 100, 'x')):
        with pytest.raises(InvalidValueError, match=r'streets, 200 pictures.*small, large'):
            TABLE.updated({'large': {320: Accuracy(0.6, 0.8)}}, other)
    unknown = AccuracyTable(TABLE.models)
    with pytest.raises(InvalidValueError, match='not said'):
        unknown.updated({'large': {320: Accuracy(0.6, 0.8)}}, STREETS)


def test_all_models_at_once_may_be_measured_anew() -> None:
    models = {name: {320: Accuracy(0.6, 0.8)} for name in TABLE.models}
    fields = Measured('fields', 9, 'x')
    assert TABLE.updated(models, fields) == AccuracyTable(models, fields)
