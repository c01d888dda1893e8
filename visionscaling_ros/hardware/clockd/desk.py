"""Carries out what clients of the helper ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clockd.protocol import VERSION, Request
from visionscaling_ros.hardware.clockd.served_device import ServedDevice
from visionscaling_ros.hardware.clockd.session import Session


class Desk:
    """The devices, and who holds them.

    :param devices: all that may ever be set; what clients name is only looked up among them.
    :param timeout_s: told to clients: without a request for this long they lose what they hold.
    """

    def __init__(self, devices: Sequence[ServedDevice], timeout_s: float) -> None:
        self._devices = {device.key: device for device in devices}
        self._timeout_s = timeout_s

    def answer(self, session: Session, request: Request, now_s: float) -> dict[str, object]:
        """Carry out a request; what cannot be done is answered, not raised."""
        try:
            return {'ok': True, **self._carry_out(session, request, now_s)}
        except (HardwareError, InvalidValueError) as error:
            return {'ok': False, 'error': str(error)}

    def takes(self, request: Request) -> bool:
        """Whether a request takes a device, for which the state found is brought to disk."""
        device = self._devices.get((request.backend, request.device))
        return request.op == 'set' and device is not None and not device.guard.engaged

    def holds(self, session: Session) -> bool:
        """Whether the session holds a device."""
        return any(device.holder is session for device in self._devices.values())

    def give_back(self, session: Session, now_s: float, why: str) -> None:
        """Restore all that a session holds; what fails is tried again by ``retry``."""
        for device in self._devices.values():
            if device.holder is session:
                device.give_back(now_s, f'{session.peer} held it, and {why}')

    def retry(self, now_s: float) -> None:
        """Try again to restore what could not be restored."""
        for device in self._devices.values():
            if device.retry_s <= now_s:
                device.give_back(now_s, 'tried again')

    def next_retry_s(self) -> float:
        """When ``retry`` has something to do (monotonic clock)."""
        return min((device.retry_s for device in self._devices.values()), default=math.inf)

    def _carry_out(self, session: Session, request: Request, now_s: float) -> dict[str, object]:
        if request.op == 'hello':
            return {'version': VERSION, 'timeout_s': self._timeout_s}
        if request.op == 'devices':
            return {'devices': [device.describe() for device in self._devices.values()]}
        if request.op == 'keep_alive':
            return {'holds': self.holds(session)}
        device = self._devices.get((request.backend, request.device))
        if device is None:
            raise HardwareError('no such device was found when the helper started')
        if request.op == 'set':
            return {'frequency_hz': device.set_frequency(session, request.frequency_hz)}
        if device.holder is session:
            device.release(now_s)
        return {}
