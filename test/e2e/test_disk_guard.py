"""Events are refused before PostgreSQL's disk is full."""
import os
import shutil
import tempfile

from hub import wait_until
from load import PATIENCE

MIB = 1 << 20
EVENT = {"event_type": "test.event", "payload": {"number": 1, "key": "k"}}


def show_directory_to_the_hub(database):
    """As superusers see it; others who are granted to read all settings."""
    with database.server.connect("postgres") as connection:
        cursor = connection.cursor()
        cursor.execute("GRANT pg_read_all_settings TO eventhub")
        cursor.execute("SHOW data_directory")
        return cursor.fetchone()[0]


def closed(one):
    return one.metrics()["eventhub_ingest_closed"] == 1


def test_events_are_refused_before_the_disk_is_full_and_accepted_again(hub, database, sink):
    place = show_directory_to_the_hub(database)
    least = shutil.disk_usage(place).free - 768 * MIB  # others write meanwhile
    one = hub(env={"EVENTHUB_INGEST_DISK_FREE_MIN_BYTES": str(least)})
    database.subscribe(sink.url("/a"), paused=True)
    assert one.post(EVENT).status == 202
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(place)) as file:
        os.posix_fallocate(file.fileno(), 0, 1024 * MIB)
        wait_until(lambda: closed(one), PATIENCE)
        for path, body in (("/events", b'{"event_type": "a", "payload": {}}'),
                           ("/events/batch", b'[{"event_type": "a", "payload": {}}]')):
            reply = one.request("POST", path, body, {"Content-Type": "application/json"})
            assert reply.status == 503 and int(reply.headers["retry-after"]) >= 1
            assert "the database is nearly full" in reply.json()["detail"]
        assert database.value("SELECT count(*) FROM events") == 1
        database.rows("UPDATE subscribers SET paused = false")
        sink.wait(1, "/a", PATIENCE)
    wait_until(lambda: one.post(EVENT).status == 202, PATIENCE)
    assert not closed(one)
    refused, = one.wait_lines(lambda line: line["msg"].startswith("events are refused"))
    assert refused["reason"] == "the database's disk has less than ingest.disk_free_min_bytes"


def test_events_are_refused_when_the_database_is_as_large_as_it_may_be(hub, database):
    one = hub()
    one.stop()
    size = database.value("SELECT pg_database_size(current_database())")
    one = hub(env={"EVENTHUB_INGEST_DATABASE_BYTES_MAX": str(size - MIB)})
    wait_until(lambda: one.post(EVENT).status == 503, PATIENCE)
    one.stop()
    one = hub(env={"EVENTHUB_INGEST_DATABASE_BYTES_MAX": str(size + 1024 * MIB)})
    assert one.post(EVENT).status == 202
