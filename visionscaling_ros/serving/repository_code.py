"""Code for somebody else's server: the modules a step needs, without this package."""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path

PACKAGE = 'visionscaling_ros'
ARCHIVE = f'{PACKAGE}.zip'
_SOURCES = Path(__file__).resolve().parents[1]
_MODELS = f'{PACKAGE}.serving.triton_models'
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same modules make the same file

_MODEL = '''\
"""Written by visionscaling export-repository. Its code is in {archive}."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '{archive}'))

from {module} import {name} as TritonPythonModel  # noqa: E402, F401
'''


def write_step_code(folder: Path, model_class: str) -> None:
    """Write model.py, which is ``model_class`` of triton_models, and the modules it needs."""
    text = _MODEL.format(archive=ARCHIVE, module=_MODELS, name=model_class)
    (folder / 'model.py').write_text(text, encoding='utf-8')
    with zipfile.ZipFile(folder / ARCHIVE, 'w', zipfile.ZIP_DEFLATED) as archive:
        for source in needed_sources():
            name = f'{PACKAGE}/{source.relative_to(_SOURCES).as_posix()}'
            information = zipfile.ZipInfo(name, _LONG_AGO)
            archive.writestr(information, source.read_bytes(), zipfile.ZIP_DEFLATED)


def needed_sources() -> list[Path]:
    """The package's files that the steps need, found by walking the imports at their tops."""
    found: set[Path] = set()
    waiting = [_MODELS]
    while waiting:
        name = waiting.pop()
        path = _SOURCES.joinpath(*name.split('.')[1:])
        for source in (path.with_suffix('.py'), path / '__init__.py'):
            if source.is_file() and source not in found:
                found.add(source)
                waiting += _imported(source)
        if '.' in name:
            waiting.append(name.rpartition('.')[0])  # the package it is in
    return sorted(found)


def _imported(source: Path) -> list[str]:
    body = ast.parse(source.read_text(encoding='utf-8')).body
    modules = [node.module or '' for node in body if isinstance(node, ast.ImportFrom)]
    return [module for module in modules if module.split('.')[0] == PACKAGE]
