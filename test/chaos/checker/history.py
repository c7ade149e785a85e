"""The records of a run, indexed; and what the faults in them explain. Nothing here decides."""
import bisect
import collections
import dataclasses

SECOND = 1_000_000_000
MILLISECOND = SECOND // 1000
FINAL = {"delivered", "dead", "unknown", "expired", "cancelled", "refused"}
BURIED = {"dead", "unknown", "expired", "refused"}
TAIL = 2 * SECOND  # what a fault still does after its end


@dataclasses.dataclass
class Request:
    """What a producer wanted, with all its tries."""
    number: int
    kind: str
    key: str
    sha: str
    type: str
    organization: str
    user: str
    tries: list = dataclasses.field(default_factory=list)

    @property
    def first(self):
        return min(one["t_inv"] for one in self.tries)

    @property
    def acknowledged(self):
        """When, or None."""
        times = [one["t_ret"] for one in self.tries if one["status"] in (200, 202)]
        return min(times) if times else None

    @property
    def events(self):
        return {one["event"] for one in self.tries if one["status"] in (200, 202)}

    @property
    def refused(self):
        """The server said no, and never anything that leaves it open."""
        return all(isinstance(one["status"], int) and 400 <= one["status"] < 500
                   and one["status"] != 429 for one in self.tries)


@dataclasses.dataclass
class Attempt:
    """One request at a receiver."""
    mark: int
    sid: int
    seq: int
    attempt: int
    start: int
    end: int = None
    status: int = None
    answer: str = ""
    message: str = None
    event: str = None
    sha: str = None
    signed: bool = None
    number: int = None
    type: str = None
    given_up: int = None  # when it was over for the hub, where that got no answer

    @property
    def ref(self):
        return self.seq, self.sid

    def until(self, timeout):
        """When it is over at the latest, for the hub."""
        limit = self.given_up or self.start + int(timeout * SECOND)
        return limit if self.end is None else min(self.end, limit)

    def answered(self):
        return self.status is not None and 200 <= self.status < 300

    def ok(self, timeout):
        return self.answered() and self.end - self.start < timeout * SECOND


@dataclasses.dataclass
class Disturbance:
    begin: int
    end: int
    fault: str
    target: str
    repeats: bool
    stale: bool
    hits: int = 0
    error: str = None


class History:
    def __init__(self, records):
        self.run = records["run"]
        self.timeout = self.run["timeout"]
        self.subscribers = {one["sid"]: one for one in self.run["subscribers"]}
        self.processes = collections.defaultdict(list)
        for record in records["processes"]:
            self.processes[record["kind"]].append(record)
        self.producer = records["producer"]
        self._faults(records["faults"])
        self._requests(records["producer"])
        self._database(records["database"])
        self._sink(records["sink"])
        self._losses()

    def of_kind(self, kind):
        return self.processes[kind]

    # ── what was recorded ──

    def _requests(self, producer):
        self.requests, self.invalid = {}, []
        for record in producer:
            if record["number"] is None or record["kind"] == "invalid":
                self.invalid.append(record)
                continue
            request = self.requests.setdefault(record["number"], Request(
                record["number"], record["kind"], record["key"], record["sha"], record["type"],
                record["organization"], record["user"]))
            request.tries.append(record)

    def _database(self, database):
        tables = collections.defaultdict(list)
        for record in database:
            tables[record["table"]].append(record)
        self.events = {row["seq"]: row for row in tables["events"]}
        self.messages = {(row["seq"], row["sid"]): row for row in tables["messages"]}
        self.rows = collections.defaultdict(list)
        for row in tables["attempts"]:
            self.rows[row["seq"], row["sid"]].append(row)
        self.dead = collections.defaultdict(list)
        for row in tables["dead"]:
            self.dead[row["seq"], row["sid"]].append(row)
        self.parked, self.redeliveries = tables["parked"], tables["redeliveries"]
        self.shards = tables["shards"]
        self.by_number = collections.defaultdict(list)
        for row in tables["events"]:
            self.by_number[row["number"]].append(row)

    def _sink(self, sink):
        paths = {one["path"]: sid for sid, one in self.subscribers.items()}
        attempts = {}
        self.strays = []  # requests to a path of no subscriber
        for record in sink:
            if record["phase"] == "end":
                if record["n"] in attempts:
                    attempts[record["n"]].end = record["t"]
                    attempts[record["n"]].status = record["status"]
            elif record["path"] not in paths:
                self.strays.append(record)
            else:
                attempts[record["n"]] = Attempt(
                    record["n"], paths[record["path"]], record["seq"], record["attempt"],
                    record["t"], answer=record["answer"], message=record["message"],
                    event=record["event"], sha=record["sha"], signed=record["signed"],
                    number=record["number"], type=record["type"])
        for one in attempts.values():
            one.given_up = self._given_up(one)
        self.attempts = sorted(attempts.values(), key=lambda one: one.start)
        self.sent = collections.defaultdict(list)
        for one in self.attempts:
            self.sent[one.ref].append(one)

    def _given_up(self, attempt):
        """By the hub's own times, where it got no answer: the request may have waited for a busy
        receiver, which counts from its arrival, and who lost his connection has no end to write
        down. A request that arrives after that was not given up in time."""
        for row in self.rows.get(attempt.ref, ()):
            if (row["attempt"] == attempt.attempt and row["outcome"] != "started"
                    and row["status"] is None):
                latency = row["latency_ms"] * MILLISECOND
                if row["sent"] - SECOND // 10 <= attempt.start <= row["sent"] + latency:
                    # It cannot arrive before it is sent: the hub knows the server's time, in
                    # which its own are told, to half a round trip. Latencies are rounded up.
                    return min(row["sent"], attempt.start) + latency - MILLISECOND
        return None

    # ── what is known of a message ──

    def final(self, ref):
        """The row that ended it, or None."""
        return next((row for row in self.rows.get(ref, ()) if row["outcome"] in FINAL), None)

    def once(self, ref):
        return self.subscribers[ref[1]]["guarantee"] == "at_most_once"

    def ordering_value(self, ref):
        """The value of the ordering key of a message; None: it is unordered."""
        column = self.subscribers[ref[1]]["ordering"]
        event = self.events.get(ref[0])
        if not column or event is None:
            return None
        return event["organization" if column == "organization_id" else "user"]

    def accepted(self, seq):
        """When its producer began to send the event."""
        event = self.events.get(seq)
        request = event and self.requests.get(event["number"])
        return request.first if request else 0

    # ── what disturbed it ──

    def _faults(self, records):
        begun, self.faults = {}, []
        for record in records:
            if record["phase"] == "begin":
                known = begun.setdefault(record["id"], Disturbance(
                    record["t"], record["t"], record["fault"], record["target"],
                    record["repeats"], record["stale"]))
                known.target, known.repeats = record["target"], record["repeats"]
            else:
                known = begun[record["id"]]
                known.end, known.hits, known.error = record["t"], record["hits"], record["error"]
        self.faults = sorted(begun.values(), key=lambda one: one.begin)

    def _losses(self):
        """Sessions lost without a fault's doing: the machine kept somebody waiting too long. From
        when the others may have acted on it to when it was noticed."""
        back = int((self.run["dead_after"] + 2) * SECOND)
        self.losses = [
            Disturbance(record["t"] - back, record["t"], "session lost", record["name"], True, True)
            for record in self.of_kind("log") if "lost its session" in record["message"]]
        self.unforced = [one for one in self.losses if not any(
            fault.repeats and fault.begin <= one.end and fault.end + 10 * SECOND >= one.begin
            for fault in self.faults)]
        self.breaks = sorted([fault for fault in self.faults if fault.repeats and fault.hits]
                             + self.losses, key=lambda one: one.begin)
        self._begins = [one.begin for one in self.breaks]

    def broken_between(self, begin, end, stale=False):
        """Something that may have a message sent again was at work at some time in between."""
        last = bisect.bisect_right(self._begins, end)
        return any(one.end + TAIL >= begin and (one.stale or not stale)
                   for one in self.breaks[:last])

    def disturbed_between(self, begin, end):
        """Any fault at all."""
        return any(one.begin <= end and one.end + TAIL >= begin
                   for one in self.faults + self.losses)

    def stalled_between(self, begin, end):
        """The longest time in nanoseconds that the machine kept the watcher waiting."""
        return max((record["late"] for record in self.of_kind("stall")
                    if record["t"] <= end and record["t"] + record["late"] >= begin), default=0)

    def late(self, attempt):
        """The hub says that this attempt, which was answered, took as long as it may: the answer
        was read too late. At least once, so it is sent again."""
        return any(row["attempt"] == attempt.attempt and row["status"] is None
                   and row["latency_ms"] is not None
                   and row["latency_ms"] >= self.timeout * 1000 - 1
                   for row in self.rows.get(attempt.ref, ()))
