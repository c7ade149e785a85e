"""What was accepted is there, and nothing else: I1, I1u, I2, I7."""
import collections

from profiles import matches


def i1(history):
    """No acknowledged event is lost: it is in the table with the same bytes."""
    acknowledged = sorted((request for request in history.requests.values()
                           if request.acknowledged), key=lambda one: one.acknowledged)
    found = [request.number in history.by_number for request in acknowledged]
    for index, request in enumerate(acknowledged):
        rows = history.by_number.get(request.number, ())
        if not rows:
            where = ("prefix" if True not in found[:index] else
                     "postfix" if True not in found[index:] else "middle")
            yield f"request {request.number} was acknowledged as {request.events}: lost ({where})"
        for row in rows:
            if row["sha"] != request.sha:
                yield f"event {row['seq']} has other bytes than request {request.number}"
            if request.events and row["id"] not in request.events and request.key:
                yield f"request {request.number} was told {request.events}, not {row['id']}"


def i1u(history):
    """Nothing from nowhere: what is stored and what is delivered was sent, byte for byte; what was
    refused is nowhere; signatures fit; a message keeps its id."""
    yield from _same_id(history)
    for seq, event in history.events.items():
        request = history.requests.get(event["number"])
        if request is None:
            yield f"event {seq} was never sent"
        elif request.refused:
            yield f"event {seq}: request {request.number} was refused and is stored"
        elif event["sha"] != request.sha:
            yield f"event {seq} has other bytes than request {request.number}"
    for record in history.invalid:
        if isinstance(record["status"], int) and record["status"] < 400:
            yield f"an invalid request was answered {record['status']}"
    for stray in history.strays:
        yield f"a delivery to {stray['path']}, which is no subscriber's"
    ids = {}
    for one in history.attempts:
        event = history.events.get(one.seq)
        name = f"delivery {one.mark} of event {one.seq} to subscriber {one.sid}"
        if event is None or event["id"] != one.event:
            yield f"{name}: {one.event} is no event of that number"
        elif (one.sha, one.type) != (event["sha"], event["type"]):
            yield f"{name} has another body or type than the event"
        if one.signed is False or history.subscribers[one.sid]["signed"] != (one.signed is True):
            yield f"{name}: its signature is missing or wrong"
        if ids.setdefault(one.message, one.ref) != one.ref:
            yield f"{name}: message id {one.message} was another's"


def _same_id(history):
    for ref, sent in history.sent.items():
        if len({one.message for one in sent}) > 1:
            yield f"event {ref[0]}, subscriber {ref[1]}: several message ids"


def i2(history):
    """Fan-out is exact: one message for each event and subscriber that matches, no other."""
    wanted = {(seq, sid) for seq, event in history.events.items()
              for sid, one in history.subscribers.items()
              if any(matches(pattern, event["type"]) for pattern in one["patterns"])}
    for seq, sid in sorted(wanted - history.messages.keys()):
        yield f"event {seq} has no message for subscriber {sid}"
    for seq, sid in sorted(history.messages.keys() - wanted):
        yield f"event {seq} has a message for subscriber {sid}, which does not match"
    for ref in sorted(history.sent.keys() - wanted):
        yield f"event {ref[0]} was sent to subscriber {ref[1]}, which does not match"
    for ref in sorted(wanted & history.messages.keys()):
        if history.messages[ref]["keyed"] != (history.ordering_value(ref) is not None):
            yield f"event {ref[0]}, subscriber {ref[1]}: ordered or not is wrong"


def i7(history):
    """One key, one event; for something else it is refused."""
    owners = collections.defaultdict(list)
    for request in history.requests.values():
        stored = len(history.by_number.get(request.number, ()))
        if request.key is None:
            if stored > len(request.tries):
                yield f"request {request.number} without a key is there {stored} times"
            continue
        owners[request.key].append(request)
        if stored > 1:
            yield f"request {request.number} with a key is there {stored} times"
        if len(request.events) > 1:
            yield f"request {request.number} has several event ids: {sorted(request.events)}"
    for key, requests in owners.items():
        stored = [one for one in requests if one.number in history.by_number]
        if len(stored) > 1:
            yield f"key {key}: requests {[one.number for one in stored]} are all stored"
        for one in requests:
            if one.kind == "conflict" and one.acknowledged:
                yield f"request {one.number} used key {key} again and was acknowledged"


def counts(history):
    return {"acknowledged": sum(1 for one in history.requests.values() if one.acknowledged),
            "requests": len(history.requests)}
