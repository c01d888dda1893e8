"""What machine this is."""

from __future__ import annotations

from visionscaling_ros.hardware.device_files import DeviceFiles

# Devicetree Specification 0.4, 2.3.2 "model"; Linux drivers/firmware/dmi-id.c
DEVICE_TREE_MODEL = '/proc/device-tree/model'
DMI = ('/sys/class/dmi/id/sys_vendor', '/sys/class/dmi/id/product_name')


def machine_model(files: DeviceFiles) -> str:
    """Its name by the device tree (boards) or the firmware (PCs); empty where neither tells."""
    model = _read(files, DEVICE_TREE_MODEL)
    return model or ' '.join(part for path in DMI if (part := _read(files, path)))


def _read(files: DeviceFiles, path: str) -> str:
    try:
        return files.read(path).rstrip('\0').strip()
    except OSError:
        return ''
