"""Much that waits: a subscriber that is down, a blocked key, small partitions, retention, roles
that are missing. What waits costs rows, not memory, and delays nobody else.
"""
import http.client
import json
import socket
import statistics
import time

import pytest

from hub import ALL_ROLES, Producer, order_violations, wait_until
from load import (FRUGAL, KEYS, PATIENCE, SANITIZED, Gate, Hold, by_key, dead_letters, event,
                  post_many, resident_mib, times_sent, wait_ended)
from sink import Answer

SMALL = {"EVENTHUB_DISPATCHER_QUEUE_ROWS_MAX": "1000", "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "300"}
PARTITIONS = {"EVENTHUB_CLEANUP_PARTITION_ROWS": "50", "CHECK_INTERVAL_MS": "200",
              "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "300"}
TAKEOVER = {"WEBHOOK_TIMEOUT_MS": "2000", "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "200",
            "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "2100"}


def pending(hub):
    """The gauge, over all subscribers."""
    lines = hub.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines
               if line.startswith("eventhub_pending_messages{"))


def once_each(deliveries, count):
    """Every one of `count` messages succeeded exactly once."""
    succeeded = times_sent(d for d in deliveries if d.ok)
    return len(succeeded) == count and max(succeeded.values()) == 1


@pytest.mark.memory
@pytest.mark.parametrize("count", [600, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("ordered", [True, pytest.param(False, marks=pytest.mark.slow)],
                         ids=["ordered", "unordered"])
def test_a_subscriber_that_is_down_while_another_is_live(hub, database, sink, count, ordered):
    """Four times what fits into memory waits; the live one gets everything
    meanwhile; after a restart the other gets everything once and in order."""
    fit = min(1000, count // 4)
    one = hub(env={**SMALL, **FRUGAL, "EVENTHUB_DISPATCHER_QUEUE_ROWS_MAX": str(fit)})
    gate = Gate(shut=503)
    sink.on("/down", gate)
    columns = {"ordering_enabled": True, "ordering_key": "organization_id"} if ordered else {}
    # Many that are tried again every few seconds are load enough to hide all else.
    last_wait = 10 if count < 1000 else 20
    down = database.subscribe(sink.url("/down"), retry_limit=100,
                              retry_backoff_seconds=[1, 3, last_wait], **columns)
    live = database.subscribe(sink.url("/live"))
    post_many(one, (event(n) for n in range(fit)), connections=KEYS)
    sink.wait(fit, "/live", PATIENCE)
    before = resident_mib(one)
    post_many(one, (event(n) for n in range(fit, count)), connections=KEYS)
    sink.wait(count, "/live", 3 * PATIENCE)
    wait_until(lambda: database.states(live) == {"delivered": count}, PATIENCE)
    grown = resident_mib(one) - before
    print(f"{count} waiting: {before:.0f} MiB and {grown:.0f} more")
    assert grown < (60 if SANITIZED else 20)
    assert not [d for d in sink.deliveries("/down") if d.ok]
    wait_until(lambda: pending(one) == count, PATIENCE, "the gauge of pending messages is right")
    one.stop(PATIENCE)
    one.start()
    wait_until(lambda: pending(one) == count, PATIENCE, "… after a restart, too")
    one.post(event(count))
    sink.wait(count + 1, "/live", PATIENCE)
    gate.open()
    # Waits of up to `last_wait` may still run.
    assert wait_ended(database, down, count + 1, 6 * PATIENCE) == {"delivered": count + 1}
    assert once_each(sink.deliveries("/down"), count + 1)
    assert once_each(sink.deliveries("/live"), count + 1)
    if ordered:
        assert not order_violations([d for d in sink.deliveries("/down") if d.ok], by_key)
    wait_until(lambda: database.value("SELECT count(*) FROM parked") == 0, PATIENCE)


@pytest.mark.parametrize("count", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_blocked_key_with_many_followers_delays_no_other_key(hub, database, sink, count):
    """Other keys are as fast as before; freed, it catches up in order."""
    few = count < 1000
    one = hub(env={**SMALL, **({"EVENTHUB_DISPATCHER_QUEUE_ROWS_MAX": "75"} if few else {})})
    wait = 4 if few else 10  # 100 retries outlast the test
    gate = Gate(shut=503, only=lambda d: by_key(d) == 0)
    sink.on("/a", gate)
    sid = database.subscribe(sink.url("/a"), retry_limit=100, retry_backoff_seconds=[wait],
                             ordering_enabled=True, ordering_key="organization_id")
    others = [n for n in range(KEYS * (10 if few else 40)) if n % KEYS]
    before = typical(one, sink, others[:len(others) // 4])
    post_many(one, (event(n, keys=1) for n in range(count)), connections=1)
    wait_until(lambda: database.value("SELECT count(*) FROM parked") > count / 2, PATIENCE)
    meanwhile = typical(one, sink, others[len(others) // 4:])
    print(f"other keys: {before * 1000:.1f} ms, beside {count} followers {meanwhile * 1000:.1f} ms")
    assert meanwhile < 5 * before + 0.3
    assert len({d.seq for d in sink.deliveries("/a") if by_key(d) == 0}) == 1
    gate.open()
    total = count + len(others)
    wait_until(lambda: len(times_sent(d for d in sink.deliveries("/a") if d.ok)) >= total,
               3 * PATIENCE, every=0.5)
    assert not order_violations(sink.deliveries("/a"), by_key)
    if few:
        assert wait_ended(database, sid, total) == {"delivered": total}
        assert once_each(sink.deliveries("/a"), total)


def typical(one, sink, series):
    """Seconds from a POST to its delivery, the median of events posted one after the other."""
    posted = {}
    for number in series:
        posted[number] = time.monotonic_ns()
        assert one.post(event(number)).status == 202

    def arrived():
        return [d for d in sink.answered("/a") if d.number in posted and by_key(d)]

    wait_until(lambda: len(arrived()) >= len(posted), PATIENCE)
    return statistics.median(d.t_start - posted[d.number] for d in arrived()) / 1e9


@pytest.mark.parametrize("count", [750, pytest.param(3000, marks=pytest.mark.slow)])
def test_small_partitions_with_everything_that_can_wait(hub, database, sink, count):
    """… and a reader whose transaction stays open all the while."""
    one = hub(env=PARTITIONS)
    gate = Gate(shut=503, only=lambda d: by_key(d) == 0)
    sink.on("/blocked", gate)
    sink.on("/retry", lambda d: gate(d) if d.json()["number"] == KEYS else 200)
    live = database.subscribe(sink.url("/live"))
    paused = database.subscribe(sink.url("/paused"), paused=True, ordering_enabled=True,
                                ordering_key="organization_id")
    blocked = database.subscribe(sink.url("/blocked"), retry_limit=100, ordering_enabled=True,
                                 ordering_key="organization_id", retry_backoff_seconds=[3])
    late = database.subscribe(sink.url("/retry"), retry_limit=100, retry_backoff_seconds=[3])
    one.post(event(0))
    reader = database.connect()
    reader.autocommit = False
    cursor = reader.cursor()
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("SELECT count(*) FROM events")
    try:
        post_many(one, (event(n) for n in range(1, count)), connections=KEYS)
        assert wait_ended(database, live, count) == {"delivered": count}
        per_key = (count - 1) // KEYS + 1
        wait_until(lambda: database.states(blocked).get("delivered") == count - per_key, PATIENCE)
        # After fifty they grow.
        assert database.value("SELECT count(*) FROM partitions") > min(50, count // 50)
        assert not sink.deliveries("/paused")
        assert len({d.message_id for d in sink.deliveries("/blocked") if by_key(d) == 0}) == 1
        assert database.states(late).get("delivered") == count - 1
    finally:
        reader.close()
    one.stop(PATIENCE)
    one.start()
    gate.open()
    database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", paused)
    for sid in (paused, blocked, late):
        assert wait_ended(database, sid, count) == {"delivered": count}
    for path in ("/paused", "/blocked"):
        done = [d for d in sink.deliveries(path) if d.ok]
        assert once_each(done, count) and not order_violations(done, by_key)


def test_retention_drops_partitions_and_ends_what_is_still_open(hub, database, sink):
    """What waits (paused, behind a blocked key, for its retry) becomes dead letters that say why,
    and no partition stays because of it."""
    one = hub(env={**PARTITIONS, "EVENTHUB_CLEANUP_RETENTION_SECONDS": "3"})
    live = database.subscribe(sink.url("/live"))
    paused = database.subscribe(sink.url("/paused"), paused=True)
    gate = Gate(shut=503, only=lambda d: by_key(d) == 0)
    sink.on("/blocked", gate)
    blocked = database.subscribe(sink.url("/blocked"), retry_limit=100, ordering_enabled=True,
                                 ordering_key="organization_id", retry_backoff_seconds=[0.5])
    sink.on("/retry", lambda d: 503 if d.number == 3 else 200)
    late = database.subscribe(sink.url("/retry"), retry_backoff_seconds=[3600])
    post_many(one, (event(n) for n in range(230)))
    sink.wait(230, "/live", PATIENCE)
    wait_until(lambda: database.value("SELECT min(number) FROM partitions") > 3, PATIENCE,
               "the first partitions are gone")
    gone = 230 - database.value("SELECT count(*) FROM events")
    letters = dead_letters(database, paused)
    assert len(letters) >= gone > 100  # four partitions of 50 numbers, not all of which are events
    assert {(d["reason"], d["outcome"]) for d in letters} == {("retention", "expired")}
    assert database.value("SELECT count(payload) FROM dead_letter_queue WHERE sid = %s",
                          paused) == len(letters)
    assert database.value("SELECT min(event_seq) FROM events") > 150
    assert not dead_letters(database, live)
    of_key_0 = sum(n % KEYS == 0 for n in range(200))
    wait_until(lambda: len(dead_letters(database, blocked)) >= of_key_0, PATIENCE)
    assert len(dead_letters(database, late)) == 1
    assert {(d["reason"], d["outcome"]) for sid in (blocked, late)
            for d in dead_letters(database, sid)} == {("retention", "expired")}
    gate.open()
    # Somebody may still want one of them.
    database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", paused)
    database.rows("SELECT retry_dead_letter(%s)", letters[0]["message_id"])
    wait_until(lambda: str(letters[0]["event_id"]) in {
        d.event_id for d in sink.answered("/paused")}, PATIENCE)
    assert one.post(event(1)).status == 202
    sink.wait(231, "/live", PATIENCE)


def test_history_that_matched_nobody_does_not_reach_a_new_subscriber(hub, database, sink):
    first = hub()
    post_many(first, (event(n) for n in range(500)))
    wait_until(lambda: database.value("SELECT cursor FROM sequencer") >= 500, PATIENCE)
    first.kill()
    sid = database.subscribe(sink.url("/new"))
    first.start()
    first.post(event(500))
    assert wait_ended(database, sid, 1) == {"delivered": 1}
    assert [d.json()["number"] for d in sink.deliveries("/new")] == [500]


def test_without_cleanup_partitions_are_still_made(hub, database, sink):
    one = hub(roles="api,fanout,dispatcher", env=PARTITIONS)
    sid = database.subscribe(sink.url("/a"))
    post_many(one, (event(n) for n in range(400)))
    assert wait_ended(database, sid, 400) == {"delivered": 400}
    assert database.value("SELECT count(*) FROM partitions") >= 8


def test_events_wait_for_a_fan_out_and_messages_for_a_dispatcher(hub, database, sink):
    api = hub(roles="api")
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id")
    post_many(api, (event(n) for n in range(300)), connections=KEYS)
    fanout = hub(roles="fanout")
    wait_until(lambda: database.states(sid) == {"pending": 300}, PATIENCE)
    fanout.stop(PATIENCE)
    assert not sink.deliveries()
    dispatcher = hub(roles="dispatcher")
    assert wait_ended(database, sid, 300) == {"delivered": 300}
    dispatcher.stop(PATIENCE)
    assert once_each(sink.deliveries("/a"), 300)
    assert not order_violations(sink.deliveries("/a"), by_key)


@pytest.mark.parametrize("roles", ["dispatcher,cleanup", *(
    pytest.param(roles, marks=pytest.mark.slow) for roles in (
        "api", "fanout", "dispatcher", "cleanup", "api,fanout", "api,dispatcher",
        "fanout,dispatcher", ALL_ROLES))])
def test_any_subset_drains_under_load(hub, database, sink, roles):
    """Two processes with these roles, one with the rest; one of the two is ended with SIGTERM in
    the middle: exit 0, nothing lost, nothing sent twice, order kept."""
    parts = [hub(roles=roles, env=TAKEOVER, ready=False) for _ in range(2)]
    rest = ",".join(role for role in ALL_ROLES.split(",") if role not in roles.split(","))
    others = [hub(roles=rest, env=TAKEOVER, ready=False)] if rest else []
    for process in parts + others:
        process.wait_ready(PATIENCE)
    sink.on("/a", Answer(delay=0.02))
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id",
                             retry_backoff_seconds=[0.2])
    once = database.subscribe(sink.url("/once"), delivery_guarantee="at_most_once")
    apis = [process for process in parts + others if "api" in process.roles]
    producer = Producer(apis[::-1], map(event, range(200)), rate=150).start()
    wait_until(lambda: len(sink.answered("/a")) >= 40, PATIENCE)
    parts[0].stop(PATIENCE)
    producer.join()
    count = len(producer.accepted)
    assert count == 200
    assert wait_ended(database, sid, count) == {"delivered": count}
    assert wait_ended(database, once, count) == {"delivered": count}
    assert once_each(sink.deliveries("/a"), count) and once_each(sink.deliveries("/once"), count)
    assert len(sink.deliveries("/a")) == count, "a drain sends nothing again"
    assert not order_violations(sink.deliveries("/a"), by_key)
    for process in parts[1:] + others:
        process.stop(PATIENCE)


def test_a_request_that_is_half_here_at_sigterm_is_answered_truthfully(hub, database, sink):
    """202 and committed, or 503 and not; never cut off."""
    one = hub()
    database.subscribe(sink.url("/a"))
    body = json.dumps(event(1)).encode()
    with socket.create_connection(("127.0.0.1", one.port), timeout=PATIENCE) as link:
        link.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\n"
                     b"Content-Type: application/json\r\n"
                     b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
        assert link.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # the header has been read
        link.sendall(body[:10])
        one.term()
        wait_until(lambda: "draining" in one.log_text(), PATIENCE)
        link.sendall(body[10:])
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status in (202, 503)
        accepted = answer.status == 202
        assert accepted or answer.headers["Retry-After"]
        answer.read()
    assert one.wait(PATIENCE) == 0
    assert database.value("SELECT count(*) FROM events") == (1 if accepted else 0)
    one.start()
    if accepted:
        sink.wait(1, "/a", PATIENCE)


def test_deliveries_in_flight_at_sigterm_are_finished_and_kept_over_a_hand_over(
        hub, database, sink):
    """The leaving dispatcher's request is answered late; its key's next message, sent by the other
    dispatcher, does not overtake it."""
    hub(roles="api,fanout,cleanup")
    pair = [hub(roles="dispatcher", env=TAKEOVER) for _ in range(2)]
    api = hub(roles="api")
    hold = Hold()
    sink.on("/a", lambda d: hold(d) if d.json()["number"] < KEYS else 200)
    sid = database.subscribe(sink.url("/a"), ordering_enabled=True, ordering_key="organization_id",
                             timeout_ms=30000)
    for number in range(3 * KEYS):
        api.post(event(number))
    wait_until(lambda: hold.now == KEYS, PATIENCE)
    pair[0].term()
    wait_until(lambda: "draining" in pair[0].log_text(), PATIENCE)
    assert {d.json()["number"] for d in sink.deliveries("/a")} == set(range(KEYS))
    hold.open()
    assert pair[0].wait(PATIENCE) == 0
    assert wait_ended(database, sid, 3 * KEYS) == {"delivered": 3 * KEYS}
    assert len(sink.deliveries("/a")) == 3 * KEYS
    assert not order_violations(sink.deliveries("/a"), by_key)


def test_a_question_about_many_messages_reads_every_attempt_once(hub, database):
    """However often each was retried: the README's queries are asked when much waits."""
    hub()
    sid = database.subscribe("http://127.0.0.1:1/nobody", paused=True)
    database.rows("INSERT INTO messages (event_seq, sid, shard) "
                  "SELECT n, %s, n %% 64 FROM generate_series(1, 2000) n RETURNING 1", sid)
    database.rows("INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, "
                  "attempted_at) SELECT n, %s, n %% 64, a, CASE WHEN a = 20 AND n < 500 THEN 1 "
                  "ELSE 2 END, now() FROM generate_series(1, 20) a, generate_series(1, 2000) n "
                  "RETURNING 1", sid)
    database.rows("ANALYZE messages, delivery_attempts")
    assert database.states(sid) == {"delivered": 499, "waiting": 1501}
    pages = database.value("SELECT sum(pg_relation_size(relid)) / 8192 FROM "
                           "pg_partition_tree('delivery_attempts') WHERE isleaf")
    for question in ("event_seq > 0", f"sid = {sid}"):
        plan = database.value("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT state, reason, "
                              f"count(*) FROM message_status WHERE {question} GROUP BY 1, 2")
        top = plan[0]["Plan"]
        assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 3 * pages
    plan = database.value("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM message_status "
                          "WHERE event_seq = 7")
    assert find_rows(plan[0]["Plan"], "delivery_attempts") <= 20


def find_rows(plan, table):
    """Rows that the scans of a table and its partitions gave back, at most."""
    own = plan["Actual Rows"] if plan.get("Relation Name", "").startswith(table) else 0
    return max([own, *(find_rows(child, table) for child in plan.get("Plans", []))])
