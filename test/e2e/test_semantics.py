"""What a subscriber and a producer may rely on, on a hub of six processes (an API, a fan-out with
cleanup, four dispatchers) that all tests of this file share; each test has its own event type and
path. The faults S1 to S18 of an earlier hub each have a test that would have caught them.
"""
import base64
import hashlib
import hmac
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from hub import ROOT, Hub, free_port, order_violations, wait_until
from load import (PATIENCE, ExactSink, Gate, Hold, dead_letters, times_sent, wait_balanced,
                  wait_ended)
from sink import Answer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {
    "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "500",  # what waits is parked: both ways are used here
    "WEBHOOK_TIMEOUT_MS": "30000",
}


class World:
    def __init__(self, server):
        self.database = server.create_database()
        self.sink = ExactSink()
        self.hubs = []
        self.hub = self._start("api")
        self.fanout = self._start("fanout,cleanup")
        self.dispatchers = [self._start("dispatcher") for _ in range(4)]
        for made in self.hubs:
            made.wait_ready(PATIENCE)
        wait_balanced(self.database, 4)

    def _start(self, roles):
        made = Hub(self.database, roles, env=ENV)
        self.hubs.append(made)
        return made.start(ready=False)

    def close(self):
        self.sink.close()
        for made in self.hubs:
            made.cont()
            made.term()
        for made in self.hubs:
            assert made.wait(PATIENCE) == 0, made.log_text()[-4000:]
            assert not made.sanitizer_report(), made.sanitizer_report()
        self.database.close()


@pytest.fixture(scope="module", name="world")
def shared_world(server):
    made = World(server)
    yield made
    made.close()


class Case:
    """One test's event type, path and subscriber."""

    numbers = itertools.count(1)

    def __init__(self, world):
        self.world, self.database, self.sink = world, world.database, world.sink
        self.name = f"case{next(self.numbers)}"
        self.type = f"{self.name}.happened"
        self.path = f"/{self.name}"
        self.sid = None

    def subscribe(self, rule=200, path="", **columns):
        """A subscriber to this case's events; retries come fast. `path` makes a second one."""
        self.sink.on(self.path + path, rule)
        row = {"event_type": self.type, "retry_backoff_seconds": [0.05], **columns}
        sid = self.database.subscribe(self.sink.url(self.path + path), **row)
        if self.sid is None:
            self.sid = sid
        return sid

    def ordered(self, rule=200, **columns):
        return self.subscribe(rule, ordering_enabled=True, ordering_key="organization_id",
                              **columns)

    def post(self, number=0, key=None, **members):
        """Accepts {"number": n} with organization_id=`key`; returns the event id."""
        event = {"event_type": self.type, "payload": {"number": number, "key": key}, **members}
        if key is not None:
            event["organization_id"] = key
        reply = self.world.hub.post(event)
        assert reply.status == 202, reply
        return reply.json()["event_id"]

    def wait(self, count, path=""):
        return self.sink.wait(count, self.path + path, PATIENCE)

    def sent(self, path=""):
        return self.sink.deliveries(self.path + path)

    def ended(self, count, sid=None):
        return wait_ended(self.database, sid or self.sid, count)

    def dead(self, sid=None):
        return dead_letters(self.database, sid or self.sid)

    def retry_dead(self, letter, force=False):
        self.database.rows("SELECT retry_dead_letter(%s, %s)", letter["message_id"], force)

    def waits_for(self, reason, count, sid=None):
        """Until `count` messages say in message_status that they wait for `reason`."""
        wait_until(lambda: self.database.value(
            "SELECT count(*) FROM message_status WHERE sid = %s AND reason = %s", sid or self.sid,
            reason) == count, PATIENCE, f"{count} messages wait: {reason}")


@pytest.fixture(name="case")
def one_case(request, world):
    request.node.hubs = world.hubs
    return Case(world)


def numbers(deliveries):
    return [d.json()["number"] for d in deliveries]


def by_key(delivery):
    return delivery.json()["key"]


# ── the faults of the earlier hub ──


def test_s1_a_message_in_back_off_blocks_the_newer_ones_of_its_key_only(case):
    gate = Gate(shut=503, only=lambda d: by_key(d) == "a")
    case.ordered(gate, retry_limit=100, retry_backoff_seconds=[0.2])
    for number in range(4):
        case.post(number, "a")
    for number in range(4):
        case.post(number, "b")
    wait_until(lambda: [d for d in case.sent() if by_key(d) == "b" and d.ok][3:], PATIENCE)
    assert {d.json()["number"] for d in case.sent() if by_key(d) == "a"} == {0}
    gate.open()
    assert case.ended(8) == {"delivered": 8}
    assert numbers(d for d in case.sent() if by_key(d) == "a" and d.ok) == [0, 1, 2, 3]
    assert not order_violations(case.sent(), by_key)


def test_s2_s3_one_message_of_a_key_at_a_time_over_all_dispatchers(case):
    """… and several keys at the same time."""
    together = threading.Barrier(3)

    def rule(delivery):
        if delivery.json()["number"] == 0:
            together.wait(PATIENCE)  # breaks, and with it the connection, unless three keys fly
        time.sleep(0.005)
        return 200

    case.ordered(rule)
    for number in range(20):
        for key in "abc":
            case.post(number, key)
    assert case.ended(60) == {"delivered": 60}
    assert len(case.sent()) == 60
    assert not order_violations(case.sent(), by_key)


def test_s4_events_fanned_out_together_keep_their_order(case):
    case.ordered()
    case.world.fanout.pause()
    try:
        for number in range(50):
            case.post(number, "a")
    finally:
        case.world.fanout.cont()
    case.wait(50)
    assert numbers(case.sent()) == list(range(50))
    seqs = [d.seq for d in case.sent()]
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize("answer, reason", [
    (500, "at_most_once"), (429, "at_most_once"), (400, "rejected"),
    (Answer(hang=True), "unknown_outcome"), (Answer(reset=True), "unknown_outcome"),
    (Answer(close=True), "unknown_outcome"), (Answer(raw=b"nonsense\r\n\r\n"), "unknown_outcome"),
], ids=["500", "429", "400", "time-out", "reset", "close", "nonsense"])
def test_s5_at_most_once_is_one_request_whatever_comes(case, answer, reason):
    case.subscribe(answer, delivery_guarantee="at_most_once", timeout_ms=1500)
    event_id = case.post()
    assert case.ended(1) == {"dead": 1}
    letter, = case.dead()
    assert letter["reason"] == reason and str(letter["event_id"]) == event_id
    assert (letter["outcome"] == "unknown") == (reason == "unknown_outcome")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
        case.retry_dead(letter)
    assert len(case.sent()) == 1
    case.sink.on(case.path, 200)
    case.retry_dead(letter, force=True)
    case.wait(2 if answer.__class__ is int or not answer.hang else 1)
    assert case.ended(1) == {"delivered": 1}
    assert len(case.sent()) == 2 and len(times_sent(case.sent())) == 1


def test_s5_at_most_once_that_reached_nobody_is_dead_and_says_so(case):
    case.database.subscribe(f"http://127.0.0.1:{free_port()}/", case.type,
                            delivery_guarantee="at_most_once")
    sid = case.database.value("SELECT max(sid) FROM subscribers")
    case.post()
    assert case.ended(1, sid) == {"dead": 1}
    assert case.dead(sid)[0]["reason"] == "not_sent"


def test_s6_one_idempotency_key_at_64_clients_is_one_event(case):
    case.subscribe()
    event = {"event_type": case.type, "payload": {"number": 1}}
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda _: case.world.hub.post(event, key=case.name, timeout=PATIENCE),
                                range(64)))
    assert {r.status for r in replies} <= {200, 202}, [r for r in replies if r.status > 202]
    assert sum(r.status == 202 for r in replies) == 1
    assert len({r.json()["event_id"] for r in replies}) == 1
    for reply in replies:
        replayed = reply.headers.get("idempotency-replayed") == "true"
        assert replayed == (reply.status == 200)
    assert case.ended(1) == {"delivered": 1}
    assert len(case.sent()) == 1


def test_s6_a_key_used_again_for_something_else_is_422(case):
    case.subscribe()
    event = {"event_type": case.type, "payload": {"number": 1}, "organization_id": "o"}
    first = case.world.hub.post(event, key=case.name)
    for other in ({"payload": {"number": 2}}, {"organization_id": "p"}, {"version": "v2"},
                  {"user_id": "u"}, {"event_type": case.type + "2"}):
        assert case.world.hub.post({**event, **other}, key=case.name).status == 422, other
    again = case.world.hub.post(event, key=case.name)
    assert again.status == 200 and again.json()["event_id"] == first.json()["event_id"]
    assert again.json()["message"] == "Event already exists"
    assert case.ended(1) == {"delivered": 1}


def test_s7_organization_and_user_are_any_text(case):
    case.subscribe(body="envelope")
    case.post(organization_id="org-456", user_id="Ünïcode 🙂 'quoted' \"double\" \\")
    data = case.wait(1)[0].json()
    assert data["organization_id"] == "org-456"
    assert data["user_id"] == "Ünïcode 🙂 'quoted' \"double\" \\"


def test_s8_a_retried_dead_letter_that_fails_again_is_the_same_dead_letter(case):
    case.subscribe(500, retry_limit=1)
    case.post()
    assert case.ended(1) == {"dead": 1}
    first, = case.dead()
    assert (first["reason"], first["attempts"], len(case.sent())) == ("retries_exhausted", 2, 2)
    for turn in (2, 3):
        case.retry_dead(first)
        case.wait(2 * turn)
        assert case.ended(1) == {"dead": 1}
        again, = case.dead()
        assert again["message_id"] == first["message_id"]
        assert len(case.sent()) == 2 * turn
    case.sink.on(case.path, 200)
    case.retry_dead(first)
    assert case.ended(1) == {"delivered": 1}
    assert not case.dead()
    assert set(times_sent(case.sent())) == {str(first["message_id"])}


def test_s9_s10_gauges_of_a_message_that_died_go_back_and_are_served_by_its_dispatcher(case):
    case.subscribe(400)
    other = case.subscribe(200, path="/fine")
    for number in range(8):
        case.post(number)
    assert case.ended(8) == {"dead": 8}
    assert case.ended(8, other) == {"delivered": 8}
    ids = dict(case.database.rows("SELECT sid, id::text FROM subscribers"))

    def total(name, sid):
        found = 0
        for one in case.world.dispatchers:
            found += sum(value for series, value in one.metrics().items()
                         if series.startswith(name + "{") and ids[sid] in series)
        return found

    wait_until(lambda: total("eventhub_pending_messages", case.sid) == 0, PATIENCE)
    delivered = "eventhub_messages_delivered_total"
    assert total(delivered, case.sid) == 8 and total(delivered, other) == 8
    assert total("eventhub_delivery_latency_seconds_count", other) == 8
    dead = sum(value for one in case.world.dispatchers for name, value in one.metrics().items()
               if name.startswith("eventhub_delivery_attempts_total") and 'outcome="dead"' in name)
    assert dead >= 8


def test_s13_a_hanging_receiver_delays_nobody(case):
    hold = Hold()
    slow = case.subscribe(hold, path="/slow")
    fine = case.subscribe(200, path="/fine")
    for number in range(200):
        case.post(number)
    case.wait(200, "/fine")
    assert case.ended(200, fine) == {"delivered": 200}
    assert not [d for d in case.sent("/slow") if d.t_end]
    assert hold.most <= 64
    hold.open()
    assert case.ended(200, slow) == {"delivered": 200}


def test_s14_the_time_out_is_the_one_that_was_set(case):
    case.subscribe(Answer(hang=True), timeout_ms=300, retry_limit=1)
    case.post()
    assert case.ended(1) == {"dead": 1}
    assert len(case.sent()) == 2
    first, second = case.sent()
    assert second.t_start - first.t_start >= 0.3e9
    assert "timed out" in case.dead()[0]["last_error"]


def test_s15_health_and_metrics_need_nothing(case):
    for one in case.world.hubs:
        assert one.request("GET", "/health").status == 200
        assert one.request("GET", "/metrics").status == 200


def test_s16_an_inactive_subscriber_gets_nothing_that_was_queued(case):
    hold = Hold()
    case.ordered(hold)
    for number in range(5):
        case.post(number, "a")
    wait_until(lambda: case.sent(), PATIENCE)
    case.database.rows("UPDATE subscribers SET is_active = false WHERE sid = %s", case.sid)
    time.sleep(3)  # a change of the table is noticed within about a second
    hold.open()
    case.waits_for("inactive", 4)
    case.post(99, "a")  # makes no message
    wait_until(lambda: case.database.value(
        "SELECT cursor >= (SELECT max(event_seq) FROM events) FROM sequencer"), PATIENCE)
    assert numbers(case.sent()) == [0]
    case.database.rows("UPDATE subscribers SET is_active = true WHERE sid = %s", case.sid)
    assert case.ended(5) == {"delivered": 5}
    case.post(5, "a")
    assert case.ended(6) == {"delivered": 6}
    assert numbers(case.sent()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("column, value", [
    ("ordering_key", "bogus"), ("ordering_key", ""), ("event_type", "a..b"), ("event_type", "a.*b"),
    ("webhook_url", "ftp://x/"), ("webhook_url", "/relative"), ("delivery_guarantee", "exactly_once"),
    ("retry_backoff_seconds", [-1.0]), ("retry_backoff_seconds", []), ("max_in_flight", 0),
    ("secret", "hunter2"), ("on_dead", "stop"), ("body", "xml"), ("timeout_ms", 60001)])
def test_s18_what_a_subscriber_cannot_be_is_refused(case, column, value):
    row = {"event_type": case.type, "ordering_enabled": False, column: value}
    url = row.pop("webhook_url", case.sink.url(case.path))
    with pytest.raises(psycopg2.errors.CheckViolation):
        case.database.subscribe(url, **row)
    with pytest.raises(psycopg2.errors.CheckViolation):
        case.database.subscribe(case.sink.url(case.path), case.type, ordering_enabled=True)


# ── retries ──


def test_retries_wait_as_long_as_they_should_and_the_last_wait_repeats(case):
    case.subscribe(503, retry_limit=4, retry_backoff_seconds=[0.1, 0.4])
    case.post()
    assert case.ended(1) == {"dead": 1}
    sent = case.sent()
    assert [d.attempt for d in sent] == [1, 2, 3, 4, 5]
    waits = [(after.t_start - before.t_end) / 1e9 for before, after in zip(sent, sent[1:])]
    assert all(wait >= least for wait, least in zip(waits, (0.1, 0.4, 0.4, 0.4))), waits
    letter, = case.dead()
    assert letter["attempts"] == 5 and letter["last_status"] == 503
    assert letter["last_error"] == "Retries exhausted after 5 attempts. Last error: HTTP 503"
    rows = case.database.rows("SELECT attempt, outcome_name(outcome), http_status FROM "
                              "delivery_attempts WHERE sid = %s ORDER BY attempt", case.sid)
    assert rows == [(n, "retry", 503) for n in range(1, 5)] + [(5, "dead", 503)]


@pytest.mark.parametrize("answer", [
    429, 500, 503, 599, Answer(reset=True), Answer(close=True), Answer(raw=b"HTTP/1.1 99 no\r\n\r\n"),
    Answer(raw=b"nonsense\r\n\r\n")],
    ids=["429", "500", "503", "599", "reset", "close", "status 99", "nonsense"])
def test_what_may_pass_is_tried_again(case, answer):
    case.subscribe(lambda d: answer if d.attempt < 3 else 204)
    case.post()
    assert case.ended(1) == {"delivered": 1}
    # A kept connection that ends before any answer is replaced within the attempt.
    assert [n for n, _ in itertools.groupby(d.attempt for d in case.sent())] == [1, 2, 3]
    assert len(times_sent(case.sent())) == 1


@pytest.mark.parametrize("backoff, asked, least", [(0.05, 1, 1.0), (0.6, 0, 0.6)],
                         ids=["lengthens", "never shortens"])
def test_retry_after(case, backoff, asked, least):
    answer = Answer(503, headers={"Retry-After": str(asked)})
    case.subscribe(lambda d: answer if d.attempt == 1 else 200, retry_backoff_seconds=[backoff])
    case.post()
    first, second = case.wait(2)
    assert (second.t_start - first.t_end) / 1e9 >= least


def test_any_other_4xx_is_dead_at_once(case):
    statuses = [400, 401, 403, 404, 405, 408, 409, 413, 422, 451, 499]
    case.subscribe(lambda d: statuses[d.json()["number"]])
    for number in range(len(statuses)):
        case.post(number)
    assert case.ended(len(statuses)) == {"dead": len(statuses)}
    assert len(case.sent()) == len(statuses)
    assert [(d["reason"], d["last_status"], d["attempts"]) for d in case.dead()] == [
        ("rejected", status, 1) for status in statuses]


def test_redirects_are_not_followed(case):
    statuses = [300, 301, 302, 303, 307, 308]
    case.sink.on(case.path + "/elsewhere", 200)
    elsewhere = case.sink.url(case.path + "/elsewhere")
    case.subscribe(lambda d: Answer(statuses[d.json()["number"]], headers={"Location": elsewhere}))
    for number in range(len(statuses)):
        case.post(number)
    assert case.ended(len(statuses)) == {"dead": len(statuses)}
    assert {d["reason"] for d in case.dead()} == {"redirect"}
    assert not case.sent("/elsewhere") and len(case.sent()) == len(statuses)


def test_410_pauses_the_subscriber_and_the_rest_is_kept(case):
    case.ordered(lambda d: 410 if d.json()["number"] == 0 else 200)
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.database.value("SELECT paused FROM subscribers WHERE sid = %s", case.sid),
               PATIENCE)
    assert "410" in case.database.value("SELECT paused_reason FROM subscribers WHERE sid = %s",
                                        case.sid)
    wait_until(lambda: case.dead(), PATIENCE)
    assert [d["reason"] for d in case.dead()] == ["gone"]
    case.post(4, "a")
    wait_until(lambda: sum(case.database.states(case.sid).values()) == 5, PATIENCE)
    case.database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", case.sid)
    assert case.ended(5) == {"delivered": 4, "dead": 1}
    assert not order_violations(case.sent(), by_key)


# ── order ──


def test_on_dead_block_holds_the_key_until_the_dead_letter_is_retried(case):
    gate = Gate(shut=400, only=lambda d: by_key(d) == "a")
    case.ordered(gate, on_dead="block")
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.dead(), PATIENCE)
    case.post(0, "b")
    wait_until(lambda: [d for d in case.sent() if by_key(d) == "b"], PATIENCE)
    case.waits_for("order", 3)
    assert numbers(d for d in case.sent() if by_key(d) == "a") == [0]
    case.retry_dead(case.dead()[0])  # fails again: still blocked
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "a"]) == 2, PATIENCE)
    wait_until(lambda: not case.database.value("SELECT retrying FROM dead_letters WHERE sid = %s",
                                               case.sid), PATIENCE)
    case.post(1, "b")
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "b"]) == 2, PATIENCE)
    gate.open()
    case.retry_dead(case.dead()[0])
    assert case.ended(6) == {"delivered": 6}
    assert numbers(d for d in case.sent() if by_key(d) == "a") == [0, 0, 0, 1, 2, 3]
    assert not order_violations(case.sent(), by_key)


def test_on_dead_block_is_freed_by_a_discard(case):
    case.ordered(lambda d: 400 if d.json()["number"] == 0 else 200, on_dead="block")
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.dead(), PATIENCE)
    case.waits_for("order", 3)
    case.database.rows("SELECT discard_dead_letter(%s)", case.dead()[0]["message_id"])
    assert case.ended(4) == {"delivered": 3, "dead": 1}
    assert numbers(case.sent()) == [0, 1, 2, 3]
    wait_until(lambda: not case.dead(), PATIENCE)


def test_without_on_dead_block_the_next_goes_on(case):
    case.ordered(lambda d: 400 if d.json()["number"] % 2 == 0 else 200)
    for number in range(6):
        case.post(number, "a")
    assert case.ended(6) == {"delivered": 3, "dead": 3}
    assert numbers(case.sent()) == list(range(6))
    case.sink.on(case.path, 200)
    for letter in case.dead():  # late and out of order, because a person wants it
        case.retry_dead(letter)
    assert case.ended(6) == {"delivered": 6}


def test_a_retried_dead_letter_goes_before_the_others_of_its_key(case):
    """0 is dead, 1 waits for its retry until 0 has come again."""
    seen = []

    def rule(delivery):
        seen.append(delivery.json()["number"])
        if seen.count(0) < 2:
            return 400 if seen[-1] == 0 else 503
        return 200

    case.ordered(rule, retry_limit=100)
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: seen.count(1) >= 2, PATIENCE)
    case.retry_dead(case.dead()[0])
    assert case.ended(4) == {"delivered": 4}
    order = [number for number, _ in itertools.groupby(numbers(case.sent()))]
    assert order == [0, 1, 0, 1, 2, 3]


def test_order_by_user_and_messages_without_a_key_value_are_unordered(case):
    """One without a user waits for nobody; those of a user keep their order."""
    gate = Gate(shut=503, only=lambda d: by_key(d) == "u")
    case.subscribe(gate, ordering_enabled=True, ordering_key="user_id", retry_limit=100)
    for number in range(3):
        case.post(number, "u", user_id="user-1", organization_id=f"org-{number}")
    for number in range(5):
        case.post(number, "none", organization_id="org-1")
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "none"]) == 5, PATIENCE)
    assert {d.json()["number"] for d in case.sent() if by_key(d) == "u"} == {0}
    gate.open()
    assert case.ended(8) == {"delivered": 8}
    assert numbers(d for d in case.sent() if by_key(d) == "u" and d.ok) == [0, 1, 2]


@pytest.mark.parametrize("cap", [1, 5])
def test_max_in_flight_is_kept_over_four_dispatchers(case, cap):
    """Never more, and no fewer either: `cap` requests wait for each other."""
    lock = threading.Lock()
    flying = {"now": 0, "most": 0}
    full = threading.Barrier(cap)

    def rule(delivery):
        with lock:
            flying["now"] += 1
            flying["most"] = max(flying["most"], flying["now"])
        try:
            full.wait(20)
        except threading.BrokenBarrierError:
            pass
        time.sleep(0.002)
        with lock:
            flying["now"] -= 1
        return 200

    case.subscribe(rule, max_in_flight=cap)
    for number in range(8 * cap):
        case.post(number)
    assert case.ended(8 * cap) == {"delivered": 8 * cap}
    assert flying["most"] == cap


# ── who gets what ──


def test_wildcards_and_several_types(case):
    name = case.name
    patterns = {
        "/exact": {"event_type": f"{name}.a"}, "/star": {"event_type": f"{name}.*"},
        "/rest": {"event_type": f"{name}.>"}, "/middle": {"event_type": f"{name}.*.c"},
        "/several": {"event_type": None, "event_types": [f"{name}.a", f"{name}.b.*"]},
        "/both": {"event_type": f"{name}.a", "event_types": [f"{name}.*"]},
    }
    expected = {"/exact": {"a"}, "/star": {"a", "z"}, "/rest": {"a", "z", "b.c", "b.c.d"},
                "/middle": {"b.c"}, "/several": {"a", "b.c"}, "/both": {"a", "z"}}
    sids = {path: case.subscribe(path=path, **row) for path, row in patterns.items()}
    for kind in ("a", "z", "b.c", "b.c.d", ""):
        reply = case.world.hub.post({"event_type": f"{name}.{kind}" if kind else name, "payload": {}})
        assert reply.status == 202
    for path, kinds in expected.items():
        assert case.ended(len(kinds), sids[path]) == {"delivered": len(kinds)}, path
        found = [d.headers["x-event-type"].removeprefix(f"{name}.") for d in case.sent(path)]
        assert sorted(found) == sorted(kinds), path


def test_the_next_event_after_the_commit_of_a_subscriber_is_matched(case):
    for number in range(20):
        sid = case.subscribe(path=f"/{number}")
        case.post(number)
        if number % 2:
            case.database.rows("DELETE FROM subscribers WHERE sid = %s", sid)
    for number in range(0, 20, 2):
        wait_until(lambda path=f"/{number}", n=number: n in numbers(case.sent(path)), PATIENCE)


def test_paused_messages_are_made_and_held_and_drain_in_order(case):
    case.ordered(paused=True)
    for number in range(30):
        case.post(number, f"k{number % 3}")
    case.waits_for("paused", 30)
    assert not case.sent()
    case.database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", case.sid)
    for number in range(30, 40):
        case.post(number, f"k{number % 3}")
    assert case.ended(40) == {"delivered": 40}
    assert len(case.sent()) == 40 and not order_violations(case.sent(), by_key)


def test_deleting_a_subscriber_cancels_what_is_open_and_nothing_else(case):
    hold = Hold()
    case.ordered(hold)
    other = case.subscribe(path="/other")
    for number in range(5):
        case.post(number, "a")
    wait_until(lambda: hold.now == 1, PATIENCE)
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", case.sid)
    wait_until(lambda: case.database.states(case.sid).get("cancelled") == 4, PATIENCE)
    hold.open()
    states = case.ended(5)
    assert states["cancelled"] >= 4
    assert numbers(case.sent()) == [0]
    assert case.ended(5, other) == {"delivered": 5}


def test_deleting_a_paused_subscriber_cancels_what_is_parked(case):
    case.subscribe(paused=True)
    for number in range(10):
        case.post(number)
    case.waits_for("paused", 10)
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", case.sid)
    assert case.ended(10) == {"cancelled": 10}
    assert not case.database.value("SELECT count(*) FROM parked WHERE sid = %s", case.sid)
    assert not case.sent()


# ── the delivered request ──


def test_headers_and_envelope(case):
    case.subscribe(body="envelope", headers=json.dumps({"X-Own": "yes", "Authorization": "Bearer t"}))
    payload = b'{ "b":1.50,  "a" : "\\u00e9" }'
    reply = case.world.hub.post(b'{"event_type":"%s","version":"v7","organization_id":"o\\"1",'
                                b'"payload":%s}' % (case.type.encode(), payload))
    delivery = case.wait(1)[0]
    assert payload in delivery.body
    data = delivery.json()
    assert data["type"] == case.type and data["version"] == "v7"
    assert data["organization_id"] == 'o"1' and data["user_id"] is None
    assert data["data"] == json.loads(payload)
    assert data["id"] == delivery.message_id == delivery.headers["webhook-id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["timestamp"])
    headers = delivery.headers
    assert headers["x-own"] == "yes" and headers["authorization"] == "Bearer t"
    assert headers["x-event-id"] == reply.json()["event_id"]
    assert headers["x-event-type"] == case.type and headers["x-event-version"] == "v7"
    assert headers["content-type"] == "application/json" and delivery.attempt == 1
    assert headers["user-agent"].startswith("eventhubd/")
    assert headers["host"] == f"127.0.0.1:{case.sink.port}"
    assert "webhook-signature" not in headers
    assert uuid.UUID(delivery.message_id).version == 8
    assert uuid.UUID(delivery.event_id).version == 7


def test_a_trace_goes_on_with_a_new_parent(case):
    case.subscribe()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = json.dumps({"event_type": case.type, "payload": {}}).encode()
    reply = case.world.hub.request("POST", "/events", body, {
        "Content-Type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert reply.status == 202
    found = case.wait(1)[0].headers["traceparent"]
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", found)
    assert "00f067aa0ba902b7" not in found


@pytest.mark.parametrize("headers", [
    {"X-A": "1\r\nX-Evil: 2"}, {"X-A\r\nX-Evil": "2"}, {"X-A": "1\nX-Evil: 2"}, {"X A": "1"},
    {"Content-Length": "0"}, {"Transfer-Encoding": "chunked"}, {"Host": "evil"}, {"X-A": 5},
    {"X-Message-Id": "forged"}, {"": "x"}, {"X-A": ["a"]}], ids=str)
def test_a_subscribers_headers_cannot_break_the_request(case, headers):
    """Refused by the database, or as a dead letter, or left out; never sent as they are."""
    try:
        case.subscribe(headers=json.dumps(headers), retry_limit=0, timeout_ms=5000)
    except psycopg2.Error:
        return
    case.post(1)
    case.ended(1)
    for delivery in case.sent():
        assert "x-evil" not in delivery.headers
        assert delivery.headers["host"] == f"127.0.0.1:{case.sink.port}"
        assert delivery.json() == {"number": 1, "key": None}
        assert delivery.message_id != "forged"
        assert "transfer-encoding" not in delivery.headers


def own_signature(delivery, secret):
    signed = b"%s.%s." % (delivery.headers["webhook-id"].encode(),
                          delivery.headers["webhook-timestamp"].encode()) + delivery.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_requests_are_signed_over_their_bytes(case):
    other = "whsec_" + base64.b64encode(bytes(range(64))).decode()
    case.subscribe(secret=SECRET)
    case.subscribe(path="/rotating", secret=other, previous_secret=SECRET,
                   previous_secret_until="2999-01-01")
    case.subscribe(path="/envelope", secret=SECRET, body="envelope")
    case.post(1, "ä")
    plain, both, envelope = (case.wait(1, path)[0] for path in ("", "/rotating", "/envelope"))
    assert plain.headers["webhook-signature"] == own_signature(plain, SECRET)
    assert envelope.headers["webhook-signature"] == own_signature(envelope, SECRET)
    assert both.headers["webhook-signature"].split(" ") == [
        own_signature(both, other), own_signature(both, SECRET)]


def test_signatures_satisfy_the_published_library(case, tmp_path_factory):
    library = published_library(tmp_path_factory)
    case.subscribe(secret=SECRET)
    case.post(1, "ä")
    delivery = case.wait(1)[0]
    checker = library.Webhook(SECRET)
    assert checker.verify(delivery.body, delivery.headers) == delivery.json()
    with pytest.raises(library.WebhookVerificationError):
        checker.verify(delivery.body + b" ", delivery.headers)


def published_library(tmp_path_factory):
    """`standardwebhooks` of PyPI, fetched unless it is installed; skips without network."""
    try:
        import standardwebhooks
        return standardwebhooks
    except ImportError:
        pass
    target = str(tmp_path_factory.mktemp("pypi"))
    try:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target,
                        "standardwebhooks"], check=True, timeout=60, capture_output=True)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("standardwebhooks is not installed and cannot be fetched")
    sys.path.insert(0, target)
    import standardwebhooks
    return standardwebhooks


def accepted_json():
    """The accepted texts of the parser's unit test (test/unit/core/json_cases.hpp), and larger
    ones."""
    path = os.path.join(ROOT, "test/unit/core/json_cases.hpp")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin = text.index("inline void add_accepted")
    text = text[text.index("{", begin):text.index("cases.push_back", begin)]
    found = []
    for raw, plain in re.findall(r'R"\((.*?)\)"|"((?:\\.|[^"\\])*)"', text):
        found.append(raw.encode() if raw else _unescaped(plain))
    assert len(found) > 80 and b'["\\u0000"]' in found and b"[1e999]" in found
    return found + [
        b"[" * 60 + b"]" * 60, b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"long":"' + b"0123456789abcdef" * 20000 + b'"}']


def _unescaped(text):
    simple = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0"}

    def one(match):
        code = match.group(1)
        if code[0] == "x":
            return bytes([int(code[1:], 16)])
        return simple.get(code, code.encode())

    return re.sub(rb"\\(x[0-9A-Fa-f]+|.)", lambda m: one(re.match(r"(.*)", m.group(1).decode())),
                  text.encode())


def test_every_json_is_delivered_byte_for_byte(case):
    """Key order, doubled keys, number precision, white space, escapes, lone surrogates."""
    case.subscribe()
    texts = accepted_json()
    for number, text in enumerate(texts):
        reply = case.world.hub.post(b'{"event_type":"%s","version":"%d","payload":%s}' % (
            case.type.encode(), number, text))
        assert reply.status == 202, (text, reply.body)
    assert case.ended(len(texts)) == {"delivered": len(texts)}
    arrived = {int(d.headers["x-event-version"]): d.body for d in case.sent()}
    for number, text in enumerate(texts):
        assert arrived[number] == text.strip(b" \t\r\n"), number


def test_a_body_of_exactly_1_mib_is_taken_and_one_byte_more_is_not(case):
    case.subscribe()
    head = b'{"event_type":"%s","payload":["' % case.type.encode()
    body = head + b"x" * (1048576 - len(head) - 3) + b'"]}'
    assert len(body) == 1048576
    assert case.world.hub.post(body).status == 202
    assert case.world.hub.post(body[:-3] + b'y"]}').status == 413
    assert case.wait(1)[0].body == body[len(head) - 2:-1]


# ── dead letters and states ──


def test_the_same_dead_letter_cannot_be_retried_twice_at_once(case):
    hold = Hold()
    case.subscribe(400)
    case.post()
    assert case.ended(1) == {"dead": 1}
    letter, = case.dead()
    case.sink.on(case.path, hold)
    case.retry_dead(letter)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        case.retry_dead(letter)
    wait_until(lambda: hold.now == 1, PATIENCE)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        case.retry_dead(letter)
    assert case.database.value("SELECT retrying FROM dead_letters WHERE sid = %s", case.sid)
    assert case.database.states(case.sid) == {"pending": 1}
    hold.open()
    assert case.ended(1) == {"delivered": 1}
    with pytest.raises(psycopg2.errors.NoDataFound):
        case.retry_dead(letter)
    assert len(case.sent()) == 2 and len(times_sent(case.sent())) == 1
    assert case.sent()[1].event_id == case.sent()[0].event_id


def test_views_tell_what_happened(case):
    case.subscribe(lambda d: Answer(418, body=b"I am a teapot"))
    sid = case.subscribe(lambda d: 200 if d.attempt > 1 else 503, path="/b")
    event_id = case.post()
    case.ended(1)
    case.ended(1, sid)
    letter, = case.dead()
    assert str(letter["message_id"]) == case.sent()[0].message_id
    assert str(letter["event_id"]) == event_id
    assert letter["last_status"] == 418 and letter["outcome"] == "dead"
    assert case.database.value("SELECT response FROM delivery_attempts WHERE sid = %s",
                               case.sid) == "I am a teapot"
    row = case.database.rows("SELECT state, reason, last_outcome, attempts, last_status FROM "
                             "message_status WHERE sid = %s", sid)
    assert row == [("delivered", None, "delivered", 2, 200)]
    snapshot = case.database.rows("SELECT payload, event_type, subscriber_snapshot->>'webhook_url' "
                                  "FROM dead_letter_queue WHERE sid = %s", case.sid)
    assert snapshot == [('{"number": 0, "key": null}', case.type, case.sink.url(case.path))]


def test_an_answer_that_is_no_text_is_kept_as_far_as_it_can_be(case):
    case.subscribe(Answer(400, body=b"\xff\x00\xfe" + b"A" * 5000))
    case.post()
    assert case.ended(1) == {"dead": 1}
    kept = case.database.value("SELECT response FROM delivery_attempts WHERE sid = %s", case.sid)
    assert "AAAA" in kept and len(kept.encode()) <= 4096


def test_a_waiting_retry_shows_its_reason_and_time(case):
    case.subscribe(503, retry_backoff_seconds=[3600])
    case.post()
    case.waits_for("retry", 1)
    state = case.database.rows("SELECT state, attempts, last_status, next_attempt_at - "
                               "last_attempt_at > interval '59 minutes' FROM message_status "
                               "WHERE sid = %s", case.sid)
    assert state == [("waiting", 1, 503, True)]
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", case.sid)
    assert case.ended(1) == {"cancelled": 1}


def test_a_pipelined_flood_of_bad_requests_harms_nobody(case):
    """Garbage on one connection, events on another."""
    case.subscribe()
    with socket.create_connection(("127.0.0.1", case.world.hub.port)) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"\x00\xff garbage\r\n\r\n" * 50)
        case.post(1)
    assert case.ended(1) == {"delivered": 1}
