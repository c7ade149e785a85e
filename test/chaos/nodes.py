"""The hub of a run as processes, one role each, and who looks after them: what ends without having
been told so is written down and started again."""
import itertools
import os
import signal
import subprocess
import threading
import time

from chaos import QUICK
from hub import BINARY, Hub
from load import SANITIZED
from names import TTL

ROLES = ("api", "api", "fanout", "fanout", "dispatcher", "dispatcher", "dispatcher", "cleanup")
IDLE_MS = 1000  # kept connections to receivers
SETTINGS = {**QUICK, "EVENTHUB_LOG_LEVEL": "info", "EVENTHUB_WEBHOOK_IDLE_MS": str(IDLE_MS),
            "DB_MAX_CONNECTIONS": "20", "EVENTHUB_CLEANUP_PARTITION_ROWS": "1500"}
STARTED, NO_DATABASE = b"eventhubd started", b"cannot use PostgreSQL"  # what the log says
assert TTL * 1000 <= IDLE_MS


class Node:
    """One process by name. A fault takes it (`busy`) so that no other fault does."""

    def __init__(self, name, role, hub, journal):
        self.name, self.role, self.hub, self._journal = name, role, hub, journal
        self.busy = False
        self.wanted = False      # it should be running
        self.ends = "crash"      # how its end will have come about, as far as the nemesis knows
        self.life = 0
        self._logged = 0         # bytes of log before this life
        self.lock = threading.RLock()

    def start(self, ready=False):
        with self.lock:
            if self.hub.alive:
                return
            self.ends, self.wanted = "crash", True
            self.life += 1
            self._logged = len(self._log())
            self.hub.start(ready=ready)
            self._journal.write(kind="start", name=self.name, role=self.role, life=self.life,
                                pid=self.hub.pid)

    def reap(self):
        """Writes an end down; True when it was nobody's doing."""
        with self.lock:
            if not self.wanted or self.hub.process.poll() is None:
                return False
            self.wanted = False
            log = self._log()[self._logged:]
            self._journal.write(kind="end", name=self.name, role=self.role, life=self.life,
                                code=self.hub.process.returncode, by=self.ends,
                                started=STARTED in log, no_database=NO_DATABASE in log)
            return self.ends == "crash"

    def _log(self):
        path = os.path.join(self.hub.directory, "hub.out")
        if not os.path.exists(path):
            return b""
        with open(path, "rb") as file:
            return file.read()

    def kill(self):
        with self.lock:
            self.ends = "kill"
            self.hub.kill()
            self.reap()

    def stop(self, timeout=60):
        """SIGTERM and its drain; False when it had to be killed."""
        self.ends = "term"
        self.hub.term()
        try:
            self.hub.wait(timeout)
        except subprocess.TimeoutExpired:
            self._journal.write(kind="stuck", name=self.name)
            self.kill()
            return False
        self.reap()
        return True

    def signal(self, number):
        self.hub.process.send_signal(number)


class Nodes:
    """All processes of a run. `environment(number)`: how process `number` reaches PostgreSQL;
    `wrap(name)`: (further variables, another binary or None) of a process."""

    def __init__(self, journal, environment, wrap=lambda name: ({}, None)):
        self._journal = journal
        self._taking = threading.Lock()
        counters, self.all = {}, []
        for number, role in enumerate(ROLES):
            turn = counters.setdefault(role, itertools.count())
            name = f"{role}-{next(turn)}"
            more, binary = wrap(name)
            hub = Hub(None, role, env={**SETTINGS, **environment(number), **more})
            if binary:
                hub.command[0] = binary
            self.all.append(Node(name, role, hub, journal))

    def by_role(self, role):
        return [node for node in self.all if node.role == role]

    def named(self, name):
        return next(node for node in self.all if node.name == name)

    def ports(self):
        return [node.hub.port for node in self.by_role("api")]

    def take(self, rng, roles=None):
        """A process that no other fault has, or None."""
        with self._taking:
            free = [node for node in self.all
                    if not node.busy and node.hub.alive and (not roles or node.role in roles)]
            if not free:
                return None
            node = rng.choice(free)
            node.busy = True
            return node

    def give_back(self, node):
        node.busy = False

    def look_after(self, stop):
        """Runs in a thread: starts again what ended by itself."""
        while not stop.wait(0.1):
            for node in self.all:
                if node.reap():
                    time.sleep(0.3)
                    node.start()

    def heal(self):
        for node in self.all:
            if node.hub.alive:
                node.signal(signal.SIGCONT)
            else:
                node.reap()
                node.start()
            node.busy = False

    def stop_all(self):
        """SIGTERM to everybody; dispatchers drain at the same time."""
        threads = [threading.Thread(target=node.stop) for node in self.all if node.hub.alive]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def sanitizer_reports(self):
        for node in self.all:
            report = node.hub.sanitizer_report()
            if report:
                self._journal.write(kind="sanitizer", name=node.name, report=report)


__all__ = ["BINARY", "IDLE_MS", "Node", "Nodes", "SANITIZED", "SETTINGS"]
