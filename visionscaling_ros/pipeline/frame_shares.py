"""Which allocation the next frame belongs to: deficit round-robin over rates."""

from __future__ import annotations

from collections.abc import Sequence


class FrameShares:
    """Time-shares frames among lanes in proportion to their rates, exactly in the long run.

    Every frame adds ``rate / total`` to each lane's deficit and goes to the lane with the largest
    one, which pays 1. What the rates leave of the total is a lane of its own: frames nobody
    processes. After n frames each lane has had its share of n to within one frame per lane.

    :param rates_fps: rate of each lane [frames/s], not negative.
    :param arrival_fps: rate of all frames [frames/s]; the total is at least the sum of the rates.
    :param deficits: what each lane is owed from before [frames], so that a rate below one frame
        a slot is served over several slots.
    """

    def __init__(
        self, rates_fps: Sequence[float], arrival_fps: float, deficits: Sequence[float] = ()
    ) -> None:
        processed_fps = sum(rates_fps)
        total_fps = max(arrival_fps, processed_fps)
        owed = list(deficits) or [0.0] * len(rates_fps)
        self._deficits = [*owed, min(0.0, -sum(owed))]
        if total_fps <= 0.0:
            self._shares = [0.0] * len(rates_fps) + [1.0]
        else:
            self._shares = [rate / total_fps for rate in rates_fps]
            self._shares.append(1.0 - processed_fps / total_fps)

    @property
    def deficits(self) -> tuple[float, ...]:
        """Frames each lane is owed now."""
        return tuple(self._deficits[:-1])

    def next_lane(self) -> int | None:
        """Index of the lane the next frame goes to; None: not processed."""
        deficits = self._deficits
        for lane, share in enumerate(self._shares):
            deficits[lane] += share
        chosen = max(range(len(deficits)), key=deficits.__getitem__)
        deficits[chosen] -= 1.0
        return chosen if chosen < len(deficits) - 1 else None
