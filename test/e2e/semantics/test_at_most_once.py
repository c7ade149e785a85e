"""At most once is one request, whatever comes."""
import psycopg2
import pytest

from hub import free_port
from load import times_sent
from sink import Answer


@pytest.mark.parametrize("answer, reason", [
    (500, "at_most_once"), (429, "at_most_once"), (400, "rejected"),
    (Answer(hang=True), "unknown_outcome"), (Answer(reset=True), "unknown_outcome"),
    (Answer(close=True), "unknown_outcome"), (Answer(raw=b"nonsense\r\n\r\n"), "unknown_outcome"),
], ids=["500", "429", "400", "time-out", "reset", "close", "nonsense"])
def test_s5_at_most_once_is_one_request_whatever_comes(case, answer, reason):
    case.subscribe(answer, delivery_guarantee="at_most_once", timeout_ms=1500)
    event_id = case.post()
    assert case.ended(1) == {"dead": 1}
    letter, = case.dead()
    assert letter["reason"] == reason and str(letter["event_id"]) == event_id
    assert (letter["outcome"] == "unknown") == (reason == "unknown_outcome")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
        case.retry_dead(letter)
    assert len(case.sent()) == 1
    case.sink.on(case.path, 200)
    case.retry_dead(letter, force=True)
    case.wait(2 if answer.__class__ is int or not answer.hang else 1)
    assert case.ended(1) == {"delivered": 1}
    assert len(case.sent()) == 2 and len(times_sent(case.sent())) == 1


def test_s5_at_most_once_that_reached_nobody_is_dead_and_says_so(case):
    case.database.subscribe(f"http://127.0.0.1:{free_port()}/", case.type,
                            delivery_guarantee="at_most_once")
    sid = case.database.value("SELECT max(sid) FROM subscribers")
    case.post()
    assert case.ended(1, sid) == {"dead": 1}
    assert case.dead(sid)[0]["reason"] == "not_sent"
