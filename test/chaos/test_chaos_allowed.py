"""The checker against histories that look like faults of the hub and are none."""
from checker import judge
from forged import EVENTS, at, deliver, end, fault, good, only, row, violated


def test_a_repetition_that_a_fault_explains_is_counted_and_allowed():
    records = good()
    fault(records, "kill", 11.525, 12)
    deliver(records, 3, 3, 13, 13.01)
    verdict = judge(records)
    assert verdict.code == 0 and verdict.counts["duplicates"] == 1
    records = good()
    fault(records, "kill", 11.525, 12, repeats=False)  # of an API, say
    deliver(records, 3, 3, 13, 13.01)
    assert violated(records) == {"I3"}


def test_a_lost_session_explains_a_repetition_too():
    records = good()
    records["processes"].append({"kind": "log", "t": at(13), "name": "hub", "level": "warn",
                                 "message": "the dispatcher lost its session", "error": ""})
    deliver(records, 3, 3, 12.9, 12.91)
    verdict = judge(records)
    assert verdict.code == 0 and verdict.counts["unforced"] == 1


def test_who_timed_out_does_not_wait_for_the_end_that_a_late_receiver_wrote():
    """Time-out 2 s after the start, the receiver ends 0.13 s later, the retry is due in between."""
    records = good()
    only(records, "database", table="attempts", seq=3, sid=3).update(
        outcome="retry", status=None, latency_ms=2000)
    first = only(records, "sink", phase="start", number=3, path="/3")
    only(records, "sink", phase="end", n=first["n"])["t"] = at(11.52 + 2.13)
    deliver(records, 3, 3, 11.52 + 2.22, 11.52 + 2.23, attempt=2)
    row(records, 3, 3, 2, "delivered", 200)
    assert violated(records) == set()
    only(records, "database", table="attempts", seq=3, sid=3, attempt=1).update(status=503)
    assert "I9" in violated(records)


def _timed_out(arrived, status=None, latency_ms=2000, again=42.23):
    """The last event at subscriber 1 (ordered), sent at 40.02 and given up 2 s later, is answered
    after that, and sent again meanwhile."""
    records = good()
    first = only(records, "sink", phase="start", number=EVENTS, path="/1")
    only(records, "sink", phase="end", n=first["n"])["t"] = at(42.3)
    first["t"] = at(arrived)
    only(records, "database", table="attempts", seq=EVENTS, sid=1).update(
        outcome="retry", status=status, latency_ms=latency_ms, sent=at(40.02))
    deliver(records, EVENTS, 1, again, 42.4, attempt=2)
    row(records, EVENTS, 1, 2, "delivered", 200)
    return records


def test_a_request_that_waited_for_its_receiver_was_over_when_the_hub_said_so():
    assert violated(_timed_out(40.4)) == set()
    assert "I6" in violated(_timed_out(40.4, status=503)), "it got an answer"
    assert "I6" in violated(_timed_out(42.1)), "after its time-out"


def test_a_hub_that_is_wrong_by_half_a_millisecond_about_its_clock_does_not_send_two_at_a_time():
    """It says that it sent at 40.0200 what arrived at 40.0196; latencies are rounded up."""
    assert "I6" not in violated(_timed_out(40.0196, latency_ms=2001, again=42.02))
    assert "I6" in violated(_timed_out(40.0196, latency_ms=2001, again=42.019))


def test_what_an_answer_that_came_too_late_asks_for_is_not_heard():
    records = _timed_out(40.4)
    first = only(records, "sink", phase="start", number=EVENTS, path="/1", attempt=1)
    only(records, "sink", phase="end", n=first["n"])["status"] = 429
    assert violated(records) == set()


def test_a_connection_cut_under_a_receiver_at_work_lets_the_hub_send_again():
    records = good()
    deliver(records, 3, 1, 11.525, 11.6)
    assert "I6" in violated(records)
    fault(records, "socket-cut", 11.5, 11.7, target="receivers")
    assert violated(records) == set()


def test_one_stale_request_of_a_frozen_process_is_allowed_and_no_second_one():
    records = good()
    fault(records, "stop", 11.5, 13.1, stale=True)
    deliver(records, 3, 1, 13.2, 13.21)
    verdict = judge(records)
    assert verdict.code == 0 and verdict.counts["stale"] == 1
    deliver(records, 4, 1, 13.3, 13.31)
    assert violated(records) == {"I5"}


def test_a_process_may_give_up_at_its_start_while_a_fault_keeps_the_database_away():
    for by in ("crash", "term"):
        records = good()
        end(records, 1, by, started=False, no_database=True)
        assert violated(records) == {"P1"}, "nothing was disturbed"
        fault(records, "link-silent", 14, 19)
        assert violated(records) == set()
        end(records, 1, by, started=True, no_database=True)
        assert violated(records) == {"P1"}, "one that had started goes on"
    records = good()
    fault(records, "link-silent", 14, 19)
    end(records, 1, "crash", started=False)
    assert violated(records) == {"P1"}, "for another reason"


def test_who_is_told_to_end_before_it_has_started_need_not_drain():
    records = good()
    end(records, -15, "term", started=False)
    assert violated(records) == set()
    end(records, -15, "term")
    assert violated(records) == {"P1"}


def test_a_retry_may_be_early_by_what_clocks_disagree():
    for early, found in ((0.015, set()), (0.03, {"I9"})):
        records = good()
        only(records, "database", table="attempts", seq=3, sid=3).update(
            outcome="retry", status=503)
        first = only(records, "sink", phase="start", number=3, path="/3")
        only(records, "sink", phase="end", n=first["n"])["status"] = 503
        deliver(records, 3, 3, 11.53 + 0.2 - early, 11.53 + 0.21, attempt=2)
        row(records, 3, 3, 2, "delivered", 200)
        assert violated(records) == found


def test_messages_that_a_crash_of_postgres_took_away_are_counted_again():
    records = good()
    metrics = only(records, "processes", kind="sample", phase="end")["metrics"]
    metrics["eventhub_messages_fanned_out_total"] += 12
    assert violated(records) == {"I10"}
    fault(records, "kill", 30, 31)
    assert violated(records) == {"I10"}, "another fault takes nothing away"
    fault(records, "pg-immediate", 30, 31)
    assert violated(records) == set()
    metrics["eventhub_events_received_total"] += 1
    assert violated(records) == {"I10"}, "nor may it double what was accepted"
