"""Which answers are tried again, when, and how often."""
import itertools

import pytest

from hub import order_violations, wait_until
from load import PATIENCE, by_key, times_sent
from sink import Answer


def test_retries_wait_as_long_as_they_should_and_the_last_wait_repeats(case):
    case.subscribe(503, retry_limit=4, retry_backoff_seconds=[0.1, 0.4])
    case.post()
    assert case.ended(1) == {"dead": 1}
    sent = case.sent()
    assert [d.attempt for d in sent] == [1, 2, 3, 4, 5]
    waits = [(after.t_start - before.t_end) / 1e9 for before, after in zip(sent, sent[1:])]
    assert all(wait >= least for wait, least in zip(waits, (0.1, 0.4, 0.4, 0.4))), waits
    letter, = case.dead()
    assert letter["attempts"] == 5 and letter["last_status"] == 503
    assert letter["last_error"] == "Retries exhausted after 5 attempts. Last error: HTTP 503"
    rows = case.database.rows("SELECT attempt, outcome_name(outcome), http_status FROM "
                              "delivery_attempts WHERE sid = %s ORDER BY attempt", case.sid)
    assert rows == [(n, "retry", 503) for n in range(1, 5)] + [(5, "dead", 503)]


@pytest.mark.parametrize("answer", [
    429, 500, 503, 599, Answer(reset=True), Answer(close=True),
    Answer(raw=b"HTTP/1.1 99 no\r\n\r\n"), Answer(raw=b"nonsense\r\n\r\n")],
    ids=["429", "500", "503", "599", "reset", "close", "status 99", "nonsense"])
def test_what_may_pass_is_tried_again(case, answer):
    case.subscribe(lambda d: answer if d.attempt < 3 else 204)
    case.post()
    assert case.ended(1) == {"delivered": 1}
    # A kept connection that ends before any answer is replaced within the attempt.
    assert [n for n, _ in itertools.groupby(d.attempt for d in case.sent())] == [1, 2, 3]
    assert len(times_sent(case.sent())) == 1


@pytest.mark.parametrize("backoff, asked, least", [(0.05, 1, 1.0), (0.6, 0, 0.6)],
                         ids=["lengthens", "never shortens"])
def test_retry_after(case, backoff, asked, least):
    answer = Answer(503, headers={"Retry-After": str(asked)})
    case.subscribe(lambda d: answer if d.attempt == 1 else 200, retry_backoff_seconds=[backoff])
    case.post()
    first, second = case.wait(2)
    assert (second.t_start - first.t_end) / 1e9 >= least


def test_s14_the_time_out_is_the_one_that_was_set(case):
    """… and neither the hub's, here 30 s, nor the usual 10 s."""
    case.subscribe(Answer(hang=True), timeout_ms=300, retry_limit=1)
    case.post()
    assert case.ended(1) == {"dead": 1}
    first, second = case.sent()
    # A little less than 0.3 s: the receiver may note the first one late.
    assert 0.2e9 <= second.t_start - first.t_start < 7e9
    assert "timed out" in case.dead()[0]["last_error"]
    spent = case.database.rows("SELECT latency_ms FROM delivery_attempts WHERE sid = %s", case.sid)
    assert len(spent) == 2 and all(300 <= row[0] < 5000 for row in spent), spent


def test_any_other_4xx_is_dead_at_once(case):
    statuses = [400, 401, 403, 404, 405, 408, 409, 413, 422, 451, 499]
    case.subscribe(lambda d: statuses[d.json()["number"]])
    for number in range(len(statuses)):
        case.post(number)
    assert case.ended(len(statuses)) == {"dead": len(statuses)}
    assert len(case.sent()) == len(statuses)
    assert [(d["reason"], d["last_status"], d["attempts"]) for d in case.dead()] == [
        ("rejected", status, 1) for status in statuses]


def test_redirects_are_not_followed(case):
    statuses = [300, 301, 302, 303, 307, 308]
    case.sink.on(case.path + "/elsewhere", 200)
    elsewhere = case.sink.url(case.path + "/elsewhere")
    case.subscribe(lambda d: Answer(statuses[d.json()["number"]], headers={"Location": elsewhere}))
    for number in range(len(statuses)):
        case.post(number)
    assert case.ended(len(statuses)) == {"dead": len(statuses)}
    assert {d["reason"] for d in case.dead()} == {"redirect"}
    assert not case.sent("/elsewhere") and len(case.sent()) == len(statuses)


def test_a_subscriber_says_which_answers_are_tried_again(case):
    """404 until the receiver is deployed, say; and no 501."""
    statuses = [404, 410, 429, 501]
    case.subscribe(lambda d: statuses[d.json()["number"]] if d.attempt < 3 else 200,
                   retry_statuses=["404", "410", "503"])
    for number in range(len(statuses)):
        case.post(number)
    assert case.ended(len(statuses)) == {"delivered": 2, "dead": 2}
    assert sorted(d["last_status"] for d in case.dead()) == [429, 501]
    assert sorted(d.json()["number"] for d in case.sent()) == [0, 0, 0, 1, 1, 1, 2, 3]
    assert not case.database.value("SELECT paused FROM subscribers WHERE sid = %s", case.sid)


def test_410_pauses_the_subscriber_and_the_rest_is_kept(case):
    case.ordered(lambda d: 410 if d.json()["number"] == 0 else 200)
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.database.value("SELECT paused FROM subscribers WHERE sid = %s",
                                           case.sid), PATIENCE)
    assert "410" in case.database.value("SELECT paused_reason FROM subscribers WHERE sid = %s",
                                        case.sid)
    wait_until(lambda: case.dead(), PATIENCE)
    assert [d["reason"] for d in case.dead()] == ["gone"]
    case.post(4, "a")
    wait_until(lambda: sum(case.database.states(case.sid).values()) == 5, PATIENCE)
    case.database.rows("UPDATE subscribers SET paused = false WHERE sid = %s", case.sid)
    assert case.ended(5) == {"delivered": 4, "dead": 1}
    assert not order_violations(case.sent(), by_key)
