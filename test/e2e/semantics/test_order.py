"""One message of a key at a time, in the order of acceptance."""
import itertools
import threading
import time

from hub import order_violations, wait_until
from load import PATIENCE, Gate, by_key, numbers


def test_s1_a_message_in_back_off_blocks_the_newer_ones_of_its_key_only(case):
    gate = Gate(shut=503, only=lambda d: by_key(d) == "a")
    case.ordered(gate, retry_limit=100, retry_backoff_seconds=[0.2])
    for number in range(4):
        case.post(number, "a")
    for number in range(4):
        case.post(number, "b")
    wait_until(lambda: [d for d in case.sent() if by_key(d) == "b" and d.ok][3:], PATIENCE)
    assert {d.json()["number"] for d in case.sent() if by_key(d) == "a"} == {0}
    gate.open()
    assert case.ended(8) == {"delivered": 8}
    assert numbers(d for d in case.sent() if by_key(d) == "a" and d.ok) == [0, 1, 2, 3]
    assert not order_violations(case.sent(), by_key)


def test_s2_s3_one_message_of_a_key_at_a_time_over_all_dispatchers(case):
    """… and several keys at the same time."""
    together = threading.Barrier(3)

    def rule(delivery):
        if delivery.json()["number"] == 0:
            together.wait(PATIENCE)  # breaks, and with it the connection, unless three keys fly
        time.sleep(0.005)
        return 200

    case.ordered(rule)
    for number in range(20):
        for key in "abc":
            case.post(number, key)
    assert case.ended(60) == {"delivered": 60}
    assert len(case.sent()) == 60
    assert not order_violations(case.sent(), by_key)


def test_s4_events_fanned_out_together_keep_their_order(case):
    case.ordered()
    case.world.fanout.pause()
    try:
        for number in range(50):
            case.post(number, "a")
    finally:
        case.world.fanout.cont()
    case.wait(50)
    assert numbers(case.sent()) == list(range(50))
    seqs = [d.seq for d in case.sent()]
    assert seqs == sorted(set(seqs))


def test_on_dead_block_holds_the_key_until_the_dead_letter_is_retried(case):
    gate = Gate(shut=400, only=lambda d: by_key(d) == "a")
    case.ordered(gate, on_dead="block")
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.dead(), PATIENCE)
    case.post(0, "b")
    wait_until(lambda: [d for d in case.sent() if by_key(d) == "b"], PATIENCE)
    case.waits_for("order", 3)
    assert numbers(d for d in case.sent() if by_key(d) == "a") == [0]
    case.retry_dead(case.dead()[0])  # fails again: still blocked
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "a"]) == 2, PATIENCE)
    wait_until(lambda: not case.database.value("SELECT retrying FROM dead_letters WHERE sid = %s",
                                               case.sid), PATIENCE)
    case.post(1, "b")
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "b"]) == 2, PATIENCE)
    gate.open()
    case.retry_dead(case.dead()[0])
    assert case.ended(6) == {"delivered": 6}
    assert numbers(d for d in case.sent() if by_key(d) == "a") == [0, 0, 0, 1, 2, 3]
    assert not order_violations(case.sent(), by_key)


def test_on_dead_block_is_freed_by_a_discard(case):
    case.ordered(lambda d: 400 if d.json()["number"] == 0 else 200, on_dead="block")
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: case.dead(), PATIENCE)
    case.waits_for("order", 3)
    letter = case.dead()[0]["message_id"]  # pressed twice: no fault
    case.database.rows("SELECT discard_dead_letter(%s), discard_dead_letter(%s)", letter, letter)
    assert case.ended(4) == {"delivered": 3, "dead": 1}
    assert numbers(case.sent()) == [0, 1, 2, 3]
    wait_until(lambda: not case.dead(), PATIENCE)


def test_without_on_dead_block_the_next_goes_on(case):
    case.ordered(lambda d: 400 if d.json()["number"] % 2 == 0 else 200)
    for number in range(6):
        case.post(number, "a")
    assert case.ended(6) == {"delivered": 3, "dead": 3}
    assert numbers(case.sent()) == list(range(6))
    case.sink.on(case.path, 200)
    for letter in case.dead():  # late and out of order, because a person wants it
        case.retry_dead(letter)
    assert case.ended(6) == {"delivered": 6}


def test_a_retried_dead_letter_goes_before_the_others_of_its_key(case):
    """0 is dead, 1 waits for its retry until 0 has come again."""
    seen = []

    def rule(delivery):
        seen.append(delivery.json()["number"])
        if seen.count(0) < 2:
            return 400 if seen[-1] == 0 else 503
        return 200

    case.ordered(rule, retry_limit=100)
    for number in range(4):
        case.post(number, "a")
    wait_until(lambda: seen.count(1) >= 2, PATIENCE)
    case.retry_dead(case.dead()[0])
    assert case.ended(4) == {"delivered": 4}
    order = [number for number, _ in itertools.groupby(numbers(case.sent()))]
    assert order == [0, 1, 0, 1, 2, 3]


def test_order_by_user_and_messages_without_a_key_value_are_unordered(case):
    """One without a user waits for nobody; those of a user keep their order."""
    gate = Gate(shut=503, only=lambda d: by_key(d) == "u")
    case.subscribe(gate, ordering_enabled=True, ordering_key="user_id", retry_limit=100)
    for number in range(3):
        case.post(number, "u", user_id="user-1", organization_id=f"org-{number}")
    for number in range(5):
        case.post(number, "none", organization_id="org-1")
    wait_until(lambda: len([d for d in case.sent() if by_key(d) == "none"]) == 5, PATIENCE)
    assert {d.json()["number"] for d in case.sent() if by_key(d) == "u"} == {0}
    gate.open()
    assert case.ended(8) == {"delivered": 8}
    assert numbers(d for d in case.sent() if by_key(d) == "u" and d.ok) == [0, 1, 2]
