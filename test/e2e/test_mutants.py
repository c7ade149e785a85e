"""Would these tests notice? The hub makes a known mistake (EVENTHUB_MUTANT), fails at a named
point, and the verdict has to name the harm; the same without the mistake has to be clean.
"""
import threading

import pytest

from faults import SHORT, Fault, names, verdict
from hub import Producer, wait_until
from load import PATIENCE, event, wait_balanced
from sink import Answer

# Seconds that a receiver may take: a request in the air must outlast a start of a hub, or two.
AIR, LONG_AIR = 8, 20
ORDERED = {"ordering_enabled": True, "ordering_key": "organization_id"}


class World:
    """A hub with or without the mistake, and one that fails at `fault`."""

    def __init__(self, hub, database, sink, tmp_path, mutant, air):
        self.hub, self.database, self.sink, self.tmp_path = hub, database, sink, tmp_path
        self.air = air
        self.env = {**SHORT, "WEBHOOK_TIMEOUT_MS": str(air * 1000),
                    "EVENTHUB_DISPATCHER_HEARTBEAT_MS": "500",
                    "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "1200",
                    "EVENTHUB_DRAIN_TIMEOUT_MS": "12000",
                    **({"EVENTHUB_MUTANT": mutant} if mutant else {})}
        self.sids, self.accepted, self.stuck = {}, [], []
        self.fault = None

    def start(self, **options):
        return self.hub(env=self.env, **options)

    def start_failing(self, point, action, **options):
        self.fault = Fault(self.tmp_path, point, action)
        self.fault.arm()
        return self.hub(env={**self.env, **self.fault.env}, **options)

    def subscribe(self, path, rule=200, **columns):
        self.sink.on(path, rule)
        self.sids[path] = self.database.subscribe(self.sink.url(path), **columns)

    def subscribe_ordered(self):
        """The first request takes almost as long as it may."""
        first = threading.Event()

        def slow_once(_):
            if first.is_set():
                return 200
            first.set()
            return Answer(200, delay=self.air * 0.9)
        self.subscribe("/ordered", slow_once, **ORDERED)

    def begin(self, hub, *numbers, give_up=PATIENCE):
        """A producer that goes on while the hub fails; accept() waits for it."""
        events = [event(number, keys=1) for number in numbers]
        return Producer([hub], events, give_up=give_up).start()

    def post(self, hub, *numbers):
        self.accept(self.begin(hub, *numbers))

    def accept(self, *producers):
        for producer in producers:
            producer.join()
            self.accepted += producer.accepted.values()

    def restart(self, process):
        """After its fault, without it."""
        self.fault.wait(process)
        process.wait(PATIENCE)
        self.fault.disarm(process)
        process.start()

    def verdict(self):
        """When everything has ended, or something is known to be wrong already."""
        def known():
            wrong = verdict(self.database, self.sink, [], self.sids, self.air)
            return wrong or self.database.drained()
        wait_until(known, PATIENCE, "everything drained")
        return self.stuck + verdict(self.database, self.sink, self.accepted, self.sids, self.air)


def answered_and_killed(world):
    """ack_before_commit: the 202 is out, the process dies before its commit."""
    one = world.start_failing("api.after_insert_before_commit", "kill")
    world.subscribe("/plain")
    producer = world.begin(one, 0, 1, 2)
    world.restart(one)
    world.accept(producer)


def killed_with_a_request_in_the_air(world):
    """no_takeover_wait: the next owner begins while the receiver is still at work."""
    one = world.start_failing("disp.after_send", "kill")
    world.subscribe_ordered()
    producer = world.begin(one, 0)
    world.restart(one)
    world.accept(producer)
    world.post(one, 1, 2)


def killed_before_the_record(world):
    """mark_after_send: the next owner does not know that it was sent."""
    one = world.start_failing("disp.after_response_before_record", "kill")
    world.subscribe("/once", delivery_guarantee="at_most_once")
    producer = world.begin(one, 0)
    world.restart(one)
    world.accept(producer)


def drained_with_a_request_in_the_air(world):
    """release_on_sigterm: handed over while the receiver is still at work."""
    one = world.start()
    world.subscribe_ordered()
    world.post(one, 0, 1)
    wait_until(lambda: world.sink.deliveries("/ordered"), PATIENCE)
    one.term()
    world.post(world.start(), 2)
    assert one.wait(PATIENCE) == 0


def stopped_before_the_record(world):
    """no_fence: who has lost its shards writes its result all the same."""
    api = world.start(roles="api,fanout,cleanup")
    victim = world.start_failing("disp.after_response_before_record", "stop", roles="dispatcher")
    world.start(roles="dispatcher")
    wait_balanced(world.database, 2)
    world.subscribe("/plain")

    def stopped_by_one_more():  # one at a time: nothing else of the victim is under way
        world.post(api, len(world.accepted))
        count = len(world.accepted)
        wait_until(lambda: len(world.sink.answered("/plain")) == count, PATIENCE)
        return world.fault.happened(victim)
    wait_until(stopped_by_one_more, PATIENCE, every=0.5)
    wait_until(world.database.drained, PATIENCE, "the other one takes over")
    victim.cont()
    wait_until(lambda: "lost its session" in victim.log_text(), PATIENCE)


def committed_after_a_younger_one(world):
    """id_cursor: numbers become visible in another order than they were taken."""
    one = world.start()
    slow = world.start_failing("api.after_insert_before_commit", "sleep=4000", roles="api")
    world.subscribe("/plain")
    elder = world.begin(slow, 0)
    wait_until(lambda: "fault point" in slow.log_text(), PATIENCE)
    world.post(one, 1)
    world.accept(elder)


def behind_a_backlog(world):
    """paged_reads: a read that ends inside an event skips the rest of it."""
    one = world.start(roles="api,fanout,cleanup")
    for number in range(7):
        world.subscribe(f"/plain{number}")
    world.post(one, *range(20))
    wait_until(lambda: world.database.value("SELECT count(*) FROM messages") == 140, PATIENCE)
    world.start(roles="dispatcher")


def handed_over_during_the_wait(world):
    """clean_during_takeover: the owner after the next does not wait for the first one's request."""
    one = world.start_failing("disp.after_send", "kill")
    world.subscribe_ordered()
    producer = world.begin(one, 0)
    world.restart(one)
    # The one that was killed still seems to own them.
    wait_until(lambda: one.log_text().count('"took shards"') == 2, PATIENCE)
    one.stop()
    one.start()
    world.accept(producer)
    world.post(one, 1)


def stopped_with_the_ordering_lock(world):
    """stalled_sessions_stay: nobody else can have anything accepted."""
    one = world.start()
    frozen = world.start_failing("api.after_insert_before_commit", "stop", roles="api")
    world.subscribe("/plain")
    its_own = world.begin(frozen, 0)
    world.fault.wait(frozen)
    try:
        world.accept(world.begin(one, 1, give_up=20))
    except AssertionError as error:
        world.stuck = [f"stuck: {error}"]
    frozen.cont()
    world.accept(its_own)


MISTAKES = names("mutant")
# The scenario, and what the verdict on it has to say.
SCENARIOS = {
    "ack_before_commit": (answered_and_killed, "lost"),
    "no_takeover_wait": (killed_with_a_request_in_the_air, "order"),
    "mark_after_send": (killed_before_the_record, "again"),
    "release_on_sigterm": (drained_with_a_request_in_the_air, "order"),
    "no_fence": (stopped_before_the_record, "twice"),
    "id_cursor": (committed_after_a_younger_one, "lost"),
    "paged_reads": (behind_a_backlog, "forgotten"),
    "clean_during_takeover": (handed_over_during_the_wait, "order"),
    "stalled_sessions_stay": (stopped_with_the_ordering_lock, "stuck"),
}
QUICK = {"ack_before_commit", "mark_after_send", "id_cursor"}  # in every run; all with --all
CASES = [pytest.param(name, mistaken, id=f"{name}-{'mutant' if mistaken else 'as-it-is'}",
                      marks=() if name in QUICK else pytest.mark.slow)
         for name in MISTAKES for mistaken in (True, False)]


@pytest.mark.parametrize("name, mistaken", CASES)
def test_a_mistake_is_noticed(hub, database, sink, tmp_path, name, mistaken):
    scenario, harm = SCENARIOS[name]
    air = LONG_AIR if name == "clean_during_takeover" else AIR
    world = World(hub, database, sink, tmp_path, name if mistaken else None, air)
    scenario(world)
    found = world.verdict()
    if mistaken:
        assert any(sentence.startswith(harm) for sentence in found), found
    else:
        assert not found


@pytest.mark.skipif(not MISTAKES, reason="a build without fault points")
def test_every_mistake_has_its_scenario():
    assert set(MISTAKES) == set(SCENARIOS)
