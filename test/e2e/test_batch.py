"""POST /events/batch from outside: order, keys, and what a kill in the middle leaves."""
import json
import threading

import pytest

from hub import order_violations, wait_until
from load import PATIENCE, by_key


def batch_of(batch, size, key="k"):
    return [{"event_type": "b", "organization_id": key, "payload": {"batch": batch, "number": i,
                                                                    "key": key},
             "idempotency_key": f"{batch}-{i}"} for i in range(size)]


def test_a_batch_is_delivered_in_its_order(hub, database, sink):
    one = hub()
    database.subscribe(sink.url("/a"), "b", ordering_enabled=True, ordering_key="organization_id")
    lines = "\n".join(json.dumps(event) for event in batch_of(0, 50)).encode()
    reply = one.request("POST", "/events/batch", lines, {"Content-Type": "application/x-ndjson"})
    assert reply.status == 200 and reply.json()["stored"] == 50, reply.body
    got = sink.wait(50, "/a", PATIENCE)
    assert [d.json()["number"] for d in got] == list(range(50))
    assert [d.event_id for d in got] == [one["event_id"] for one in reply.json()["data"]]


@pytest.mark.slow
def test_killed_under_load_a_batch_is_there_whole_or_not_at_all(hub, database, sink):
    """Two API processes, of which one is killed again and again; its clients send a batch until it
    is answered, so that every event is there once, in each client's order."""
    hub(roles="fanout,dispatcher,cleanup")
    database.subscribe(sink.url("/a"), "b", ordering_enabled=True, ordering_key="organization_id")
    victim = hub(roles="api")
    stop = threading.Event()
    names = ("c0", "c1", "c2", "c3")
    sent = dict.fromkeys(names, 0)

    def client(name):
        while not stop.is_set():
            body = json.dumps([{**event, "idempotency_key": f"{name}-{event['idempotency_key']}",
                                "organization_id": name, "payload": {
                                    "number": sent[name] * 25 + i, "key": name}}
                               for i, event in enumerate(batch_of(sent[name], 25))]).encode()
            while True:
                try:
                    reply = victim.request("POST", "/events/batch", body,
                                           {"Content-Type": "application/json"})
                except OSError:
                    stop.wait(0.02)
                    continue
                assert reply.status in (200, 503), reply.body
                if reply.status == 200:
                    assert reply.json()["stored"] == 25
                    break
            sent[name] += 1

    clients = [threading.Thread(target=client, args=(name,)) for name in names]
    for one in clients:
        one.start()
    for _ in range(5):
        before = sum(sent.values())
        wait_until(lambda: sum(sent.values()) > before + 4, PATIENCE)
        victim.kill()
        victim.start()
    stop.set()
    for one in clients:
        one.join()
    total = sum(sent.values()) * 25
    assert database.value("SELECT count(*) FROM events") == total
    assert database.value(
        "SELECT count(*) FROM (SELECT FROM events GROUP BY organization_id, "
        "(payload::json ->> 'number')::int / 25 "
        "HAVING count(*) <> 25 OR count(DISTINCT xmin::text) <> 1) x") == 0
    wait_until(database.drained, PATIENCE)
    assert {d.event_id for d in sink.deliveries("/a")} == {
        row[0] for row in database.rows("SELECT id::text FROM events")}
    assert not order_violations(sink.deliveries("/a"), by_key)
