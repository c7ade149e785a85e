"""Who sends what: hand-over under load, at the end of a drain and beside requests that hang;
results that cannot be written for a while; the part of the slots that a subscriber may take.
"""
import threading

import pytest

from hub import Producer, order_violations, wait_until
from load import PATIENCE, Hold, times_sent, wait_balanced, wait_ended

KEYS = 32
ORDERED = {"ordering_enabled": True, "ordering_key": "organization_id"}


def event(number, **members):
    key = number % KEYS
    return {"event_type": "test.event", "organization_id": f"org-{key}",
            "payload": {"number": number, "key": key}, **members}


def by_key(delivery):
    return delivery.json()["key"]


def test_a_second_dispatcher_gets_its_part_under_steady_load(hub, database, sink):
    hub(roles="api,fanout,dispatcher")
    api = hub(roles="api")
    sid = database.subscribe(sink.url("/a"), **ORDERED)
    stop = threading.Event()

    def events():
        number = 0
        while not stop.is_set():
            yield event(number)
            number += 1
    producer = Producer([api], events(), rate=300).start()
    try:
        sink.wait(50, "/a", PATIENCE)
        hub(roles="dispatcher")
        wait_balanced(database, 2)
    finally:
        stop.set()
        producer.join()
    count = len(producer.accepted)
    assert wait_ended(database, sid, count) == {"delivered": count}
    assert set(times_sent(sink.deliveries("/a")).values()) == {1}
    assert not order_violations(sink.deliveries("/a"), by_key)


def test_every_subscribers_messages_are_shared_by_all_dispatchers(hub, database):
    """They are spread over 16 neighbouring shards, beginning anywhere. Who takes which of the free
    ones is a matter of who comes first."""
    hub()
    hub(roles="dispatcher")
    hub(roles="dispatcher")
    wait_balanced(database, 3)
    owners = [owner for owner, in database.rows("SELECT owner::text FROM shards ORDER BY shard")]
    for first in range(64):
        share = [(owners * 2)[first:first + 16].count(owner) for owner in set(owners)]
        assert len(share) == 3 and max(share) <= 12, (first, share)


def test_at_the_limit_of_a_drain_only_what_hangs_is_handed_over_unclean(hub, database, sink):
    one = hub(env={"EVENTHUB_DRAIN_TIMEOUT_MS": "2000"})
    hold = Hold()
    sink.on("/hangs", hold)
    database.subscribe(sink.url("/hangs"), "test.hangs", **ORDERED)
    one.post(event(1, event_type="test.hangs"))
    wait_until(lambda: hold.now == 1, PATIENCE)
    assert one.stop(PATIENCE) in (0, None)
    hold.open()
    assert database.value("SELECT count(*) FROM shards WHERE NOT clean") == 1
    assert database.value("SELECT count(*) FROM nodes WHERE 'dispatcher' = ANY(roles)") == 0


def test_a_shard_with_a_request_that_hangs_goes_on_for_the_others(hub, database, sink):
    """A second dispatcher wants half of the shards while every shard has a request that hangs: they
    stay where they are, and nobody waits for the hanging ones."""
    hub(roles="api,fanout,dispatcher")
    api = hub(roles="api")
    hold = Hold()
    sink.on("/hangs", hold)
    database.subscribe(sink.url("/hangs"), "test.hangs", timeout_ms=60000, max_in_flight=500)
    live = database.subscribe(sink.url("/live"), **ORDERED)
    for number in range(400):
        api.post(event(number, event_type="test.hangs"))
    wait_until(lambda: hold.now == 400, PATIENCE)
    hub(roles="dispatcher")
    wait_until(lambda: database.value(
        "SELECT count(*) FROM nodes WHERE 'dispatcher' = ANY(roles)") == 2, PATIENCE)
    for number in range(300):
        api.post(event(number))
    assert wait_ended(database, live, 300) == {"delivered": 300}
    assert hold.now == 400
    assert not order_violations(sink.deliveries("/live"), by_key)
    hold.open()


@pytest.mark.parametrize("together", [True, False], ids=["together", "one-after-the-other"])
def test_subscribers_that_hang_leave_slots_for_the_others(hub, database, sink, together):
    """Each of them could take all slots of the process; the live one gets everything meanwhile."""
    one = hub(env={"EVENTHUB_DISPATCHER_IN_FLIGHT_MAX": "32"})
    holds = [Hold() for _ in range(8)]
    for number, hold in enumerate(holds):
        kind = "test.hangs" if together else f"test.hangs{number}"
        sink.on(f"/hangs{number}", hold)
        database.subscribe(sink.url(f"/hangs{number}"), kind, timeout_ms=60000)
        if not together:
            for event_number in range(40):
                one.post(event(event_number, event_type=kind))
            wait_until(lambda: hold.now >= 1, PATIENCE)
    for number in range(40 if together else 0):
        one.post(event(number, event_type="test.hangs"))
    wait_until(lambda: all(hold.now >= 1 for hold in holds), PATIENCE)
    live = database.subscribe(sink.url("/live"), "test.live")
    for number in range(200):
        one.post(event(number, event_type="test.live"))
    assert wait_ended(database, live, 200) == {"delivered": 200}
    assert 16 <= sum(hold.now for hold in holds) < 32
    for hold in holds:
        hold.open()
    wait_until(database.drained, PATIENCE)
    assert set(times_sent(sink.deliveries()).values()) == {1}


def test_results_that_cannot_be_written_for_a_while_are_kept(hub, database, sink):
    """Somebody locks the table longer than lock_timeout: the dispatcher keeps its session, its
    shards and its results, sends nothing meanwhile, and nothing is sent twice."""
    one = hub()
    sid = database.subscribe(sink.url("/a"), **ORDERED)
    one.post(event(0))
    assert wait_ended(database, sid, 1) == {"delivered": 1}
    blocker = database.connect()
    blocker.autocommit = False
    blocker.cursor().execute("LOCK TABLE delivery_attempts IN SHARE MODE")
    for number in range(1, 200):
        one.post(event(number))
    wait_until(lambda: "results cannot be written" in one.log_text(), PATIENCE)
    sent = len(sink.deliveries("/a"))
    assert sent <= 1 + KEYS  # one of each key
    blocker.close()
    assert wait_ended(database, sid, 200) == {"delivered": 200}
    assert "lost its session" not in one.log_text()
    assert len(sink.deliveries("/a")) == 200
    assert not order_violations(sink.deliveries("/a"), by_key)


@pytest.mark.parametrize("guarantee", [
    "at_least_once", pytest.param("at_most_once", marks=pytest.mark.slow)])
def test_a_busy_subscriber_is_deleted(hub, database, sink, guarantee):
    one = hub()
    sid = database.subscribe(sink.url("/gone"), delivery_guarantee=guarantee)
    live = database.subscribe(sink.url("/live"))
    producer = Producer([one], map(event, range(400)), rate=400).start()
    wait_until(lambda: len(sink.deliveries("/gone")) > 50, PATIENCE)
    database.rows("DELETE FROM subscribers WHERE sid = %s", sid)
    producer.join()
    assert wait_ended(database, live, 400) == {"delivered": 400}
    wait_until(database.drained, PATIENCE)
    assert one.alive
    assert max(times_sent(sink.deliveries("/gone")).values()) == 1
