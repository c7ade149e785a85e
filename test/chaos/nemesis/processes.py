"""Processes of the hub that die, freeze or are told to end."""
import signal
import time

import psycopg2

from nemesis.base import Fault, victim

SENDS = "dispatcher"  # only its death may have anything sent again
FROZEN = 4.5          # seconds: longer than the wait of a take-over with the settings of these runs


class Kill(Fault):
    """kill -9 of one process, or of all at one instant; started again after `seconds`."""
    name = "kill"
    lasts = (0.2, 2.0)
    weight = 3

    def run(self, world, rng, seconds, note):
        if rng.random() < 0.1:
            self._everybody(world, seconds, note)
            return
        with victim(world, rng) as node:
            if node:
                note.begin(node.name, repeats=node.role == SENDS)
                node.kill()
                note.hit()
                world.rest(seconds)
                node.start()

    def _everybody(self, world, seconds, note):
        nodes = [node for node in world.nodes.all if not node.busy and node.hub.alive]
        note.begin("all", repeats=True)
        for node in nodes:
            node.ends, node.busy = "kill", True
            node.signal(signal.SIGKILL)
        for node in nodes:
            node.kill()
            note.hit()
        world.rest(min(seconds, 1))
        for node in nodes:
            node.start()
            node.busy = False


class Stop(Fault):
    """SIGSTOP, for longer than a take-over waits, then SIGCONT."""
    name = "stop"
    weight = 2
    lasts = (FROZEN, FROZEN + 1.5)
    stale = True

    def run(self, world, rng, seconds, note):
        with victim(world, rng, rng.choice((None, (SENDS,)))) as node:
            if node:
                note.begin(node.name, repeats=node.role == SENDS)
                node.signal(signal.SIGSTOP)
                note.hit()
                try:
                    world.rest(seconds)
                finally:
                    node.signal(signal.SIGCONT)


def started(node):
    """Until it can drain: before, SIGTERM just ends a process that has nothing."""
    try:
        node.hub.wait_ready(10)
    except AssertionError:
        pass  # a database may be away


class Term(Fault):
    """SIGTERM: it drains and ends with 0."""
    name = "term"
    lasts = (0.5, 1.5)

    def run(self, world, rng, seconds, note):
        with victim(world, rng) as node:
            if node:
                started(node)
                note.begin(node.name)
                note.hit(node.stop())
                world.rest(seconds)
                node.start()


class Roll(Fault):
    """A rolling restart: SIGTERM to one after the other."""
    name = "roll"
    lasts = (4.0, 6.0)
    once = True

    def run(self, world, rng, seconds, note):
        note.begin("all")
        nodes = list(world.nodes.all)
        rng.shuffle(nodes)
        for node in nodes:
            if world.healing.is_set():
                return
            if node.busy or not node.hub.alive:
                continue
            node.busy = True
            try:
                note.hit(node.stop())
                node.start()
            finally:
                world.nodes.give_back(node)


class StopInWrite(Fault):
    """The fan-out is frozen in the middle of its write: a lock holds the statement up until the
    process has been stopped. The one that stands by takes over."""
    name = "fanout-stop"
    lasts = (FROZEN, FROZEN + 1.0)

    def run(self, world, rng, seconds, note):
        with world.postgres_lock:
            self._run(world, rng, seconds, note)

    def _run(self, world, rng, seconds, note):
        node = self._writer(world)
        if node is None or node.busy:
            return
        try:
            blocker = world.server.connect(world.database.name)
        except psycopg2.Error:
            return
        node.busy = True
        note.begin(node.name)
        stopped = False
        try:
            blocker.autocommit = False
            cursor = blocker.cursor()
            cursor.execute("SET lock_timeout = '1s'")
            cursor.execute("LOCK TABLE eventhub.messages IN SHARE MODE")
            deadline = time.monotonic() + 1.5  # less than the hub's own lock_timeout
            while time.monotonic() < deadline and not stopped:
                stopped = self._waits(world)
                time.sleep(0.02)
            if stopped:
                node.signal(signal.SIGSTOP)
                note.hit()
        except psycopg2.Error:
            pass
        finally:
            blocker.close()
            if stopped:
                world.rest(seconds)
                node.signal(signal.SIGCONT)
            world.nodes.give_back(node)

    @staticmethod
    def _writer(world):
        """The fan-out that is at work: the one whose counter moves."""
        def made(node):
            try:
                return node.hub.metrics(timeout=2).get("eventhub_messages_fanned_out_total", 0)
            except OSError:
                return 0
        nodes = [node for node in world.nodes.by_role("fanout") if node.hub.alive]
        before = {node.name: made(node) for node in nodes}
        world.rest(0.5)
        return next((node for node in nodes if made(node) > before[node.name]), None)

    @staticmethod
    def _waits(world):
        return bool(world.database.value(
            "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
            "WHERE NOT granted AND mode = 'RowExclusiveLock' AND c.relname LIKE 'messages%%'"))
