"""Camera calibration files in the layout of ``camera_calibration_parsers``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

import yaml
from sensor_msgs.msg import CameraInfo

from visionscaling_ros.errors import InvalidValueError

MATRIX_SIZES = {'camera_matrix': 9, 'rectification_matrix': 9, 'projection_matrix': 12}
MATRICES = (*MATRIX_SIZES, 'distortion_coefficients')


def load_camera_info(url: str) -> CameraInfo:
    """The calibration in a YAML file (a path or a ``file://`` URL); an empty one without header.

    Raises InvalidValueError saying what is wrong with the file.
    """
    parts = urlparse(url)
    if parts.scheme not in ('', 'file'):
        raise _error(url, 'a path or a file:// URL')
    path = Path(unquote(parts.path) if parts.scheme else url).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise _error(url, f'a file that can be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _error(url, 'a YAML file') from error
    try:
        numbers = {name: [float(v) for v in content[name]['data']] for name in MATRICES}
        info = CameraInfo(
            width=int(content['image_width']),
            height=int(content['image_height']),
            distortion_model=str(content['distortion_model']),
            d=numbers['distortion_coefficients'],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _error(url, f'a calibration; this one lacks or garbles {error}') from error
    for name, size in MATRIX_SIZES.items():
        if len(numbers[name]) != size:
            raise _error(url, f'a calibration with {size} numbers in {name}')
    info.k = numbers['camera_matrix']
    info.r = numbers['rectification_matrix']
    info.p = numbers['projection_matrix']
    return info


def _error(url: str, allowed: str) -> InvalidValueError:
    return InvalidValueError('camera_info_url', url, allowed)
