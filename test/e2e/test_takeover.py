"""What a new owner has to know: a dead owner's requests in the air, its dead letters, attempts and
crashes.
"""
import os
import select
import signal
import socket
import threading
import time

import pytest

from chaos import QUICK
from hub import order_violations, wait_until
from load import (KEYS, PATIENCE, Fleet, Gate, Hold, by_key, dead_letters, event, post_many,
                  times_sent, wait_balanced, wait_ended)
from sink import Answer


def test_a_key_blocked_by_a_dead_letter_stays_blocked_over_a_crash(hub, database, sink):
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=2)
    gate = Gate(shut=400, only=lambda d: by_key(d) == 0)
    sink.on("/a", gate)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, on_dead="block",
                             ordering_key="organization_id")
    for number in range(3 * KEYS):
        fleet.apis[0].post(event(number))
    wait_until(lambda: database.states(sid).get("delivered") == 3 * (KEYS - 1), PATIENCE)
    for process in fleet.dispatchers:
        process.kill()
        process.start()
    for number in range(3 * KEYS, 4 * KEYS):
        fleet.apis[0].post(event(number))
    wait_until(lambda: database.states(sid).get("delivered") == 4 * (KEYS - 1), PATIENCE)
    assert len([d for d in sink.deliveries("/a") if by_key(d) == 0]) == 1
    gate.open()
    database.rows("SELECT retry_dead_letter(%s)", dead_letters(database, sid)[0]["message_id"])
    assert wait_ended(database, sid, 4 * KEYS) == {"delivered": 4 * KEYS}
    assert not order_violations(sink.deliveries("/a"), by_key)


def test_attempts_are_counted_over_a_crash(hub, database, sink):
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=1)
    sink.on("/a", 503)
    sid = database.subscribe(sink.url("/a"), retry_limit=3, retry_backoff_seconds=[0, 1, 0])
    fleet.apis[0].post(event(1))
    sink.wait(2, "/a", PATIENCE)
    wait_until(lambda: database.value("SELECT count(*) FROM delivery_attempts") == 2, PATIENCE)
    fleet.dispatchers[0].kill()
    fleet.dispatchers[0].start()
    assert wait_ended(database, sid, 1) == {"dead": 1}
    assert [d.attempt for d in sink.deliveries("/a")] == [1, 2, 3, 4]
    assert len(times_sent(sink.deliveries("/a"))) == 1, "the same X-Message-Id"


def test_no_second_request_of_a_key_while_one_of_a_dead_process_may_be_in_the_air(
        hub, database, sink):
    """The receiver still works on a request whose sender was killed: the next owner waits for the
    time-out before it sends anything of that key. Unordered messages do not wait."""
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=2)
    sink.on("/a", lambda d: Answer(200, delay=1.5 if d.json()["number"] < KEYS else 0))
    gate = Gate(shut=503)
    sink.on("/b", gate)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    unordered = database.subscribe(sink.url("/b"), retry_limit=100, retry_backoff_seconds=[0.1])
    wait_balanced(database, 2)
    post_many(fleet.apis[0], map(event, range(3 * KEYS)), connections=KEYS)

    def with_one_in_the_air():
        for dispatcher in fleet.dispatchers:
            held = {row[0] for row in database.rows(
                "SELECT event_seq FROM messages JOIN shards USING (shard) JOIN nodes ON "
                "node = owner WHERE sid = %s AND name LIKE %s", sid, f"%:{dispatcher.pid}")}
            if any(d.seq in held and d.t_end is None for d in sink.deliveries("/a")):
                return dispatcher, held
        return None

    victim, held = wait_until(with_one_in_the_air, PATIENCE)
    victim.kill()
    killed = time.monotonic_ns() + 50_000_000  # what it sent has been read
    gate.open()
    assert wait_ended(database, unordered, 3 * KEYS) == {"delivered": 3 * KEYS}
    assert wait_ended(database, sid, 3 * KEYS) == {"delivered": 3 * KEYS}
    assert not order_violations(sink.deliveries("/a"), by_key)
    # The unordered ones of the dead process came before its ordered ones, which waited.
    later = [d.t_start for d in sink.deliveries("/a") if d.seq in held and d.t_start > killed]
    assert min(later) - killed > 2e9, "the time-out of those in the air"
    assert {d.number for d in sink.deliveries("/b") if d.ok and d.t_start < min(later)} == set(
        range(3 * KEYS))


@pytest.mark.slow
def test_the_kernel_drops_what_a_dead_process_had_not_got_rid_of(hub, database):
    """A receiver reads again long after its sender was killed: the request whose bytes waited for
    it is not there to overtake what a new owner has sent meanwhile."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = hub(env={"WEBHOOK_TIMEOUT_MS": "2000"})
        database.subscribe(f"http://127.0.0.1:{listener.getsockname()[1]}/", retry_limit=0)
        one.post({"event_type": "test.event", "payload": {"filling": "x" * 100_000}})
        assert select.select([listener], [], [], PATIENCE)[0]
        connection, _ = listener.accept()
        time.sleep(0.5)  # the request is written
        one.kill()
        time.sleep(5)  # twice the time-out and more
        got = b""
        with connection, pytest.raises(ConnectionResetError):
            connection.settimeout(PATIENCE)
            while True:
                more = connection.recv(1 << 20)
                assert more, "an end: everything came"
                got += more
        assert 0 < len(got) < 50_000


def unclean(database):
    return database.value("SELECT max(unclean) FROM shards")


def test_a_shard_whose_owners_keep_dying_is_sent_one_at_a_time(hub, database, sink):
    """Careful mode: after three take-overs from dead owners in a row every attempt is written down
    before it is sent; everything is still delivered, in order."""
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=1)
    dispatcher = fleet.dispatchers[0]
    wait_balanced(database, 1)
    for turn in range(1, 5):
        dispatcher.kill()
        dispatcher.start()
        wait_until(lambda n=turn: unclean(database) >= n, PATIENCE, f"take-over {turn}")
    wait_balanced(database, 1)
    ordered = database.subscribe(sink.url("/ordered"), ordering_enabled=True,
                                 ordering_key="organization_id")
    plain = database.subscribe(sink.url("/plain"))
    for number in range(60):
        fleet.apis[0].post(event(number))
    assert wait_ended(database, ordered, 60) == {"delivered": 60}
    assert wait_ended(database, plain, 60) == {"delivered": 60}
    assert not order_violations(sink.deliveries("/ordered"), by_key)
    started = database.value("SELECT count(*) FROM delivery_attempts "
                             "WHERE outcome_name(outcome) = 'started'")
    assert started == 120, "each attempt is committed before it is sent"
    assert len(sink.deliveries()) == 120


@pytest.mark.parametrize("ordered", [
    pytest.param(False, id="unordered", marks=pytest.mark.slow), pytest.param(True, id="ordered")])
def test_a_message_that_kills_its_worker_ends_as_dead_and_the_others_go_on(
        hub, database, sink, ordered):
    env = {**QUICK, "WEBHOOK_TIMEOUT_MS": "700", "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "650",
           "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "100"}
    fleet = Fleet(hub, env, apis=1, dispatchers=1)
    victim = fleet.dispatchers[0]
    done = threading.Event()

    def revive():
        while not done.is_set():
            if not victim.alive:
                victim.start(ready=False)
            time.sleep(0.05)

    def poison(delivery):
        if delivery.json()["number"] != 7:
            return 200
        os.kill(victim.pid, signal.SIGKILL)
        return Answer(hang=True)

    columns = {"ordering_enabled": True, "ordering_key": "organization_id"} if ordered else {}
    sink.on("/a", poison)
    sid = database.subscribe(sink.url("/a"), retry_limit=1, **columns)
    other = database.subscribe(sink.url("/other"))
    keeper = threading.Thread(target=revive)
    keeper.start()
    try:
        for number in range(3 * KEYS):
            fleet.apis[0].post(event(number))
        states = wait_ended(database, sid, 3 * KEYS)
        assert states == {"delivered": 3 * KEYS - 1, "dead": 1}
        assert wait_ended(database, other, 3 * KEYS) == {"delivered": 3 * KEYS}
    finally:
        done.set()
        keeper.join()
    letter, = dead_letters(database, sid)
    assert letter["reason"] == "worker_crashed"
    sent = [d for d in sink.deliveries("/a") if d.json()["number"] == 7]
    assert len(sent) <= 3 + 2 + 1, "three owners until it is careful, two attempts, one to spare"
    if ordered:
        assert not order_violations(sink.deliveries("/a"), by_key, timeout=0.7)


def test_at_most_once_in_flight_at_a_kill_is_unknown_and_not_sent_again(hub, database, sink):
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=1)
    hold = Hold()
    sink.on("/once", hold)
    sid = database.subscribe(sink.url("/once"), delivery_guarantee="at_most_once", max_in_flight=5)
    for number in range(20):
        fleet.apis[0].post(event(number))
    wait_until(lambda: hold.now == 5, PATIENCE)
    fleet.dispatchers[0].kill()
    hold.open()
    fleet.dispatchers[0].start()
    states = wait_ended(database, sid, 20)
    assert all(n == 1 for n in times_sent(sink.deliveries("/once")).values())
    letters = dead_letters(database, sid)
    assert {d["reason"] for d in letters} == {"unknown_outcome"}
    assert states["dead"] == len(letters) >= 5
    unsent = 20 - len(sink.deliveries("/once"))
    assert len(letters) == 5 + unsent, "only what was started and cut off is unknown"
