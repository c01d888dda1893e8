"""How a device parameter names an NVIDIA card."""

from __future__ import annotations


def named_card(device: str) -> str:
    """``device`` where it names a card, by index or UUID, and not a clock of the kernel; else ''.

    Of a device that is a devfreq node or a cpufreq policy, NVML is asked for its first card.
    """
    return device if device.isdecimal() or device.startswith(('GPU-', 'MIG-')) else ''
