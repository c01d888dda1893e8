"""What has to be on a machine before anything can be set up; each lack is told in one line.

Written for any Python 3, because telling that a Python is too old is part of the job.
"""

import os
import shutil
import sys
import sysconfig

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)


def missing():
    """One line saying what to install, or None when nothing is missing."""
    version = '{}.{}'.format(*sys.version_info[:2])
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return (
            f'Python {version} ({sys.executable}) is not supported: '
            'install Python 3.10 to 3.14 and name it, as in: make PYTHON=python3.12'
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        return f'virtual environments are missing: install python{version}-venv'
    if not os.path.isfile(os.path.join(sysconfig.get_paths()['include'], 'Python.h')):
        return f"Python's C headers are missing: install python{version}-dev"
    for variable, names, language in (
        ('CC', ('cc', 'gcc', 'clang'), 'C'),
        ('CXX', ('c++', 'g++', 'clang++'), 'C++'),
    ):
        chosen = os.environ.get(variable, '').split()
        if not any(shutil.which(name) for name in (chosen[:1] or names)):
            return f'a {language} compiler is missing: install gcc and g++ (or set {variable})'
    for tool in ('cmake', 'make'):
        if shutil.which(tool) is None:
            return f'{tool} is missing: install {tool}'
    return None


if __name__ == '__main__':
    lack = missing()
    sys.exit('set-up: ' + lack if lack else 0)
