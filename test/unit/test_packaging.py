"""What is said twice about the package agrees, and what is shipped is complete."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from visionscaling_ros.cli.main import COMMANDS
from visionscaling_ros.graph.descriptions import NodeDescription
from visionscaling_ros.graph.graphs import robot_graph
from visionscaling_ros.graph.options import RobotOptions

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / 'CMakeLists.txt').read_text()
REQUIREMENTS = ROOT / 'requirements'
ALL_REQUIREMENTS = (
    'base.txt', 'review.txt', 'build.txt', 'dev.txt', 'engines.txt', 'ray.txt',
)  # fmt: skip
PINNED = re.compile(r"[A-Za-z0-9_.-]+(\[[a-z]+\])?==[^ ;]+( ; python_version (<|>=) '3\.\d+')?")


def lines_of(name):
    lines = (REQUIREMENTS / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(('#', '-c'))]


def name_of(requirement):
    return re.split(r'[\[=<>; ]', requirement)[0].lower().replace('_', '-')


def asked_for(key):
    """Names in the list that setup.py has under a keyword or a key."""
    for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text())):
        pairs = []
        if isinstance(node, ast.keyword):
            pairs = [(node.arg, node.value)]
        elif isinstance(node, ast.Dict):
            keys = [getattr(item, 'value', None) for item in node.keys]
            pairs = list(zip(keys, node.values, strict=True))
        for name, value in pairs:
            if name == key:
                return {name_of(requirement) for requirement in ast.literal_eval(value)}
    raise AssertionError(f'setup.py has no {key}')


def test_every_message_is_built():
    listed = set(re.findall(r'msg/\w+\.msg', CMAKE))
    assert listed == {f'msg/{path.name}' for path in (ROOT / 'msg').glob('*.msg')}


def test_every_program_is_installed_and_can_be_run():
    programs = {path.name for path in (ROOT / 'scripts').iterdir() if path.is_file()}
    assert set(re.findall(r'scripts/([\w-]+)', CMAKE)) == programs
    for program in programs:
        assert os.access(ROOT / 'scripts' / program, os.X_OK)


@pytest.mark.parametrize('compose', [True, False])
def test_every_node_of_the_graph_has_a_program(compose):
    for item in robot_graph(RobotOptions(compose=compose)):
        assert isinstance(item, NodeDescription)
        assert (ROOT / 'scripts' / item.executable).is_file()


def test_every_command_has_a_module():
    for module in COMMANDS.values():
        assert (ROOT / 'visionscaling_ros' / 'cli' / f'{module}.py').is_file()


@pytest.mark.parametrize('name', ['constraints.txt', 'ros-jazzy.txt'])
def test_versions_are_pinned(name):
    for line in lines_of(name):
        assert PINNED.fullmatch(line), line


@pytest.mark.parametrize('name', ALL_REQUIREMENTS)
def test_every_requirement_has_a_version_in_the_constraints(name):
    pinned = {name_of(line) for line in lines_of('constraints.txt')}
    assert {name_of(line) for line in lines_of(name)} <= pinned


def test_torch_is_the_version_that_was_tried():
    assert 'torch==2.13.0' in lines_of('constraints.txt')


def test_run_time_requirements_are_those_of_setup_py_and_are_explained():
    assert asked_for('install_requires') == {name_of(line) for line in lines_of('base.txt')}
    assert asked_for('review') == {name_of(line) for line in lines_of('review.txt')}
    explained = (ROOT / 'docs' / 'dependencies.md').read_text()
    for name in ALL_REQUIREMENTS:
        for requirement in lines_of(name):
            assert f'`{name_of(requirement)}' in explained, requirement


def test_the_licence_is_the_one_that_is_declared():
    manifest = ElementTree.parse(ROOT / 'package.xml').getroot()
    assert manifest.findtext('license') == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_parameter_files_can_be_read():
    for path in (ROOT / 'config').glob('*.yaml'):
        for content in yaml.safe_load(path.read_text()).values():
            assert list(content) == ['ros__parameters']


def test_a_wheel_holds_weights_launch_files_configuration_and_the_command(tmp_path):
    source = tmp_path / 'source'
    unwanted = shutil.ignore_patterns('.*', 'build', 'install', 'log', 'out', 'test', '__pycache__')
    shutil.copytree(ROOT, source, ignore=unwanted)
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'bdist_wheel', '--dist-dir', str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith('entry_points.txt'))
        assert 'visionscaling = visionscaling_ros.cli.main:main' in (
            archive.read(entry_points).decode()
        )
    installed = {name.partition('.data/data/')[2] or name for name in names}
    shared = 'share/visionscaling_ros'
    expected = {
        'share/ament_index/resource_index/packages/visionscaling_ros',
        f'{shared}/package.xml',
        *(f'{shared}/launch/{path.name}' for path in (ROOT / 'launch').glob('*.py')),
        *(
            f'{shared}/{path.relative_to(ROOT)}'
            for path in (ROOT / 'config').rglob('*')
            if path.is_file()
        ),
        *(
            str(path.relative_to(ROOT))
            for path in (ROOT / 'visionscaling_ros').rglob('*')
            if path.is_file() and path.suffix != '.pyc'
        ),
    }
    assert expected <= installed


def told(tmp_path, *present):
    """What the check of prerequisites says where only ``present`` is installed."""
    for name in present:
        (tmp_path / name).write_text('')
        (tmp_path / name).chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key not in ('CC', 'CXX')}
    answer = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'prerequisites.py')],
        env={**environment, 'PATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == (1 if answer.stderr else 0)
    return answer.stderr


def test_a_machine_with_all_prerequisites_passes(tmp_path):
    assert told(tmp_path, 'gcc', 'g++', 'cmake', 'make') == ''


@pytest.mark.parametrize(
    ('present', 'missing'),
    [
        (('g++', 'cmake', 'make'), 'a C compiler is missing: install gcc'),
        (('gcc', 'cmake', 'make'), 'a C++ compiler is missing: install gcc and g++'),
        (('cc', 'c++', 'make'), 'cmake is missing: install cmake'),
        (('cc', 'c++', 'cmake'), 'make is missing: install make'),
    ],
)
def test_a_missing_prerequisite_is_told_in_one_line(tmp_path, present, missing):
    said = told(tmp_path, *present)
    assert missing in said
    assert said.count('\n') == 1
