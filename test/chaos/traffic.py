"""The producers of a run. What they send is a function of the seed; every try is a line of the log.

Kinds of requests (`kind`): careful ones have an idempotency key and are repeated until they are
answered for good; careless ones have none and are sent once; a race is one careful request from
three connections at once; a conflict uses an acknowledged key again for something else; an invalid
one must be refused.
"""
import hashlib
import http.client
import itertools
import json
import random
import threading
import time

from profiles import TYPES

THREADS = 4
KINDS = {"careful": 82, "careless": 10, "race": 3, "conflict": 3, "invalid": 2}
INVALID = (b"{", b"[]", b'{"event_type":"chaos.a"}', b'{"event_type":"chaos.a","payload":1}',
           b'{"event_type":"chaos a","payload":{}}', b'{"event_type":"chaos.a","payload":{"x":01}}',
           b'{"event_type":"chaos.a","payload":{"x":"\xff"}}', b"",
           b'{"event_type":"chaos.a","event_type":"chaos.a","payload":{}}')
# Text that a hub which parses and writes again would change.
ODD = ('"\\u0000"', '"\\ud800"', "1E5", "-0", "1e400", "18446744073709551616", "0.1000",
       '"\\/"', '{"a":1,"a":2}', '[ 1 ,\t2 ]', '"\u00e9\u4e2d"', "[]", "{}", "[[[[[]]]]]")
HUGE_SHARE, HUGE = 0.005, 60000
TIMEOUT = 4


class Traffic:
    """`ports`: those of the APIs. `rate`: events per second of all threads together."""

    def __init__(self, seed, ports, rate, keys, journal, give_up=120):
        self.journal, self.give_up = journal, give_up
        self.ports = ports
        self.acknowledged = 0
        self._operations = itertools.count(1)
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=Writer(self, random.Random(f"{seed} producer {n}"),
                                           list(range(n, keys, THREADS)) or [n], n).run,
                             args=(rate / THREADS, self._stop), daemon=True)
            for n in range(THREADS)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """No further requests; careful ones under way are seen through."""
        self._stop.set()
        for thread in self._threads:
            thread.join(self.give_up + 30)
            if thread.is_alive():
                raise RuntimeError("a producer is stuck")

    def numbers(self):
        return next(self._operations), next(self._numbers)


class Writer:
    """One thread; its ordering keys are its own."""

    def __init__(self, traffic, rng, keys, name):
        self.traffic, self.rng, self.keys, self.name = traffic, rng, keys, name
        self.counters = dict.fromkeys(keys, 0)
        self.turn = name
        self.past = []  # (idempotency key, members) that were acknowledged
        self.links = {}

    def run(self, rate, stop):
        due = time.monotonic()
        while not stop.is_set():
            due = max(due + 1 / rate, time.monotonic() - 0.5)
            stop.wait(max(0, due - time.monotonic()))
            kind, = self.rng.choices(list(KINDS), list(KINDS.values()))
            if kind == "conflict" and not self.past:
                kind = "careful"
            getattr(self, f"_{kind}")()
        for link in self.links.values():
            link.close()

    def _careful(self):
        request = self._request("careful", self._body(), self._key())
        deadline = time.monotonic() + self.traffic.give_up
        for turn in itertools.count():
            status = self._try(request, turn)
            if status in (200, 202):
                self.past = [*self.past[-50:], request]
                return
            if status != "unknown" and status < 500 and status != 429:
                return
            if time.monotonic() > deadline:
                return
            self.turn += 1
            time.sleep(0.05)

    def _careless(self):
        self._try(self._request("careless", self._body()), 0)

    def _race(self):
        request = self._request("race", self._body(), self._key())
        starts = threading.Barrier(3)

        def run(turn):
            starts.wait()
            self._try(request, turn, fresh=True)
        threads = [threading.Thread(target=run, args=(turn,), daemon=True) for turn in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _conflict(self):
        old = self.rng.choice(self.past)
        self._try(self._request("conflict", self._body(), old["key"]), 0)

    def _invalid(self):
        _, number = self.traffic.numbers()
        self._try({"op": number, "kind": "invalid", "number": None, "key": None,
                   "body": self.rng.choice(INVALID), "sha": None}, 0)

    def _key(self):
        return f"key-{self.name}-{self.rng.getrandbits(64):x}"

    def _body(self):
        """The members of an event, the payload as text."""
        key = self.rng.choice(self.keys)
        self.counters[key] += 1
        odd = self.rng.choice(ODD)
        if self.rng.random() < HUGE_SHARE:
            odd = '"' + "x" * HUGE + '"'
        kind, = self.rng.choices(list(TYPES), list(TYPES.values()))
        return {"event_type": kind, "organization_id": f"org-{key}",
                "user_id": f"user {key} \u00fc" if self.rng.random() < 0.9 else None,
                "counter": self.counters[key], "odd": odd, "nonce": self.rng.getrandbits(64)}

    def _request(self, kind, members, key=None):
        operation, number = self.traffic.numbers()
        payload = (f'{{"number":{number}, "k" : {members["counter"]},"nonce":"{members["nonce"]:x}"'
                   f',"odd":{members["odd"]}}}')
        body = (f'{{"event_type":{json.dumps(members["event_type"])},"organization_id":'
                f'{json.dumps(members["organization_id"])},"user_id":'
                f'{json.dumps(members["user_id"])},"payload":{payload}}}').encode()
        return {"op": operation, "kind": kind, "number": number, "key": key, "body": body,
                "sha": hashlib.sha256(payload.encode()).hexdigest(), "type": members["event_type"],
                "organization": members["organization_id"], "user": members["user_id"],
                "counter": members["counter"]}

    def _try(self, request, turn, fresh=False):
        headers = {"Content-Type": "application/json"}
        if request["key"]:
            headers["X-Idempotency-Key"] = request["key"]
        port = self.traffic.ports[(self.turn + (turn if fresh else 0)) % len(self.traffic.ports)]
        began = time.monotonic_ns()
        status, event, replayed = self._send(port, request["body"], headers, fresh)
        ended = time.monotonic_ns()
        self.traffic.journal.write(
            t=ended, t_inv=began, t_ret=ended, status=status, event=event, replayed=replayed,
            port=port, **{"try": turn},
            **{name: value for name, value in request.items() if name != "body"})
        if status in (200, 202):
            self.traffic.acknowledged += 1
        return status

    def _send(self, port, body, headers, fresh):
        """(status or "unknown", event id, replayed)"""
        link = None if fresh else self.links.pop(port, None)
        link = link or http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            link.request("POST", "/events", body, headers)
            answer = link.getresponse()
            text = answer.read()
            found = json.loads(text)
        except (OSError, http.client.HTTPException, ValueError):
            link.close()
            return "unknown", None, False
        if fresh or answer.getheader("Connection", "").lower() == "close":
            link.close()
        else:
            self.links[port] = link
        replayed = answer.getheader("Idempotency-Replayed") == "true"
        return answer.status, found.get("event_id"), replayed
