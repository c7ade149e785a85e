"""More for the end-to-end tests, beside hub.py: many events at once, a hub split over processes,
and judging what arrived.

    post_many(hub, events)          thousands of POSTs over a few kept connections
    Fleet(start)                    a hub as a process per role: .apis .fanout .dispatchers .cleanup
    wait_ended(database, sid, n)    n messages of a subscriber, all of them ended
    event(n), by_key, numbers       event n of one of KEYS keys; the key and number of a delivery
"""
import collections
import json
import os
import socket
import threading
import time

import psycopg2

from hub import BINARY, wait_until

OPEN = {"pending", "waiting"}
# Seconds for anything that has to happen; only a fault takes so long.
PATIENCE = float(os.environ.get("EVENTHUB_TEST_PATIENCE", "90"))

with open(BINARY, "rb") as _file:
    SANITIZED = b"__asan_init" in _file.read()

# Freed memory goes back soon under the address sanitizer too: resident memory says something.
FRUGAL = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}
KEYS = 16


def event(number, keys=KEYS, **members):
    return {"event_type": "test.event", "organization_id": f"org-{number % keys}",
            "payload": {"number": number, "key": number % keys}, **members}


def by_key(delivery):
    return delivery.json()["key"]


def numbers(deliveries):
    return [d.json()["number"] for d in deliveries]


class Gate:
    """A rule that answers `shut` until it is opened, then `opened`."""

    def __init__(self, shut=503, opened=200, only=None):
        self.shut, self.opened, self.only = shut, opened, only or (lambda delivery: True)
        self._event = threading.Event()

    def open(self):
        self._event.set()

    def __call__(self, delivery):
        return self.opened if self._event.is_set() or not self.only(delivery) else self.shut


class Hold:
    """A rule that answers nothing until it is opened; counts how many are held."""

    def __init__(self, status=200):
        self.status = status
        self.now = self.most = 0
        self._lock = threading.Lock()
        self._event = threading.Event()

    def open(self):
        self._event.set()

    def __call__(self, delivery):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self._event.wait(PATIENCE)
        with self._lock:
            self.now -= 1
        return self.status


def post_many(hub, events, connections=16):
    """Posts `events` in order within each connection (event n goes over connection n modulo their
    number: give a key's events one connection) and returns their event ids in order of `events`.
    503 is tried again."""
    events = list(events)
    found = [None] * len(events)
    errors = []

    def run(part):
        try:
            with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as link:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for index in range(part, len(events), connections):
                    found[index] = _post(link, json.dumps(events[index]).encode())
        except Exception as error:  # handed to the caller
            errors.append(error)

    threads = [threading.Thread(target=run, args=(part,))
               for part in range(min(connections, len(events)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def _post(link, body):
    request = (b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    while True:
        link.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _received(link)
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(rest) < length:
            rest += _received(link)
        status = head.split(b" ")[1]
        if status == b"202":
            return json.loads(rest)["event_id"]
        assert status == b"503", answer
        time.sleep(0.05)


def _received(link):
    data = link.recv(65536)
    if not data:
        raise ConnectionError("the hub closed the connection")
    return data


class Fleet:
    """A hub as processes. `start` is the fixture `hub`; `each(n)`: variables of dispatcher n."""

    def __init__(self, start, env=None, apis=2, dispatchers=4, each=lambda n: {}):
        self._start, self._env = start, env or {}
        self.apis = [self._launch("api") for _ in range(apis)]
        self.fanout = self._launch("fanout")
        self.dispatchers = [self._launch("dispatcher", each(n)) for n in range(dispatchers)]
        self.cleanup = self._launch("cleanup")
        for process in self.all():
            process.wait_ready(PATIENCE)

    def one(self, roles):
        """One more."""
        return self._start(roles=roles, env=self._env)

    def all(self):
        return [*self.apis, self.fanout, *self.dispatchers, self.cleanup]

    def _launch(self, roles, more={}):
        return self._start(roles=roles, env={**self._env, **more}, ready=False)


def wait_balanced(database, dispatchers, timeout=PATIENCE):
    """Until each of `dispatchers` processes owns shards, and none more than its part of the 64."""
    def even():
        owned = [row[0] for row in database.rows(
            "SELECT count(*) FROM shards WHERE owner IS NOT NULL GROUP BY owner")]
        part = -(-64 // dispatchers)
        return len(owned) == dispatchers and sum(owned) == 64 and max(owned) <= part
    wait_until(even, timeout, f"64 shards on {dispatchers} dispatchers")


def wait_ended(database, sid, count, timeout=PATIENCE):
    """{state: n} once the subscriber has `count` messages and none of them is open."""
    def ended():
        states = database.states(sid)
        return states if sum(states.values()) >= count and not OPEN & states.keys() else None
    try:
        every = 0.05 if count < 5000 else 1  # counting them takes a while
        return wait_until(ended, timeout, f"{count} messages ended", every)
    except AssertionError as error:
        raise AssertionError(f"{error}; found {database.states(sid)}") from None


def dead_letters(database, sid):
    """The rows of dead_letters as objects, oldest event first."""
    names = ("message_id", "event_id", "outcome", "reason", "last_status", "last_error", "attempts")
    return [dict(zip(names, row)) for row in database.rows(
        f"SELECT {', '.join(names)} FROM dead_letters WHERE sid = %s ORDER BY event_seq", sid)]


def times_sent(deliveries):
    """Counter: message id -> requests seen."""
    return collections.Counter(d.message_id for d in deliveries)


def resident_mib(hub):
    with open(f"/proc/{hub.pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0


def quietly(action, *arguments):
    """Calls it; a database that is away is no news while it is being killed."""
    try:
        return action(*arguments)
    except psycopg2.Error:
        return None


def pid_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
