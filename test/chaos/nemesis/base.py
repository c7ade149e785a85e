"""What a fault is."""
import contextlib
import itertools

_ids = itertools.count(1)


class Fault:
    """run(world, rng, seconds, note) makes it, waits and heals it again, whatever happens.
    `rng` is that of the step, so that victims and variants are a function of the seed."""

    name = None
    lasts = (1.0, 2.0)   # seconds, from … to
    special = None       # what the world must have been made with
    once = False         # at most once in a run
    alone = False        # nothing else at the same time
    weight = 1           # how often in a round of all faults
    repeats = False      # what was in the air, or not written down, may be sent again
    stale = False        # one request may come after its message went to somebody else

    def missing(self, machine):
        """Why this machine cannot do it, or None."""
        return None

    def run(self, world, rng, seconds, note):
        raise NotImplementedError


class Note:
    """Begin and end of one fault in the log; `hit`: something was really disturbed."""

    def __init__(self, journal, fault):
        self._journal, self.id, self.name = journal, next(_ids), fault.name
        self.hits, self.target, self._begun = 0, None, False
        self.repeats, self.stale = fault.repeats, fault.stale
        self.begin("")

    def begin(self, target, repeats=None, **more):
        """Said again when the victim is known."""
        self.target = target
        if repeats is not None:
            self.repeats = repeats
        self._journal.write(phase="begin", id=self.id, fault=self.name, target=target,
                            repeats=self.repeats, stale=self.stale, **more)

    def hit(self, count=1):
        self.hits += count

    def end(self, error=None):
        self._journal.write(phase="end", id=self.id, fault=self.name, target=self.target,
                            repeats=self.repeats, stale=self.stale, hits=self.hits, error=error)


@contextlib.contextmanager
def victim(world, rng, roles=None):
    """A process for this fault alone, or None."""
    node = world.nodes.take(rng, roles)
    try:
        yield node
    finally:
        if node:
            world.nodes.give_back(node)
