"""Who gets what: patterns, changes of a subscriber, and what one cannot be."""
import psycopg2
import pytest

from hub import order_violations, wait_until
from load import PATIENCE, Hold, by_key, numbers


def test_wildcards_and_several_types(case):
    name = case.name
    patterns = {
        "/exact": {"event_type": f"{name}.a"}, "/star": {"event_type": f"{name}.*"},
        "/rest": {"event_type": f"{name}.>"}, "/middle": {"event_type": f"{name}.*.c"},
        "/several": {"event_type": None, "event_types": [f"{name}.a", f"{name}.b.*"]},
        "/both": {"event_type": f"{name}.a", "event_types": [f"{name}.*"]},
    }
    expected = {"/exact": {"a"}, "/star": {"a", "z"}, "/rest": {"a", "z", "b.c", "b.c.d"},
                "/middle": {"b.c"}, "/several": {"a", "b.c"}, "/both": {"a", "z"}}
    sids = {path: case.subscribe(path=path, **row) for path, row in patterns.items()}
    for kind in ("a", "z", "b.c", "b.c.d", ""):
        event_type = f"{name}.{kind}" if kind else name
        assert case.world.hub.post({"event_type": event_type, "payload": {}}).status == 202
    for path, kinds in expected.items():
        assert case.ended(len(kinds), sids[path]) == {"delivered": len(kinds)}, path
        found = [d.headers["x-event-type"].removeprefix(f"{name}.") for d in case.sent(path)]
        assert sorted(found) == sorted(kinds), path


def test_a_wildcard_subscriber_keeps_the_order_across_event_types(case):
    """One row for all types is what keeps, say, created before deleted."""
    kinds = ("created", "changed", "deleted.soft")

    def rule(delivery):
        return 503 if delivery.attempt == 1 and delivery.json()["number"] % 7 == 0 else 200

    case.ordered(rule, event_type=f"{case.name}.>")
    for number in range(45):
        case.post(number, f"k{number % 2}", event_type=f"{case.name}.{kinds[number % 3]}")
    assert case.ended(45) == {"delivered": 45}
    found = [d for d in case.sent() if d.ok and by_key(d) == "k1"]
    assert [d.headers["x-event-type"] for d in found] == [
        f"{case.name}.{kinds[number % 3]}" for number in range(1, 45, 2)]
    assert sorted(numbers(d for d in case.sent() if d.ok)) == list(range(45))
    assert not order_violations(case.sent(), by_key)


def test_the_next_event_after_the_commit_of_a_subscriber_is_matched(case):
    for number in range(20):
        sid = case.subscribe(path=f"/{number}")
        case.post(number)
        if number % 2:
            case.database.rows("DELETE FROM subscribers WHERE sid = %s", sid)
    for number in range(0, 20, 2):
        wait_until(lambda path=f"/{number}", n=number: n in numbers(case.sent(path)), PATIENCE)


def test_s16_an_inactive_subscriber_gets_nothing_that_was_queued(case):
    hold = Hold()
    case.ordered(hold, max_in_flight=1)
    for number in range(5):
        case.post(number, "a")
    case.post(0, "b")  # waits for the cap; when it waits for something else, the change is known
    wait_until(lambda: hold.now == 1, PATIENCE)
    case.held("in_flight_cap", 1)
    case.change(is_active=False)
    case.held("inactive", 1)
    hold.open()
    case.held("inactive", 2)  # 0 is written down, and 1 looked at
    case.post(99, "a")  # makes no message
    case.all_fanned_out()
    assert numbers(case.sent()) == [0]
    case.change(is_active=True)
    assert case.ended(6) == {"delivered": 6}
    case.post(5, "a")
    assert case.ended(7) == {"delivered": 7}
    assert numbers(d for d in case.sent() if by_key(d) == "a") == [0, 1, 2, 3, 4, 5]


def test_messages_held_while_inactive_go_out_in_order_when_active_again(case):
    """Also those that were parked meanwhile, and with newer ones behind them."""
    case.ordered(paused=True)
    for number in range(30):
        case.post(number, f"k{number % 3}")
    case.parked("paused", 30)
    case.change(is_active=False, paused=False)
    for number in range(100, 103):
        case.post(number, f"k{number % 3}")  # make no messages
    case.all_fanned_out()
    case.held("inactive", 3)  # the first of each key
    assert not case.sent()
    case.change(is_active=True)
    for number in range(30, 60):
        case.post(number, f"k{number % 3}")
    assert case.ended(60) == {"delivered": 60}
    assert sorted(numbers(case.sent())) == list(range(60))
    assert not order_violations(case.sent(), by_key)


def test_paused_messages_are_made_and_held_and_drain_in_order(case):
    case.ordered(paused=True)
    for number in range(30):
        case.post(number, f"k{number % 3}")
    case.parked("paused", 30)
    assert not case.sent()
    case.change(paused=False)
    for number in range(30, 40):
        case.post(number, f"k{number % 3}")
    assert case.ended(40) == {"delivered": 40}
    assert sorted(numbers(case.sent())) == list(range(40))
    assert not order_violations(case.sent(), by_key)


def test_deleting_a_subscriber_cancels_what_is_open_and_nothing_else(case):
    hold = Hold()
    case.ordered(hold)
    other = case.subscribe(path="/other")
    done = case.subscribe(path="/done")
    for number in range(5):
        case.post(number, "a")
    wait_until(lambda: hold.now == 1, PATIENCE)
    assert case.ended(5, done) == {"delivered": 5}
    case.database.rows("DELETE FROM subscribers WHERE sid IN (%s, %s)", case.sid, done)
    wait_until(lambda: case.database.states(case.sid).get("cancelled") == 4, PATIENCE)
    hold.open()
    assert case.ended(5) in ({"cancelled": 4, "delivered": 1}, {"cancelled": 5})
    assert numbers(case.sent()) == [0]
    assert case.ended(5, other) == {"delivered": 5}
    assert case.database.states(done) == {"delivered": 5}, "history stays"


def test_deleting_a_paused_subscriber_cancels_what_is_parked(case):
    case.subscribe(paused=True)
    for number in range(10):
        case.post(number)
    case.parked("paused", 10)
    case.database.rows("DELETE FROM subscribers WHERE sid = %s", case.sid)
    assert case.ended(10) == {"cancelled": 10}
    assert not case.database.value("SELECT count(*) FROM parked WHERE sid = %s", case.sid)
    assert not case.sent()


@pytest.mark.parametrize("column, value", [
    ("ordering_key", "bogus"), ("ordering_key", ""), ("event_type", "a..b"), ("event_type", "a.*b"),
    ("webhook_url", "ftp://x/"), ("webhook_url", "/relative"),
    ("delivery_guarantee", "exactly_once"), ("retry_backoff_seconds", [-1.0]),
    ("retry_backoff_seconds", []), ("max_in_flight", 0), ("secret", "hunter2"),
    ("on_dead", "stop"), ("body", "xml"), ("timeout_ms", 60001)])
def test_s18_what_a_subscriber_cannot_be_is_refused(case, column, value):
    row = {"event_type": case.type, "ordering_enabled": False, column: value}
    url = row.pop("webhook_url", case.sink.url(case.path))
    with pytest.raises(psycopg2.errors.CheckViolation):
        case.database.subscribe(url, **row)
    with pytest.raises(psycopg2.errors.CheckViolation):
        case.database.subscribe(case.sink.url(case.path), case.type, ordering_enabled=True)
