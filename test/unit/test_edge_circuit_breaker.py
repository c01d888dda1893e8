from __future__ import annotations

from visionscaling_ros.edge.bridge.circuit_breaker import CircuitBreaker, CircuitState


def closed_breaker(max_failures: int = 3) -> CircuitBreaker:
    breaker = CircuitBreaker(max_failures)
    breaker.probe_succeeded()
    breaker.probe_succeeded()
    assert breaker.state is CircuitState.CLOSED
    return breaker


def test_nothing_is_sent_before_the_first_sign_of_life() -> None:
    breaker = CircuitBreaker()
    assert breaker.state is CircuitState.OPEN
    assert not breaker.may_send()
    breaker.probe_succeeded()
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.may_send()


def test_opens_after_failures_in_a_row() -> None:
    breaker = closed_breaker(3)
    tickets = [breaker.request_sent() for _ in range(5)]
    breaker.request_failed(tickets[0])
    breaker.request_failed(tickets[1])
    breaker.request_succeeded()
    breaker.request_failed(tickets[2])
    breaker.request_failed(tickets[3])
    assert breaker.state is CircuitState.CLOSED
    breaker.request_failed(tickets[4])
    assert breaker.state is CircuitState.OPEN


def test_a_failed_probe_opens_at_once() -> None:
    breaker = closed_breaker()
    breaker.probe_failed()
    assert breaker.state is CircuitState.OPEN


def test_half_open_lets_one_request_try() -> None:
    breaker = CircuitBreaker()
    breaker.probe_succeeded()
    ticket = breaker.request_sent()
    assert not breaker.may_send()
    breaker.probe_succeeded()
    assert breaker.state is CircuitState.HALF_OPEN  # the request decides, not the probe
    breaker.request_failed(ticket)
    assert breaker.state is CircuitState.OPEN
    breaker.probe_succeeded()
    breaker.request_sent()
    breaker.request_succeeded()
    assert breaker.state is CircuitState.CLOSED


def test_failures_from_before_it_opened_do_not_count_again() -> None:
    breaker = closed_breaker(1)
    old_tickets = [breaker.request_sent() for _ in range(3)]
    breaker.request_failed(old_tickets[0])
    breaker.probe_succeeded()
    breaker.request_failed(old_tickets[1])
    assert breaker.state is CircuitState.HALF_OPEN
    breaker.probe_succeeded()
    breaker.request_failed(old_tickets[2])
    assert breaker.state is CircuitState.CLOSED


def test_a_late_answer_is_a_sign_of_life() -> None:
    breaker = closed_breaker()
    breaker.request_sent()
    breaker.probe_failed()
    breaker.request_succeeded()
    assert breaker.state is CircuitState.CLOSED
