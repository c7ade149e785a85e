"""The schedule of a run: a function of seed, duration and the faults to choose from.

Warm-up, then one fault at a time for two thirds of what is left, then several at a time. A step is
{"at": seconds, "fault": name, "for": seconds, "draw": a number that chooses victims and variants}.
"""
import random

from nemesis import FAULTS

WARM = 4.0
PAUSE = (0.5, 2.0)   # between two faults
ALONE = 0.65         # share of the time with one fault at a time


def make(seed, duration, names):
    """Steps in order of time. Of the faults that need a world of their own at most one kind is in a
    run, so that each run starts quickly and 45 s are enough for it to show."""
    rng = random.Random(f"{seed} plan")
    names = sorted(names)
    special = [name for name in names if FAULTS[name].special]
    ordinary = [name for name in names if not FAULTS[name].special
                for _ in range(FAULTS[name].weight)]
    chosen = [rng.choice(special)] if special else []
    rng.shuffle(ordinary)
    steps, at, queue = [], WARM, chosen + ordinary
    if len(queue) > 1:  # the special one is early, but not always first
        first = rng.randrange(min(3, len(queue)))
        queue.insert(first, queue.pop(0))
    turn = 0
    while queue:
        fault = FAULTS[queue[turn % len(queue)]]
        turn += 1
        length = round(rng.uniform(*fault.lasts), 2)
        if at + length > duration:
            break
        steps.append({"at": round(at, 2), "fault": fault.name, "for": length,
                      "draw": rng.getrandbits(32)})
        if fault.once:
            turn -= 1
            queue.pop(turn % len(queue))
        single = at < WARM + (duration - WARM) * ALONE or fault.alone
        at += length + rng.uniform(*PAUSE) if single else rng.uniform(*PAUSE)
    return [step for step in apart(steps) if step["at"] + step["for"] <= duration]


def apart(steps):
    """What must be alone gets its time to itself: later steps move behind it, and it behind those
    that are under way."""
    moved, free, lonely = [], 0.0, 0.0
    for step in steps:
        fault = FAULTS[step["fault"]]
        at = max(step["at"], lonely, free if fault.alone else 0.0)
        moved.append({**step, "at": round(at, 2)})
        free = max(free, at + step["for"] + PAUSE[0])
        if fault.alone:
            lonely = at + step["for"] + PAUSE[0]
    return moved


def needs(steps):
    """What the world must have for these steps: {"standby", "tmpfs", …}."""
    return {FAULTS[step["fault"]].special for step in steps} - {None}
