"""Dead letters, states and metrics tell what happened."""
import os
import re

import psycopg2
import pytest

from hub import ROOT, wait_until
from load import PATIENCE, Hold, times_sent
from sink import Answer


def test_s8_a_retried_dead_letter_that_fails_again_is_the_same_dead_letter(case):
    case.subscribe(500, retry_limit=1)
    case.post()
    assert case.ended(1) == {"dead": 1}
    first, = case.dead()
    assert (first["reason"], first["attempts"], len(case.sent())) == ("retries_exhausted", 2, 2)
    for turn in (2, 3):
        case.retry_dead(first)
        case.wait(2 * turn)
        assert case.ended(1) == {"dead": 1}
        again, = case.dead()
        assert again["message_id"] == first["message_id"]
        assert len(case.sent()) == 2 * turn
    case.sink.on(case.path, 200)
    case.retry_dead(first)
    assert case.ended(1) == {"delivered": 1}
    assert not case.dead()
    assert set(times_sent(case.sent())) == {str(first["message_id"])}


def test_the_same_dead_letter_cannot_be_retried_twice_at_once(case):
    hold = Hold()
    case.subscribe(400)
    case.post()
    assert case.ended(1) == {"dead": 1}
    letter, = case.dead()
    case.sink.on(case.path, hold)
    case.retry_dead(letter)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        case.retry_dead(letter)
    wait_until(lambda: hold.now == 1, PATIENCE)
    with pytest.raises(psycopg2.errors.UniqueViolation):
        case.retry_dead(letter)
    assert case.database.value("SELECT retrying FROM dead_letters WHERE sid = %s", case.sid)
    assert case.database.states(case.sid) == {"pending": 1}
    hold.open()
    assert case.ended(1) == {"delivered": 1}
    with pytest.raises(psycopg2.errors.NoDataFound):
        case.retry_dead(letter)
    assert len(case.sent()) == 2 and len(times_sent(case.sent())) == 1
    assert case.sent()[1].event_id == case.sent()[0].event_id


def test_views_tell_what_happened(case):
    case.subscribe(lambda d: Answer(418, body=b"I am a teapot"))
    sid = case.subscribe(lambda d: 200 if d.attempt > 1 else 503, path="/b")
    event_id = case.post()
    case.ended(1)
    case.ended(1, sid)
    letter, = case.dead()
    assert str(letter["message_id"]) == case.sent()[0].message_id
    assert str(letter["event_id"]) == event_id
    assert letter["last_status"] == 418 and letter["outcome"] == "dead"
    assert case.database.value("SELECT response FROM delivery_attempts WHERE sid = %s",
                               case.sid) == "I am a teapot"
    row = case.database.rows("SELECT state, reason, last_outcome, attempts, last_status FROM "
                             "message_status WHERE sid = %s", sid)
    assert row == [("delivered", None, "delivered", 2, 200)]
    snapshot = case.database.rows("SELECT payload, event_type, subscriber_snapshot->>'webhook_url' "
                                  "FROM dead_letter_queue WHERE sid = %s", case.sid)
    assert snapshot == [('{"number": 0, "key": null}', case.type, case.sink.url(case.path))]


def test_an_answer_that_is_no_text_is_kept_as_far_as_it_can_be(case):
    case.subscribe(Answer(400, body=b"\xff\x00\xfe" + b"A" * 5000))
    case.post()
    assert case.ended(1) == {"dead": 1}
    kept = case.database.value("SELECT response FROM delivery_attempts WHERE sid = %s", case.sid)
    assert "AAAA" in kept and len(kept.encode()) <= 4096


def test_reasons_to_wait_are_the_same_words_everywhere(case):
    """In SQL, in the metric's labels, and in its description."""
    words = [row[0] for row in case.database.rows(
        "SELECT wait_reason_name(n::smallint) FROM generate_series(1, 10) n")]
    labels = re.findall(r'eventhub_waiting_messages\{reason="(\w+)"\}',
                        "\n".join(case.world.dispatchers[0].metrics()))
    with open(os.path.join(ROOT, "docs/metrics.md"), encoding="utf-8") as file:
        line = next(text for text in file if text.startswith("| `eventhub_waiting_messages`"))
    described = re.findall(r"`(\w+)`", line.split("|")[4])
    assert None not in words and len(set(words)) == 10
    assert sorted(labels) == sorted(described) == sorted(words)


def test_what_waits_is_pending_until_it_is_parked_with_its_reason(case):
    hold = Hold()
    case.ordered(hold)
    paused = case.subscribe(path="/paused", paused=True)
    for number in range(3):
        case.post(number, "a")

    def seen(sid, reason, before):
        """All states until three are parked."""
        found = set()
        while ("waiting", reason, 3) not in found:
            rows = case.database.rows("SELECT state, reason, count(*) FROM message_status WHERE "
                                      "sid = %s GROUP BY 1, 2", sid)
            found |= set(rows)
            assert {row[:2] for row in rows} <= {("pending", before), ("waiting", reason)}
        return found

    assert seen(paused, "paused", "paused")
    assert seen(case.sid, "order", None)
    hold.open()
    assert case.ended(3) == {"delivered": 3}
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", paused)
    assert case.ended(3, paused) == {"cancelled": 3}


def test_a_waiting_retry_shows_its_reason_and_time(case):
    case.subscribe(503, retry_backoff_seconds=[3600])
    case.post()
    case.waits_for("retry", 1)
    state = case.database.rows("SELECT state, attempts, last_status, next_attempt_at - "
                               "last_attempt_at > interval '59 minutes' FROM message_status "
                               "WHERE sid = %s", case.sid)
    assert state == [("waiting", 1, 503, True)]
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", case.sid)
    assert case.ended(1) == {"cancelled": 1}


def test_s9_s10_gauges_of_a_message_that_died_go_back_and_are_served_by_its_dispatcher(case):
    case.subscribe(400)
    other = case.subscribe(200, path="/fine")
    for number in range(8):
        case.post(number)
    assert case.ended(8) == {"dead": 8}
    assert case.ended(8, other) == {"delivered": 8}
    ids = dict(case.database.rows("SELECT sid, id::text FROM subscribers"))

    def total(name, sid):
        found = 0
        for one in case.world.dispatchers:
            found += sum(value for series, value in one.metrics().items()
                         if series.startswith(name + "{") and ids[sid] in series)
        return found

    wait_until(lambda: total("eventhub_pending_messages", case.sid) == 0, PATIENCE)
    delivered = "eventhub_messages_delivered_total"
    assert total(delivered, case.sid) == 8 and total(delivered, other) == 8
    assert total("eventhub_delivery_latency_seconds_count", other) == 8
    dead = sum(value for one in case.world.dispatchers for name, value in one.metrics().items()
               if name.startswith("eventhub_delivery_attempts_total") and 'outcome="dead"' in name)
    assert dead >= 8


def test_s15_health_and_metrics_need_nothing(case):
    for one in case.world.hubs:
        assert one.request("GET", "/health").status == 200
        assert one.request("GET", "/metrics").status == 200
