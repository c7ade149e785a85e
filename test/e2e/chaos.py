"""Faults under load, and what they may cost.

    load = Load(hub, database, sink)      eight processes, two producers, three subscribers
    with load.fault("kill -9 of the API"):
        load.fleet.apis[0].kill()
        load.fleet.apis[0].start()
    load.verify()                         nothing lost, no order broken, no repetition unexplained

How long deliveries stopped is printed, and appended to $EVENTHUB_RECOVERY_LOG when it is set.
"""
import contextlib
import itertools
import os
import time

from hub import Producer, order_violations, wait_until
from load import (KEYS, PATIENCE, Fleet, by_key, dead_letters, event, quietly, times_sent,
                  wait_balanced)
from sink import Answer

# Take-over within seconds instead of half a minute.
QUICK = {
    "EVENTHUB_DISPATCHER_HEARTBEAT_MS": "300", "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "1000",
    "EVENTHUB_DISPATCHER_IDLE_SESSION_TIMEOUT_MS": "2500",
    "EVENTHUB_DISPATCHER_DEAD_NODE_AFTER_MS": "3500",
    "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "300", "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "1000",
    "WEBHOOK_TIMEOUT_MS": "2000", "CHECK_INTERVAL_MS": "1000",
}
SECOND = 1_000_000_000
NEAR = 2 * SECOND  # what was answered so shortly before a fault may not be written down yet


class Load:
    """A fleet, a producer per API with keys of its own, and three subscribers that answer 200.
    `each(n)`: variables of dispatcher n; `fleet`: one that runs already, `timeout`: of its
    webhooks."""

    def __init__(self, hub, database, sink, env=None, rate=40, each=lambda n: {}, fleet=None,
                 timeout=2):
        self.database, self.sink, self.timeout = database, sink, timeout
        self.fleet = fleet or Fleet(hub, QUICK if env is None else env, each=each)
        sink.on("/ordered", Answer(delay=0.002))
        self.ordered = database.subscribe(sink.url("/ordered"), retry_limit=100,
                                          retry_backoff_seconds=[0.2], ordering_enabled=True,
                                          ordering_key="organization_id")
        self.plain = database.subscribe(sink.url("/plain"), retry_limit=100,
                                        retry_backoff_seconds=[0.2])
        self.once = database.subscribe(sink.url("/once"), delivery_guarantee="at_most_once")
        wait_balanced(database, len(self.fleet.dispatchers))
        self.explained = []  # (from, to): what was sent then may be sent again
        self.woken = None  # when a process woke up that had stood still just before a request
        parts = len(self.fleet.apis)
        assert KEYS % parts == 0
        self.producers = [
            Producer([api], map(event, itertools.count(part, parts)), rate=rate / parts,
                     give_up=2 * PATIENCE).start()
            for part, api in enumerate(self.fleet.apis)]
        self.goes_on(50)

    def accepted(self):
        return {event_id for one in self.producers for event_id in list(one.accepted.values())}

    def goes_on(self, count=60, producers=None):
        """Until `count` events that `producers` post from now on have arrived everywhere."""
        producers = producers or self.producers
        begun = {one: len(one.accepted) for one in producers}
        each = count // len(producers)

        def wanted():
            if any(len(one.accepted) < begin + each for one, begin in begun.items()):
                return None
            return {one.accepted[index] for one, begin in begun.items()
                    for index in range(begin, begin + each)}

        events = wait_until(wanted, PATIENCE, f"{count} further events accepted")
        for path in ("/plain", "/ordered"):
            wait_until(lambda p=path: events <= {d.event_id for d in self.sink.answered(p)},
                       PATIENCE, f"{count} further events at {path}", every=0.1)

    @contextlib.contextmanager
    def fault(self, name, victim=None, repeats=True):
        """Until service has resumed. `victim`: a dispatcher whose shards to watch. `repeats`: what
        was in the air may be sent again."""
        shards = self.shards_of(victim) if victim else None
        began = time.monotonic_ns()
        yield
        self.goes_on()
        if repeats:
            self.explained.append((began - NEAR, time.monotonic_ns()))
        self.report(name, began, shards)

    def victim(self):
        """The dispatcher with most ordered and unordered messages: somebody to miss."""
        def messages(dispatcher):
            shards = self.shards_of(dispatcher)
            return min(self.database.value(
                "SELECT count(*) FROM messages WHERE sid = %s AND shard = ANY(%s)", sid, shards)
                for sid in (self.ordered, self.plain))
        return max(self.fleet.dispatchers, key=messages)

    def shards_of(self, dispatcher):
        return [row[0] for row in self.database.rows(
            "SELECT shard FROM shards JOIN nodes ON node = owner WHERE name LIKE %s",
            f"%:{dispatcher.pid}")]

    def report(self, name, began, shards):
        def seconds(path, sid):
            later = [d for d in self.sink.deliveries(path) if d.t_start > began + SECOND // 10]
            if shards is not None:
                of_victim = {row[0] for row in self.database.rows(
                    "SELECT event_seq FROM messages WHERE sid = %s AND shard = ANY(%s)", sid,
                    shards)}
                later = [d for d in later if d.seq in of_victim]
            return f"{(later[0].t_start - began) / SECOND:.2f} s" if later else "never"

        whose = "the victim's shards" if shards is not None else "everybody"
        line = (f"{name}: first delivery for {whose}: ordered after "
                f"{seconds('/ordered', self.ordered)}, unordered after "
                f"{seconds('/plain', self.plain)}")
        print(line)
        if os.environ.get("EVENTHUB_RECOVERY_LOG"):
            with open(os.environ["EVENTHUB_RECOVERY_LOG"], "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def verify(self, history=True):
        """`history`: everything is still in the tables."""
        for one in self.producers:
            one.stop()
        for one in self.producers:
            one.join(3 * PATIENCE)
            assert not one.refused
        wait_until(lambda: quietly(self.database.drained), PATIENCE, "everything drained",
                   every=0.3)
        accepted = self.accepted()
        for path in ("/ordered", "/plain"):
            lost = accepted - {d.event_id for d in self.sink.deliveries(path) if d.ok}
            assert not lost, f"{len(lost)} of {len(accepted)} accepted events lost at {path}"
            self._repetitions(path)
        assert not order_violations(self._without_stale(self.sink.deliveries("/ordered")), by_key,
                                    self.timeout)
        once = times_sent(self.sink.deliveries("/once"))
        assert all(n == 1 for n in once.values()), "at most once, and sent twice"
        missing = accepted - {d.event_id for d in self.sink.deliveries("/once")}
        unknown = {str(d["event_id"]) for d in dead_letters(self.database, self.once)}
        assert missing <= unknown, f"{len(missing - unknown)} neither sent nor dead"
        assert self.explained or not unknown, "dead letters, and nobody was harmed"
        print(f"/once: {len(missing)} not sent, {len(unknown)} dead letters")
        if history:
            self._tables(accepted)

    def _without_stale(self, deliveries):
        """The one request that was about to go out when its process was stopped goes out when it
        wakes up: no check can come after it (docs/reliability.md)."""
        if self.woken is None:
            return deliveries
        known = {d.message_id for d in deliveries if d.t_start < self.woken}
        stale = [d for d in deliveries if d.t_start >= self.woken and d.message_id in known]
        assert len(stale) <= 1, stale
        return [d for d in deliveries if d not in stale]

    def _tables(self, accepted):
        for sid in (self.ordered, self.plain):
            assert self.database.states(sid) == {"delivered": len(accepted)}
        found = {str(row[0]) for row in self.database.rows(
            "SELECT id FROM events WHERE event_type = 'test.event'")}
        assert found == accepted, "what is stored is what was accepted"
        assert not ended_twice(self.database)

    def _repetitions(self, path):
        """The same attempt of a message came twice only if the first was near a fault."""
        first, again, unexplained = {}, 0, []
        for delivery in sorted(self.sink.deliveries(path), key=lambda d: d.t_start):
            one = first.setdefault((delivery.message_id, delivery.attempt), delivery)
            if one is not delivery:
                again += 1
                if not any(begin <= one.t_start <= end for begin, end in self.explained):
                    unexplained.append(one)
        print(f"{path}: {again} sent again")
        assert not unexplained, f"{len(unexplained)} sent again at {path}, far from any fault"


def ended_twice(database):
    """[(event_seq, sid)] of messages with more than one end, or an attempt after it."""
    return database.rows("""
        SELECT event_seq, sid FROM delivery_attempts GROUP BY event_seq, sid
        HAVING count(*) FILTER (WHERE outcome NOT IN (2, 4)) > 1
            OR max(attempt) > max(attempt) FILTER (WHERE outcome NOT IN (2, 4))""")


def roles(load):
    """One process of each."""
    return {"api": load.fleet.apis[0], "fan-out": load.fleet.fanout, "dispatcher": load.victim(),
            "cleanup": load.fleet.cleanup}
