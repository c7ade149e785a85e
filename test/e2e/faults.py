"""Hubs that fail at a named point, and the world in which a test has them do so.

    names("point")            what the binary has; nothing when it was built without fault points
    fault = Fault(tmp_path, "disp.after_send", "kill")
    victim = hub(env={**SHORT, **fault.env})
    fault.arm()               hits count from now on
    fault.wait(victim)        until it is dead, or stopped, of it
    Pair(victim, other)       two processes with all roles, as a Fleet for chaos.Load
    Rarities(load, api)       what Load does not do: retries, dead letters, parking, large bodies …
"""
import functools
import signal
import subprocess
import threading

from chaos import QUICK, ended_twice
from hub import BINARY, Producer, clean_environment, order_violations, wait_until
from load import PATIENCE, by_key, dead_letters, quietly, times_sent
from postgres import Database
from sink import Answer

# Shorter than QUICK: take-over within two or three seconds.
SHORT = {
    **QUICK, "WEBHOOK_TIMEOUT_MS": "1500", "EVENTHUB_DISPATCHER_HEARTBEAT_MS": "200",
    "EVENTHUB_DISPATCHER_SEND_LEASE_MS": "600",
    "EVENTHUB_DISPATCHER_IDLE_SESSION_TIMEOUT_MS": "2500",
    "EVENTHUB_DISPATCHER_DEAD_NODE_AFTER_MS": "2500",
    "EVENTHUB_DISPATCHER_TAKEOVER_MARGIN_MS": "200", "EVENTHUB_DISPATCHER_PARK_AFTER_MS": "300",
    "EVENTHUB_CLEANUP_PARTITION_ROWS": "150", "CHECK_INTERVAL_MS": "500",
}
TIMEOUT = 1.5
KEYS = 3
LARGE = 900_000
HUGE = 5_000_000  # more than tcp_wmem lets the kernel take at once


@functools.cache
def names(kind):
    """The fault points or mutants that the binary knows."""
    with open(BINARY, "rb") as file:
        if b"EVENTHUB_FAULT_WHEN" not in file.read():
            return []
    done = subprocess.run([BINARY], env=clean_environment({"EVENTHUB_FAULT": "list"}), check=True,
                          capture_output=True, text=True, timeout=60)
    return [line.split()[1] for line in done.stdout.splitlines() if line.split()[0] == kind]


class Fault:
    """`env` is for the process that is to fail. Its hits count from arm() on."""

    def __init__(self, directory, point, action, nth=1):
        self.action = action
        self._armed = directory / "armed"
        self.env = {"EVENTHUB_FAULT": f"{point}:{nth}:{action}",
                    "EVENTHUB_FAULT_WHEN": str(self._armed)}

    def arm(self):
        self._armed.touch()

    def happened(self, process):
        """True when the process is dead, or stopped, because of it."""
        if self.action == "kill":
            assert process.process.poll() in (None, -signal.SIGKILL), process.log_text()[-4000:]
            return not process.alive
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def wait(self, process, stir=lambda: None):
        """`stir` is called again and again until it happens."""
        def reached():
            if self.happened(process):
                return True
            quietly(stir)
            return False
        wait_until(reached, PATIENCE, f"{self.env['EVENTHUB_FAULT']}: nothing here reaches it",
                   every=0.1)
        assert "eventhubd: fault point" in process.log_text()

    def disarm(self, process):
        """The process starts without it."""
        for name in self.env:
            process.environment.pop(name, None)


class Pair:
    """Two processes with all roles; the first is the one with the locks of fan-out and cleanup."""

    def __init__(self, victim, other, *dispatchers):
        self.apis = [victim, other]
        self.dispatchers = [victim, other, *dispatchers]
        self.fanout = self.cleanup = victim

    def all(self):
        return self.dispatchers


class Rarities:
    """Events for subscribers that do not just answer 200, posted to `api` until stop(). A person
    retries the dead letters of /refused, which are delivered then, and discards those of /blocked:
    until verify(), and from the begin if `attended`, else from stop() on."""

    ORDERED = {"ordering_enabled": True, "ordering_key": "organization_id"}
    TYPES = ["flaky", "refused", "drips", "blocked", "late", "flaky", "refused", "large"]

    def __init__(self, load, api, rate=12, attended=True, large=LARGE):
        self.load, self.sink = load, load.sink
        self.database = Database(load.database.server, load.database.name)  # of the person's thread
        self._refused, self._large = set(), large
        self._done, self._leave = threading.Event(), threading.Event()

        def first_fails(delivery):
            return 503 if delivery.attempt == 1 else 200
        self._subscribe("flaky", first_fails, **self.ORDERED)
        self._subscribe("late", first_fails, **{**self.ORDERED, "retry_backoff_seconds": [2.5]})
        self.refused, self.blocked = [], []
        self.add("refused")
        self.add("blocked")
        self._subscribe("drips", Answer(headers={"Connection": "close"}, pause=0.05,
                                      close_after=True))
        self._subscribe("large", 200)
        self.events = []
        self.producer = Producer([api], self._events(), rate, give_up=2 * PATIENCE).start()
        self._person = threading.Thread(target=self._attend, daemon=True)
        if attended:
            self._person.start()

    def _subscribe(self, name, rule, path=None, **columns):
        path = path or f"/{name}"
        self.sink.on(path, rule)
        row = {"retry_limit": 100, "retry_backoff_seconds": [0.2], **columns}
        return self.load.database.subscribe(self.sink.url(path), f"test.{name}", **row)

    def add(self, name):
        """Another subscriber whose dead letters the person has in hand, with other shards."""
        known = getattr(self, name)
        path = f"/{name}" + (f"-{len(known)}" if known else "")
        if name == "refused":
            known.append(self._subscribe(name, self._refuse, path))
        else:
            known.append(self._subscribe(name, 400, path, on_dead="block", **self.ORDERED))

    def _events(self):
        while not self._done.is_set():
            number = len(self.events)
            name = self.TYPES[number % len(self.TYPES)]
            if name == "late" and number > 32:  # so that the end need not wait for one
                name = "drips"
            payload = {"number": number, "key": number // len(self.TYPES) % KEYS}
            if name == "large":
                payload["filling"] = "x" * self._large
            self.events.append({"event_type": f"test.{name}", "payload": payload,
                                "organization_id": f"org-{payload['key']}"})
            yield self.events[-1]

    def _refuse(self, delivery):
        known = delivery.message_id in self._refused
        self._refused.add(delivery.message_id)
        return 200 if known else 400

    def _attend(self):
        while not self._leave.wait(0.1):
            for sid in list(self.refused):
                self._each(sid, "retry")
            for sid in list(self.blocked):
                self._each(sid, "discard")

    def _each(self, sid, verb):
        for letter in quietly(dead_letters, self.database, sid) or []:
            quietly(self.database.rows, f"SELECT {verb}_dead_letter(%s)",
                    letter["message_id"])  # refused while it is under way

    def stop(self):
        """No more events. The person stays: what a process had taken may be dead seconds later."""
        self._done.set()
        self.producer.join(3 * PATIENCE)
        if not self._person.is_alive():
            self._person.start()
        assert not self.producer.refused

    def verify(self, retained=True):
        """After Load.verify(): everything has ended. `retained`: no dead letter was deleted."""
        self._leave.set()
        self._person.join()
        dead = {str(letter["event_id"]) for letter in dead_letters(self.database, self.refused[0])}
        for name in set(self.TYPES):
            accepted = {self.producer.accepted[number] for number, event in enumerate(self.events)
                        if event["event_type"] == f"test.{name}"}
            sent = self.sink.deliveries(f"/{name}")
            any_answer = name == "blocked" or name == "refused" and not retained
            seen = {d.event_id for d in sent if d.ok or any_answer}
            lost = accepted - seen - (dead if name == "refused" else set())
            assert not lost, f"{len(lost)} of {len(accepted)} lost at /{name}"
            if name in ("flaky", "late", "blocked"):
                assert not order_violations(sent, by_key, TIMEOUT), name
        self.database.close()


def verdict(database, sink, accepted, sids, timeout):
    """What is wrong at the end, as sentences. `accepted`: event ids; `sids`: {path: sid} of their
    subscribers; ordered is /ordered, at most once /once."""
    found = [f"twice: event {seq} ended twice for subscriber {sid}"
             for seq, sid in ended_twice(database)]
    found += [f"forgotten: event {seq} is open for subscriber {sid} and below the mark"
              for seq, sid in below_the_mark(database)]
    for path, sid in sids.items():
        sent = sink.deliveries(path)
        ended = {str(letter["event_id"]) for letter in dead_letters(database, sid)}
        ended |= {d.event_id for d in sent if d.ok}
        found += [f"lost: event {event} at {path}" for event in set(accepted) - ended]
        if path == "/ordered":
            found += [f"order: {wrong}" for wrong in order_violations(sent, by_key, timeout)]
        if path == "/once":
            found += [f"again: message {message} was sent {times} times"
                      for message, times in times_sent(sent).items() if times > 1]
    return found


def below_the_mark(database):
    """[(event_seq, sid)] of open messages that no rebuild would find."""
    return database.rows("""
        SELECT m.event_seq, m.sid FROM messages m JOIN shards s USING (shard)
        WHERE m.event_seq <= s.lwm
          AND NOT EXISTS (SELECT FROM parked p WHERE p.event_seq = m.event_seq AND p.sid = m.sid)
          AND NOT EXISTS (SELECT FROM delivery_attempts d WHERE d.event_seq = m.event_seq
                          AND d.sid = m.sid AND d.outcome NOT IN (2, 4))""")
