"""The judge. It reads the records of a run and nothing else.

    judge(records)    a Verdict: witnesses per invariant, counts, why the run tested nothing
    report(verdict)   what people read
"""
import dataclasses

from checker import acceptance, delivery, order, state
from checker.history import History

INVARIANTS = {
    "I1": acceptance.i1, "I1u": acceptance.i1u, "I2": acceptance.i2, "I3": delivery.i3,
    "I4": delivery.i4, "I5": order.i5, "I6": order.i6, "I7": acceptance.i7, "I8": delivery.i8,
    "I9": delivery.i9, "I10": state.i10, "L1": state.l1, "L2": state.l2, "R1": state.r1,
    "P1": state.p1,
}
SHOWN = 5
ACKNOWLEDGED = 0.5  # least share of valid requests


@dataclasses.dataclass
class Verdict:
    seed: int
    violations: dict
    nothing: list
    counts: dict

    @property
    def code(self):
        return 1 if self.violations else 2 if self.nothing else 0


def judge(records):
    history = History(records)
    violations = {}
    for name, invariant in INVARIANTS.items():
        found = list(invariant(history))
        if found:
            violations[name] = found
    return Verdict(history.run["seed"], violations, tested_nothing(history), counts(history))


def tested_nothing(history):
    """Reasons why this run proves nothing."""
    found = []
    wanted = [one for one in history.requests.values() if one.kind != "conflict"]
    acknowledged = sum(1 for one in wanted if one.acknowledged)
    if not acknowledged or acknowledged < ACKNOWLEDGED * len(wanted):
        found.append(f"only {acknowledged} of {len(wanted)} requests were acknowledged")
    if not any(one.answered() for one in history.attempts):
        found.append("nothing was delivered")
    if history.run["faults"] and not any(one.hits for one in history.faults):
        found.append("no fault hit anything")
    for one in history.faults:
        if one.error:
            found.append(f"{one.fault} failed: {one.error.strip().splitlines()[-1]}")
    return found


def counts(history):
    """What a run amounted to."""
    hit = [one for one in history.faults if one.hits]
    names = {one.fault for one in hit}

    def of(*wanted):
        return sum(one.hits if one.fault in ("kill", "memory") else 1
                   for one in hit if one.fault in wanted)
    violated = {name: sum(1 for _ in invariant(history)) for name, invariant in (
        ("lost", acceptance.i1), ("disordered", order.i5), ("overlaps", order.i6))}
    lost = violated["lost"] + sum("lost" in one for one in delivery.i3(history))
    doubled = (sum("sent again" in one for one in delivery.i3(history))
               + sum("times" in one for one in delivery.i4(history)))
    return {
        "acknowledged": acceptance.counts(history)["acknowledged"],
        "delivered": sum(1 for sent in history.sent.values()
                         if any(one.answered() for one in sent)),
        "duplicates": delivery.duplicates(history), "stale": order.stale_count(history),
        "dead": len(history.dead), "faults": len(hit), "kinds": len(names),
        "kills": of("kill", "memory"), "stops": of("stop", "fanout-stop", "pg-hang"),
        "cuts": of("pg-terminate", "link-cut", "link-silent", "socket-cut", "partition"),
        "postgres": of("pg-immediate", "pg-backend", "disk-full", "failover"),
        "unforced": len(history.unforced), "lost": lost, "doubled": doubled,
        "disordered": violated["disordered"], "overlaps": violated["overlaps"],
    }


def line(verdict):
    """One line: the seed and its counts."""
    words = {0: "valid", 1: "VIOLATED", 2: "tested nothing"}
    numbers = ", ".join(f"{value} {name}" for name, value in verdict.counts.items())
    return f"seed {verdict.seed}: {words[verdict.code]}: {numbers}"


def report(verdict):
    text = []
    for name, found in verdict.violations.items():
        meaning = " ".join(INVARIANTS[name].__doc__.split())
        text.append(f"{name} violated {len(found)} times: {meaning}")
        text += [f"    {one}" for one in found[:SHOWN]]
    text += [f"tested nothing: {reason}" for reason in verdict.nothing]
    return "\n".join([*text, line(verdict)])
