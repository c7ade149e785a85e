"""The judges of these tests see what they should."""
import json

from sink import Delivery, order_violations


def delivery(number, start, end, seq=None, key="a"):
    return Delivery("/", {"x-event-seq": str(number + 1 if seq is None else seq)},
                    json.dumps({"number": number, "key": key}).encode(), 1, start, end, 200)


def judged(*deliveries, timeout=None):
    return len(order_violations(deliveries, lambda d: d.json()["key"], timeout))


def test_order_is_judged_by_the_producers_counter():
    assert not judged(delivery(0, 1, 2), delivery(1, 3, 4), delivery(5, 5, 6))
    assert judged(delivery(1, 1, 2), delivery(0, 3, 4)) == 1
    assert judged(delivery(1, 1, 2, seq=1), delivery(0, 3, 4, seq=2)) == 1, "a lie of the hub"
    assert judged(delivery(0, 1, 2, seq=2), delivery(1, 3, 4, seq=1)) == 1
    assert judged(delivery(0, 1, 2, seq=2), delivery(1, 3, 4, seq=2)) == 1
    assert not judged(delivery(1, 1, 2), delivery(0, 3, 4, key="b"))


def test_a_repeated_message_is_fine_unless_a_newer_one_came_before():
    assert not judged(delivery(0, 1, 2), delivery(0, 3, 4), delivery(1, 5, 6))
    assert judged(delivery(0, 1, 2), delivery(1, 3, 4), delivery(0, 5, 6)) == 1
    assert not judged(delivery(0, 1, 4), delivery(0, 3, 6), delivery(1, 7, 8))


def test_two_of_a_key_at_a_time_are_seen():
    assert judged(delivery(0, 1, 4), delivery(1, 3, 6)) == 1
    assert judged(delivery(0, 1, 9), delivery(0, 2, 3), delivery(1, 4, 6)) == 1, "the first one"
    assert judged(delivery(0, 1, 9), delivery(1, 2, 3), delivery(2, 4, 6)) == 2, "not only the last"


def test_what_was_never_answered_is_in_flight():
    second = 1_000_000_000
    assert judged(delivery(0, 1, None), delivery(1, 100 * second, 101 * second)) == 1
    assert judged(delivery(0, 1, None), delivery(1, second, 3 * second), timeout=2) == 1
    assert not judged(delivery(0, 1, None), delivery(1, 3 * second, 4 * second), timeout=2)
