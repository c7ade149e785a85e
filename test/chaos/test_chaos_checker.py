"""The checker against forged histories: each lie is seen, by the invariant it breaks and by no
other. What the contract allows is in test_chaos_allowed.py."""
import pytest

from checker import INVARIANTS, judge
from forged import (EVENTS, at, deliver, drop, end, event_id, fault, good, letter, only,
                    row, sample, unsend, violated)


def test_a_good_history_is_valid():
    verdict = judge(good())
    assert verdict.violations == {}
    assert verdict.code == 0
    assert verdict.counts["acknowledged"] == EVENTS


def lost_event(records):
    drop(records, "database", table="events", number=3)
    drop(records, "database", table="messages", seq=3)
    for sid in (1, 2, 3):
        unsend(records, 3, sid)
    _received(records, EVENTS - 1)


def stored_otherwise(records):
    only(records, "database", table="events", number=3)["sha"] = "other"
    for record in records["sink"]:
        if record["phase"] == "start" and record["seq"] == 3:
            record["sha"] = "other"


def never_sent(records):
    drop(records, "producer", number=3)


def refused_and_stored(records):
    only(records, "producer", number=3)["status"] = 400
    only(records, "producer", number=3)["event"] = None


def altered_on_the_way(records):
    _start(records, 3, 3)["sha"] = "other"


def badly_signed(records):
    _start(records, 3, 3)["signed"] = False


def another_message_id(records):
    _start(records, 3, 3)["message"] = "message-4-3"


def redirect_followed(records):
    _start(records, 3, 3)["path"] = "/redirected"
    deliver(records, 3, 3, 11.6, 11.61)


def no_message(records):
    drop(records, "database", table="messages", seq=3, sid=3)
    unsend(records, 3, 3)
    _received(records, EVENTS, 3 * EVENTS - 1)


def message_for_a_stranger(records):
    records["run"]["subscribers"][2]["patterns"] = ["other.*"]
    for number in range(1, EVENTS + 1):
        if number != 3:
            drop(records, "database", table="messages", seq=number, sid=3)
            unsend(records, number, 3)
    _received(records, EVENTS, 2 * EVENTS + 1)


def lost_message(records):
    unsend(records, 3, 3)
    row(records, 3, 3, 1, "cancelled")
    _received(records, EVENTS, 3 * EVENTS, 3 * EVENTS - 1)


def false_delivered(records):
    for record in records["sink"]:
        if record["phase"] == "end" and record["n"] == _start(records, 3, 3)["n"]:
            record["status"] = None
    only(records, "database", table="attempts", seq=3, sid=3)["status"] = None


def sent_again(records):
    deliver(records, 3, 3, 13, 13.01)


def delivered_and_dead(records):
    only(records, "database", table="attempts", seq=3, sid=3).update(
        outcome="retry", status=None)
    for attempt in (2, 3, 4):
        deliver(records, 3, 3, 13 + 2 * attempt, 13.1 + 2 * attempt, 503, attempt)
        row(records, 3, 3, attempt, "dead" if attempt == 4 else "retry", 503)
    letter(records, 3, 3, "retries_exhausted", status=503, attempts=4)
    _received(records, EVENTS, 3 * EVENTS, 3 * EVENTS - 1, dead=1)
    records["run"]["subscribers"][2]["hangs"] = True


def twice_at_most_once(records):
    deliver(records, 3, 2, 13, 13.01)


def at_most_once_never_tried(records):
    unsend(records, 3, 2)
    row(records, 3, 2, 1, "started")
    row(records, 3, 2, 1, "unknown")
    letter(records, 3, 2, "unknown_outcome", "unknown")
    _received(records, EVENTS, 3 * EVENTS, 3 * EVENTS - 1, dead=1)


def at_most_once_without_mark(records):
    drop(records, "database", table="attempts", seq=3, sid=2, outcome="started")


def swapped(records):
    """Events 3 and 4 of one key go out the wrong way round."""
    first, second = _start(records, 3, 1), _start(records, 4, 1)
    first["t"], second["t"] = second["t"], first["t"]
    ends = [only(records, "sink", phase="end", n=one["n"]) for one in (first, second)]
    ends[0]["t"], ends[1]["t"] = ends[1]["t"], ends[0]["t"]
    records["run"]["subscribers"][0]["hangs"] = True


def old_one_after_a_younger(records):
    fault(records, "kill", 11.5, 14)  # explains the repetition, not its place
    deliver(records, 3, 1, 13.2, 13.21)


def accepted_the_wrong_way_round(records):
    for record in records["producer"]:
        if record["number"] in (3, 4):
            record["t_inv"], record["t_ret"] = (
                (at(5), at(5.1)) if record["number"] == 4 else (at(6), at(6.1)))


def younger_before_the_elder_is_resolved(records):
    """Event 3 fails once, is to be tried again, and event 4 goes out meanwhile; then 3 is lost."""
    only(records, "sink", phase="end", n=_start(records, 3, 1)["n"])["status"] = 503
    only(records, "database", table="attempts", seq=3, sid=1).update(outcome="retry", status=503)
    row(records, 3, 1, 2, "delivered", 200)
    deliver(records, 3, 1, 12.2, 12.21, attempt=2)


def two_at_once(records):
    """By a millisecond."""
    only(records, "sink", phase="end", n=_start(records, 3, 1)["n"])["t"] = at(
        10 + 0.5 * 4 + 0.02 + 0.001)


def one_key_two_ids(records):
    again = dict(only(records, "producer", number=3), event=event_id(4), t_ret=at(12))
    again["try"] = 1
    records["producer"].append(again)


def one_key_two_events(records):
    copy = dict(only(records, "database", table="events", number=EVENTS), seq=EVENTS + 1,
                id="other")
    records["database"].append(copy)
    for sid in (1, 2, 3):
        records["database"].append({"table": "messages", "seq": EVENTS + 1, "sid": sid,
                                    "keyed": sid == 1})
        if sid == 2:
            row(records, EVENTS + 1, sid, 1, "started")
        deliver(records, EVENTS + 1, sid, 60, 60.01)
        _start(records, EVENTS + 1, sid).update(event="other", sha=f"sha-{EVENTS}")
        row(records, EVENTS + 1, sid, 1, "delivered", 200)
    only(records, "producer", number=EVENTS)["key"] = None  # then it is I7 alone, not I1
    _received(records, EVENTS + 1, 3 * EVENTS + 3)


def conflict_acknowledged(records):
    only(records, "producer", number=3).update(kind="conflict", key="key-2")


def dead_without_a_letter(records):
    _rejected(records)
    drop(records, "database", table="dead")
    _last(records)["eventhub_dlq_size"] = 0


def letter_of_what_was_delivered(records):
    letter(records, 3, 3, "retries_exhausted", attempts=1)
    fault(records, "kill", 11.4, 12)
    _received(records, EVENTS, 3 * EVENTS, 3 * EVENTS, dead=1)


def letter_with_another_reason(records):
    _rejected(records)
    only(records, "database", table="dead")["reason"] = "retries_exhausted"


def answer_that_nobody_gave(records):
    only(records, "database", table="attempts", seq=3, sid=3)["status"] = 204


def retried_too_early(records):
    _retried(records, 11.53 + 0.1)


def retried_too_late(records):
    _retried(records, 11.53 + 0.2 + 5)


def too_many_attempts(records):
    records["run"]["subscribers"][2]["retry_limit"] = 0
    _retried(records, 11.53 + 0.21)


def counter_too_high(records):
    _received(records, EVENTS + 1)


def counter_went_back(records):
    sample(records, "during", 50, eventhub_events_received_total=EVENTS + 0.5)
    for record in records["processes"]:
        if record["kind"] == "sample" and record["phase"] == "end":
            record["t"] = at(101)
    records["processes"].sort(key=lambda record: record["t"])


def gauge_left(records):
    _last(records)["eventhub_pending_messages"] = 1


def not_drained(records):
    only(records, "processes", kind="drained")["drained"] = False


def shards_without_owner(records):
    only(records, "database", table="shards", shard=5)["owned"] = False


def others_slow_while_one_hangs(records):
    fault(records, "sink-hang", 26, 40, target="/3", repeats=False)
    for record in records["sink"]:
        if at(26) <= record["t"] < at(40):
            record["t"] += at(0.4)


def too_much_memory(records):
    only(records, "processes", kind="sample", phase="end")["rss_mib"] = 5000


def descriptors_leak(records):
    only(records, "processes", kind="sample", phase="end")["fds"] = 45


def too_many_sessions(records):
    records["processes"].append({"kind": "sessions", "t": at(20), "count": 101, "idle": 0,
                                 "longest": 0})


def idle_in_transaction(records):
    records["processes"].append({"kind": "sessions", "t": at(20), "count": 10, "idle": 1,
                                 "longest": 2.5})


def a_process_died(records):
    end(records, -6, "crash")


def a_drain_failed(records):
    end(records, 99, "term")


LIES = [
    (lost_event, "I1"), (stored_otherwise, "I1 I1u"), (never_sent, "I1u"),
    (refused_and_stored, "I1u"), (altered_on_the_way, "I1u"), (badly_signed, "I1u"),
    (another_message_id, "I1u"), (redirect_followed, "I1u"),
    (no_message, "I2"), (message_for_a_stranger, "I2"),
    (lost_message, "I3"), (false_delivered, "I3"), (sent_again, "I3"), (delivered_and_dead, "I3"),
    (twice_at_most_once, "I4"), (at_most_once_never_tried, "I4"),
    (at_most_once_without_mark, "I4"),
    (swapped, "I5"), (old_one_after_a_younger, "I5"), (accepted_the_wrong_way_round, "I5"),
    (younger_before_the_elder_is_resolved, "I5"), (two_at_once, "I6"),
    (one_key_two_ids, "I7"), (one_key_two_events, "I7"), (conflict_acknowledged, "I7"),
    (dead_without_a_letter, "I3 I8"), (letter_of_what_was_delivered, "I8"),
    (letter_with_another_reason, "I8"), (answer_that_nobody_gave, "I8"),
    (retried_too_early, "I9"), (retried_too_late, "I9"), (too_many_attempts, "I9"),
    (counter_too_high, "I10"), (counter_went_back, "I10"), (gauge_left, "I10"),
    (not_drained, "L1"), (shards_without_owner, "L1"), (others_slow_while_one_hangs, "L2"),
    (too_much_memory, "R1"), (descriptors_leak, "R1"), (too_many_sessions, "R1"),
    (idle_in_transaction, "R1"), (a_process_died, "P1"), (a_drain_failed, "P1"),
]


@pytest.mark.parametrize("lie, invariants", LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_each_lie_is_seen_by_the_invariant_it_breaks(lie, invariants):
    records = good()
    lie(records)
    assert violated(records) == set(invariants.split())
    assert judge(records).code == 1


def test_every_invariant_has_a_forged_history():
    assert {name for _, names in LIES for name in names.split()} == set(INVARIANTS)


@pytest.mark.parametrize("forge, reason", [
    (lambda r: r["run"].update(faults=["kill"]), "no fault hit"),
    (lambda r: [p.update(status="unknown", event=None) for p in r["producer"]], "acknowledged"),
    (lambda r: [s.update(status=None) for s in r["sink"]], "nothing was delivered"),
    (lambda r: fault(r, "kill", 1, 2) or r["faults"][-1].update(error="Traceback\nboom"),
     "kill failed: boom"),
])
def test_a_run_that_tested_nothing_does_not_pass(forge, reason):
    records = good()
    forge(records)
    verdict = judge(records)
    assert any(reason in one for one in verdict.nothing)
    assert verdict.code != 0


def _start(records, number, sid):
    return next(record for record in records["sink"] if record["phase"] == "start"
                and (record["seq"], record["path"]) == (number, f"/{sid}"))


def _last(records):
    return only(records, "processes", kind="sample", phase="end")["metrics"]


def _received(records, events, messages=None, delivered=None, dead=0):
    """The counters as they should be then."""
    messages = 3 * events if messages is None else messages
    _last(records).update(
        eventhub_events_received_total=events, eventhub_messages_fanned_out_total=messages,
        eventhub_delivery_attempts_total_delivered=messages if delivered is None else delivered,
        eventhub_dlq_size=dead)


def _rejected(records):
    """Event 3 for subscriber 3 is answered 400 and dead."""
    only(records, "sink", phase="end", n=_start(records, 3, 3)["n"])["status"] = 400
    only(records, "database", table="attempts", seq=3, sid=3).update(outcome="dead", status=400)
    letter(records, 3, 3, "rejected", status=400)
    _received(records, EVENTS, 3 * EVENTS, 3 * EVENTS - 1, dead=1)


def _retried(records, start):
    """The first attempt of event 3 for subscriber 3 is answered 503 at 11.53, the second later."""
    only(records, "sink", phase="end", n=_start(records, 3, 3)["n"])["status"] = 503
    only(records, "database", table="attempts", seq=3, sid=3).update(outcome="retry", status=503)
    deliver(records, 3, 3, start, start + 0.01, attempt=2)
    row(records, 3, 3, 2, "delivered", 200)
