"""What runs as root in the helper runs on the oldest Python of its boards: 3.8 of JetPack 5."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware_trees import Build, agx_orin, cpu_board

from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clockd.helper_package import helper_package, helper_sources
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.trials.clock_kills.helper_process import helper_socket, wait_for_helper

OLDEST = (3, 8)
SOURCES = {
    name: source.decode()
    for name, source in helper_sources().items()  # all it imports, at the top or later
    if name.startswith('visionscaling_ros/')
}
# docs.python.org/3/whatsnew/3.9.html and later, as far as such code may be tempted.
NEWER_METHODS = {
    'removeprefix', 'removesuffix', 'is_relative_to', 'with_stem', 'hardlink_to', 'bit_count',
    'randbytes', 'readlink', 'to_thread', 'exc_add_note', 'add_note', 'getLevelNamesMapping',
}  # fmt: skip
NEWER_NAMES = {
    'contextlib': {'aclosing', 'chdir'}, 'dataclasses': {'KW_ONLY'}, 'datetime': {'UTC'},
    'enum': {'StrEnum', 'ReprEnum', 'verify'}, 'functools': {'cache'},
    'itertools': {'pairwise', 'batched'}, 'math': {'lcm', 'ulp', 'nextafter', 'cbrt', 'exp2'},
    'types': {'NoneType', 'UnionType', 'EllipsisType'},
    'typing': {'Self', 'TypeAlias', 'TypeGuard', 'ParamSpec', 'Concatenate', 'Annotated',
               'assert_never', 'assert_type', 'Never', 'override', 'Unpack', 'reveal_type'},
}  # fmt: skip
NEWER_MODULES = {'tomllib', 'zoneinfo', 'graphlib'}
NEWER_KEYWORDS = {
    'zip': {'strict'}, 'dataclass': {'slots', 'kw_only', 'match_args', 'weakref_slot'},
    'write_text': {'newline'}, 'shutdown': {'cancel_futures'}, 'Popen': {'user', 'group', 'umask',
    'process_group', 'pipesize'}, 'run': {'user', 'group', 'umask', 'process_group'},
}  # fmt: skip
BUILT_IN = {'list', 'dict', 'tuple', 'set', 'frozenset', 'type'}


def newer_than_oldest(source: str) -> list[str]:
    """What Python 3.8 does not have, with its line."""
    tree = ast.parse(source, feature_version=OLDEST)
    generic = BUILT_IN | {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ('collections', 'collections.abc')
        for alias in node.names
    }
    return [f'{line}: {words}' for node in _running(tree) for line, words in _newer(node, generic)]


def _newer(node: ast.AST, generic: set[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Attribute) and node.attr in NEWER_METHODS:
        if not (isinstance(node.value, ast.Name) and node.value.id == 'os'):
            yield node.lineno, node.attr
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name in NEWER_NAMES.get(node.module or '', ()) or node.module in NEWER_MODULES:
                yield node.lineno, f'{node.module}.{alias.name}'
    elif isinstance(node, ast.Import):
        yield from ((node.lineno, a.name) for a in node.names if a.name in NEWER_MODULES)
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, 'attr', '')
        for keyword in node.keywords:
            if keyword.arg in NEWER_KEYWORDS.get(name, ()):
                yield node.lineno, f'{name}({keyword.arg}=)'
    elif isinstance(node, ast.Subscript):
        if isinstance(node.value, ast.Name) and node.value.id in generic:
            yield node.lineno, f'{node.value.id}[...] that is evaluated'
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        if any(_is_type_or_dict(side) for side in (node.left, node.right)):
            yield node.lineno, 'types or dicts joined by |'
    elif isinstance(node, ast.AugAssign) and _is_type_or_dict(node.value):
        yield node.lineno, 'a dict joined by |='


def _is_type_or_dict(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in BUILT_IN | {'int', 'str', 'float', 'bytes', 'bool'}
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == 'dict'
    none = isinstance(node, ast.Constant) and node.value is None
    return none or isinstance(node, (ast.Dict, ast.DictComp))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All that is evaluated: annotations are not, with ``from __future__ import annotations``."""
    for name, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and name not in ('annotation', 'returns'):
                yield node
                yield from _running(node)


@pytest.mark.parametrize('name', SOURCES)
def test_the_helper_uses_nothing_newer_than_its_oldest_python(name: str) -> None:
    source = SOURCES[name]
    assert newer_than_oldest(source) == []
    assert 'import' not in source or 'from __future__ import annotations' in source


@pytest.mark.parametrize(
    'source',
    [
        "'a'.removeprefix('b')",
        'Path().is_relative_to(x)',
        'Path().readlink()',
        'zip(a, b, strict=True)',
        '@dataclass(slots=True)\nclass A: ...',
        'from functools import cache',
        'import tomllib',
        'Pairs = dict[str, int]',
        'from collections.abc import Mapping\nclass A(Mapping[str, str]): ...',
        'isinstance(x, int | str)',
        "{'a': 1} | b",
        "b |= {'a': 1}",
    ],
)
def test_what_is_newer_is_found(source: str) -> None:
    assert newer_than_oldest(source) != []


@pytest.mark.parametrize('source', ['match x:\n case 1: ...', 'with (a as b, c as d): ...'])
def test_newer_syntax_is_found(source: str) -> None:
    with pytest.raises(SyntaxError):
        newer_than_oldest(source)


@pytest.mark.parametrize(
    'source', ['os.readlink(x)', 'O_RDONLY | O_CLOEXEC', 'x: dict[str, int] = {}', 'a[1]']
)
def test_what_is_old_is_left_alone(source: str) -> None:
    assert newer_than_oldest(source) == []


def _oldest_python() -> str:
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    wanted = f'python{OLDEST[0]}.{OLDEST[1]}'
    installed = sorted(pyenv.glob(f'versions/{OLDEST[0]}.{OLDEST[1]}.*/bin/{wanted}'))
    return str(installed[-1]) if installed else shutil.which(wanted) or ''


@pytest.mark.skipif(not _oldest_python(), reason='that Python is not installed here')
@pytest.mark.parametrize('build', [agx_orin, cpu_board], ids=['devfreq', 'cpufreq'])
def test_the_oldest_python_sets_and_restores_a_clock(build: Build) -> None:
    with tempfile.TemporaryDirectory() as folder_name:  # a socket's path must be short
        folder = Path(folder_name)
        tree = build(folder / 'machine')
        before = tree.contents()
        archive = folder / 'helper.pyz'
        archive.write_bytes(helper_package())
        options = ('--cpufreq', '--root', tree.root, '--socket', helper_socket(folder),
                   '--state-folder', folder / 'state', '--allow-user', os.getuid())  # fmt: skip
        command = [_oldest_python(), '-I', '-S', str(archive), *map(str, options)]
        helper = SupervisedProcess(command, os.environ, lambda line: None)
        helper.start()
        try:
            wait_for_helper(helper, folder)
            kind = DevfreqGpuClock if tree.gpu else CpufreqGpuClock
            clock = ClockdGpuClock(kind(tree.files), helper_socket(folder))
            level_hz = clock.available_frequencies_hz[1]
            assert clock.set_frequency(level_hz) == level_hz
            assert clock.limits_hz() == (level_hz, level_hz)
            clock.release()
            assert tree.contents() == before
            assert clock.set_frequency(level_hz) == level_hz
        finally:
            helper.signal(signal.SIGTERM)
            helper.wait()
        assert helper.returncode == 0, helper.lines
        assert tree.contents() == before
