"""A subscriber has its own share of the hub, and delays nobody."""
import collections
import statistics
import threading
import time

import pytest

from hub import wait_until
from load import PATIENCE, Hold, numbers, post_many


def test_s13_a_hanging_receiver_delays_nobody(case):
    """The others get everything while it is still busy with its first requests, and as soon as
    before."""
    hold = Hold()
    fine = case.subscribe(200, path="/fine")
    before = typical(case, range(50))
    slow = case.subscribe(hold, path="/slow", timeout_ms=60000)
    post_many(case.world.hub, (case.event(number) for number in range(50, 150)))
    wait_until(lambda: hold.now >= 32, PATIENCE)
    while_it_hangs = typical(case, range(150, 200))
    assert case.ended(200, fine) == {"delivered": 200}
    assert while_it_hangs < 5 * before + 0.3
    assert not [d for d in case.sent("/slow") if d.t_end or d.attempt > 1]
    assert hold.most <= 64
    hold.open()
    assert case.ended(150, slow) == {"delivered": 150}


def typical(case, series):
    """Seconds from a POST to its delivery on /fine: the median of a series."""
    posted = {}
    for number in series:
        posted[number] = time.monotonic_ns()
        case.post(number)
    wait_until(lambda: posted.keys() <= set(numbers(case.sent("/fine"))), PATIENCE)
    waits = [d.t_start - posted[d.number] for d in case.sent("/fine") if d.number in posted]
    print(f"from POST to delivery: {statistics.median(waits) / 1e6:.1f} ms")
    return statistics.median(waits) / 1e9


def test_s17_statements_do_not_grow_with_events_or_subscribers(case):
    """A burst of 200 events for 10 subscribers: 2,000 messages, a few statements of the fan-out,
    and less than one for three messages of the dispatchers. (What is done from time to time,
    whatever comes, is left out.)"""
    sids = [case.subscribe(path=f"/{n}") for n in range(10)]
    world, series = case.world, "eventhub_db_statement_duration_seconds_count"
    timed = ("fanout_read", "fanout_listeners", "fanout_last_seq", "fanout_node", "cleanup_",
             "partitions_", "idempotency_", "feed_horizon", "live_nodes", "load_discards",
             "heartbeat", "load_redeliveries", "outbox_")

    def statements(hubs):
        found = collections.Counter()
        for one in hubs:
            for name, value in one.metrics().items():
                label = name.partition('="')[2].partition('"')[0]
                if name.startswith(series) and not label.startswith(timed):
                    found[label] += value
        return found

    world.fanout.pause()
    try:
        post_many(world.hub, (case.event(number) for number in range(200)))
    finally:
        world.fanout.cont()
    before = statements([world.fanout]), statements(world.dispatchers)
    for sid in sids:
        assert case.ended(200, sid) == {"delivered": 200}
    fanout = statements([world.fanout]) - before[0]
    dispatchers = statements(world.dispatchers) - before[1]
    print(dict(fanout), dict(dispatchers))
    assert fanout["fanout_insert"] >= 1 and sum(fanout.values()) <= 20
    assert sum(dispatchers.values()) < 2000 / 3


def most_within(seconds, times):
    """The most of `times` (ns, ascending) that are within some `seconds`."""
    most = first = 0
    for last, when in enumerate(times):
        while when - times[first] > seconds * 1e9:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.slow
@pytest.mark.parametrize("rate, count, keys", [(0.5, 4, 0), (8, 60, 0), (40, 240, 12)])
def test_rate_limit_is_kept_over_four_dispatchers(case, rate, count, keys):
    """What the receiver saw, in every window of time: no more than the rate, a tenth of a second
    ahead, and one for each dispatcher. And on the whole no less."""
    columns = {"ordering_enabled": True, "ordering_key": "organization_id"} if keys else {}
    case.subscribe(200, rate_limit=rate, **columns)
    post_many(case.world.hub, [case.event(n, key=f"key-{n % keys}" if keys else None)
                               for n in range(count)])
    if rate < 1:
        wait_until(lambda: case.world.total("eventhub_waiting_messages", 'reason="rate"'), PATIENCE,
                   "messages that wait for the rate")
    assert case.ended(count) == {"delivered": count}
    times = sorted(d.t_start for d in case.sent())
    owners = 1 if rate < 2 else 4
    late = 0.2  # a request that came late at the receiver brings the next ones nearer to it
    for seconds in (1, 2, 5):
        most = most_within(seconds, times)
        print(f"{rate} a second: {most} in {seconds} s")
        assert most <= rate * (seconds + 0.1 + late) + owners
    took = (times[-1] - times[0]) / 1e9
    print(f"{count} in {took:.1f} s")
    assert (count - 1 - owners) / rate - late <= took
    if not keys:  # messages are spread evenly over the shards, keys are not
        assert took <= 1.5 * count / rate + 2


@pytest.mark.parametrize("cap", [1, 5])
def test_max_in_flight_is_kept_over_four_dispatchers(case, cap):
    """Never more, and no fewer either: `cap` requests wait for each other."""
    lock = threading.Lock()
    flying = {"now": 0, "most": 0}
    full = threading.Barrier(cap)

    def rule(delivery):
        with lock:
            flying["now"] += 1
            flying["most"] = max(flying["most"], flying["now"])
        try:
            full.wait(20)
        except threading.BrokenBarrierError:
            pass
        time.sleep(0.002)
        with lock:
            flying["now"] -= 1
        return 200

    case.subscribe(rule, max_in_flight=cap)
    for number in range(8 * cap):
        case.post(number)
    assert case.ended(8 * cap) == {"delivered": 8 * cap}
    assert flying["most"] == cap
