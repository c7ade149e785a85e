"""The nemesis: FAULTS maps names to faults. A further one is a class in this folder and a name in
the list below."""
import shutil

from nemesis import databases, network, processes, receivers_fail, resources

FAULTS = {made.name: made for made in (kind() for kind in (
    processes.Kill, processes.Stop, processes.Term, processes.Roll, processes.StopInWrite,
    databases.Immediate, databases.KillBackend, databases.Terminate, databases.Hang,
    databases.DiskFull, databases.FailOver,
    network.LinkCut, network.LinkSilent, network.Slow, network.SocketsKilled, network.Partition,
    network.Names, *receivers_fail.ALL,
    resources.Descriptors, resources.Memory, resources.Clock))}


class Machine:
    """What this machine allows: each is None, or says what is missing."""

    def __init__(self, root, namespace, faketime, release):
        self.root = None if root else "it needs root"
        self.namespace = None if namespace else "it needs root and a network namespace (unshare)"
        self.faketime, self.release = faketime, release

    @staticmethod
    def without(program, why):
        return None if shutil.which(program) else f"{program} is not installed: {why}"


def possible(machine):
    """(names that can be done, {name: why not})"""
    reasons = {name: fault.missing(machine) for name, fault in FAULTS.items()}
    return ([name for name, reason in reasons.items() if not reason],
            {name: reason for name, reason in reasons.items() if reason})
