"""PostgreSQL dies, hangs, is full, throws sessions out; or its place is taken by its standby."""
import os
import signal
import time

import psycopg2

from nemesis.base import Fault

SESSIONS = ("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND application_name LIKE 'eventhub%%'")


class OfPostgres(Fault):
    """One of these at a time."""
    repeats = True

    def run(self, world, rng, seconds, note):
        with world.postgres_lock:
            if not world.healing.is_set():
                self.strike(world, rng, seconds, note)

    def strike(self, world, rng, seconds, note):
        raise NotImplementedError


class Immediate(OfPostgres):
    """Immediate shutdown, then recovery."""
    name = "pg-immediate"
    lasts = (0.5, 3.0)

    def strike(self, world, rng, seconds, note):
        note.begin("postgres")
        world.server.stop("immediate")
        note.hit()
        try:
            world.rest(seconds)
        finally:
            world.server.start(wait=90)


class KillBackend(OfPostgres):
    """kill -9 of one backend of the hub: PostgreSQL restarts all of them."""
    name = "pg-backend"
    lasts = (0.5, 1.0)

    def strike(self, world, rng, seconds, note):
        pids = sessions(world)
        for pid in rng.sample(pids, len(pids)):
            note.begin(f"backend {pid}")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # its session has just ended
            note.hit()
            world.rest(seconds)
            break


class Terminate(OfPostgres):
    """pg_terminate_backend of one session, of some, or of all."""
    name = "pg-terminate"
    lasts = (0.5, 1.5)

    def strike(self, world, rng, seconds, note):
        pids = sessions(world)
        share = rng.choice((0.0, 0.3, 1.0))
        chosen = [pid for pid in pids if rng.random() < share] or pids[:1]
        note.begin(f"{len(chosen)} of {len(pids)} sessions")
        for pid in chosen:
            note.hit(bool(quietly(world, "SELECT pg_terminate_backend(%s)", pid)))
        world.rest(seconds)


class Hang(OfPostgres):
    """SIGSTOP of PostgreSQL with all its processes: sockets stay open, nothing answers."""
    name = "pg-hang"
    lasts = (2.0, 5.0)

    def strike(self, world, rng, seconds, note):
        note.begin("postgres")
        world.server.pause()
        note.hit()
        try:
            world.rest(seconds)
        finally:
            world.server.cont()


class DiskFull(OfPostgres):
    """The file system of the data (not of the log) is full."""
    name = "disk-full"
    lasts = (3.0, 5.0)
    special = "tmpfs"

    def missing(self, machine):
        return machine.namespace or machine.without("mount", "a small tmpfs is mounted")

    def strike(self, world, rng, seconds, note):
        note.begin(world.server.data)
        ballast = os.path.join(world.server.data, "ballast")
        before = refused(world)
        try:
            with open(ballast, "wb", buffering=0) as file:
                for size in (1 << 20, 1 << 12):
                    try:
                        while True:
                            file.write(bytes(size))
                    except OSError:
                        pass
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not world.healing.is_set():
                world.rest(0.3)
                fill(ballast)
            note.hit(max(0, refused(world) - before))
        finally:
            if os.path.exists(ballast):
                os.remove(ballast)


class FailOver(OfPostgres):
    """The primary dies for good, its synchronous standby is promoted; the hub knows both hosts and
    asks for the one that takes writes."""
    name = "failover"
    lasts = (1.0, 3.0)
    special = "standby"
    once = True
    alone = True

    def missing(self, machine):
        return machine.namespace

    def strike(self, world, rng, seconds, note):
        note.begin("postgres")
        if rng.random() < 0.5:
            world.server.kill()
        else:
            world.server.stop("immediate")
        world.rest(rng.uniform(0, seconds))
        world.fail_over()
        note.hit()


def sessions(world):
    return [row[0] for row in quietly(world, SESSIONS, rows=True) or ()]


def quietly(world, sql, *arguments, rows=False):
    try:
        return (world.database.rows if rows else world.database.value)(sql, *arguments)
    except psycopg2.Error:
        return None


def refused(world):
    return world.server.log_text().count("No space left on device")


def fill(path):
    """What was freed meanwhile is taken, too."""
    try:
        with open(path, "ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
