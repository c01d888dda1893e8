"""Files that are whole or not there, whoever writes them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what shall be at ``path``; put in its place when the block ends well.

    Its folder is made if need be, and it can be read by whom the umask allows, even where what
    writes it takes rights away. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.new-', dir=path.parent) as folder:
        partial = Path(folder) / path.name
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)
        partial.replace(path)
