"""Processes and PostgreSQL killed and sessions cut under load: nothing accepted is lost, order
holds, at most once is never twice, and service resumes by itself. A hub as eight processes: two
API, one fan-out, four dispatchers, one cleanup. How long deliveries stopped is printed.
"""
import os
import signal
import time

import pytest

from chaos import Load, roles
from hub import Postgres, order_violations, wait_until
from load import PATIENCE, by_key, event, wait_balanced
from proxy import Proxy


@pytest.fixture(name="load")
def under_load(hub, database, sink):
    made = Load(hub, database, sink)
    yield made
    for one in made.producers:
        one.stop()


def test_every_role_killed_in_turn(load):
    """Only a dispatcher's death may have anything sent again."""
    for role, process in roles(load).items():
        victim = process if role == "dispatcher" else None
        with load.fault(f"kill -9 of the {role}", victim, repeats=victim is not None):
            process.kill()
            process.start()
    load.verify()


def test_a_killed_dispatcher_is_replaced_by_the_others(load):
    """Nobody restarts it."""
    victim = load.victim()
    with load.fault("kill -9 of two dispatchers for good", victim):
        victim.kill()
        next(one for one in load.fleet.dispatchers if one is not victim).kill()
    wait_balanced(load.database, 2)
    load.verify()


def test_all_processes_killed_at_once(load):
    with load.fault("kill -9 of everything"):
        for process in load.fleet.all():
            process.process.send_signal(signal.SIGKILL)
        for process in load.fleet.all():
            process.kill()
            process.start(ready=False)
    load.verify()


@pytest.mark.slow
def test_every_session_terminated(load):
    for _ in range(3):
        with load.fault("pg_terminate_backend of all sessions"):
            load.database.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid()")
    load.verify()


@pytest.mark.slow
def test_the_session_of_an_owner_terminated(load):
    """The shards go to others, or come back; either way nothing is lost and no order broken."""
    victim = load.victim()
    with load.fault("pg_terminate_backend of a dispatcher's session", victim):
        ended = load.database.rows("SELECT pg_terminate_backend(pid) FROM nodes WHERE name LIKE %s",
                                   f"%:{victim.pid}")
        assert ended == [(True,)]
    load.verify()


@pytest.mark.parametrize("how", ["silent", pytest.param("cut", marks=pytest.mark.slow)])
def test_the_road_to_postgres(hub, database, sink, server, how):
    """One dispatcher's connections are all closed at once, or nothing comes through them for longer
    than PostgreSQL keeps its session."""
    roads = [Proxy(server) for _ in range(4)]
    try:
        load = Load(hub, database, sink, each=lambda n: roads[n].environment())
        victim = load.victim()
        road = roads[load.fleet.dispatchers.index(victim)]
        with load.fault(f"road to PostgreSQL {how}", victim):
            if how == "cut":
                assert road.cut() > 0
            else:
                road.silence()
                wait_until(lambda: not load.shards_of(victim), PATIENCE, "others take its shards")
                load.goes_on(20)
                road.resume()
        wait_balanced(database, 4)
        load.verify()
    finally:
        for road in roads:
            road.close()


@pytest.mark.parametrize("how", ["kill", *(
    pytest.param(how, marks=pytest.mark.slow) for how in ("immediate", "fast"))])
def test_postgres_restarted(load, server, how):
    with load.fault(f"PostgreSQL restart ({how})"):
        if how == "kill":
            server.kill()
        else:
            server.stop(how)
        server.start(wait=60)
    load.verify()


def test_messages_that_a_crash_of_postgres_takes_away_are_made_again(hub, sink):
    """The fan-out does not wait for the disk: what it wrote last follows from committed events."""
    server = Postgres()
    try:
        database = server.create_database()
        first = hub(roles="api,fanout", on=database)
        database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
        with server.connect("postgres") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
            os.kill(cursor.fetchone()[0], signal.SIGSTOP)  # who writes such commits down later
        count = "SELECT count(*) FROM messages"
        for number in range(20):
            assert first.post(event(number)).status == 202
            wait_until(lambda n=number: database.value(count) == n + 1, PATIENCE)
        server.kill()
        first.kill()
        server.start(wait=60)
        assert database.value("SELECT count(*) FROM events") == 20, "a 202 is safe"
        assert database.value(count) < 20, "nothing was taken away: this tested nothing"
        hub(on=database)
        sink.wait(20, "/a", PATIENCE)
        wait_until(database.drained, PATIENCE)
        assert sorted(d.number for d in sink.deliveries("/a")) == list(range(20))
        assert not order_violations(sink.deliveries("/a"), by_key)
        assert database.value(count) == 20
    finally:
        server.close()


def test_without_postgres_events_are_refused_soon_and_taken_again(hub, database, sink, server):
    one = hub()
    database.subscribe(sink.url("/a"))
    server.stop("fast")
    try:
        for number in range(5):
            began = time.monotonic()
            reply = one.post(event(number), timeout=PATIENCE)
            assert reply.status == 503 and int(reply.headers["retry-after"]) >= 1
            assert time.monotonic() - began < 10
    finally:
        server.start(wait=60)
    wait_until(lambda: one.post(event(5)).status == 202, PATIENCE)
    assert sink.wait(1, "/a", PATIENCE)[0].number == 5
    wait_until(database.drained, PATIENCE)
    assert {d.number for d in sink.deliveries("/a")} == {5}, "what was refused is not there"


def test_a_session_lost_at_the_start_is_made_again(hub, database):
    """Until the hub has begun, a lost session is a server that has not come yet."""
    hub().stop()
    waiting = ("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
               "AND wait_event_type = 'Lock'")
    held = database.connect()
    held.autocommit = False
    held.cursor().execute("LOCK TABLE subscribers IN ACCESS EXCLUSIVE MODE")
    one = hub(ready=False)
    first = wait_until(lambda: database.value(waiting), PATIENCE, "it reads the subscribers")
    assert database.value("SELECT pg_terminate_backend(%s)", first)
    wait_until(lambda: database.value(waiting) not in (None, first), PATIENCE, "once more")
    held.close()
    one.wait_ready()


def test_postgres_frozen(load, server):
    with load.fault("PostgreSQL frozen for 5 s"):
        server.pause()
        try:
            time.sleep(5)  # longer than the lease, and than the time-out of idle sessions
        finally:
            server.cont()
    load.verify()
