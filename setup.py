"""``pip install .``: the parts that need no ROS, and the ``visionscaling`` command.

Messages and the programs of the nodes come with ``colcon build`` (CMakeLists.txt).
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = 'visionscaling_ros'
ROOT = Path(__file__).parent
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """Every file below ``folder``, to the same place under share/."""
    files: dict[str, list[str]] = {}
    for path in sorted((ROOT / folder).rglob('*')):
        if path.is_file() and path.suffix != '.pyc':
            relative = path.relative_to(ROOT)
            files.setdefault(f'share/{PACKAGE}/{relative.parent}', []).append(str(relative))
    return list(files.items())


setup(
    name=PACKAGE,
    version=MANIFEST.findtext('version'),
    description=MANIFEST.findtext('description'),
    license=MANIFEST.findtext('license'),
    maintainer=MANIFEST.findtext('maintainer'),
    maintainer_email=MANIFEST.find('maintainer').get('email'),
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={
        f'{PACKAGE}.vision': ['weights/*', 'manifests/*.yaml'],
        f'{PACKAGE}.simulation': ['profiles/*.yaml'],
        f'{PACKAGE}.review.report': ['page.html', 'page.js', 'style.css'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *shared_files('launch'),
        *shared_files('config'),
        *shared_files('msg'),
    ],
    python_requires='>=3.10',
    # What docs/dependencies.md explains; requirements/ pins the versions that were tried.
    install_requires=[
        "backports.zstd>=1; python_version < '3.14'",
        'faster-coco-eval>=1.6,<2',
        'grpcio>=1.60,<2',
        'grpcio-health-checking>=1.60,<2',
        'matplotlib>=3.7,<4',
        'numpy>=1.26,<3',
        'lz4>=4.3,<5',
        'nvidia-ml-py>=12.535,<14',
        'opencv-python-headless>=4.9,<6',
        'prometheus-client>=0.20,<1',
        'psutil>=5.9',
        'pyyaml>=6,<7',
        'rich>=13,<16',
        'rosbags>=0.11,<0.12',
        'safetensors>=0.4,<1',
        'torch>=2.2,<3',
        'tritonclient[grpc]>=2.44,<3',
    ],
    # what runs or writes ONNX files; without them everything else works
    extras_require={
        'onnx': ['onnxruntime>=1.18,<2', 'onnx>=1.16,<2', 'onnxscript>=0.5,<1'],
        'openvino': ['openvino>=2024.4', 'onnx>=1.16,<2', 'onnxscript>=0.5,<1'],
        'review': ['bokeh>=3.7,<4', 'optuna>=5,<6'],
        'ray': ['ray[serve]>=2.59,<3'],
    },
    entry_points={
        'console_scripts': [
            f'visionscaling = {PACKAGE}.cli.main:main',
            f'visionscaling-clockd = {PACKAGE}.hardware.clockd.main:main',
        ]
    },
    zip_safe=False,
)
