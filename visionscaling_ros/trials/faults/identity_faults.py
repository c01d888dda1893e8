"""Faults of who is who: certificates that must not be believed, tokens that are not accepted."""

from __future__ import annotations

import signal
from functools import partial

from visionscaling_ros.trials.faults.bench import FaultBench
from visionscaling_ros.trials.faults.fault import FaultKind
from visionscaling_ros.trials.faults.secrets import ROBOT_ID


class CertificateSpoiled:
    """Where the server was listens one with a certificate that no robot may believe."""

    def __init__(self, bench: FaultBench, seconds: float, *, spoiled: str) -> None:
        self._bench = bench
        self._spoiled = spoiled

    def inject(self) -> None:
        """Lead there."""
        self._bench.route(self._bench.impostors[self._spoiled].address)

    def heal(self) -> None:
        """Lead to the server again."""
        self._bench.route(self._bench.server.address)


class TokenRefused:
    """The server does not know the robot's token any more."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._bench = bench

    def inject(self) -> None:
        """Change it at the server."""
        self._bench.secrets.write_tokens(without=ROBOT_ID)
        self._bench.server.send(signal.SIGHUP)

    def heal(self) -> None:
        """Change it back."""
        self._bench.secrets.write_tokens()
        self._bench.server.send(signal.SIGHUP)


KINDS = (
    *(
        FaultKind(f'tls-{spoiled}', partial(CertificateSpoiled, spoiled=spoiled))
        for spoiled in ('expired', 'wrong-name', 'unknown-ca')
    ),
    FaultKind('token-refused', TokenRefused),
)
