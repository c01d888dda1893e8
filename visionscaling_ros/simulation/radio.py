"""What the radio draws in a slot, its tail included."""

from __future__ import annotations

from visionscaling_ros.control.device import DeviceModel


class Radio:
    """Fixed power while it sends and for the tail after it, plus so much for each bit.

    In a slot in which something is sent it is on all the time, because frames are spread over the
    slot; the tail begins at the end of the slot.

    :param tail_s: time it stays on after the last bit [s].
    """

    def __init__(self, device: DeviceModel, *, tail_s: float, slot_s: float) -> None:
        self._fixed_w = device.radio_fixed_w
        self._w_per_bps = device.radio_w_per_mbps * 1e-6
        self._tail_s = tail_s
        self._slot_s = slot_s
        self._left_s = 0.0

    def power_w(self, sent_bps: float) -> float:
        """Mean power of the next slot, in which so much is sent [W]."""
        if sent_bps > 0.0:
            self._left_s = self._tail_s
            return self._fixed_w + self._w_per_bps * sent_bps
        on_s = min(self._left_s, self._slot_s)
        self._left_s -= on_s
        return self._fixed_w * on_s / self._slot_s
