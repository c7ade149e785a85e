"""A process without file descriptors, without memory, with another time of day."""
import os
import resource
import time

from hub import BINARY
from load import SANITIZED
from nemesis.base import Fault, victim
from nemesis.processes import SENDS

CGROUP = "/sys/fs/cgroup/memory"
MORE = 1 << 20  # bytes that a process may take besides what it has
JUMP = 600  # seconds


class Descriptors(Fault):
    """No further descriptor can be opened."""
    name = "fds"
    lasts = (2.0, 4.0)

    def missing(self, machine):
        return machine.root

    def run(self, world, rng, seconds, note):
        with victim(world, rng) as node:
            if not node:
                return
            note.begin(node.name, repeats=node.role == SENDS)
            pid = node.hub.pid
            try:
                old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, old[1]))
                note.hit()
                world.rest(seconds)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
            except (OSError, ValueError):
                pass


class Memory(Fault):
    """A process may have hardly more memory than it has: the kernel kills it when it needs more."""
    name = "memory"
    lasts = (1.5, 3.0)

    def missing(self, machine):
        if machine.root:
            return machine.root
        if not os.path.exists(os.path.join(CGROUP, "memory.limit_in_bytes")):
            return "there is no memory controller of cgroup v1"
        return None

    def run(self, world, rng, seconds, note):
        with victim(world, rng) as node:
            if not node:
                return
            group = os.path.join(CGROUP, f"eventhub-chaos-{os.getpid()}-{note.id}")
            note.begin(node.name, repeats=node.role == SENDS)
            os.mkdir(group)
            node.ends = "memory"
            try:
                self._limit(group, node, world, seconds, note)
            finally:
                if _dissolve(group):
                    node.hub.wait()  # the kernel takes its time
                if not node.hub.alive:
                    node.reap()
                    node.start()
                else:
                    node.ends = "crash"

    @staticmethod
    def _limit(group, node, world, seconds, note):
        try:
            # What it has is charged to the group it comes from.
            _write(group, "memory.limit_in_bytes", MORE)
            _write(group, "cgroup.procs", node.hub.pid)
        except OSError:
            return
        world.rest(seconds)
        note.hit(not node.hub.alive or int(_read(group, "memory.failcnt")) > 0)


class Clock(Fault):
    """The time of day of a process jumps 600 s, forth or back, and back again; time that only
    passes (CLOCK_MONOTONIC) does not."""
    name = "clock"
    lasts = (2.0, 4.0)
    special = "clock"

    def missing(self, machine):
        if not machine.faketime:
            return "libfaketime is not installed"
        if SANITIZED and not machine.release:
            return "libfaketime does not work under the address sanitizer, and there is no " \
                   "build/release/eventhubd"
        return None

    def run(self, world, rng, seconds, note):
        name = rng.choice(sorted(world.clocks))
        note.begin(name)
        world.clocks[name].jump(rng.choice((-JUMP, JUMP)))
        note.hit()
        try:
            world.rest(seconds)
        finally:
            world.clocks[name].jump(0)


class FakeClock:
    """The file in which libfaketime finds how far a process is off."""

    def __init__(self, path, library):
        self._path = path
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": path, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def jump(self, seconds):
        with open(self._path + ".new", "w", encoding="ascii") as file:
            file.write(f"{seconds:+d}\n")
        os.replace(self._path + ".new", self._path)


def _write(group, name, value):
    with open(os.path.join(group, name), "w", encoding="ascii") as file:
        file.write(str(value))


def _read(group, name):
    with open(os.path.join(group, name), encoding="ascii") as file:
        return file.read()


def _dissolve(group):
    """Back to the root group, and away with it. True when the kernel has killed somebody in it."""
    for pid in _read(group, "cgroup.procs").split():
        try:
            _write(CGROUP, "cgroup.procs", pid)
        except OSError:
            pass
    killed = "oom_kill 0" not in _read(group, "memory.oom_control")
    for _ in range(50):
        try:
            os.rmdir(group)
            break
        except OSError:
            time.sleep(0.1)
    return killed


__all__ = ["BINARY", "Clock", "Descriptors", "FakeClock", "Memory"]
