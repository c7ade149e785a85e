"""The state at the end, and on the way: I10, L1, L2, R1, and how processes ended."""
import collections
import math
import signal

from checker.history import SECOND, TAIL

FDS = 5                # descriptors more or less at the end than at the beginning
CRASHES = ("pg-immediate", "pg-backend", "failover")
GIVING_UP = 10         # s: how long a start waits for PostgreSQL, with room for a busy machine
RSS_MIB = {True: 1200, False: 300}  # with sanitizers, without
FLOOR = 0.1            # s: differences of p99 below are no isolation's fault
ENOUGH = 50            # deliveries for a percentile


def i10(history):
    """What the counters say at the end is what the tables say; on the way they only grow."""
    lives, last = collections.defaultdict(dict), {}
    for sample in history.of_kind("sample"):
        if not sample["metrics"]:
            continue
        known = lives[sample["name"], sample["life"]]
        for name, value in sample["metrics"].items():
            if _counts(name) and value < known.get(name, 0):
                yield f"{sample['name']}: {name} went from {known[name]} to {value}"
            known[name] = value
        if sample["phase"] == "end":
            last[sample["name"]] = sample["metrics"]
    total = collections.Counter()
    for known in lives.values():
        total.update({name: value for name, value in known.items() if _counts(name)})
    delivered = sum(row["outcome"] == "delivered"
                    for rows in history.rows.values() for row in rows)
    # Counted when the answer is there: its record may still be cut, and the message sent again.
    answers = sum(one.answered() for one in history.attempts)
    events, messages = len(history.events), len(history.messages)
    # What the fan-out wrote last, a crash of PostgreSQL takes away: it is made, and counted, again.
    crashed = any(one.fault in CRASHES and one.hits for one in history.faults)
    fanned_out = math.inf if crashed else messages
    for name, there, most in (
            ("eventhub_events_received_total", events, events),
            ("eventhub_messages_fanned_out_total", messages, fanned_out),
            ("eventhub_delivery_attempts_total_delivered", delivered, max(delivered, answers))):
        if total[name] > most:
            yield f"{name} is {total[name]:.0f} over all processes, the tables have {there}"
        elif total[name] < there and not history.faults and not _ended(history):
            yield f"{name} is {total[name]:.0f}, the tables have {there}, and nobody died"
    yield from _gauges(history, last)


def _counts(name):
    return "_total" in name


def _ended(history):
    return any(record["by"] != "term" for record in history.of_kind("end"))


def _gauges(history, last):
    if not last:
        yield "no metrics at the end"
        return
    for name in ("eventhub_pending_messages", "eventhub_waiting_messages",
                 "eventhub_in_flight_attempts"):
        value = sum(metrics.get(name, 0) for metrics in last.values())
        if value:
            yield f"{name} is {value:.0f} at the end"
    owned = sum(metrics.get("eventhub_owned_shards", 0) for metrics in last.values())
    if owned != 64:
        yield f"eventhub_owned_shards is {owned:.0f} at the end, not 64"
    letters = max(metrics.get("eventhub_dlq_size", 0) for metrics in last.values())
    if letters != len(history.dead):
        yield f"eventhub_dlq_size is {letters:.0f}, there are {len(history.dead)} dead letters"


def l1(history):
    """After all has healed everything ends."""
    drained = history.of_kind("drained")
    if not drained or not drained[-1]["drained"]:
        yield "not drained in time after everything had healed"
    open_ones = [ref for ref in history.messages if history.final(ref) is None]
    for ref in open_ones[:3]:
        yield f"event {ref[0]}, subscriber {ref[1]}: still open at the end"
    if len(open_ones) > 3:
        yield f"and {len(open_ones) - 3} further messages are open at the end"
    for row in history.parked[:3]:
        yield f"event {row['seq']}, subscriber {row['sid']}: parked for {row['reason']} at the end"
    for row in history.redeliveries:
        yield f"event {row['seq']}, subscriber {row['sid']}: a redelivery is left"
    if any(not shard["owned"] for shard in history.shards):
        yield "shards without an owner at the end"
    for record in history.of_kind("stuck"):
        yield f"{record['name']} did not end after SIGTERM"


def latencies(history, begin, end, without):
    """Seconds from acknowledgement to the first start, of what was acknowledged in between."""
    found = []
    for ref, sent in history.sent.items():
        event = history.events.get(ref[0])
        request = event and history.requests.get(event["number"])
        told = request.acknowledged if request else None
        if told and begin <= told < end and ref[1] != without:
            found.append(max(0, sent[0].start - told) / SECOND)
    return sorted(found)


def p99(values):
    return values[min(len(values) - 1, math.ceil(len(values) * 0.99) - 1)]


def l2(history):
    """One receiver that hangs, and nothing else: the others' p99 is at most 1.2 times what it was
    in undisturbed seconds (differences below 0.1 s and the machine's stalls left aside)."""
    paths = {one["path"]: sid for sid, one in history.subscribers.items()}
    for fault in history.faults:
        if fault.fault != "sink-hang" or not fault.hits or _others(history, fault):
            continue
        sid = paths.get(fault.target)
        calm = [value for begin, end in quiet(history)
                for value in latencies(history, begin, end, sid)]
        during = latencies(history, fault.begin, fault.end, sid)
        if min(len(calm), len(during)) < ENOUGH:
            continue
        stall = history.stalled_between(fault.begin, fault.end + TAIL) / SECOND
        usual, now = p99(sorted(calm)), p99(during)
        if now > max(1.2 * usual, usual + FLOOR + 4 * stall):
            yield (f"while {fault.target} hung the others' p99 was {now:.3f} s, "
                   f"undisturbed {usual:.3f} s")


def _others(history, fault):
    return any(one is not fault and one.begin <= fault.end and one.end + 3 * TAIL >= fault.begin
               for one in history.faults + history.losses)


def quiet(history):
    """[(begin, end)] without any fault, nor its aftermath."""
    tries = [record["t_inv"] for record in history.producer]
    if not tries:
        return []
    at, found = min(tries), []
    for one in sorted(history.faults + history.losses, key=lambda one: one.begin):
        if one.begin > at:
            found.append((at, one.begin))
        at = max(at, one.end + 3 * TAIL)
    if at < max(tries):
        found.append((at, max(tries)))
    return found


def r1(history):
    """Memory has a bound, descriptors come back, PostgreSQL has no more sessions than allowed and
    none that idles in a transaction."""
    first, last = {}, {}
    cap = RSS_MIB[history.run["sanitized"]]
    for sample in history.of_kind("sample"):
        if sample.get("rss_mib", 0) > cap:
            yield f"{sample['name']} has {sample['rss_mib']:.0f} MiB, at most {cap}"
        if "fds" in sample and sample["metrics"]:  # sessions are kept, and counted by themselves
            group = {"begin": first, "end": last}.get(sample["phase"], {})
            group[sample["name"]] = int(
                sample["fds"] - sample["metrics"].get("eventhub_db_connections", 0))
    for name, fds in last.items():
        if name in first and abs(fds - first[name]) > FDS:
            yield (f"{name} has {fds} descriptors besides its sessions at the end, "
                   f"{first[name]} at the beginning")
    for record in history.of_kind("sessions"):
        if record["count"] > history.run["connections"]:
            yield f"{record['count']} sessions, at most {history.run['connections']}"
        if record["longest"] > 1 and not history.disturbed_between(
                record["t"] - int((record["longest"] + 1) * SECOND), record["t"]) \
                and not history.stalled_between(record["t"] - 2 * SECOND, record["t"]):
            yield f"a session was idle in transaction for {record['longest']:.1f} s"


def p1(history):
    """Processes end only when somebody ends them, with 0 when they are asked to, and without a
    report of a sanitizer. One that has not started yet has nothing to drain, and gives up (code 1)
    when a fault keeps PostgreSQL away from it for too long."""
    for record in history.of_kind("end"):
        bad = record["by"] == "crash" or record["by"] == "term" and record["code"] != 0
        if bad and not _before_its_start(history, record):
            yield f"{record['name']} ended with {record['code']} ({record['by']})"
    for record in history.of_kind("sanitizer"):
        yield f"{record['name']}: {record['report'][:600]}"


def _before_its_start(history, record):
    if record["started"]:
        return False
    if record["code"] == 1:
        return record["no_database"] and history.disturbed_between(
            record["t"] - GIVING_UP * SECOND, record["t"])
    return record["code"] == -signal.SIGTERM and record["by"] == "term"
