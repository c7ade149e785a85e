"""A hub of six processes (an API, a fan-out with cleanup, four dispatchers) that all tests of this
folder share; each test has its own event type and path. The faults S1 to S18 of an earlier hub each
have a test that would have caught them.
"""
import itertools

import pytest

from hub import Hub, wait_until
from load import PATIENCE, dead_letters, wait_balanced, wait_ended
from sink import Sink

ENV = {
    "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "500",  # what waits is parked: both ways are used here
    "WEBHOOK_TIMEOUT_MS": "30000",
}


class World:
    def __init__(self, server):
        self.database = server.create_database()
        self.sink = Sink()
        self.hubs = []
        self.hub = self._start("api")
        self.fanout = self._start("fanout,cleanup")
        self.dispatchers = [self._start("dispatcher") for _ in range(4)]
        for made in self.hubs:
            made.wait_ready(PATIENCE)
        wait_balanced(self.database, 4)

    def total(self, metric, *labels):
        """A metric summed over the dispatchers and over its series with all of these labels."""
        return sum(value for one in self.dispatchers for series, value in one.metrics().items()
                   if series.partition("{")[0] == metric and all(x in series for x in labels))

    def _start(self, roles):
        made = Hub(self.database, roles, env=ENV)
        self.hubs.append(made)
        return made.start(ready=False)

    def close(self):
        self.sink.close()
        for made in self.hubs:
            made.cont()
            made.term()
        for made in self.hubs:
            assert made.wait(PATIENCE) == 0, made.log_text()[-4000:]
            assert not made.sanitizer_report(), made.sanitizer_report()
            assert not made.leak(), made.leak()
        self.database.close()


@pytest.fixture(scope="package", name="world")
def shared_world(server):
    made = World(server)
    yield made
    made.close()


class Case:
    """One test's event type, path and subscriber."""

    numbers = itertools.count(1)

    def __init__(self, world):
        self.world, self.database, self.sink = world, world.database, world.sink
        self.name = f"case{next(self.numbers)}"
        self.type = f"{self.name}.happened"
        self.path = f"/{self.name}"
        self.sid = None

    def subscribe(self, rule=200, path="", **columns):
        """A subscriber to this case's events; retries come fast. `path` makes a second one."""
        self.sink.on(self.path + path, rule)
        row = {"event_type": self.type, "retry_backoff_seconds": [0.05], **columns}
        sid = self.database.subscribe(self.sink.url(self.path + path), **row)
        if self.sid is None:
            self.sid = sid
        return sid

    def ordered(self, rule=200, **columns):
        return self.subscribe(rule, ordering_enabled=True, ordering_key="organization_id",
                              **columns)

    def change(self, **columns):
        """UPDATEs the subscriber."""
        sets = ", ".join(f"{name} = %s" for name in columns)
        self.database.rows(f"UPDATE subscribers SET {sets} WHERE sid = %s", *columns.values(),
                           self.sid)

    def event(self, number=0, key=None, **members):
        event = {"event_type": self.type, "payload": {"number": number, "key": key}, **members}
        if key is not None:
            event["organization_id"] = key
        return event

    def post(self, number=0, key=None, **members):
        """Accepts {"number": n} with organization_id=`key`; returns the event id."""
        reply = self.world.hub.post(self.event(number, key, **members), timeout=PATIENCE)
        assert reply.status == 202, reply
        return reply.json()["event_id"]

    def wait(self, count, path=""):
        return self.sink.wait(count, self.path + path, PATIENCE)

    def sent(self, path=""):
        return self.sink.deliveries(self.path + path)

    def ended(self, count, sid=None):
        return wait_ended(self.database, sid or self.sid, count)

    def dead(self, sid=None):
        return dead_letters(self.database, sid or self.sid)

    def retry_dead(self, letter, force=False):
        self.database.rows("SELECT retry_dead_letter(%s, %s)", letter["message_id"], force)

    def waits_for(self, reason, count, sid=None):
        """Until `count` messages say in message_status that they wait for `reason`. Not for paused
        and inactive: there the view repeats the subscriber's row, whatever the dispatchers do."""
        assert reason not in ("paused", "inactive")
        wait_until(lambda: self.database.value(
            "SELECT count(*) FROM message_status WHERE sid = %s AND reason = %s", sid or self.sid,
            reason) == count, PATIENCE, f"{count} messages wait: {reason}")

    def parked(self, reason, count, sid=None):
        """Until dispatchers have parked `count` messages because of `reason`."""
        wait_until(lambda: self.database.value(
            "SELECT count(*) FROM parked WHERE sid = %s AND wait_reason_name(reason) = %s",
            sid or self.sid, reason) == count, PATIENCE, f"{count} messages are parked: {reason}")

    def held(self, reason, count):
        """Until the dispatchers' own gauge counts `count` messages that wait for `reason`."""
        wait_until(lambda: self.world.total("eventhub_waiting_messages", f'reason="{reason}"')
                   == count, PATIENCE, f"{count} messages wait in the dispatchers: {reason}")

    def all_fanned_out(self):
        wait_until(lambda: self.database.value(
            "SELECT cursor >= (SELECT max(event_seq) FROM events) FROM sequencer"), PATIENCE)


@pytest.fixture(name="case")
def one_case(request, world):
    request.node.hubs = world.hubs
    return Case(world)
