"""Every fault point of the binary, with the process killed there and with it stopped there until
others have taken its work over: nothing accepted is lost, order holds, at most once is never twice,
nothing is stuck, and what is sent again was in the air at the time.

The table is what the binary says it has, so a new point is in it by itself. Most are reached by the
load; STIR says what has to happen for the others. A case that does not reach its point fails.
"""
import socket
import subprocess
import time

import pytest

from chaos import NEAR, Load
from faults import HUGE, LARGE, SHORT, TIMEOUT, Fault, Pair, Rarities, names
from hub import ALL_ROLES, BINARY, clean_environment, wait_until
from load import PATIENCE

POINTS = names("point")
# In every run; the others with --all.
TELLING = {("fanout.before_commit", "stop"), ("disp.after_response_before_record", "kill")}
CASES = [pytest.param(point, action, id=f"{point}-{action}",
                      marks=() if (point, action) in TELLING else pytest.mark.slow)
         for point in POINTS for action in ("kill", "stop")]
# Another process with these roles is there first, and its end brings the victim to the point.
HEIR = {"own.locked": "dispatcher", "own.acquired": "dispatcher", "feed.rebuild": "dispatcher",
        "fanout.acquired": "fanout,cleanup", "cleanup.acquired": "fanout,cleanup"}


# Between the last look whether it may send and the request.
ABOUT_TO_SEND = {"disp.after_check_before_send", "disp.before_connect"}


class World:
    """Two processes under load, the first of which will fail, and a third one where HEIR has it."""

    def __init__(self, hub, database, sink, fault, point):
        self.hub, self.database, self.sink, self.fault = hub, database, sink, fault
        self.point = point
        before = HEIR.get(point)
        settings = {**SHORT, "EVENTHUB_SERVER_BODY_BYTES_MAX": str(2 * HUGE)}
        if point == "parked.out":
            settings["EVENTHUB_DISPATCHER_QUEUE_ROWS_MAX"] = "64"
        self.third = hub(roles=before, env=settings) if before else None
        self.victim = hub(env={**settings, "EVENTHUB_DRAIN_TIMEOUT_MS": "3000", **fault.env})
        # Nobody else is to be the heir of the fan-out.
        self.other = hub(roles="api,dispatcher" if before == "fanout,cleanup" else ALL_ROLES,
                         env=settings)
        self.bad, self.told = [], False
        if point == "fanout.half_messages":
            self.refuse_messages()
        dispatchers = [self.third] if before == "dispatcher" else []
        # Partitions have to be filled.
        rate = 60 if point.startswith(("partition", "cleanup")) else 30
        self.load = Load(hub, database, sink, rate=rate, timeout=TIMEOUT,
                         fleet=Pair(self.victim, self.other, *dispatchers))
        self.rarities = None
        if not point.startswith("partition.drop"):  # they would expire
            self.rarities = Rarities(self.load, self.other, attended=point != "cleanup.mid_batch",
                                     large=HUGE if point == "disp.half_request_sent" else LARGE)

    def refuse_messages(self):
        """Of the two messages of an event the second is refused by PostgreSQL."""
        self.database.subscribe(self.sink.url("/good"), "test.bad")
        refused = self.database.subscribe(self.sink.url("/bad"), "test.bad")
        self.database.rows(f"ALTER TABLE messages ADD CHECK (sid <> {refused})")

    def fail(self):
        began = time.monotonic_ns()
        self.fault.arm()
        self.fault.wait(self.victim, lambda: STIR.get(self.point, lambda world: None)(self))
        if self.point == "parked.out":
            self.database.rows("UPDATE subscribers SET paused = false")
        if self.point in HEIR:
            self.third.wait(PATIENCE)
            self.third.start()
        if self.fault.action == "stop":
            wait_until(lambda: not self.load.shards_of(self.victim), PATIENCE, "others take over")
            self.load.goes_on(20, self.load.producers[1:])
            if self.point in ABOUT_TO_SEND:
                self.load.woken = time.monotonic_ns()
            self.victim.cont()
        self.fault.disarm(self.victim)
        if self.point in DRAINS or self.fault.action == "kill":
            self.victim.wait(PATIENCE)
            self.victim.start()
        self.load.goes_on()
        self.load.explained.append((began - NEAR, time.monotonic_ns()))

    def verify(self):
        if self.rarities:
            self.rarities.stop()
        self.load.verify(history=self.rarities is not None)
        if self.rarities:
            self.rarities.verify(retained=self.point != "cleanup.mid_batch")
        assert set(self.bad) <= {d.event_id for d in self.sink.deliveries("/good")}


# ── what brings a process to a point that the load alone does not reach ──

def end_session(world):
    world.database.rows("SELECT pg_terminate_backend(pid) FROM nodes WHERE name LIKE %s",
                        f"%:{world.victim.pid}")


def end_third(world):
    if world.third.alive:
        world.third.term()


def start_third(world):
    if not world.third:
        world.third = world.hub(roles="dispatcher", env=SHORT, ready=False)


def drain(world):
    if not world.told:  # a second signal would end it at once
        world.told = True
        world.victim.term()


def drain_beside_half_a_request(world):
    client = socket.create_connection(("127.0.0.1", world.victim.port))
    client.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                   b"Content-Length: 100\r\n\r\n{")
    time.sleep(0.3)
    world.victim.term()
    wait_until(lambda: world.fault.happened(world.victim), PATIENCE, "the end of the drain")
    client.close()


def post_bad(world):
    reply = world.other.post({"event_type": "test.bad", "payload": {}})
    if reply.status == 202:
        world.bad.append(reply.json()["event_id"])


def age_events(world):
    """What has ended long ago is past its retention."""
    world.database.rows(
        "UPDATE events SET created_at = created_at - interval '1 year' WHERE created_at > "
        "now() - interval '1 day' AND event_seq < (SELECT min(lwm) FROM shards)")


def publish_by_sql(world):
    world.database.rows("SELECT publish('test.sql', '{}') FROM generate_series(1, 100)")


def more_of(name):
    """All shards of the subscriber whose dead letters a person has in hand may be the other's: of
    some further ones not all are."""
    def stir(world):
        if len(getattr(world.rarities, name)) < 8:
            world.rarities.add(name)
    return stir


def pause_and_resume(world):
    """More than fits into memory is parked, and comes back when the subscriber is resumed."""
    world.turns = getattr(world, "turns", 0) + 1
    world.database.rows("UPDATE subscribers SET paused = %s WHERE sid = %s",
                        world.turns // 50 % 2 == 0, world.load.plain)


def age_dead_letters(world):
    world.database.rows("UPDATE dead_letter_queue SET failed_at = failed_at - interval '1 year'")


DRAINS = {"own.leave", "fanout.release", "drain.start", "drain.roles_ended", "drain.timeout"}
STIR = {
    "own.heartbeat_lost": end_session, "own.locked": end_third, "own.acquired": end_third,
    "feed.rebuild": end_third, "fanout.acquired": end_third, "cleanup.acquired": end_third,
    "own.release": start_third, **dict.fromkeys(DRAINS, drain),
    "drain.timeout": drain_beside_half_a_request, "fanout.half_messages": post_bad,
    "partition.drop": age_events, "partition.dropped": age_events,
    "cleanup.mid_batch": age_dead_letters, "outbox.moved": publish_by_sql,
    "redelivery.taken": more_of("refused"),
    "discard.taken": more_of("blocked"), "parked.out": pause_and_resume,
}


@pytest.mark.parametrize("point, action", CASES)
def test_a_process_fails_at(hub, database, sink, tmp_path, point, action):
    world = World(hub, database, sink, Fault(tmp_path, point, action), point)
    world.fail()
    world.verify()


@pytest.mark.skipif(not POINTS, reason="a build without fault points")
@pytest.mark.parametrize("variable, value, why", [
    ("EVENTHUB_FAULT", "disp.after_lunch:1:kill", "there are api.after_commit_before_reply,"),
    ("EVENTHUB_FAULT", "disp.after_send:0:kill", "no number above 0"),
    ("EVENTHUB_FAULT", "disp.after_send:1:dance", "none of kill, stop and sleep=MS"),
    ("EVENTHUB_FAULT", "disp.after_send", "not name:nth:action"),
    ("EVENTHUB_MUTANT", "lazy", "there are ack_before_commit,"),
])
def test_what_names_no_fault_stops_the_start(variable, value, why):
    done = subprocess.run([BINARY], env=clean_environment({variable: value}), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert variable in done.stderr and why in done.stderr


@pytest.mark.skipif(not POINTS, reason="a build without fault points")
def test_the_table_names_points_that_are_there():
    named = {*HEIR, *DRAINS, *STIR, *(point for point, _ in TELLING)}
    assert not named - set(POINTS)
