"""Names of receivers, asked of a name server that does not answer for every zone."""
import collections
import statistics
import time

import pytest

from hub import wait_until
from load import PATIENCE, event, times_sent, wait_ended
from names import TTL, NameServer

ROUNDS = 5


@pytest.fixture(name="names")
def name_server():
    made = NameServer()
    yield made
    made.close()


def slowest(one, sink, paths, series):
    """Seconds from a POST to the delivery for the subscriber that waits longest, by its median.
    Every name is looked up anew for every event."""
    spent = collections.defaultdict(list)
    for number in series:
        time.sleep(TTL + 0.1)  # the answers of the last round are forgotten
        posted = time.monotonic_ns()
        assert one.post(event(number)).status == 202

        def arrived():
            return {d.path: d for d in sink.answered() if d.path in paths and d.number == number}

        wait_until(lambda: len(arrived()) == len(paths), PATIENCE, f"event {number} is everywhere")
        for path, delivery in arrived().items():
            spent[path].append(delivery.t_start - posted)
    return max(map(statistics.median, spent.values())) / 1e9


def test_one_dead_zone_delays_nobody(hub, database, sink, names):
    """A hundred receivers, one with a name that nobody answers for: the others notice nothing. When
    the zone answers again its receiver gets everything, too."""
    one = hub(env={"EVENTHUB_WEBHOOK_DNS_SERVERS": names.address,
                   "EVENTHUB_WEBHOOK_IDLE_MS": "0"})  # a kept connection needs no name
    live = {f"/{n}": database.subscribe(f"http://s{n:02}.live.test:{sink.port}/{n}")
            for n in range(99)}
    before = slowest(one, sink, live, range(ROUNDS))
    dead = database.subscribe(f"http://x.dead.test:{sink.port}/dead", retry_limit=100,
                              retry_backoff_seconds=[0.2])
    one.post(event(ROUNDS))
    wait_until(lambda: names.asked["x.dead.test"], PATIENCE)
    meanwhile = slowest(one, sink, live, range(ROUNDS + 1, 2 * ROUNDS + 1))
    print(f"the slowest of 99: {before * 1000:.1f} ms, beside a dead zone {meanwhile * 1000:.1f}")
    assert meanwhile < 5 * before + 0.3
    count = 2 * ROUNDS + 1
    for path, sid in live.items():
        assert wait_ended(database, sid, count) == {"delivered": count}, path
        assert list(times_sent(sink.deliveries(path)).values()) == [1] * count, path
    assert min(names.asked[f"s{n:02}.live.test"] for n in range(99)) >= 2 * ROUNDS

    def attempts():
        return set(database.rows("SELECT outcome_name(outcome), http_status, error "
                                 "FROM delivery_attempts WHERE sid = %s", dead))

    wait_until(attempts, PATIENCE)
    assert attempts() == {
        ("retry", None, "DNS: x.dead.test: the name servers did not answer in time")}
    assert not sink.deliveries("/dead")
    names.revive()
    assert wait_ended(database, dead, ROUNDS + 1) == {"delivered": ROUNDS + 1}
    assert list(times_sent(sink.deliveries("/dead")).values()) == [1] * (ROUNDS + 1)
