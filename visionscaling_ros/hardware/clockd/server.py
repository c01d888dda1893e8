"""The helper's loop: clients in, levels out, everything undone at the end."""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable

from visionscaling_ros.hardware.clockd.allowance import Allowances
from visionscaling_ros.hardware.clockd.desk import Desk
from visionscaling_ros.hardware.clockd.peer import AllowedPeers, peer_of
from visionscaling_ros.hardware.clockd.protocol import ProtocolError, encode, parse_request
from visionscaling_ros.hardware.clockd.sd_notify import notify, watchdog_period_s
from visionscaling_ros.hardware.clockd.session import Session
from visionscaling_ros.hardware.clockd.stop_switch import StopSwitch

MAX_IDLE_SESSIONS = 16
ACCEPTS_A_TURN = 8
REQUESTS_A_SECOND = 1000.0  # of one user
TAKE_COST = 100.0  # requests: each of these wears the disk
NO_FILE_PAUSE_S = 0.05
LOG_PERIOD_S = 10.0  # of what anybody can cause


class ClockServer:
    """Serves in one thread, so that nothing happens at the same time as anything else.

    A client holds a device from its first ``set`` until it releases it, ends, or sends no request
    for ``timeout_s``. Of those that hold none MAX_IDLE_SESSIONS are served: the longest silent one
    of the user with most sessions makes room for a new one.

    :param listener: a socket that listens and does not block.
    :param desk: what carries out requests.
    :param stop: ends ``run``.
    :param log: told, in words, what an administrator should know.
    """

    def __init__(
        self,
        listener: socket.socket,
        desk: Desk,
        allowed: AllowedPeers,
        *,
        timeout_s: float,
        stop: StopSwitch,
        log: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._desk = desk
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._stop = stop
        self._log = log
        self._logged_s = -math.inf
        self._sessions: list[Session] = []  # whose turn comes first
        self._allowances = Allowances(REQUESTS_A_SECOND, REQUESTS_A_SECOND)
        self._watchdog_period_s = watchdog_period_s()
        self._watchdog_s = time.monotonic() if self._watchdog_period_s < math.inf else math.inf
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(stop, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve until it is stopped, then restore everything; also when an exception passes."""
        try:
            while not self._stop.thrown:
                self._turn()
        finally:
            for session in list(self._sessions):
                self._end(session, time.monotonic(), 'the helper ends')
            self._selector.close()
            self._listener.close()

    def _turn(self) -> None:
        ready = {key.fileobj: events for key, events in self._selector.select(self._wait_s())}
        now_s = time.monotonic()
        for session in list(self._sessions):
            self._serve(session, ready.get(session, 0), now_s)
        if self._listener in ready:
            self._accept(now_s)
        for session in [s for s in self._sessions if s.deadline_s <= now_s]:
            self._end(session, now_s, f'it sent no request for {self._timeout_s:g} s')
        self._desk.retry(now_s)
        self._allowances.forget({session.peer.uid for session in self._sessions}, now_s)
        if self._watchdog_s <= now_s:
            self._watchdog_s = now_s + self._watchdog_period_s
            notify('WATCHDOG=1')
        for session in self._sessions:
            self._watch(session, now_s)

    def _wait_s(self) -> float | None:
        next_s = min(self._watchdog_s, self._desk.next_retry_s())
        for session in self._sessions:
            next_s = min(next_s, session.deadline_s)
            if not session.watched:
                next_s = min(next_s, self._allowances.paused_until_s(session.peer.uid))
        return None if next_s == math.inf else max(0.0, next_s - time.monotonic())

    def _watch(self, session: Session, now_s: float) -> None:
        """Wait for what a session needs next; for nothing while its turn is what it needs."""
        if session.has_unsent:
            events = selectors.EVENT_WRITE
        elif session.is_ready or self._is_paused(session, now_s):
            events = 0
        else:
            events = selectors.EVENT_READ
        if session.watched and events != session.watched:
            self._selector.unregister(session)
        if events and events != session.watched:
            self._selector.register(session, events)
        session.watched = events

    def _is_paused(self, session: Session, now_s: float) -> bool:
        return self._allowances.paused_until_s(session.peer.uid) > now_s

    # Clients that come and go.

    def _accept(self, now_s: float) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no more files: the listener stays ready, so it is slowed
                self._log_seldom(f'a client could not be served: {error.strerror}', now_s)
                time.sleep(NO_FILE_PAUSE_S)
                return
            try:
                peer = peer_of(connection)
            except OSError:  # who does not say who he is may not
                connection.close()
                continue
            if not self._allowed.allows(peer):
                connection.close()
                self._log_seldom(f'{peer} was turned away: no allowed user or group', now_s)
                continue
            self._make_room(now_s)
            session = Session(connection, peer, now_s + self._timeout_s)
            self._sessions.append(session)
            self._watch(session, now_s)

    def _make_room(self, now_s: float) -> None:
        idle = [session for session in self._sessions if not self._desk.holds(session)]
        if len(idle) < MAX_IDLE_SESSIONS:
            return
        of_user = Counter(session.peer.uid for session in self._sessions)
        victim = min(idle, key=lambda session: (-of_user[session.peer.uid], session.deadline_s))
        self._end(victim, now_s, 'it made room for another client')

    def _end(self, session: Session, now_s: float, why: str) -> None:
        self._desk.give_back(session, now_s, why)
        self._sessions.remove(session)
        if session.watched:
            self._selector.unregister(session)
        session.close()

    def _log_seldom(self, words: str, now_s: float) -> None:
        if now_s - self._logged_s >= LOG_PERIOD_S:
            self._logged_s = now_s
            self._log(words)

    # Their requests, one of each a turn.

    def _serve(self, session: Session, events: int, now_s: float) -> None:
        if events & selectors.EVENT_WRITE and not session.send():
            self._end(session, now_s, 'it is gone')
        elif events & selectors.EVENT_READ and not session.receive():
            self._end(session, now_s, 'it ended the connection')
        elif session.is_ready and not session.has_unsent and not self._is_paused(session, now_s):
            self._answer(session, now_s)

    def _answer(self, session: Session, now_s: float) -> None:
        try:
            request = parse_request(session.take_request())
        except ProtocolError as error:
            session.reply(encode({'ok': False, 'error': f'malformed request: {error}'}))
            self._end(session, now_s, f'it sent a malformed request ({error})')
            return
        session.deadline_s = now_s + self._timeout_s
        self._sessions.remove(session)
        self._sessions.append(session)  # so that each user's sessions share what he may ask
        sharers = sum(other.peer.uid == session.peer.uid for other in self._sessions)
        cost = 1.0 + (TAKE_COST if self._desk.takes(request) else 0.0)
        self._allowances.spend(session.peer.uid, cost, now_s, sharers)
        if not session.reply(encode(self._desk.answer(session, request, now_s))):
            self._end(session, now_s, 'it is gone')
