"""What one process accepts, fans out and delivers itself, it does not read back from PostgreSQL;
what others accepted, it does; and none of the two makes a difference to the receiver."""
import json
import math
import time

from hub import wait_until

EVENTS = 60
ROUNDS = 5
POLL = 0.010  # seconds without an event until a loop looks for itself; then twice as long
READS = ("payloads", "feed_messages", "fanout_read")


def statements(hub):
    """How often each statement ran: {name: count}."""
    found = {}
    for series, value in hub.metrics().items():
        if series.startswith("eventhub_db_statement_duration_seconds_count"):
            found[series.split('"')[1]] = value
    return found


def publish(hub, first, count):
    """When each was about to go, and when all were there."""
    times = []
    for number in range(first, first + count):
        times.append(time.monotonic())
        assert hub.post({"event_type": "fresh.a", "organization_id": f"o{number % 3}",
                         "payload": {"number": number}}).status == 202
    return [*times, time.monotonic()]


def polls(times):
    """How often a loop may have looked for itself between events that came at `times`, at most."""
    gaps = [later - before for before, later in zip(times, times[2:] + times[-1:])]
    return sum(int(math.log2(gap / POLL + 1)) for gap in gaps)


def numbers(sink, path):
    return [json.loads(one.body)["number"] for one in sink.deliveries(path)]


def test_a_process_does_not_read_back_what_it_has_just_written(hub, database, sink):
    one = hub()
    for path in ("/a", "/b"):
        database.subscribe(sink.url(path), "fresh.a", ordering_enabled=True,
                           ordering_key="organization_id")
    publish(one, 0, 1)  # partitions and subscribers are known after it
    sink.wait(2)
    for turn in range(ROUNDS):
        before = statements(one)
        times = publish(one, 1 + turn * EVENTS, EVENTS)
        sink.wait(2 + 2 * EVENTS * (turn + 1))
        after = statements(one)
        read = {name: after.get(name, 0) - before.get(name, 0) for name in READS}
        most = EVENTS / 4 + polls([*times, time.monotonic()])  # on a machine that is short of time
        if max(read.values()) <= EVENTS / 4:
            break
    assert read["payloads"] <= EVENTS / 4, f"read back in each of {ROUNDS} rounds: {read}"
    assert max(read.values()) <= most, f"read back in each of {ROUNDS} rounds: {read}"
    for path in ("/a", "/b"):
        for organization in range(3):
            of_one = [n for n in numbers(sink, path) if n % 3 == organization]
            assert of_one == sorted(of_one) and len(of_one) == len(set(of_one))
        assert sorted(numbers(sink, path)) == list(range((turn + 1) * EVENTS + 1))


def test_what_another_process_accepted_and_fanned_out_is_read(hub, database, sink):
    sender = hub(roles="dispatcher")
    other = hub(roles="api,fanout")
    database.subscribe(sink.url("/a"), "fresh.a")
    publish(other, 0, EVENTS)
    sink.wait(EVENTS)
    assert sorted(numbers(sink, "/a")) == list(range(EVENTS))
    assert statements(sender)["payloads"] > 0 and statements(sender)["feed_messages"] > 0


def test_a_payload_that_is_taken_away_is_not_sent_from_memory(hub, database, sink):
    """A paused subscriber's events wait, in memory and in the tables; erased, they end unsent."""
    one = hub()
    sid = database.subscribe(sink.url("/a"), "fresh.a", paused=True)
    publish(one, 0, 10)
    wait_until(lambda: database.value("SELECT count(*) FROM messages") == 10)
    database.rows("SELECT eventhub.expunge_payload(id) FROM events WHERE organization_id = 'o1'")
    time.sleep(2.5)  # the dispatcher hears of it with its heartbeat, once a second
    database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", sid)
    wait_until(database.drained)
    assert sorted(numbers(sink, "/a")) == [n for n in range(10) if n % 3 != 1]
