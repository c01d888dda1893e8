from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.datasets import (
    ClassMap,
    DataSetError,
    LabelledFile,
    LabelledFiles,
    MappedImages,
    open_dataset,
)

WIDTH_PX, HEIGHT_PX = 64, 48
AERIAL_CARS = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'aerial-cars'


def write_image(path: Path, *, size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    cv2.imwrite(str(path), rng.integers(0, 255, (size_px[1], size_px[0], 3), np.uint8))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Two pictures with objects, one without."""
    folder = tmp_path / 'yolo'
    for name in ('a.jpg', 'b.png', 'c.jpg'):
        write_image(folder / 'images' / name)
    write_text(folder / 'labels' / 'a.txt', '0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.5 0.5\n')
    write_text(folder / 'labels' / 'b.txt', '2 0.5 0.5 1 1\n\n')
    write_text(folder / 'classes.txt', 'car\nbus\nkite\n')
    return folder


def coco_document() -> dict[str, Any]:
    return {
        'images': [
            {'id': 7, 'file_name': 'a.jpg', 'width': WIDTH_PX, 'height': HEIGHT_PX},
            {'id': 3, 'file_name': 'b.png', 'width': WIDTH_PX, 'height': HEIGHT_PX},
        ],
        'annotations': [
            {'id': 1, 'image_id': 7, 'category_id': 90, 'bbox': [8, 12, 16, 24], 'iscrowd': 0},
            {'id': 2, 'image_id': 7, 'category_id': 5, 'bbox': [0, 0, 32, 24], 'iscrowd': 1},
            {'id': 3, 'image_id': 3, 'category_id': 5, 'bbox': [1.5, 2, 10, 10]},
        ],
        'categories': [{'id': 90, 'name': 'car'}, {'id': 5, 'name': 'bus'}],
    }


WriteCoco = Callable[[dict[str, Any]], Path]


@pytest.fixture
def write_coco(tmp_path: Path) -> WriteCoco:
    folder = tmp_path / 'coco'
    for name in ('a.jpg', 'b.png'):
        write_image(folder / 'images' / name)

    def write(document: dict[str, Any]) -> Path:
        write_text(folder / 'annotations' / 'instances.json', json.dumps(document))
        return folder

    return write


class TestYolo:
    def test_boxes_come_in_pixels_with_their_classes(self, yolo: Path) -> None:
        images = open_dataset(yolo)
        assert images.class_names == ('car', 'bus', 'kite')
        assert [images.name(k) for k in range(len(images))] == [
            'images/a.jpg', 'images/b.png', 'images/c.jpg',
        ]  # fmt: skip
        image, truth = images[0]
        assert image.shape == (HEIGHT_PX, WIDTH_PX, 3)
        assert image.dtype == np.uint8
        assert truth.boxes_px.tolist() == [[24, 12, 40, 36], [0, 0, 32, 24]]
        assert truth.class_ids.tolist() == [0, 1]
        assert truth.scores.tolist() == [1, 1]
        assert len(images[2][1]) == 0
        assert len(images.crowd(0)) == 0
        assert images.used_class_ids == {0, 1, 2}

    def test_data_yaml_with_parts_and_class_mapping(self, tmp_path: Path) -> None:
        for part, name in (('train', 'a.jpg'), ('val', 'b.jpg')):
            write_image(tmp_path / 'images' / part / name)
            label = tmp_path / 'labels' / part / Path(name).with_suffix('.txt')
            write_text(label, '1 0.5 0.5 0.5 0.5')
        write_text(
            tmp_path / 'data.yaml',
            'path: .\ntrain: images/train\nval: [images/val]\nnames: {0: car, 1: bus}\nnc: 2\n',
        )
        assert len(open_dataset(tmp_path)) == 2
        val = open_dataset(tmp_path / 'data.yaml', part='val')
        assert [val.name(k) for k in range(len(val))] == ['images/val/b.jpg']
        assert val.class_names == ('car', 'bus')
        with pytest.raises(DataSetError, match=r'test.*allowed: train, val'):
            open_dataset(tmp_path, part='test')

    def test_data_yaml_with_a_list_and_parent_folder_as_exporters_write_it(
        self, tmp_path: Path
    ) -> None:
        write_image(tmp_path / 'train' / 'images' / 'a.jpg')
        write_image(tmp_path / 'train' / 'images' / 'b.jpg')
        write_text(tmp_path / 'train' / 'labels' / 'a.txt', '0 0.5 0.5 0.5 0.5')
        write_text(tmp_path / 'train' / 'labels' / 'b.txt', '0 0.5 0.5 0.5 0.5')
        write_text(tmp_path / 'few.txt', './train/images/b.jpg\n')
        write_text(tmp_path / 'data.yaml', 'train: ../train/images\ntest: few.txt\nnames: [car]\n')
        assert len(open_dataset(tmp_path, part='train')) == 2
        # the label of a.jpg, which is not in the list, is no label without an image
        assert len(open_dataset(tmp_path, part='test')) == 1

    def test_a_listed_image_of_a_folder_that_is_not_there_is_named(self, yolo: Path) -> None:
        write_text(yolo / 'list.txt', 'images/a.jpg\nelsewhere/images/z.jpg\n')
        write_text(yolo / 'data.yaml', 'train: list.txt\nnames: [car, bus, kite]\n')
        with pytest.raises(DataSetError, match=r'elsewhere/images/z\.jpg: image = '):
            open_dataset(yolo / 'data.yaml')

    def test_a_yaml_with_a_date_there_is_not_is_refused_by_name(self, tmp_path: Path) -> None:
        write_text(tmp_path / 'data.yaml', 'train: 2020-99-99\n')
        with pytest.raises(DataSetError, match=r'data\.yaml cannot be read'):
            open_dataset(tmp_path)

    @pytest.mark.parametrize(
        ('line', 'told'),
        [
            ('0 0.5 0.5 0.5', 'columns = 4'),
            ('0 0.5 0.5 0.5 0.5 0.9', 'columns = 6'),
            ('3 0.5 0.5 0.5 0.5', "class = '3'; allowed: 0 to 2"),
            ('-1 0.5 0.5 0.5 0.5', "class = '-1'"),
            ('0000000009 0.5 0.5 0.5 0.5', "class = '0000000009'"),
            ('car 0.5 0.5 0.5 0.5', "class = 'car'"),
            ('0 1.5 0.5 0.5 0.5', "cx = '1.5'; allowed: 0 to 1"),
            ('0 0.5 nan 0.5 0.5', "cy = 'nan'"),
            ('0 0.5 0.5 -0.5 0.5', "w = '-0.5'; allowed: above 0"),
            ('0 0.5 0.5 0.5 0', "h = '0'"),
            ('0 0.5 0.5 0.5 inf', "h = 'inf'"),
            ('0 0.9 0.5 0.5 0.5', 'cx, w = (0.9, 0.5)'),
            ('0 0.5 half 0.5 0.5', "cy = 'half'"),
        ],
    )
    def test_a_bad_line_is_refused_with_its_number_field_and_value(
        self, yolo: Path, line: str, told: str
    ) -> None:
        write_text(yolo / 'labels' / 'a.txt', f'0 0.5 0.5 0.5 0.5\n{line}\n')
        with pytest.raises(DataSetError) as caught:
            open_dataset(yolo)
        assert f'{yolo / "labels" / "a.txt"} line 2: {told}' in str(caught.value)
        assert '1 problem(s) in 1 picture(s)' in str(caught.value)

    def test_boxes_over_the_edge_by_rounding_are_clipped(self, yolo: Path) -> None:
        write_text(yolo / 'labels' / 'a.txt', '0 0.750001 0.5 0.500001 1\n')
        _, truth = open_dataset(yolo)[0]
        assert truth.boxes_px[0, 2] == WIDTH_PX

    def test_labels_without_image_and_two_images_of_one_label(self, yolo: Path) -> None:
        write_text(yolo / 'labels' / 'lost.txt', '0 0.5 0.5 0.5 0.5')
        write_image(yolo / 'images' / 'a.png')
        with pytest.raises(DataSetError) as caught:
            open_dataset(yolo)
        assert 'labels/lost.txt: image = None; allowed: lost.*' in str(caught.value)
        assert 'not also images/a.png' in str(caught.value)
        left = open_dataset(yolo, skip_bad=True)
        assert left.skipped == 2
        assert [left.name(k) for k in range(len(left))] == ['images/b.png', 'images/c.jpg']

    def test_no_label_at_all_is_a_wrong_folder(self, yolo: Path) -> None:
        for path in (yolo / 'labels').iterdir():
            path.unlink()
        with pytest.raises(DataSetError, match='no image has a label file'):
            open_dataset(yolo)

    @pytest.mark.parametrize(
        ('text', 'told'),
        [('car\ncar\n', "class 1 = 'car'"), ('', 'has no class'), ('a\n\nb', "class 1 = ''")],
    )
    def test_bad_class_lists_are_refused(self, yolo: Path, text: str, told: str) -> None:
        write_text(yolo / 'classes.txt', text)
        with pytest.raises(DataSetError, match=told):
            open_dataset(yolo)

    @pytest.mark.parametrize(
        ('text', 'told'),
        [
            ('train: images\nnames: [a, a]', "class 1 = 'a'"),
            ('train: images\nnames: {0: a, 2: b}', 'names = '),
            ('train: images\nnames: {0: a, x: b}', 'names = '),
            ('train: images\nnames: [a]\nnc: 3', 'nc = 3; allowed: 1'),
            ('train: images', 'names = None'),
            ('names: [a]', 'has no part'),
            ('names: [a]\ntrain: nowhere', "train = 'nowhere'"),
            ('names: [a]\ntrain: 7', 'train = 7'),
            ('- a', 'is no mapping'),
            ('a: [', 'cannot be read'),
        ],
    )
    def test_a_bad_data_yaml_is_refused_by_field(self, yolo: Path, text: str, told: str) -> None:
        write_text(yolo / 'data.yaml', text)
        with pytest.raises(DataSetError) as caught:
            open_dataset(yolo)
        assert told in str(caught.value)
        assert 'data.yaml' in str(caught.value)


class TestImages:
    @pytest.mark.parametrize('name', ['a.jpg', 'b.png'])
    @pytest.mark.parametrize('kept', [0.0, 0.5, 0.97])
    def test_a_truncated_image_is_refused_by_name_before_anything_runs(
        self, yolo: Path, name: str, kept: float
    ) -> None:
        path = yolo / 'images' / name
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(DataSetError, match=f'{name}: image = .*allowed: a whole image'):
            open_dataset(yolo)
        assert len(open_dataset(yolo, skip_bad=True)) == 2

    def test_a_text_that_is_called_an_image_is_refused(self, yolo: Path) -> None:
        write_text(yolo / 'images' / 'a.jpg', 'not a picture' * 100)
        with pytest.raises(DataSetError, match=r'a\.jpg: image = .*no image'):
            open_dataset(yolo)

    def test_data_after_the_end_of_a_jpeg_does_no_harm(self, yolo: Path) -> None:
        path = yolo / 'images' / 'a.jpg'
        path.write_bytes(path.read_bytes() + b'\0' * 10_000)
        assert open_dataset(yolo)[0][0].shape == (HEIGHT_PX, WIDTH_PX, 3)

    def test_an_image_that_goes_away_is_named_when_it_is_read(self, yolo: Path) -> None:
        images = open_dataset(yolo)
        (yolo / 'images' / 'a.jpg').unlink()
        with pytest.raises(ImageFormatError, match=r'a\.jpg'):
            images[0]

    def test_large_images_are_shrunk_when_asked_and_boxes_with_them(self, yolo: Path) -> None:
        image, truth = open_dataset(yolo, longest_side_px=32)[0]
        assert image.shape == (24, 32, 3)
        assert truth.boxes_px.tolist() == [[12, 6, 20, 18], [0, 0, 16, 12]]
        assert open_dataset(yolo, longest_side_px=640)[0][0].shape == (HEIGHT_PX, WIDTH_PX, 3)
        with pytest.raises(InvalidValueError, match='longest_side_px'):
            open_dataset(yolo, longest_side_px=0)


class TestCoco:
    def test_categories_become_class_ids_and_crowds_stay_apart(self, write_coco: WriteCoco) -> None:
        images = open_dataset(write_coco(coco_document()))
        assert images.class_names == ('bus', 'car')  # by category id
        image, truth = images[0]
        assert image.shape == (HEIGHT_PX, WIDTH_PX, 3)
        assert truth.boxes_px.tolist() == [[8, 12, 24, 36]]
        assert truth.class_ids.tolist() == [1]
        crowd = images.crowd(0)
        assert crowd.boxes_px.tolist() == [[0, 0, 32, 24]]
        assert crowd.class_ids.tolist() == [0]
        assert images[1][1].boxes_px == pytest.approx(np.array([[1.5, 2, 11.5, 12]]))

    def test_crowds_shrink_with_the_image(self, write_coco: WriteCoco) -> None:
        images = open_dataset(write_coco(coco_document()), longest_side_px=32)
        assert images.crowd(0).boxes_px.tolist() == [[0, 0, 16, 12]]

    @pytest.mark.parametrize(
        ('section', 'change', 'told'),
        [
            ('annotations', {'bbox': [0, 0, -4, 5]}, 'annotations[0]: bbox = [0, 0, -4, 5]'),
            ('annotations', {'bbox': [0, 0, 0, 5]}, 'bbox = [0, 0, 0, 5]'),
            ('annotations', {'bbox': [0, 0, float('nan'), 5]}, 'bbox = [0, 0, nan, 5]'),
            ('annotations', {'bbox': [40, 0, 30, 5]}, 'within 64x48'),
            ('annotations', {'bbox': [-9, 0, 30, 5]}, 'within 64x48'),
            ('annotations', {'bbox': [10**400, 0, 30, 5]}, 'within 64x48'),
            ('annotations', {'bbox': [1, 2, 3]}, 'bbox = [1, 2, 3]'),
            ('annotations', {'bbox': [1, 2, '3', 4]}, "bbox = [1, 2, '3', 4]"),
            ('annotations', {'bbox': None}, 'bbox = None'),
            ('annotations', {'category_id': 6}, 'category_id = 6'),
            ('annotations', {'category_id': [6]}, 'category_id = [6]'),
            ('annotations', {'iscrowd': 2}, 'iscrowd = 2'),
            ('annotations', {'image_id': 99}, 'image_id = 99'),
            ('annotations', {'id': 2}, 'annotations[1]: id = 2'),
            ('images', {'id': 3}, 'images[1]: id = 3'),
            ('images', {'id': [3]}, 'images[0]: id = [3]'),
            ('images', {'file_name': 'n' * 300}, 'images[0]: file_name'),
            ('images', {'file_name': 'b.png'}, "images[1]: file_name = 'b.png'"),
            ('images', {'file_name': 'none.jpg'}, "file_name = 'none.jpg'"),
            ('images', {'file_name': 'nul\0.jpg'}, 'images[0]: file_name'),
            ('images', {'width': 0}, "width, height = '0x48'"),
            ('images', {'height': None}, "width, height = '64xNone'"),
        ],
    )
    def test_a_bad_entry_is_refused_with_place_field_and_value(
        self, write_coco: WriteCoco, section: str, change: dict[str, Any], told: str
    ) -> None:
        document = coco_document()
        document[section][0].update(change)
        folder = write_coco(document)
        with pytest.raises(DataSetError) as caught:
            open_dataset(folder)
        assert told in str(caught.value)
        assert 'instances.json' in str(caught.value)

    @pytest.mark.parametrize(
        ('text', 'told'),
        [
            ('{"images": [', 'cannot be read'),
            ('[1]', 'is a list'),
            ('{"images": []}', 'annotations is no list'),
            ('{"images": [], "annotations": [], "categories": []}', 'no images'),
            ('{"images": [3], "annotations": [], "categories": []}', 'images is no list'),
            ('[' * 100_000, 'cannot be read'),
        ],
    )
    def test_a_malformed_document_is_refused(self, tmp_path: Path, text: str, told: str) -> None:
        write_text(tmp_path / 'labels.json', text)
        with pytest.raises(DataSetError, match=told):
            open_dataset(tmp_path / 'labels.json')

    @pytest.mark.parametrize(
        ('change', 'told'),
        [({'id': 5}, r'categories\[1\].id = 5'), ({'name': 'bus'}, r'categories\[1\].name'),
         ({'name': 3}, r'categories\[0\].name = 3')],
    )  # fmt: skip
    def test_bad_categories_are_refused(
        self, write_coco: WriteCoco, change: dict[str, Any], told: str
    ) -> None:
        document = coco_document()
        document['categories'][0].update(change)
        with pytest.raises(DataSetError, match=told):
            open_dataset(write_coco(document))

    def test_skip_bad_leaves_out_whole_pictures_and_counts_them(
        self, write_coco: WriteCoco
    ) -> None:
        document = coco_document()
        document['annotations'][0]['bbox'] = [0, 0, -1, 5]
        images = open_dataset(write_coco(document), skip_bad=True)
        assert [images.name(k) for k in range(len(images))] == ['b.png']
        assert images.skipped == 1

    def test_two_images_of_one_id_are_both_left_out(self, write_coco: WriteCoco) -> None:
        document = coco_document()
        document['images'][1]['id'] = 7
        with pytest.raises(InvalidValueError, match='0 usable, 2 left out'):
            open_dataset(write_coco(document), skip_bad=True)

    def test_images_in_a_folder_of_their_own_need_its_name(
        self, write_coco: WriteCoco, tmp_path: Path
    ) -> None:
        folder = write_coco(coco_document())
        (folder / 'images').rename(tmp_path / 'elsewhere')
        with pytest.raises(DataSetError, match='image_root'):
            open_dataset(folder)
        assert len(open_dataset(folder, image_root=tmp_path / 'elsewhere')) == 2

    def test_an_image_of_another_size_than_its_labels_say_is_refused(
        self, write_coco: WriteCoco
    ) -> None:
        folder = write_coco(coco_document())
        write_image(folder / 'images' / 'a.jpg', size_px=(48, 64))
        with pytest.raises(ImageFormatError, match=r'a\.jpg is 48x64; allowed: 64x48'):
            open_dataset(folder)[0]


def test_only_the_first_problems_are_told_and_the_rest_counted(yolo: Path) -> None:
    write_text(yolo / 'labels' / 'a.txt', '9 0.5 0.5 0.5 0.5\n' * 40)
    write_text(yolo / 'labels' / 'b.txt', '9 0.5 0.5 0.5 0.5\n')
    with pytest.raises(DataSetError) as caught:
        open_dataset(yolo)
    assert '41 problem(s) in 2 picture(s)' in str(caught.value)
    assert 'and 31 more' in str(caught.value)
    assert str(caught.value).count('class =') == 10


def test_what_is_no_data_set_is_told_what_would_be(tmp_path: Path, yolo: Path) -> None:
    with pytest.raises(DataSetError, match=r'nowhere.*COCO .json, a YOLO data.yaml'):
        open_dataset(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataSetError, match='has nothing of that'):
        open_dataset(tmp_path / 'empty')
    write_text(yolo / 'labels.json', '{}')
    with pytest.raises(DataSetError, match=r'labels\.json'):
        open_dataset(yolo)  # YOLO and COCO at once


def test_options_of_another_format_are_refused(yolo: Path, write_coco: WriteCoco) -> None:
    with pytest.raises(DataSetError, match='image_root'):
        open_dataset(yolo, image_root=yolo)
    with pytest.raises(DataSetError, match='part'):
        open_dataset(yolo, part='train')
    with pytest.raises(DataSetError, match='part'):
        open_dataset(write_coco(coco_document()), part='train')


def files_named(names: list[str]) -> LabelledFiles:
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return LabelledFiles([LabelledFile(Path(name), name, *nothing) for name in names], ['car'])


def names_of(images: LabelledFiles) -> set[str]:
    return {images.name(k) for k in range(len(images))}


class TestSplit:
    @given(st.randoms(use_true_random=False), st.integers(0, 100))
    def test_order_and_other_files_move_nothing(self, random: Any, seed: int) -> None:
        names = [f'{k}.jpg' for k in range(60)]
        train, test = files_named(names).split(seed, 0.4)
        assert names_of(train) | names_of(test) == set(names)
        assert not names_of(train) & names_of(test)
        shuffled = [*names, 'later.jpg']
        random.shuffle(shuffled)
        again = files_named(shuffled).split(seed, 0.4)[1]
        assert names_of(again) - {'later.jpg'} == names_of(test)

    def test_sides_are_of_about_the_asked_size_and_follow_the_seed(self) -> None:
        images = files_named([f'{k}.jpg' for k in range(2000)])
        first, second = images.split(0, 0.3)[1], images.split(1, 0.3)[1]
        assert 0.26 < len(first) / 2000 < 0.34
        assert names_of(first) != names_of(second)

    def test_an_empty_side_and_shares_outside_are_refused(self) -> None:
        images = files_named(['one.jpg'])
        for share in (0.5, 0.0, 1.0, -1.0, float('nan')):
            with pytest.raises(InvalidValueError, match='test_share'):
                images.split(0, share)

    def test_a_sample_is_drawn_by_name(self) -> None:
        images = files_named([f'{k}.jpg' for k in range(50)])
        few = images.sample(5)
        assert len(few) == 5
        assert names_of(few) < names_of(images.sample(10))
        assert len(images.sample(500)) == 50
        with pytest.raises(InvalidValueError, match='images'):
            images.sample(0)


class TestClassMap:
    MODEL = ('Person', 'car', 'truck')

    def test_equal_names_whatever_their_case_and_what_was_asked(self, yolo: Path) -> None:
        write_text(yolo / 'classes.txt', 'CAR\nbus\nkite\n')
        images = open_dataset(yolo)
        mapped = ClassMap.between(images, self.MODEL, {'Bus': 'Truck', 'kite': ''})
        assert mapped.ids == (1, 2, -1)
        seen = MappedImages(images, self.MODEL, mapped)
        assert seen.class_names == self.MODEL
        assert seen.used_class_ids == {1, 2}
        assert seen[0][1].class_ids.tolist() == [1, 2]
        assert len(seen[1][1]) == 0
        assert (len(seen), seen.name(1)) == (3, 'images/b.png')

    def test_a_class_the_model_does_not_know_is_refused_by_name(self, yolo: Path) -> None:
        with pytest.raises(InvalidValueError, match=r"'bus'.*Person, car, truck.*bus=NAME"):
            ClassMap.between(open_dataset(yolo), self.MODEL, {'kite': ''})

    def test_a_class_no_picture_shows_needs_no_counterpart(self, yolo: Path) -> None:
        (yolo / 'labels' / 'b.txt').unlink()
        ids = ClassMap.between(open_dataset(yolo), self.MODEL, {'bus': 'car'}).ids
        assert ids == (1, 1, -1)

    @pytest.mark.parametrize('asked', [{'dog': 'car'}, {'bus': 'dog', 'kite': ''}])
    def test_names_nobody_knows_are_refused(self, yolo: Path, asked: dict[str, str]) -> None:
        with pytest.raises(InvalidValueError, match='dog'):
            ClassMap.between(open_dataset(yolo), self.MODEL, asked)

    def test_crowds_are_mapped_too(self, write_coco: WriteCoco) -> None:
        images = open_dataset(write_coco(coco_document()))
        seen = MappedImages(
            images, self.MODEL, ClassMap.between(images, self.MODEL, {'bus': 'truck'})
        )
        assert seen.crowd(0).class_ids.tolist() == [2]


def test_a_data_set_goes_to_another_process(yolo: Path) -> None:
    images = pickle.loads(pickle.dumps(open_dataset(yolo)))
    assert images[0][1].boxes_px.tolist() == [[24, 12, 40, 36], [0, 0, 32, 24]]


@pytest.mark.skipif(not AERIAL_CARS.is_dir(), reason='shared data not there')
def test_real_drone_pictures() -> None:
    images = open_dataset(AERIAL_CARS)
    assert len(images) == 57
    assert images.class_names == ('car', 'truck', 'bus', 'minibus', 'cyclist')
    truths = [images[k][1] for k in range(3)]
    assert images[0][0].shape == (1080, 1920, 3)
    assert all(len(truth) > 0 for truth in truths)
