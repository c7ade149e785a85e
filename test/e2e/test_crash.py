"""Processes and PostgreSQL killed, frozen and cut off under load: nothing accepted is lost, order
holds, at most once is never twice, and service resumes by itself. A hub as eight processes: two
API, one fan-out, four dispatchers, one cleanup. Each test prints (pytest -s) how long deliveries
stopped.
"""
import itertools
import os
import signal
import threading
import time

import pytest

from hub import Producer, order_violations, wait_until
from load import (KEYS, PATIENCE, Fleet, Gate, Hold, by_key, dead_letters, event, quietly,
                  times_sent, wait_balanced, wait_ended)
from load import exact_sink as sink  # noqa: F401  (a fixture)
from sink import Answer

# Take-over within seconds instead of half a minute.
QUICK = {
    "EVENTHUB_DISPATCHER_HEARTBEAT_MS": "300", "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "1000",
    "EVENTHUB_DISPATCHER_IDLE_SESSION_TIMEOUT_MS": "2500",
    "EVENTHUB_DISPATCHER_DEAD_NODE_AFTER_MS": "3500",
    "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "300", "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "1000",
    "WEBHOOK_TIMEOUT_MS": "2000", "CHECK_INTERVAL_MS": "1000",
}


class Load:
    """A fleet with a producer that never ends and three subscribers that answer 200."""

    def __init__(self, hub, database, sink, env=QUICK, rate=120):
        self.database, self.sink = database, sink
        self.fleet = Fleet(hub, env)
        sink.on("/ordered", Answer(delay=0.002))
        self.ordered = database.subscribe(sink.url("/ordered"), retry_limit=100,
                                          retry_backoff_seconds=[0.2], ordering_enabled=True,
                                          ordering_key="organization_id")
        self.plain = database.subscribe(sink.url("/plain"), retry_limit=100,
                                        retry_backoff_seconds=[0.2])
        self.once = database.subscribe(sink.url("/once"), delivery_guarantee="at_most_once")
        wait_balanced(database, 4)
        self.producer = Producer(self.fleet.apis, map(event, itertools.count()), rate=rate,
                                 give_up=PATIENCE).start()
        self.goes_on(50)

    def goes_on(self, count=60):
        """Until `count` events that are accepted from now on have arrived everywhere."""
        begin = len(self.producer.accepted)
        wait_until(lambda: len(self.producer.accepted) >= begin + count, PATIENCE,
                   f"{count} further events accepted")
        wanted = [self.producer.accepted[index] for index in range(begin, begin + count)]

        def arrived(path):
            found = {d.event_id for d in self.sink.answered(path)}
            return all(event_id in found for event_id in wanted)

        for path in ("/plain", "/ordered"):
            wait_until(lambda p=path: arrived(p), PATIENCE, f"{count} further events at {path}",
                       every=0.1)

    def report(self, fault, began):
        for path in ("/ordered", "/plain"):
            times = [d.t_start for d in self.sink.deliveries(path)]
            after = [t for t in times if t >= began]
            first = (min(after) - began) / 1e9 if after else float("nan")
            steps = sorted([began, *after])
            gap = max((b - a for a, b in zip(steps, steps[1:])), default=0) / 1e9
            print(f"{fault}: {path}: first delivery after {first:.2f} s, longest pause {gap:.2f} s")

    def verify(self):
        self.producer.stop()
        self.producer.join(PATIENCE)
        wait_until(lambda: quietly(self.database.drained), PATIENCE, "everything drained",
                   every=0.3)
        accepted = set(self.producer.accepted.values())
        assert not self.producer.refused
        assert self.database.value("SELECT count(*) FROM events") == len(accepted)
        for path in ("/ordered", "/plain"):
            lost = accepted - {d.event_id for d in self.sink.deliveries(path) if d.ok}
            assert not lost, f"{len(lost)} of {len(accepted)} accepted events lost at {path}"
            twice = sum(n - 1 for n in times_sent(self.sink.deliveries(path)).values())
            print(f"{path}: {len(accepted)} events, {twice} sent again")
        assert not order_violations(self.sink.deliveries("/ordered"), by_key)
        once = times_sent(self.sink.deliveries("/once"))
        assert all(n == 1 for n in once.values()), "at most once, and sent twice"
        missing = accepted - {d.event_id for d in self.sink.deliveries("/once")}
        unknown = {str(d["event_id"]) for d in dead_letters(self.database, self.once)}
        assert missing <= unknown, f"{len(missing - unknown)} neither sent nor dead"
        print(f"/once: {len(missing)} not sent, {len(unknown)} dead letters")
        for sid in (self.ordered, self.plain):
            assert self.database.states(sid) == {"delivered": len(accepted)}


@pytest.fixture(name="load")
def under_load(hub, database, sink):
    made = Load(hub, database, sink)
    yield made
    made.producer.stop()


def roles(fleet):
    return {"api": fleet.apis[0], "fan-out": fleet.fanout, "dispatcher": fleet.dispatchers[0],
            "cleanup": fleet.cleanup}


def test_every_role_killed_in_turn(load):
    for role, process in roles(load.fleet).items():
        began = time.monotonic_ns()
        process.kill()
        process.start()
        load.goes_on()
        load.report(f"kill -9 of the {role}", began)
    load.verify()


def test_a_killed_dispatcher_is_replaced_by_the_others(load):
    """Nobody restarts it."""
    began = time.monotonic_ns()
    load.fleet.dispatchers[0].kill()
    load.fleet.dispatchers[1].kill()
    load.goes_on()
    load.report("kill -9 of two dispatchers for good", began)
    wait_balanced(load.database, 2)
    load.verify()


def test_all_processes_killed_at_once(load):
    began = time.monotonic_ns()
    for process in load.fleet.all():
        process.process.send_signal(signal.SIGKILL)
    for process in load.fleet.all():
        process.kill()
        process.start(ready=False)
    load.goes_on()
    load.report("kill -9 of everything", began)
    load.verify()


@pytest.mark.parametrize("role", ["api", "fan-out", "dispatcher", "cleanup"])
def test_a_frozen_process(load, hub, role):
    """SIGSTOP for longer than PostgreSQL keeps its session, then SIGCONT: what it believes to own
    belongs to others by then. A second fan-out and cleanup stand by."""
    load.fleet.one("fanout,cleanup")
    process = roles(load.fleet)[role]
    began = time.monotonic_ns()
    process.pause()
    try:
        time.sleep(5)  # the fault's length, not a wait
        if role != "api":
            load.goes_on(20)
    finally:
        process.cont()
    load.goes_on()
    load.report(f"{role} frozen", began)
    load.verify()


def test_every_session_terminated(load):
    for _ in range(3):
        began = time.monotonic_ns()
        load.database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                           "current_database() AND pid <> pg_backend_pid()")
        load.goes_on()
        load.report("all sessions terminated", began)
    load.verify()


@pytest.mark.parametrize("how", ["immediate", "fast", "kill"])
def test_postgres_restarted(load, server, how):
    began = time.monotonic_ns()
    if how == "kill":
        server.kill()
    else:
        server.stop(how)
    time.sleep(0.5)
    server.start(wait=60)
    load.goes_on()
    load.report(f"PostgreSQL restart ({how})", began)
    load.verify()


def test_postgres_frozen(load, server):
    began = time.monotonic_ns()
    server.pause()
    try:
        time.sleep(5)  # longer than the lease, and than the time-out of idle sessions
    finally:
        server.cont()
    load.goes_on()
    load.report("PostgreSQL frozen for 5 s", began)
    load.verify()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["api", "fan-out", "dispatcher", "cleanup"])
def test_a_process_frozen_for_a_minute(hub, database, sink, role):
    """With the settings everybody has."""
    load = Load(hub, database, sink, env={}, rate=50)
    load.fleet.one("fanout,cleanup")
    process = roles(load.fleet)[role]
    began = time.monotonic_ns()
    process.pause()
    try:
        time.sleep(60)
    finally:
        process.cont()
    load.goes_on()
    load.report(f"{role} frozen for 60 s", began)
    load.verify()


# ── what a new owner has to know ──


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


def test_no_second_request_of_a_key_while_one_of_a_dead_process_may_be_in_the_air(
        hub, database, sink):
    """The receiver still works on a request whose sender was killed: the next owner waits for the
    time-out before it sends anything of that key. Unordered messages do not wait."""
    fleet = Fleet(hub, QUICK, apis=1, dispatchers=2)
    sink.on("/a", lambda d: Answer(200, delay=1.5 if d.json()["number"] < KEYS else 0))
    sink.on("/b", Answer(200))
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    database.subscribe(sink.url("/b"))
    for number in range(3 * KEYS):
        fleet.apis[0].post(event(number))
    wait_until(lambda: len(sink.deliveries("/a")) >= KEYS, PATIENCE)
    fleet.dispatchers[0].kill()
    wait_ended(database, sid, 3 * KEYS)
    # The worker of a request that was cut off ends when it would have: 1.5 s after it began.
    for delivery in sink.deliveries("/a"):
        if delivery.t_end is None:
            delivery.t_end = delivery.t_start + 1_500_000_000
    assert not order_violations(sink.deliveries("/a"), by_key)


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


@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
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
        assert not order_violations(sink.deliveries("/a"), by_key)


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
