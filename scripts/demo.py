"""The parts of scripts/demo that a shell is too slow for: posting, killing on time, judging.
Standard library only."""
import argparse
import collections
import http.client
import json
import os
import random
import signal
import socket
import sys
import time

PATHS = ("ordered", "once", "flaky")
RATE = 100  # events per second: the run is seen to be killed in the middle
# A result is committed, and a request in a socket's buffer read, within this time; what is nearer
# to the kill may be sent again.
NEAR_NS = 1_000_000_000


def ports(_):
    """Two free ones below the range of outgoing connections, which may hold any port of it at any
    time: the hub comes back to its port after the kill."""
    found = []
    while len(found) < 2:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
                found.append(port)
            except OSError:
                continue
    print(*found)


def kill(options):
    os.kill(options.pid, signal.SIGKILL)
    print(time.monotonic_ns())


def post(options):
    """Posts every event until it is accepted, again with the same idempotency key."""
    counters = collections.Counter()
    began = time.monotonic()
    connection = None
    with open(options.log, "a", encoding="utf-8") as log:
        for number in range(options.events):
            time.sleep(max(0, began + number / RATE - time.monotonic()))
            key = f"org-{number % options.keys}"
            body = json.dumps({"event_type": "user.created", "organization_id": key, "payload": {
                "number": number, "key": key, "count": counters[key]}})
            counters[key] += 1
            connection, event_id, tries = accepted(connection, options.port, number, body)
            log.write(json.dumps({"number": number, "event_id": event_id, "tries": tries}) + "\n")
            log.flush()


def accepted(connection, port, number, body):
    headers = {"Content-Type": "application/json", "X-Idempotency-Key": f"demo-{number}"}
    deadline = time.monotonic() + 60
    tries = 0
    while time.monotonic() < deadline:
        tries += 1
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", "/events", body, headers)
            response = connection.getresponse()
            text = response.read()
            if response.status in (200, 202):
                return connection, json.loads(text)["event_id"], tries
            if response.status < 500:
                sys.exit(f"event {number}: {response.status} {text.decode(errors='replace')}")
        except (OSError, http.client.HTTPException):
            connection = None
        time.sleep(0.05)
    sys.exit(f"event {number} was not accepted within 60 s")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def order_violations(records):
    """Per key: a count after a higher one, or two different ones at the same time."""
    found = 0
    last = {}
    for record in sorted(records, key=lambda r: r["t_start"]):
        payload = json.loads(record["body"])
        before = last.get(payload["key"])
        if before is not None:
            earlier = payload["count"] < before[0]
            overlapping = payload["count"] != before[0] and record["t_start"] < before[1]
            found += earlier or overlapping
        last[payload["key"]] = (payload["count"], record["t_end"])
    return found


class Row:
    """What one subscriber got of what was sent."""

    def __init__(self, name, sent, records, dead, killed):
        self.name = name
        self.sent = len(sent)
        self.attempts = len(records)
        self.dead = len(dead)
        good = sorted((r for r in records if r["status"] < 300), key=lambda r: r["t_start"])
        by_event = collections.defaultdict(list)
        for record in good:
            by_event[record["event_id"]].append(record)
        self.received = len(by_event)
        self.doubled = sum(len(rows) - 1 for rows in by_event.values())
        distances = [max(rows[0]["t_start"] - killed, killed - rows[0]["t_end"])
                     for rows in by_event.values() for _ in rows[1:]]
        self.unexplained = sum(distance > NEAR_NS for distance in distances)
        self.farthest = max(distances, default=0) // 1_000_000
        self.lost = len(sent - set(by_event) - dead)
        self.foreign = len(set(by_event) - sent)
        self.disorder = order_violations(records) if name == "ordered" else 0
        ids = {r["event_id"]: set() for r in records}
        for record in records:
            ids[record["event_id"]].add(record["message_id"])
        self.renamed = sum(len(names) > 1 for names in ids.values())

    def deviations(self):
        once = self.name == "once"
        wrong = [
            (self.lost, "events neither received nor dead"),
            (self.foreign, "events received that were never accepted"),
            (self.attempts - self.received if once else 0, "repeated attempts, at most once"),
            (0 if once else self.unexplained,
             f"duplicates that the kill does not explain (sent up to {self.farthest} ms from it)"),
            (self.disorder, "order violations"),
            (self.renamed, "messages whose X-Message-Id changed"),
            (0 if once else self.dead, "dead letters"),
        ]
        return [f"{self.name}: {count} {what}" for count, what in wrong if count]


def judge(options):
    events = read_lines(options.accepted)
    sent = {event["event_id"] for event in events}
    received = read_lines(options.received)
    with open(options.dead, encoding="utf-8") as file:
        dead = [line.rstrip("\n").split("\t") for line in file if line.strip()]
    rows = []
    for name in PATHS:
        rows.append(Row(name, sent, [r for r in received if r["path"] == f"/{name}"],
                        {d[1] for d in dead if d[0] == name}, options.killed))
    print(f"\n{'subscriber':<12}{'sent':>6}{'received':>10}{'attempts':>10}{'duplicates':>12}"
          f"{'out of order':>14}{'lost':>6}{'dead':>6}")
    for row in rows:
        disorder = row.disorder if row.name == "ordered" else "-"
        print(f"{row.name:<12}{row.sent:>6}{row.received:>10}{row.attempts:>10}{row.doubled:>12}"
              f"{disorder:>14}{row.lost:>6}{row.dead:>6}")
    retried = sum(event["tries"] > 1 for event in events)
    print(f"\nThe producer had to repeat {retried} of {len(events)} posts. Duplicates are webhooks"
          "\nthat were in the air or not yet written down at the kill, with the same X-Message-Id."
          "\nDead letters of `once` are those of which nobody knows whether they arrived.")
    wrong = [what for row in rows for what in row.deviations()]
    if len(events) != options.events or len(sent) != options.events:
        wrong.append(f"{len(sent)} events for {options.events} posts")
    for what in wrong:
        print(f"DEVIATION  {what}")
    if not wrong:
        print("\nNothing lost, nothing out of order, nothing sent twice that must not be.")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    commands.add_parser("ports").set_defaults(run=ports)
    command = commands.add_parser("kill")
    command.add_argument("--pid", type=int, required=True)
    command.set_defaults(run=kill)
    command = commands.add_parser("post")
    for name in ("--port", "--events", "--keys"):
        command.add_argument(name, type=int, required=True)
    command.add_argument("--log", required=True)
    command.set_defaults(run=post)
    command = commands.add_parser("judge")
    for name in ("--accepted", "--received", "--dead"):
        command.add_argument(name, required=True)
    for name in ("--killed", "--events"):
        command.add_argument(name, type=int, required=True)
    command.set_defaults(run=judge)
    options = parser.parse_args()
    return options.run(options) or 0


if __name__ == "__main__":
    sys.exit(main())
