"""Strict reading of YAML mappings: what its users share. Each has tests of its own fields too."""

from __future__ import annotations

from pathlib import Path

import pytest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields, read_fields


def read(folder: Path, text: str) -> Fields:
    path = folder / 'some.yaml'
    path.write_text(text, encoding='utf-8')
    return read_fields(path, 'thing')


def test_a_merged_key_may_be_given_again(tmp_path: Path) -> None:
    fields = read(tmp_path, 'base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n').mapping('own')
    assert (fields.whole('x', 0, 9), fields.whole('y', 0, 9)) == (1, 3)


@pytest.mark.parametrize(
    'text', ['a: 1\na: 2', 'a: 2020-99-99', '[' * 5000, 'a: [', '? [1, 2]\n: 3', '\0']
)
def test_what_is_no_yaml_mapping_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        InvalidValueError, match=r"thing = '.*some\.yaml' is not allowed"
    ) as failure:
        read(tmp_path, text)
    assert len(str(failure.value).splitlines()) == 1


def test_a_missing_field_that_is_misspelt_is_guessed(tmp_path: Path) -> None:
    fields = read(tmp_path, 'widht: 3\nheight: 4')
    assert fields.whole('height', 0, 9) == 4
    with pytest.raises(InvalidValueError, match=r"width = None.*present \(did you mean 'widht'"):
        fields.whole('width', 0, 9)


def test_a_mapping_may_be_missing_only_where_it_is_optional(tmp_path: Path) -> None:
    fields = read(tmp_path, 'a: {}')
    assert fields.mapping('b', optional=True).keys() == []
    with pytest.raises(InvalidValueError, match='b = None'):
        fields.mapping('b')


def test_every_mapping_of_a_list_knows_its_place(tmp_path: Path) -> None:
    fields = read(tmp_path, 'a: {b: [{c: 1}, {c: x}]}').mapping('a')
    first, second = fields.mappings('b')
    assert first.number('c', 0, 2) == 1.0
    with pytest.raises(InvalidValueError, match=r"some\.yaml: a\.b\[1\]\.c = 'x'"):
        second.number('c', 0, 2)
    with pytest.raises(InvalidValueError, match=r'some\.yaml: a\.b\[0\] = 3'):
        read(tmp_path, 'a: {b: [3]}').mapping('a').mappings('b')
