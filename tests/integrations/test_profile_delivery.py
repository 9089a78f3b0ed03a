"""What a sender does with the answers of a receiver. No clock but the test's, no network."""

from __future__ import annotations

import logging

import pytest

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.integrations.sending import profile_delivery
from memlens.integrations.sending.http_post import Answer, PostError
from memlens.integrations.sending.profile_delivery import ProfileDelivery
from memlens.integrations.sending.profile_requests import Request, TooLargeError
from tests.clock import FakeClock
from tests.formats.test_allocation_formats import FACTS

PROFILE = AllocationProfile([], FACTS)
OK = Answer(200, None, b"")


class Requests:
    url = "http://c:1/p"

    def request(self, profile, link):
        return Request(f"{self.url}?token=secret", {"Authorization": "secret"}, b"body")

    def complaint(self, answer):
        return answer.decode() or None


class Poster:
    def __init__(self, answers):
        self.answers = list(answers)
        self.posted = []

    def post(self, url, body, headers):
        self.posted.append((url, body, headers))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class World:
    def __init__(self, *answers, stopped_after=None):
        self.clock = FakeClock(0.0)
        self.poster = Poster(answers)
        self.waits = []
        self.stopped_after = stopped_after
        self.delivery = ProfileDelivery(Requests(), self.poster, self.clock, self.wait_until)

    def wait_until(self, moment):
        self.waits.append(moment - self.clock())
        if self.stopped_after is not None and len(self.waits) > self.stopped_after:
            return False
        self.clock.now = moment
        return True

    def send(self, deadline=60.0):
        return self.delivery.send(PROFILE, None, deadline)


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch):
    monkeypatch.setattr(profile_delivery.random, "uniform", lambda low, high: high)


def test_an_accepted_profile_is_sent_once():
    world = World(OK)
    assert world.send()
    assert world.poster.posted == [
        ("http://c:1/p?token=secret", b"body", {"Authorization": "secret"})
    ]
    assert (world.delivery.sent, world.delivery.failures.count, world.waits) == (1, 0, [])


@pytest.mark.parametrize(
    "failure", [PostError("refused"), *(Answer(s, None, b"") for s in (429, 502, 503, 504))]
)
def test_what_may_pass_is_tried_again_with_longer_pauses(failure):
    world = World(*[failure] * 7, OK)
    assert world.send(deadline=200.0)
    assert world.waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert (world.delivery.sent, world.delivery.retries) == (1, 7)
    assert world.delivery.failures.count == 0  # it has arrived


def test_pauses_are_shortened_at_random(monkeypatch):
    asked = []
    monkeypatch.setattr(
        profile_delivery.random, "uniform", lambda low, high: asked.append((low, high)) or low
    )
    world = World(PostError("x"), OK)
    world.send()
    assert asked == [(0.5, 1.0)] * 2
    assert world.waits == [0.5]


def test_the_receiver_says_when_to_try_again():
    world = World(Answer(429, 17.0, b""), Answer(503, 0.0, b""), OK)
    assert world.send()
    assert world.waits == [17.0, 0.0]


def test_a_profile_that_does_not_arrive_before_the_next_is_not_done_with():
    world = World(*[PostError("refused")] * 20)
    assert not world.send(deadline=10.0)
    assert world.waits == [1.0, 2.0, 4.0]
    assert world.delivery.failures.count == 1
    assert "refused" in world.delivery.failures.last_error
    assert (world.delivery.sent, world.delivery.dropped) == (0, 0)


def test_a_receiver_that_wants_nothing_for_a_while_is_left_alone():
    world = World(Answer(503, 500.0, b""))
    assert not world.send(deadline=60.0)
    assert world.delivery.not_before == 500.0
    assert world.waits == []


def test_no_receiver_can_silence_a_sender_for_longer_than_an_hour():
    world = World(Answer(503, 1e12, b""))
    assert not world.send()
    assert world.delivery.not_before == 3600.0


@pytest.mark.parametrize("status", [301, 308, 400, 401, 404, 413, 500, 501])
def test_any_other_status_drops_the_profile(status, caplog):
    world = World(Answer(status, 5.0, b""))
    assert world.send()
    assert (world.delivery.dropped, world.waits) == (1, [])
    assert f"status {status}" in caplog.text
    assert ("redirects are not followed" in caplog.text) == (status < 400)


def test_what_a_receiver_rejects_is_not_sent_again(caplog):
    world = World(Answer(200, None, b"rejected 4"))
    assert world.send()
    assert (world.delivery.sent, world.delivery.rejected) == (0, 1)
    assert "rejected 4" in caplog.text


def test_a_profile_that_is_too_large_is_dropped(monkeypatch):
    def refuse(self, profile, link):
        raise TooLargeError("too large")

    monkeypatch.setattr(Requests, "request", refuse)
    world = World()
    assert world.send()
    assert world.delivery.dropped == 1
    assert world.poster.posted == []


def test_a_sender_that_is_stopped_does_not_try_again():
    world = World(*[PostError("refused")] * 9, stopped_after=2)
    assert not world.send(deadline=1000.0)
    assert len(world.poster.posted) == 3


def test_failures_are_logged_once_and_counted_without_secrets(caplog):
    world = World(*[Answer(401, None, b"")] * 3)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            world.send()
    assert world.delivery.failures.count == 3
    (record,) = caplog.records
    assert record.name == "memlens"
    assert "http://c:1/p" in record.getMessage()
    assert "secret" not in caplog.text


def test_counters_begin_again_in_a_forked_child():
    world = World(Answer(401, None, b""))
    world.send()
    world.delivery.forget()
    assert set(world.delivery.health().values()) == {0, None}


def test_what_a_receiver_says_writes_no_lines_of_its_own_to_the_log(caplog):
    world = World(Answer(200, None, b"bad\nERROR forged \x1b[2J"))
    assert world.send()
    assert r"bad\nERROR forged \x1b[2J" in caplog.text
    assert world.delivery.failures.last_error == r"DeliveryError: bad\nERROR forged \x1b[2J"
