"""A process that is held up again and again: it gets to its heartbeat in between, so nobody takes
its shards from it, and its messages would crawl.
"""
import contextlib
import itertools
import threading
import time

import pytest

from chaos import QUICK
from hub import Producer, order_violations, wait_until
from load import PATIENCE, Fleet, by_key, event, wait_balanced, wait_ended

FROZEN, AWAKE = 3.2, 0.5  # seconds: more than a send_lease, less than PostgreSQL waits
ENV = {**QUICK, "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "2000",
       "EVENTHUB_DISPATCHER_IDLE_SESSION_TIMEOUT_MS": "6000",
       "EVENTHUB_DISPATCHER_DEAD_NODE_AFTER_MS": "8000"}
SHARDS = 64


def owned(database, hub):
    return database.value("SELECT count(*) FROM shards JOIN nodes ON node = owner "
                          "WHERE name LIKE %s", f"%:{hub.pid}")


@contextlib.contextmanager
def held_up(process):
    """As a machine that swaps, or gives its processor to others, does it."""
    over = threading.Event()

    def pulse():
        while not over.is_set():
            process.pause()
            time.sleep(FROZEN)
            process.cont()
            time.sleep(AWAKE)
    thread = threading.Thread(target=pulse)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_it_gives_its_shards_to_the_others_and_comes_back(hub, database, sink):
    fleet = Fleet(hub, ENV, apis=1, dispatchers=2)
    ordered = database.subscribe(sink.url("/a"), ordering_enabled=True,
                                 ordering_key="organization_id")
    wait_balanced(database, 2)
    victim, other = fleet.dispatchers
    wait_until(lambda: victim.metrics()["eventhub_owned_shards"] > 0, PATIENCE)  # it knows them
    producer = Producer(fleet.apis, map(event, itertools.count()), rate=40).start()
    with held_up(victim):
        wait_until(lambda: owned(database, other) == SHARDS, PATIENCE,
                   "the other dispatcher owns every shard")
        until = time.monotonic() + 2 * (FROZEN + AWAKE)
        while time.monotonic() < until:
            assert owned(database, other) == SHARDS, "it stays away while it is held up"
            time.sleep(0.1)
    wait_balanced(database, 2)
    producer.stop()
    producer.join()
    count = len(producer.accepted)
    assert wait_ended(database, ordered, count) == {"delivered": count}
    assert not order_violations(sink.deliveries("/a"), by_key,
                                float(ENV["WEBHOOK_TIMEOUT_MS"]) / 1000)
    assert victim.metrics()["eventhub_shards_given_up_total"] >= 1
    assert other.metrics()["eventhub_shards_given_up_total"] == 0
    given_up = victim.metrics()["eventhub_shards_given_up_total"]
    told = victim.wait_lines(lambda line: line["msg"].startswith("held up for too long"), given_up)
    assert len(told) == given_up


@pytest.mark.slow
def test_alone_it_keeps_them(hub, database, sink):
    fleet = Fleet(hub, ENV, apis=1, dispatchers=1)
    sid = database.subscribe(sink.url("/a"))
    wait_balanced(database, 1)
    with held_up(fleet.dispatchers[0]):
        for number in range(5):
            fleet.apis[0].post(event(number))
            sink.wait(number + 1, "/a", PATIENCE)
            time.sleep(FROZEN / 2)
            assert owned(database, fleet.dispatchers[0]) == SHARDS
    assert wait_ended(database, sid, 5) == {"delivered": 5}
    assert fleet.dispatchers[0].metrics()["eventhub_shards_given_up_total"] == 0
