"""Events published by SQL, in the producer's own transaction."""
import contextlib
import os
import re
import subprocess
import threading
import time

import psycopg2
import pytest

from hub import ROOT, order_violations, wait_until
from load import PATIENCE, by_key


def publish(cursor, number, key="k", event_type="a"):
    cursor.execute("SELECT eventhub.publish(%s, json_build_object('number', %s, 'key', %s), %s)",
                   (event_type, number, key, key))


def test_committed_is_delivered_rolled_back_is_not_and_open_holds_up_nobody(
        hub, database, sink):
    hub(roles="fanout,cleanup")
    hub(roles="fanout,dispatcher")  # its mover stands by
    api = hub(roles="api")
    database.subscribe(sink.url("/a"), "a", ordering_enabled=True, ordering_key="organization_id")
    waiting, other = database.connect(), database.connect()
    for link in (waiting, other):
        link.autocommit = False
    with waiting.cursor() as late, other.cursor() as quick:
        publish(late, 100, "late")
        for number in range(0, 30, 3):
            publish(quick, number)
            publish(quick, number + 1)
            other.commit()
            publish(quick, -1)
            other.rollback()
            reply = api.post({"event_type": "a", "organization_id": "posted",
                              "payload": {"number": number, "key": "posted"}})
            assert reply.status == 202
        begun = time.monotonic()
        publish(quick, 50)
        other.commit()
        sink.wait(31, "/a", PATIENCE)
        assert time.monotonic() - begun < 10
        waiting.commit()
    got = sink.wait(32, "/a", PATIENCE)
    assert sorted(d.number for d in got if by_key(d) == "k") == sorted(
        [n + i for n in range(0, 30, 3) for i in (0, 1)] + [50])
    assert got[-1].number == 100
    assert not order_violations(got, by_key)
    for link in (waiting, other):
        link.close()


@pytest.mark.slow
def test_killed_movers_and_a_crashed_postgres_publish_everything_once(
        hub, database, server, sink):
    movers = [hub(roles="fanout"), hub(roles="fanout")]
    hub(roles="dispatcher,cleanup")
    database.subscribe(sink.url("/a"), "a", ordering_enabled=True, ordering_key="organization_id")
    keys = ("p0", "p1", "p2")
    stop, sent = threading.Event(), dict.fromkeys(keys, 0)

    def producer(key):
        number = 0
        while not stop.is_set():
            try:
                link = database.connect()
                link.autocommit = False
                with link.cursor() as cursor:
                    while not stop.is_set():
                        for i in range(3):
                            publish(cursor, number + i, key)
                        link.commit()
                        number += 3
                        sent[key] = number
                        stop.wait(0.03)
            except psycopg2.Error:
                number = sent[key] = settled(key)

    def settled(key):
        """Of a commit whose outcome was not told: how many of this key's events are there."""
        while True:
            try:
                with contextlib.closing(database.connect()) as link, link.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM (SELECT organization_id FROM outbox UNION ALL "
                        "SELECT organization_id FROM events) x WHERE organization_id = %s", (key,))
                    return cursor.fetchone()[0]
            except psycopg2.Error:
                time.sleep(0.1)

    producers = [threading.Thread(target=producer, args=(key,)) for key in keys]
    for one in producers:
        one.start()
    for turn in range(6):
        before = sum(sent.values())
        wait_until(lambda: sum(sent.values()) > before + 60, PATIENCE)
        if turn == 3:
            server.kill()
            server.start()
        else:
            movers[turn % 2].kill()
            movers[turn % 2].start()
    stop.set()
    for one in producers:
        one.join()
    wait_until(lambda: database.value("SELECT count(*) FROM outbox") == 0, PATIENCE)
    rows = database.rows("SELECT organization_id, array_agg((payload::json ->> 'number')::int "
                         "ORDER BY event_seq) FROM events GROUP BY 1")
    assert dict(rows) == {key: list(range(count)) for key, count in sent.items()}
    wait_until(database.drained, PATIENCE)
    assert not order_violations(sink.deliveries("/a"), by_key)


def test_the_page_works_as_printed(hub, database, server, sink):
    """docs/publish.md: its blocks in their order, as the role that owns the hub."""
    hub()
    database.subscribe(sink.url("/a"), "order.placed")
    with open(os.path.join(ROOT, "docs/publish.md"), encoding="utf-8") as file:
        text = file.read()
    blocks = re.findall(r"^```sql\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) >= 3
    database.rows("CREATE TABLE orders (id int PRIMARY KEY, amount numeric)")
    done = subprocess.run(
        ["psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-h", server.socket_dir, "-U", "eventhub",
         database.name], input="".join(blocks), capture_output=True, text=True, timeout=PATIENCE,
        check=False)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(database.connect()) as connection:
        exec(re.search(r"^```python\n(.*?)^```", text, re.M | re.S)[1],  # pylint: disable=exec-used
             {"connection": connection})
    assert {d.json()["order"] for d in sink.wait(4, "/a", PATIENCE)} == {1, 2, 3, 4}
