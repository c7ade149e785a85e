"""What is seen of the processes during a run, once a second: memory, descriptors, metrics, warnings
they log, the sessions at PostgreSQL; and how late the watcher itself was woken, which says how much
the machine keeps everybody waiting."""
import json
import os
import threading
import time

import psycopg2

SECOND = 1_000_000_000
STALL = 0.15  # seconds late that are worth a line
COUNTERS = ("eventhub_events_received_total", "eventhub_messages_fanned_out_total",
            "eventhub_delivery_attempts_total", "eventhub_messages_delivered_total")
GAUGES = ("eventhub_pending_messages", "eventhub_waiting_messages", "eventhub_dlq_size",
          "eventhub_parked_messages", "eventhub_owned_shards", "eventhub_in_flight_attempts",
          "eventhub_db_connections")


class Watch:
    def __init__(self, nodes, database, journal):
        self._nodes, self._database, self._journal = nodes, database, journal
        self._stop = threading.Event()
        self._read = {}  # name -> how much of its log was read
        self._threads = [threading.Thread(target=run, daemon=True)
                         for run in (self._samples, self._lateness, self._sessions)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def sample(self, node, phase="during"):
        if not node.hub.alive:
            return
        record = {"kind": "sample", "phase": phase, "name": node.name, "life": node.life,
                  **resources(node.hub.pid)}
        try:
            record["metrics"] = summed(node.hub.metrics(timeout=2))
        except (OSError, ValueError):
            record["metrics"] = None
        self._journal.write(**record)

    def logs(self):
        """Warnings and errors since the last look."""
        for node in self._nodes.all:
            path = os.path.join(node.hub.directory, "hub.out")
            if not os.path.exists(path):
                continue
            with open(path, "rb") as file:
                file.seek(self._read.get(node.name, 0))
                text = file.read()
            whole = text[:text.rfind(b"\n") + 1]
            self._read[node.name] = self._read.get(node.name, 0) + len(whole)
            for line in whole.splitlines():
                self._log(node, line)

    def _log(self, node, line):
        try:
            found = json.loads(line)
        except ValueError:
            return
        if found.get("level") in ("warn", "error"):
            self._journal.write(kind="log", name=node.name, level=found["level"],
                                message=str(found.get("message") or found.get("msg")),
                                error=str(found.get("error", "")))

    def _samples(self):
        while not self._stop.wait(1):
            self.logs()
            for node in self._nodes.all:
                if not node.busy:
                    self.sample(node)

    def _lateness(self):
        while not self._stop.is_set():
            before = time.monotonic_ns()
            self._stop.wait(0.05)
            late = time.monotonic_ns() - before - 50_000_000
            if late > STALL * SECOND:
                self._journal.write(kind="stall", t=before, late=late)

    def _sessions(self):
        connection = None
        while not self._stop.wait(1):
            try:
                if connection is None or connection.closed:
                    connection = self._database.connect()
                cursor = connection.cursor()
                cursor.execute(SESSIONS)
                count, idle, longest = cursor.fetchone()
                self._journal.write(kind="sessions", count=count, idle=idle,
                                    longest=float(longest or 0))
            except psycopg2.Error:
                connection = None


# Idle in transaction: nobody of the hub may be, beyond the way of one round trip.
SESSIONS = """
    SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%%'),
           max(extract(epoch FROM clock_timestamp() - state_change))
             FILTER (WHERE state LIKE 'idle in transaction%%')
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND application_name LIKE 'eventhub%%'
""".replace("%%", "%")


def resources(pid):
    """{"rss_mib": …, "fds": …} of a process, of one that is gone nothing."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            found = dict(line.split(":", 1) for line in file if ":" in line)
        return {"rss_mib": int(found["VmRSS"].split()[0]) / 1024,
                "fds": len(os.listdir(f"/proc/{pid}/fd"))}
    except (OSError, KeyError):
        return {}


def summed(metrics):
    """The series of interest: counters by name and the labels that matter, gauges by name."""
    found = {}
    for series, value in metrics.items():
        name = series.split("{", 1)[0]
        if name in COUNTERS or name in GAUGES:
            if 'outcome="delivered"' in series:
                name += "_delivered"
            elif name == "eventhub_delivery_attempts_total":
                continue
            found[name] = found.get(name, 0) + value
    return found
