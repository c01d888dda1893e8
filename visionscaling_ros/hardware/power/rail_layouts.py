"""Which power rails the boards have, and which of them add up to the whole."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class RailLayout:
    """Rails of a family of boards.

    :param covers: what the total is of, in words.
    :param total: rails whose sum that is.
    :param gpu: rail that the GPU is on, possibly with others.
    :param cpu: rail that the CPU is on, possibly with others.
    :param covers_radio: the uplink radio is in the total. It is plugged into the carrier board,
        but for TX2 and TX1, which have Wi-Fi on the module (data sheets: "WLAN/BT").
    """

    boards: str
    covers: str
    total: tuple[str, ...]
    gpu: str
    cpu: str
    covers_radio: bool = False


# Sources: NVIDIA's Jetson Linux Developer Guides, chapters on power of each board, r32.7 (Nano,
# TX1, TX2, Xavier), r35 and r36.4 (Orin: VDDQ_VDD2_1V8AO is part of VIN_SYS_5V0), r38 (Thor: VIN
# is the input of module and carrier, from an INA238); names as the device trees have them:
# github.com/energymon/energymon jetson/JetsonPowerRails.md. VDD_IN and POM_5V_IN are the input of
# the module, without the carrier board; boards without such a rail have one sensor for each of
# the supplies that the module's input is split into, as github.com/rbonghi/jetson_stats adds them
# up. The first whose rails are all there counts.
MODULE = 'the module without its carrier board'
LAYOUTS = (
    RailLayout(
        'AGX Thor', 'the module and its carrier board', ('VIN',), 'VDD_GPU', 'VDD_CPU_SOC_MSS',
        covers_radio=True,
    ),
    RailLayout(
        'AGX Thor without INA238', MODULE, ('VDD_GPU', 'VDD_CPU_SOC_MSS', 'VIN_SYS_5V0'),
        'VDD_GPU', 'VDD_CPU_SOC_MSS',
    ),
    RailLayout(
        'AGX Orin', MODULE, ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
        'VDD_GPU_SOC', 'VDD_CPU_CV',
    ),
    RailLayout(
        'Orin Nano, Orin NX or Xavier NX', MODULE, ('VDD_IN',), 'VDD_CPU_GPU_CV', 'VDD_CPU_GPU_CV'
    ),
    RailLayout(
        'AGX Xavier', MODULE, ('GPU', 'CPU', 'SOC', 'CV', 'VDDRQ', 'SYS5V'), 'GPU', 'CPU'
    ),
    RailLayout('TX2', MODULE, ('VDD_IN',), 'VDD_SYS_GPU', 'VDD_SYS_CPU', covers_radio=True),
    RailLayout('TX1', MODULE, ('VDD_IN',), 'VDD_GPU', 'VDD_CPU', covers_radio=True),
    RailLayout('Nano', MODULE, ('POM_5V_IN',), 'POM_5V_GPU', 'POM_5V_CPU'),
)  # fmt: skip


def layout_of(rails: Collection[str]) -> RailLayout | None:
    """The layout a board with these rails has; None for a board that is not known."""
    return next(
        (
            layout
            for layout in LAYOUTS
            if {*layout.total, layout.gpu, layout.cpu}.issubset(rails)
        ),
        None,
    )
