"""Receivers that fail: circuits, slow start, pauses, and what operators hear of it. Judged by what
the receiver saw."""
import itertools
import json
import threading
import time

import pytest

from hub import order_violations, wait_until
from load import PATIENCE, Gate, by_key, post_many, wait_balanced
from sink import Answer

pytestmark = pytest.mark.slow

ENV = {"EVENTHUB_DISPATCHER_PARK_AFTER_MS": "500", "CHECK_INTERVAL_MS": "200"}


class Fleet:
    def __init__(self, hub, database, sink, env):
        self.database, self.sink = database, sink
        self.front = hub(roles="api,fanout,cleanup", env=env)
        self.dispatchers = [hub(roles="dispatcher", env=env) for _ in range(4)]
        wait_balanced(database, 4)

    def api(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        reply = self.front.request(method, path, data,
                                   {"Content-Type": "application/json"} if data else {})
        assert reply.status < 300, f"{method} {path}: {reply.status} {reply.body}"
        return reply.json() if reply.body else None

    def subscribe(self, path, **columns):
        row = {"name": path, "event_type": "test.event", "webhook_url": self.sink.url(path),
               "retry_backoff_seconds": [0.05], **columns}
        return self.api("POST", "/subscribers", row)["id"]

    def post(self, count, keys=1):
        post_many(self.front, ({"event_type": "test.event", "organization_id": f"o{n % keys}",
                                "payload": {"number": n, "key": n % keys}} for n in range(count)))

    def open_messages(self):
        return sum(count for state, count in self.database.states().items()
                   if state in ("pending", "waiting"))


@pytest.fixture(name="fleet")
def four_dispatchers(hub, database, sink):
    return Fleet(hub, database, sink, ENV)


@pytest.fixture(name="strict_fleet")
def one_that_pauses_after_four_seconds(hub, database, sink):
    return Fleet(hub, database, sink,
                 {**ENV, "EVENTHUB_WEBHOOK_PAUSE_AFTER_FAILING_SECONDS": "4"})


def in_the_air(deliveries):
    """(time, how many at once) at each arrival."""
    points = sorted([(d.t_start, 1) for d in deliveries] + [(d.t_end, -1) for d in deliveries])
    return list(itertools.accumulate(points, lambda at, point: (point[0], at[1] + point[1]),
                                     initial=(0, 0)))[1:]


def check_slow_start(deliveries, cap, begin):
    """From then on (ns): 1 in the air, each second twice as many, up to the cap."""
    most = {}
    for when, count in in_the_air(deliveries):
        seconds = (when - begin) / 1e9
        most[int(seconds)] = max(most.get(int(seconds), 0), count)
        assert count <= min(cap, 2 ** int(seconds)), f"{count} after {seconds:.2f} s"
    print(f"most in the air by second: {most}")
    assert max(most.values()) > 2


def test_an_open_circuit_holds_and_recovers_slowly(fleet, sink):
    gate = Gate(503, Answer(200, delay=0.1))
    sink.on("/ill", gate)
    ill = fleet.subscribe("/ill", circuit_failures=5, circuit_open_ms=1500, retry_limit=100,
                          max_in_flight=16)
    fleet.post(400)
    wait_until(lambda: fleet.api("GET", f"/subscribers/{ill}")["circuit"] == "open", PATIENCE)
    time.sleep(2.5)  # all have heard of it
    before, began = len(sink.deliveries("/ill")), time.monotonic()
    wait_until(lambda: sum(one.metrics().get(f'eventhub_circuit_state{{subscriber_id="{ill}"}}', 0)
                           for one in fleet.dispatchers) >= 4, PATIENCE)
    wait_until(lambda: fleet.database.value(
        "SELECT count(*) FROM parked WHERE wait_reason_name(reason) = 'circuit'") > 300, PATIENCE)
    time.sleep(5)
    held = len(sink.deliveries("/ill")) - before
    took = time.monotonic() - began
    print(f"{held} requests in {took:.1f} s with an open circuit, {before} before")
    assert 1 <= held <= took / 1.5 + 1
    assert max(count for _, count in in_the_air(sink.deliveries("/ill")[before:])) == 1
    gate.open()
    wait_until(lambda: not fleet.open_messages(), PATIENCE)
    assert fleet.database.states() == {"delivered": 400}
    probe, *rest = [d for d in sink.deliveries("/ill") if d.ok]
    check_slow_start(rest, 16, probe.t_end)
    wait_until(lambda: fleet.api("GET", f"/subscribers/{ill}")["circuit"] == "closed", PATIENCE)


def test_a_resume_drains_in_order_without_a_herd(fleet, sink):
    sink.on("/held", Answer(200, delay=0.2))
    held = fleet.subscribe("/held", ordering_enabled=True, ordering_key="organization_id",
                           max_in_flight=32)
    fleet.api("POST", f"/subscribers/{held}/pause")
    fleet.post(600, keys=64)
    wait_until(lambda: fleet.database.value("SELECT count(*) FROM parked") == 600, PATIENCE)
    begin = time.monotonic_ns()
    fleet.api("POST", f"/subscribers/{held}/resume")
    wait_until(lambda: not fleet.open_messages(), PATIENCE)
    assert not order_violations(sink.deliveries("/held"), by_key)
    check_slow_start(sink.deliveries("/held"), 32, begin)


def test_nothing_but_failures_pauses(strict_fleet, sink):
    """Not who delivers now and then; and who is resumed has the whole time again."""
    numbers = itertools.count()
    gate = Gate(500, 200)
    sink.on("/dead", gate)
    sink.on("/flaky", lambda d: 200 if next(numbers) % 8 == 7 else 500)
    dead, flaky = strict_fleet.subscribe("/dead"), strict_fleet.subscribe("/flaky")
    stop = threading.Event()

    def produce():
        while not stop.wait(0.1):
            strict_fleet.post(1)
    producer = threading.Thread(target=produce)
    producer.start()
    try:
        began = time.monotonic()
        row = wait_until(lambda: strict_fleet.api("GET", "/subscribers?paused=true")["data"],
                         PATIENCE)[0]
        assert time.monotonic() - began >= 4
        assert row["id"] == dead and "nothing but failures" in row["paused_reason"], row
        assert row["failing_since"]
        row = strict_fleet.api("POST", f"/subscribers/{dead}/resume")
        assert row["failing_since"] is None
        time.sleep(3)
        assert not strict_fleet.api("GET", f"/subscribers/{dead}")["paused"]
        gate.open()
        time.sleep(8)
        for one in (dead, flaky):
            assert not strict_fleet.api("GET", f"/subscribers/{one}")["paused"]
        assert strict_fleet.api("GET", f"/subscribers/{dead}")["failing_since"] is None
    finally:
        stop.set()
        producer.join()


def test_operators_hear_of_pauses_recoveries_and_dead_letters(fleet, sink):
    sink.on("/gone", lambda d: {0: 400, 1: 410}.get(d.json()["number"], 200))
    gone = fleet.subscribe("/gone", retry_limit=0, ordering_enabled=True,
                           ordering_key="organization_id")
    fleet.post(1)
    wait_until(lambda: fleet.database.states() == {"dead": 1}, PATIENCE)
    assert not fleet.database.value("SELECT count(*) FROM outbox")
    wanted = fleet.subscribe("/wanted", event_type="eventhub.>", retry_limit=0)
    # Itself dead: no event of that, or there would be no end.
    sink.on("/deaf", 500)
    fleet.subscribe("/deaf", event_type="eventhub.message.*", retry_limit=0)
    fleet.post(3)
    told = sink.wait(3, "/wanted", PATIENCE)
    by_type = {}
    for delivery in told:
        by_type.setdefault(delivery.headers["x-event-type"], []).append(delivery.json())
    assert sorted(one["reason"] for one in by_type["eventhub.message.dead"]) == ["gone", "rejected"]
    letter = by_type["eventhub.message.dead"][0]
    assert (letter["subscriber_id"], letter["event_type"]) == (gone, "test.event")
    assert fleet.api("GET", f"/dlq/{letter['message_id']}")["reason"] == letter["reason"]
    paused, = by_type["eventhub.subscriber.paused"]
    assert paused["subscriber_id"] == gone and "410" in paused["reason"]
    fleet.api("POST", f"/subscribers/{gone}/resume")
    recovered = sink.wait(4, "/wanted", PATIENCE)[3]
    assert recovered.headers["x-event-type"] == "eventhub.subscriber.recovered"
    assert recovered.json()["subscriber_id"] == gone and recovered.json()["reason"] == "resumed"
    wait_until(lambda: not fleet.open_messages(), PATIENCE)
    time.sleep(3)
    assert len(sink.deliveries("/wanted")) == 4 and len(sink.deliveries("/deaf")) == 2
    fleet.api("DELETE", f"/subscribers/{wanted}")
