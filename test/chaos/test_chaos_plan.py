"""The schedule of a run is a function of its seed, and what receivers answer is too."""
import collections

from nemesis import FAULTS, Machine, possible
from plan import PAUSE, WARM, make, needs
from profiles import PROFILES, TYPES, answer_of, matches, profiles

ALL = sorted(FAULTS)


def test_the_same_seed_makes_the_same_schedule_and_another_one_another():
    assert make(5, 45, ALL) == make(5, 45, list(reversed(ALL)))
    assert len({str(make(seed, 45, ALL)) for seed in range(20)}) == 20


def test_a_schedule_keeps_to_its_time_and_to_one_kind_of_world():
    for seed in range(50):
        steps = make(seed, 45, ALL)
        assert len(steps) > 8
        assert all(WARM <= step["at"] and step["at"] + step["for"] <= 45 for step in steps)
        assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
        assert len(needs(steps)) == 1
        for before, after in zip(steps, steps[1:]):
            if FAULTS[before["fault"]].alone:
                assert after["at"] >= before["at"] + before["for"] + PAUSE[0] - 0.01


def test_every_fault_comes_up_within_a_hundred_seeds():
    found = collections.Counter(
        step["fault"] for seed in range(100) for step in make(seed, 45, ALL))
    assert set(found) == set(ALL)
    assert found["kill"] > 100


def test_only_what_was_asked_for_is_planned():
    assert {step["fault"] for step in make(1, 45, ["stop"])} == {"stop"}
    assert [step["fault"] for step in make(1, 45, ["failover"])] == ["failover"]
    assert make(1, 45, []) == []


def test_what_a_machine_cannot_do_is_left_out_with_the_reason():
    names, missing = possible(Machine(root=False, namespace=False, faketime=False, release=False))
    assert "kill" in names and "stop" in names and "link-cut" in names
    assert missing["partition"].startswith("it needs root")
    assert "libfaketime" in missing["clock"]
    assert set(names) | set(missing) == set(FAULTS)


def test_patterns_match_as_the_contract_says():
    assert matches("chaos.a", "chaos.a") and not matches("chaos.a", "chaos.ab")
    assert matches("chaos.*", "chaos.a") and not matches("chaos.*", "chaos.deep.c")
    assert matches("chaos.>", "chaos.deep.c") and matches("chaos.deep.>", "chaos.deep.c")
    assert not matches("chaos.deep.>", "chaos.a") and not matches("chaos.>", "other.a")
    assert not matches("chaos.>", "chaos") and matches("*.a", "chaos.a") and matches(">", "x")


def test_every_subscriber_gets_something_and_answers_as_its_shares_say():
    for profile in PROFILES:
        assert any(matches(pattern, kind) for pattern in profile.patterns for kind in TYPES)
        found = collections.Counter(answer_of(1, profile, n, 1) for n in range(3000))
        for answer, share in profile.answers.items():
            assert 0.5 * share <= found[answer] / 3 <= 1.7 * share
        assert answer_of(1, profile, 7, 1) == answer_of(1, profile, 7, 1)
    assert len({one.name for one in profiles(20)}) == 20
