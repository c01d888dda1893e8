"""The helper as one file: exactly the modules it needs, nothing from elsewhere."""

from __future__ import annotations

import ast
import importlib.util
import io
import zipfile
from pathlib import Path

PACKAGE = 'visionscaling_ros'
MAIN = f'{PACKAGE}.hardware.clockd.main'
NVML_BINDING = 'pynvml'  # one file that needs the standard library only; of nvidia-ml-py
STARTER = f'import sys\n\nfrom {MAIN} import main\n\nsys.exit(main())\n'


def helper_package() -> bytes:
    """A zip file for ``python3 -I -S``; the same bytes from the same sources.

    NVIDIA's binding is in it when it is installed here.
    """
    content = {f'{name}': text for name, text in sorted(helper_sources().items())}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, text in {'__main__.py': STARTER.encode(), **content}.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def helper_sources() -> dict[str, bytes]:
    """Files of all modules the helper imports, at the top or later, by their names in the zip."""
    sources: dict[str, bytes] = {}
    wanted = [MAIN]
    while wanted:
        module = wanted.pop()
        path = _source_of(module)
        if path is None:
            continue
        parts = module.split('.')
        folder = '/'.join(parts if path.name == '__init__.py' else parts[:-1])
        name = f'{folder}/{path.name}'
        if name in sources:
            continue
        sources[name] = path.read_bytes()
        wanted += ['.'.join(parts[:length]) for length in range(1, len(parts))]
        wanted += _imports(sources[name])
    binding = importlib.util.find_spec(NVML_BINDING)
    if binding is not None and binding.origin is not None:
        sources[f'{NVML_BINDING}.py'] = Path(binding.origin).read_bytes()
    return sources


def _imports(source: bytes) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
    return [name for name in found if name.split('.')[0] == PACKAGE]


def _source_of(module: str) -> Path | None:
    """Where a module's source lies; None for what is a name in a module."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)
