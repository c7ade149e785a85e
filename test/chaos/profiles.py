"""The subscribers of a run and how their receivers answer.

`answers` are shares in thousandths; what is left is 200. What a receiver answers is a function of
seed, subscriber, number of the event and attempt (answer_of), so that a run can be repeated.
"""
import dataclasses
import hashlib

LIMIT, BACKOFF = 3, (0.2, 0.5, 1.0)
PATIENT = {"retry_limit": 40, "backoff": (0.3,)}
# Types of events with their shares.
TYPES = {"chaos.a": 35, "chaos.b": 35, "chaos.deep.c": 20, "chaos.d": 10}


@dataclasses.dataclass
class Profile:
    name: str
    patterns: tuple
    answers: dict = dataclasses.field(default_factory=dict)
    guarantee: str = "at_least_once"
    ordering: str = None
    secret: bool = False
    named: bool = False       # its host is a name, not an address
    retry_limit: int = LIMIT
    backoff: tuple = BACKOFF


PROFILES = (
    Profile("ordered", ("chaos.>",), {"503": 30}, ordering="organization_id", secret=True,
            **PATIENT),
    Profile("plain", ("chaos.a", "chaos.b"), {"500": 15, "400": 10, "slow": 20}),
    Profile("once", ("chaos.*",), {"503": 30, "404": 20, "reset": 10},
            guarantee="at_most_once"),
    Profile("by-user", ("chaos.b", "chaos.deep.>"), {"429": 15, "503": 40, "reset": 30},
            ordering="user_id"),
    Profile("dying", ("chaos.a",), {"400": 60, "503": 80, "redirect": 20, "422": 10},
            ordering="organization_id"),
    Profile("once-ordered", ("chaos.b",), {"503": 30, "close": 20},
            guarantee="at_most_once", ordering="organization_id"),
    Profile("rough", ("chaos.d",), {"hang": 10, "drip": 10, "redirect": 30, "garbage": 60,
                                    "gigabyte": 10, "reset": 40, "close": 40, "301": 20}),
    Profile("named", ("*.a", "chaos.deep.*"), {"slow": 20}, ordering="organization_id",
            named=True, secret=True, **PATIENT),
)


def profiles(count):
    """`count` of them; more than there are repeat with other names."""
    found = []
    for index in range(count):
        profile = PROFILES[index % len(PROFILES)]
        turn = index // len(PROFILES)
        found.append(dataclasses.replace(profile, name=f"{profile.name}{turn or ''}"))
    return found


def answer_of(seed, profile, number, attempt):
    """The name of the answer: a status, or slow, reset, close, hang, drip, garbage, …"""
    text = f"{seed} {profile.name} {number} {attempt}"
    point = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 1000
    for answer, share in profile.answers.items():
        point -= share
        if point < 0:
            return answer
    return "200"


def matches(pattern, event_type):
    """As the contract has it: exact, `*` one segment, `>` the rest."""
    if pattern == ">":
        return True
    wanted, given = pattern.split("."), event_type.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[:len(wanted) - 1] if len(given) >= len(wanted) else None
    return given is not None and len(wanted) == len(given) and all(
        w in ("*", g) for w, g in zip(wanted, given))
