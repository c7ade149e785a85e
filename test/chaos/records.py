"""The records of a run: one JSON object per line, one file per witness. The checker reads nothing
else.

    run.json          seed, plan, settings, subscribers
    producer.jsonl    every try of every request: op, try, kind, t_inv, t_ret, status, …
    sink.jsonl        every delivery twice: at its start (request complete) and at its end
    faults.jsonl      begin and end of every fault, whether it hit, what it may cost
    processes.jsonl   starts, ends, samples of memory and metrics, warnings of the hubs, stalls
    database.jsonl    the tables at the end

`t` is CLOCK_MONOTONIC in nanoseconds, of one machine.
"""
import json
import os
import threading
import time

NAMES = ("producer", "sink", "faults", "processes", "database")


class Journal:
    """One file; written by any thread."""

    def __init__(self, directory, name):
        self._file = open(os.path.join(directory, f"{name}.jsonl"), "w", encoding="ascii")
        self._lock = threading.Lock()

    def write(self, **record):
        record.setdefault("t", time.monotonic_ns())
        line = json.dumps(record, separators=(",", ":")) + "\n"
        with self._lock:
            if not self._file.closed:
                self._file.write(line)

    def close(self):
        with self._lock:
            self._file.close()


class Journals:
    """journals.sink.write(…)"""

    def __init__(self, directory):
        for name in NAMES:
            setattr(self, name, Journal(directory, name))

    def close(self):
        for name in NAMES:
            getattr(self, name).close()


def write_run(directory, run):
    with open(os.path.join(directory, "run.json"), "w", encoding="ascii") as file:
        json.dump(run, file, indent=1)


def read_all(directory):
    """{"run": {…}, "producer": [record, …], …}"""
    with open(os.path.join(directory, "run.json"), encoding="ascii") as file:
        found = {"run": json.load(file)}
    for name in NAMES:
        with open(os.path.join(directory, f"{name}.jsonl"), encoding="ascii") as file:
            found[name] = [json.loads(line) for line in file]
    return found
