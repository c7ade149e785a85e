"""What stays within bounds: memory with large payloads, latency beside an open transaction, and
connections that receivers close.
"""
import itertools
import json
import time

import pytest

from hub import Producer, wait_until
from load import (FRUGAL, PATIENCE, Hold, event, post_many, resident_mib, times_sent,
                  wait_ended)
from sink import Answer, Sink

SMALL_BODY = 200  # bytes of a body that are not the filling


@pytest.mark.slow
@pytest.mark.memory
@pytest.mark.parametrize("count", [100, 200])
def test_large_payloads_for_a_slow_receiver_do_not_fill_memory(hub, database, sink, count):
    """Bodies of nearly 1 MiB with the settings everybody has; what a receiver has not taken yet is
    in the database."""
    one = hub(env=FRUGAL)
    hold = Hold()
    sink.on("/slow", hold)
    slow = database.subscribe(sink.url("/slow"), max_in_flight=4, timeout_ms=60000)
    live = database.subscribe(sink.url("/live"), max_in_flight=4, timeout_ms=60000)
    filling = "0123456789abcdef" * ((1048576 - SMALL_BODY) // 16)

    def large(number):
        return {"event_type": "test.event", "payload": {"number": number, "filling": filling}}

    before = resident_mib(one)
    most = 0
    began = time.monotonic()
    for first in range(0, count, 4):
        post_many(one, map(large, range(first, min(first + 4, count))), connections=4)
        most = max(most, resident_mib(one))
    assert wait_ended(database, live, count) == {"delivered": count}
    # Four at a time; on a slow machine the first ones run into their time-out meanwhile.
    waves = 1 + int((time.monotonic() - began) // min(60, PATIENCE))
    assert len(sink.deliveries("/slow")) <= 4 * waves
    hold.open()
    wait_until(lambda: database.states(slow) == {"delivered": count}, 3 * PATIENCE)
    most = max(most, resident_mib(one))
    print(f"{count} MiB in payloads: {before:.0f} MiB and at most {most - before:.0f} more")
    assert most - before < 80  # a cache of 32 MiB, and what is in the air
    for path in ("/slow", "/live"):
        assert len(times_sent(sink.deliveries(path))) == count
        for delivery in sink.deliveries(path):
            assert delivery.body == json.dumps(large(delivery.number)["payload"]).encode()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [15, 60])
def test_a_transaction_held_open_makes_nothing_dearer(hub, database, sink, seconds):
    """A snapshot keeps dead rows from being cleaned up; there are none on the hot path, so an event
    touches as many pages as before. (scripts/bench longtx compares CPU and latency.)"""
    one = hub()
    sids = [database.subscribe(sink.url("/ordered"), ordering_enabled=True,
                               ordering_key="organization_id"), database.subscribe(sink.url("/a"))]
    producer = Producer([one], map(event, itertools.count()), rate=40).start()

    def pages():
        return database.value("SELECT blks_hit + blks_read FROM pg_stat_database"
                              " WHERE datname = current_database()")

    def pages_per_event(count=150):
        first, at = len(producer.accepted), pages()
        wait_until(lambda: len(producer.accepted) >= first + count, PATIENCE)
        return (pages() - at) / (len(producer.accepted) - first)

    wait_until(lambda: len(producer.accepted) > 50, PATIENCE)
    before = pages_per_event()
    with database.connect() as reader:
        reader.autocommit = False
        cursor = reader.cursor()
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM events")
        seen = cursor.fetchone()
        time.sleep(seconds)  # the fault's length, not a wait
        meanwhile = pages_per_event()
        cursor.execute("SELECT count(*) FROM events")
        assert cursor.fetchone() == seen, "the snapshot was held"
        reader.rollback()
    producer.stop()
    producer.join()
    print(f"pages per event: {before:.0f}, then {meanwhile:.0f}")
    # What the hub writes of itself every second leaves old versions, which it looks through until
    # the snapshot ends: a bit per second, whatever the load.
    assert meanwhile < (1.5 + seconds / 50) * before
    for sid in sids:
        count = len(producer.accepted)
        assert wait_ended(database, sid, count) == {"delivered": count}
    assert producer.retried == 0


@pytest.mark.parametrize("gaps", [
    pytest.param((3.95, 4.98, 5.02), marks=pytest.mark.slow),
    pytest.param([4.7 + step / 40 for step in range(16)], marks=pytest.mark.slow)],
    ids=["short", "long"])
def test_a_receiver_that_closes_after_five_seconds(hub, database, gaps):
    """With the hub's own settings: every request is the first and only one of its message, also
    when it comes just before and just after either side closes the idle connection."""
    receiver = Sink(keep_alive=5)
    try:
        one = hub()
        least = database.subscribe(receiver.url("/least"))
        once = database.subscribe(receiver.url("/once"), delivery_guarantee="at_most_once")
        for number, gap in enumerate([0, *gaps]):
            time.sleep(gap)  # idle for so long is what is tested
            assert one.post(event(number)).status == 202
            receiver.wait(2 * number + 2, timeout=PATIENCE)
        count = len(gaps) + 1
        for sid, path in ((least, "/least"), (once, "/once")):
            assert wait_ended(database, sid, count) == {"delivered": count}
            assert len(receiver.deliveries(path)) == count
            assert {d.attempt for d in receiver.deliveries(path)} == {1}
        assert database.value("SELECT count(*) FROM delivery_attempts WHERE outcome NOT IN (1, 4)"
                              ) == 0
        assert receiver.connections >= 2, "idle connections were closed"
    finally:
        receiver.close()


def test_a_receiver_on_ipv6(hub, database):
    receiver = Sink(host="::1")
    try:
        one = hub(env={"EVENTHUB_EGRESS_ALLOW_CIDRS": "::1/128"})
        sid = database.subscribe(receiver.url("/a"), retry_limit=0)
        receiver.on("/a", Answer(204))
        one.post(event(1))
        assert wait_ended(database, sid, 1) == {"delivered": 1}
        delivery, = receiver.deliveries("/a")
        assert delivery.headers["host"] == f"[::1]:{receiver.port}"
    finally:
        receiver.close()
