"""A history without fault, made by hand, to be forged by the tests of the checker.

Four events of one key, three subscribers: 1 ordered, 2 at most once, 3 plain. Times in seconds.
"""
import copy

from checker import judge

SECOND = 1_000_000_000
SIDS = (1, 2, 3)
NAMES = ("Ordered", "Once", "Plain")
EVENTS = 60  # enough for percentiles
SPACING = 0.5


def at(seconds):
    return int(seconds * SECOND)


def event_id(number):
    return f"event-{number}"


def _subscriber(sid):
    return {"sid": sid, "path": f"/{sid}", "name": NAMES[sid - 1], "patterns": ["chaos.>"],
            "guarantee": "at_most_once" if sid == 2 else "at_least_once",
            "ordering": "organization_id" if sid == 1 else None, "signed": False,
            "named": False, "retry_limit": 3, "backoff": [0.2, 0.5, 1.0], "hangs": False}


def _event(records, number):
    begin = 10 + SPACING * number
    records["producer"].append(
        {"op": number, "try": 0, "kind": "careful", "number": number, "key": f"key-{number}",
         "sha": f"sha-{number}", "type": "chaos.a", "organization": "org", "user": None,
         "t": at(begin + 0.01), "t_inv": at(begin), "t_ret": at(begin + 0.01), "status": 202,
         "event": event_id(number), "replayed": False})
    records["database"].append(
        {"table": "events", "seq": number, "id": event_id(number), "type": "chaos.a",
         "organization": "org", "user": None, "sha": f"sha-{number}", "number": number})
    for sid in SIDS:
        records["database"].append(
            {"table": "messages", "seq": number, "sid": sid, "keyed": sid == 1})
        if sid == 2:
            row(records, number, sid, 1, "started")
        deliver(records, number, sid, begin + 0.02, begin + 0.03)
        row(records, number, sid, 1, "delivered", 200)


def deliver(records, number, sid, start, end, status=200, attempt=1):
    """One request at the receiver of `sid`; `end` None: never answered."""
    mark = 1 + max((record["n"] for record in records["sink"]), default=0)
    records["sink"].append(
        {"phase": "start", "n": mark, "t": at(start), "path": f"/{sid}", "number": number,
         "message": f"message-{number}-{sid}", "event": event_id(number), "seq": number,
         "attempt": attempt, "sha": f"sha-{number}", "signed": None, "type": "chaos.a",
         "port": 1, "answer": str(status)})
    if end is not None:
        records["sink"].append({"phase": "end", "n": mark, "t": at(end), "status": status})
    return mark


def row(records, number, sid, attempt, outcome, status=None, latency=10, error=None, sent=0):
    records["database"].append(
        {"table": "attempts", "seq": number, "sid": sid, "attempt": attempt, "outcome": outcome,
         "status": status, "latency_ms": latency, "error": error, "sent": at(sent)})


def letter(records, number, sid, reason, outcome="dead", status=None, attempts=1):
    records["database"].append(
        {"table": "dead", "seq": number, "sid": sid, "message": f"message-{number}-{sid}",
         "outcome": outcome, "reason": reason, "last_status": status, "attempts": attempts})


def fault(records, name, begin, end, target="dispatcher-0", repeats=True, stale=False, hits=1):
    number = 1 + len(records["faults"])
    for phase, time in (("begin", begin), ("end", end)):
        records["faults"].append(
            {"phase": phase, "t": at(time), "id": number, "fault": name, "target": target,
             "repeats": repeats, "stale": stale, "hits": hits, "error": None})


def sample(records, phase, time, **changed):
    metrics = {"eventhub_events_received_total": EVENTS,
               "eventhub_messages_fanned_out_total": 3 * EVENTS,
               "eventhub_delivery_attempts_total_delivered": 3 * EVENTS,
               "eventhub_pending_messages": 0, "eventhub_waiting_messages": 0,
               "eventhub_in_flight_attempts": 0, "eventhub_owned_shards": 64,
               "eventhub_dlq_size": 0, **changed}
    records["processes"].append(
        {"kind": "sample", "phase": phase, "t": at(time), "name": "hub", "life": 1, "fds": 30,
         "rss_mib": 50, "metrics": metrics})
    return records["processes"][-1]


def end(records, code, by, started=True, no_database=False):
    """A process ended."""
    records["processes"].append(
        {"kind": "end", "t": at(20), "name": "hub", "role": "api", "life": 1, "code": code,
         "by": by, "started": started, "no_database": no_database})


def good():
    """All invariants hold."""
    records = {"run": {"seed": 1, "timeout": 2.0, "dead_after": 3.5, "sanitized": False,
                       "connections": 100, "faults": [],
                       "subscribers": [_subscriber(sid) for sid in SIDS]},
               "producer": [], "sink": [], "faults": [], "processes": [], "database": []}
    for number in range(1, EVENTS + 1):
        _event(records, number)
    for shard in range(64):
        records["database"].append({"table": "shards", "shard": shard, "owned": True,
                                    "clean": False, "unclean": 0})
    sample(records, "begin", 10, eventhub_events_received_total=0,
           eventhub_messages_fanned_out_total=0, eventhub_delivery_attempts_total_delivered=0)
    sample(records, "end", 100)
    records["processes"].append({"kind": "drained", "t": at(99), "began": at(98), "drained": True,
                                 "settled": True})
    return copy.deepcopy(records)


def drop(records, name, **wanted):
    """Takes away what has all these values; says how many there were."""
    kept = [record for record in records[name]
            if not all(record.get(key) == value for key, value in wanted.items())]
    gone = len(records[name]) - len(kept)
    records[name] = kept
    return gone


def only(records, name, **wanted):
    found, = [record for record in records[name]
              if all(record.get(key) == value for key, value in wanted.items())]
    return found


def unsend(records, number, sid):
    """No request of this message, no row and no dead letter."""
    for record in [r for r in records["sink"] if r["phase"] == "start"
                   and (r["seq"], r["path"]) == (number, f"/{sid}")]:
        drop(records, "sink", n=record["n"])
    drop(records, "database", table="attempts", seq=number, sid=sid)
    drop(records, "database", table="dead", seq=number, sid=sid)


def violated(records):
    return set(judge(records).violations)
