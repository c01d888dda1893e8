"""A real Triton server for the tests, installed once in the user's cache."""

from __future__ import annotations

import platform
import sys

import pytest

from visionscaling_ros.errors import EdgeError
from visionscaling_ros.trials.triton_installation import TritonInstallation, install_triton
from visionscaling_ros.vision.user_folders import cache_folder

FOLDER = cache_folder() / 'servers'  # before a test points the cache elsewhere


def installed_triton() -> TritonInstallation:
    """It, or the test is skipped with the reason."""
    if (sys.platform, platform.machine()) != ('linux', 'x86_64'):
        pytest.skip(f'no Triton wheel for {sys.platform} {platform.machine()}')
    try:
        return install_triton(FOLDER)
    except EdgeError as error:
        pytest.skip(f'Triton: {error}')
