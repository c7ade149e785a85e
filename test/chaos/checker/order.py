"""Order per key: I5, I6."""
import collections

from checker.delivery import named
from checker.history import SECOND, TAIL


def of_keys(history):
    """{(sid, value of the key): [Attempt, …] by start}"""
    found = collections.defaultdict(list)
    for one in history.attempts:
        value = history.ordering_value(one.ref)
        if value is not None:
            found[one.sid, value].append(one)
    return found


def accepted_in_order(history):
    """e1 was acknowledged before e2 was sent, same key: e1 has the lower number."""
    for column in ("organization", "user"):
        keys = collections.defaultdict(list)
        for seq, event in sorted(history.events.items()):
            request = history.requests.get(event["number"])
            if event[column] is not None and request:
                keys[event[column]].append((seq, request))
        for value, row in keys.items():
            latest, which = 0, None  # the latest begin among those with lower numbers
            for seq, request in row:
                told = request.acknowledged
                if told is not None and told < latest:
                    yield (f"{column} {value}: event {seq} was acknowledged before {which} was "
                           "sent, and has the higher number")
                if request.first > latest:
                    latest, which = request.first, seq


def i5(history):
    """First starts of a key increase in the order of acceptance, and nothing older starts after
    something younger. (One stale request of a frozen process is what the contract allows.)"""
    yield from accepted_in_order(history)
    used = set()
    for (sid, value), row in of_keys(history).items():
        youngest, started = None, {}
        for one in row:
            first = one.seq not in started
            started.setdefault(one.seq, one)
            if youngest is None or one.seq >= youngest.seq:
                if youngest is not None and one.seq > youngest.seq:
                    yield from _unresolved(history, youngest, one)
                youngest = one if youngest is None or one.seq > youngest.seq else youngest
            elif first or not _stale(history, one, used):
                what = "first sent" if first else "sent again"
                yield (f"{named(one.ref)}, key {value}: {what} (delivery {one.mark}) after event "
                       f"{youngest.seq} of that key (delivery {youngest.mark})")
    yield from _skipped(history)


def _unresolved(history, elder, younger):
    """The one before is delivered or dead when the next starts."""
    if any(one.answered() and one.start < younger.start for one in history.sent[elder.ref]):
        return
    if elder.ref in history.dead:
        return
    yield (f"{named(younger.ref)}: started (delivery {younger.mark}) while event {elder.seq} "
           "of its key was neither delivered nor dead")


def _skipped(history):
    """What was never sent although a younger one of its key was must be dead."""
    youngest = {}
    for ref in history.sent:
        value = history.ordering_value(ref)
        if value is not None:
            key = ref[1], value
            youngest[key] = max(youngest.get(key, 0), ref[0])
    for ref in history.messages:
        value = history.ordering_value(ref)
        if value is not None and ref not in history.sent and ref not in history.dead \
                and youngest.get((ref[1], value), 0) > ref[0]:
            yield f"{named(ref)}, key {value}: left out, and younger ones were sent"


def _stale(history, one, used):
    """One request per freeze may be late."""
    for index, fault in enumerate(history.breaks):
        if fault.stale and index not in used and fault.begin <= one.start <= fault.end + TAIL:
            used.add(index)
            return True
    return False


def i6(history):
    """No two requests of a key at a time, from start to answer or time-out."""
    used = set()
    for (sid, value), row in of_keys(history).items():
        last = None
        for one in row:
            if last is not None and last.until(history.timeout) > one.start:
                if not _cut(history, last, one) and not _stale(history, one, used) \
                        and not _stale(history, last, used):
                    overlap = (min(last.until(history.timeout), one.until(history.timeout))
                               - one.start) / SECOND
                    yield (f"subscriber {sid}, key {value}: events {last.seq} and {one.seq} "
                           f"(deliveries {last.mark}, {one.mark}) overlap by {overlap:.4f} s")
            if last is None or one.until(history.timeout) > last.until(history.timeout):
                last = one


def _cut(history, last, one):
    """The connection was taken from the receiver while it was at work, and the hub sent the same
    attempt again at once."""
    return (last.ref, last.attempt) == (one.ref, one.attempt) and any(
        fault.fault == "socket-cut" and fault.target == "receivers"
        and last.start <= fault.end and fault.begin <= one.start <= fault.end + SECOND
        for fault in history.breaks)


def stale_count(history):
    """Late repetitions, which only a freeze explains."""
    count = 0
    for row in of_keys(history).values():
        highest = 0
        for one in row:
            count += one.seq < highest
            highest = max(highest, one.seq)
    return count
