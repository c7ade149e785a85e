"""Real eventhubd processes for end-to-end and chaos tests.

The binary is $EVENTHUBD, else build/dev/eventhubd. What there is:

    Postgres, Database            postgres.py: a private server, databases on it, SQL
    Sink, Answer, Delivery        sink.py: a programmable webhook receiver; order_violations()
    Hub(database, roles=…)        one process: start, kill, pause, cont, term, stop, post, …
    Producer(hubs)                posts events in the background and retries with the same key
    free_port(), wait_until()

Fixtures (conftest.py): `server` (one PostgreSQL for the whole run), `database` (a new one per
test), `sink`, and `hub`, which starts hubs that are stopped and searched for sanitizer reports
afterwards:

    def test_something(hub, database, sink):
        one = hub(roles="api,fanout,dispatcher,cleanup")       # ready when it returns
        sid = database.subscribe(sink.url("/a"), "user.created", ordering_enabled=True,
                                 ordering_key="organization_id")
        reply = one.post({"event_type": "user.created", "payload": {}, "organization_id": "o1"})
        assert reply.status == 202
        sink.wait(1, "/a")
        one.kill()                                             # kill -9
        one.start()                                            # the same command again
        wait_until(database.drained)

Hubs may call 127.0.0.1 (EVENTHUB_EGRESS_ALLOW_CIDRS) and log at debug level into Hub.log_text().
"""
import dataclasses
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from postgres import CANARY, Database, Postgres  # noqa: F401  (for importers)
from sink import Answer, Delivery, Sink, order_violations  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("EVENTHUBD", os.path.join(ROOT, "build/dev/eventhubd")))
ALL_ROLES = "api,fanout,dispatcher,cleanup"

# The database password of every hub that the tests start, and what secrets look like that a test
# may have given it: none of them is ever in a log.
_SECRETS = re.compile("|".join((
    re.escape(CANARY), r"whsec_[A-Za-z0-9+/]{32}", r"ehk_[0-9a-f]{64}",
    r"(?:Basic|Bearer) [A-Za-z0-9+/=_-]{8}")))


# Each process of the tests has ports of its own, below the range of outgoing connections, which may
# hold any port of it at any time.
_PORTS_EACH = 4000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 5
_turn = itertools.count(os.getpid())


def free_port():
    while True:
        port = 10000 + _worker * _PORTS_EACH + next(_turn) % _PORTS_EACH
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue


def wait_until(condition, timeout=30, what=None, every=0.05):
    """Calls `condition` until it is true; returns its value. Fails naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}")
        time.sleep(every)


def clean_environment(extra=None):
    """The caller's environment without settings of a hub, plus `extra`."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("EVENTHUB_", "DB_", "DATABASE_", "POLL_", "BATCH_", "WEBHOOK_"))
            and name not in ("PORT", "WORKER_ID")}
    kept.update(extra or {})
    return kept


@dataclasses.dataclass
class Reply:
    status: int
    headers: dict   # names in lower case
    body: bytes

    def json(self):
        return json.loads(self.body)


class Hub:
    """One process. `database`: a Database, or None with `flags=["--embedded=DIR"]`. `env` adds
    variables, `flags` arguments. start() may be called again after the process ended."""

    def __init__(self, database=None, roles=ALL_ROLES, env=None, flags=(), port=None):
        self.database = database
        self.roles = roles
        self.port = port or free_port()
        self.directory = tempfile.mkdtemp(prefix="eventhub-hub-")
        os.chmod(self.directory, 0o755)
        self.environment = {
            "PORT": str(self.port), "EVENTHUB_EGRESS_ALLOW_CIDRS": "127.0.0.0/8",
            "EVENTHUB_LOG_LEVEL": "debug", **(database.environment() if database else {}),
            **(env or {})}
        self.command = [BINARY, f"--roles={roles}", *flags]
        self.process = None
        self._said_before = 0  # length of the log when it was started

    def start(self, ready=True, timeout=30):
        self._said_before = len(self.log_text())
        with open(self._path("out"), "ab") as out, open(self._path("err"), "ab") as err:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, env=clean_environment(self.environment),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        if ready:
            self.wait_ready(timeout)
            self._wait_told(timeout)
        return self

    def _wait_told(self, timeout):
        """The log is written a moment later: so that a test finds in it all that the start said."""
        if self.environment["EVENTHUB_LOG_LEVEL"] in ("trace", "debug", "info"):
            wait_until(lambda: "eventhubd started" in self.log_text()[self._said_before:]
                       or not self.alive, timeout)

    def wait_ready(self, timeout=30):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"eventhubd ended with {self.process.returncode}:\n"
                                     f"{self.log_text()[-4000:]}")
            try:
                return self.request("GET", "/readyz", timeout=2).status == 200
            except OSError:
                return False
        wait_until(ready, timeout, "GET /readyz is 200")

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        self.process.kill()
        self.process.wait(10)

    def pause(self):
        """SIGSTOP"""
        self.process.send_signal(signal.SIGSTOP)

    def cont(self):
        self.process.send_signal(signal.SIGCONT)

    def term(self):
        """SIGTERM, without waiting."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=30):
        """The exit code."""
        return self.process.wait(timeout)

    def stop(self, timeout=30):
        """SIGTERM; the drained process must end with 0."""
        if self.alive:
            self.term()
            code = self.wait(timeout)
            assert code == 0, f"exit code {code} after SIGTERM:\n{self.log_text()[-4000:]}"

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()},
                         response.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def post(self, event, key=None, timeout=30):
        """POST /events; `event` is an object, or bytes sent as they are."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["X-Idempotency-Key"] = key
        return self.request("POST", "/events", body, headers, timeout)

    def metrics(self, timeout=30):
        """{"name{label=\\"x\\"}": value} of GET /metrics."""
        text = self.request("GET", "/metrics", timeout=timeout).body.decode()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def log_text(self):
        """stdout and stderr of all starts. What a process has just said is in it a moment later:
        see wait_lines()."""
        text = ""
        for kind in ("out", "err"):
            if os.path.exists(self._path(kind)):
                with open(self._path(kind), encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text

    def log_lines(self):
        """The JSON log lines as objects."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    def wait_lines(self, belongs, count=1, timeout=30):
        """Waits until at least `count` lines of the log satisfy belongs(line); returns all of
        them."""
        def found():
            lines = [line for line in self.log_lines() if belongs(line)]
            return len(lines) >= count and lines
        return wait_until(found, timeout, f"{count} lines in the log")

    def sanitizer_report(self):
        text = self.log_text()
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"):
            if mark in text:
                return text[max(0, text.index(mark) - 200):][:6000]
        return None

    def leak(self):
        """The first secret in the log, with what is around it."""
        text = self.log_text()
        found = _SECRETS.search(text)
        return found and f"a secret in the log: {text[max(0, found.start() - 300):found.end()]}"

    def _path(self, kind):
        return os.path.join(self.directory, f"hub.{kind}")


class Producer:
    """Posts `events` (an iterable of objects) from a thread, round robin over `hubs`, each with an
    idempotency key of its own, again and again until it is answered 200 or 202: what a careful
    producer does while hubs die. `rate`: events per second (None: as fast as it goes).

        producer = Producer([a, b], events).start()
        …
        producer.join()
        producer.accepted        # {index: event_id}; producer.acked_at {index: monotonic ns}
    """

    _numbers = itertools.count(1)

    def __init__(self, hubs, events, rate=None, give_up=120):
        self.hubs = hubs
        self.events = events
        self.rate = rate
        self.give_up = give_up
        self.accepted = {}
        self.acked_at = {}
        self.retried = 0
        self.refused = []  # (index, status, body) of 4xx answers, which are not retried
        self.error = None
        self._prefix = f"producer-{os.getpid()}-{next(self._numbers)}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """No further events; the one under way is still seen through."""
        self._stop.set()

    def join(self, timeout=180):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the producer is stuck"
        if self.error:
            raise self.error

    def _run(self):
        try:
            began = time.monotonic()
            for index, event in enumerate(self.events):
                if self._stop.is_set():
                    return
                if self.rate:
                    time.sleep(max(0, began + index / self.rate - time.monotonic()))
                self._post(index, event)
        except Exception as error:  # handed to join()
            self.error = error

    def _post(self, index, event):
        deadline = time.monotonic() + self.give_up
        for turn in itertools.count(index):
            try:
                reply = self.hubs[turn % len(self.hubs)].post(
                    event, key=f"{self._prefix}-{index}", timeout=10)
                if reply.status in (200, 202):
                    self.accepted[index] = reply.json()["event_id"]
                    self.acked_at[index] = time.monotonic_ns()
                    return
                if reply.status < 500 and reply.status != 429:
                    self.refused.append((index, reply.status, reply.body))
                    return
            except OSError:
                pass
            self.retried += 1
            if time.monotonic() > deadline:
                raise AssertionError(f"event {index} was not accepted within {self.give_up} s")
            time.sleep(0.05)
