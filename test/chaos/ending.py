"""The end of a run: everything heals, what is open is delivered, the tables are written down."""
import hashlib
import json
import time

import psycopg2

from hub import wait_until
from load import PATIENCE
from nodes import IDLE_MS
from receivers import wall_ahead

TABLES = {
    "events": "SELECT event_seq, id::text, event_type, organization_id, user_id, payload "
              "FROM events ORDER BY 1",
    "messages": "SELECT event_seq, sid, khash IS NOT NULL FROM messages ORDER BY 1, 2",
    "attempts": "SELECT event_seq, sid, attempt, outcome_name(outcome), http_status, latency_ms, "
                "error, (extract(epoch FROM attempted_at) * 1e9)::bigint FROM delivery_attempts "
                "ORDER BY 1, 2, 3",
    "dead": "SELECT event_seq, sid, message_id::text, outcome_name(outcome), reason, last_status, "
            "attempts FROM dead_letter_queue ORDER BY 1, 2",
    "parked": "SELECT event_seq, sid, attempt, wait_reason_name(reason), "
              "extract(epoch FROM due_at - now())::float FROM parked",
    "redeliveries": "SELECT event_seq, sid FROM redeliveries",
    "shards": "SELECT shard, owner IS NOT NULL, clean, unclean FROM shards ORDER BY 1",
}
COLUMNS = {
    "events": ("seq", "id", "type", "organization", "user"),
    "messages": ("seq", "sid", "keyed"),
    "attempts": ("seq", "sid", "attempt", "outcome", "status", "latency_ms", "error", "sent"),
    "dead": ("seq", "sid", "message", "outcome", "reason", "last_status", "attempts"),
    "parked": ("seq", "sid", "attempt", "reason", "due_in"),
    "redeliveries": ("seq", "sid"),
    "shards": ("shard", "owned", "clean", "unclean"),
}


def drain(world, watch):
    """Waits until nothing is open and the gauges say so; the log gets to know whether it came to
    that."""
    began = time.monotonic_ns()
    drained = _until(lambda: world.database.drained(), "everything drained")
    settled = drained and _until(lambda: _gauges(world), "the gauges are back at nothing")
    time.sleep(3 * IDLE_MS / 1000)  # kept connections to the receivers are closed
    watch.logs()
    for node in world.nodes.all:
        watch.sample(node, phase="end")
    world.journals.processes.write(kind="drained", began=began, drained=drained, settled=settled)


def _until(condition, what):
    def quietly():
        try:
            return condition()
        except (psycopg2.Error, OSError):
            return False
    try:
        wait_until(quietly, PATIENCE, what, every=0.3)
        return True
    except AssertionError:
        return False


def _gauges(world):
    total = {}
    for node in world.nodes.all:
        for series, value in node.hub.metrics(timeout=5).items():
            name = series.split("{")[0]
            total[name] = total.get(name, 0) + value
            if name == "eventhub_dlq_size":
                total["dead"] = max(total.get("dead", 0), value)
    dead = world.database.value("SELECT count(*) FROM dead_letter_queue")
    return (total["eventhub_pending_messages"] == 0 and total["eventhub_in_flight_attempts"] == 0
            and total["eventhub_owned_shards"] == 64 and total["dead"] == dead)


def dump(world):
    """Times of the hub are written down as those of the monotonic clock, like all others."""
    journal, ahead = world.journals.database, wall_ahead()
    for table, sql in TABLES.items():
        for row in world.database.rows(sql):
            record = dict(zip(COLUMNS[table], row))
            if table == "events":
                record["sha"] = hashlib.sha256(row[5].encode()).hexdigest()
                record["number"] = json.loads(row[5])["number"]
            if table == "attempts":
                record["sent"] -= ahead
            journal.write(table=table, **record)
