"""The programs of examples/ as processes, in a copy of that directory.

    programs = workshop("python")                 # or skips, saying what is missing
    done = programs.run("producer", env={"EVENTHUB_URL": url}, orders=[{"order": 1}])
    receiver = Receiver(programs, env={…})        # it listens when this returns
    receiver.orders()                             # those it has worked on, in order
    receiver.post(signed(event, SECRET))          # the answer to a request of our own
"""
import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid

import pytest

from hub import ROOT, Reply, clean_environment, free_port, wait_until
from load import PATIENCE
from sink import Delivery, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLES = os.path.join(ROOT, "examples")
FETCHED = os.path.join(ROOT, "build/examples")
PROGRAMS = {
    "python": ("/usr/bin/python3", "{}.py"),
    "typescript": ("node", "dist/{}.js"),
    "go": ("bin/{}",),
}
ENVIRONMENT = {  # nothing is fetched while the tests run
    "python": {"PYTHONPATH": os.path.join(ROOT, "build/python"), "PYTHONDONTWRITEBYTECODE": "1",
               "PATH": f"/usr/bin:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1",
               "PIP_FIND_LINKS": os.path.join(FETCHED, "python")},
    "typescript": {"npm_config_offline": "true", "npm_config_audit": "false",
                   "npm_config_update_notifier": "false"},
    "go": {"GOMODCACHE": os.path.join(FETCHED, "go/mod"), "GOPROXY": "off", "GOTOOLCHAIN": "local",
           "GOFLAGS": "-buildvcs=false"},
}


def missing(language):
    """What is not there; None when the examples of a language can be run."""
    if language == "python":
        there = os.path.join(ROOT, "build/python/standardwebhooks")
        return None if os.path.exists(there) else "python standardwebhooks could not be fetched"
    if not shutil.which("node" if language == "typescript" else "go"):
        return f"there is no {'node' if language == 'typescript' else 'go'}"
    there = os.path.join(FETCHED, {"typescript": "typescript/node_modules", "go": "go/go.sum"}
                         [language])
    return None if os.path.exists(there) else f"what the {language} examples need is not fetched"


class Programs:
    """Those of one language, built in a copy of examples/ in `root`."""

    def __init__(self, language, root):
        why = missing(language)
        if why:
            pytest.skip(why)
        self.language = language
        self.root = root
        self.directory = os.path.join(root, "examples", language)
        shutil.copytree(EXAMPLES, os.path.join(root, "examples"),
                        ignore=shutil.ignore_patterns("node_modules", "dist", "bin", "*.sqlite"))

    def build(self):
        if self.language == "typescript":
            os.symlink(os.path.join(FETCHED, "typescript/node_modules"),
                       os.path.join(self.directory, "node_modules"))
            self.call("npx", "tsc")
        if self.language == "go":
            assert not self.call("gofmt", "-l", ".")
            # The first time this compiles Go's library: once, not in each process of the tests.
            with open(os.path.join(FETCHED, "go.lock"), "w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.call("go", "build", "-o", "bin/", "./...")
                self.call("go", "vet", "./...")
        return self

    def call(self, *command):
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True,
                              timeout=6 * PATIENCE, check=False, env=self.environment())
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def environment(self, more=None):
        return clean_environment({**ENVIRONMENT[self.language], **(more or {})})

    def command(self, name, *arguments):
        return [part.format(name) for part in PROGRAMS[self.language]] + list(arguments)

    def start(self, name, *arguments, env=None, **options):
        return subprocess.Popen(self.command(name, *arguments), cwd=self.directory,
                                env=self.environment(env), **options)

    def run(self, name, *arguments, env=None, orders=()):
        """Until it ends; `orders` are the lines of its standard input."""
        return subprocess.run(
            self.command(name, *arguments), cwd=self.directory, env=self.environment(env),
            input=lines(orders), capture_output=True, text=True, timeout=PATIENCE, check=False)


def lines(orders):
    return "".join(json.dumps(order) + "\n" for order in orders)


class Receiver:
    """A receiver that listens. start() may be called again after it ended: the same command."""

    def __init__(self, programs, directory, env=None):
        self.port = free_port()
        self._programs = programs
        self._output = os.path.join(directory, "receiver.out")
        self._env = {"PORT": str(self.port), "WEBHOOK_SECRET": SECRET,
                     "INBOX": os.path.join(directory, "inbox.sqlite"), **(env or {})}
        self.process = None
        self.start()

    def start(self):
        with open(self._output, "ab") as out, open(self._output + ".err", "ab") as err:
            self.process = self._programs.start("receiver", env=self._env, stdout=out, stderr=err,
                                                stdin=subprocess.DEVNULL)
        wait_until(self._listens, PATIENCE, "the receiver listens")

    def _listens(self):
        assert self.process.poll() is None, self.errors()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def orders(self):
        with open(self._output, encoding="utf-8") as file:
            found = file.read()
        return [json.loads(line.split(" ", 2)[2])["order"] for line in found.splitlines()]

    def errors(self):
        with open(self._output + ".err", encoding="utf-8") as file:
            return file.read()

    def post(self, delivery):
        headers = {name: text for name, text in delivery.headers.items()
                   if name not in ("host", "content-length")}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", "/", delivery.body, headers)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()},
                         response.read())
        finally:
            connection.close()

    def announce(self, size):
        """The status that a request gets which says how long its body will be."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest("POST", "/")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status
        finally:
            connection.close()

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


class Road:
    """A rule of a Sink: passes each request on to a receiver, and its answer back. The answers to
    the first attempts of the orders in `lose` get lost: the hub hears 500 instead."""

    def __init__(self, receiver, lose=()):
        self._receiver = receiver
        self._lose = lose
        self.statuses = []

    def __call__(self, delivery):
        status = self._receiver.post(delivery).status
        self.statuses.append(status)
        lost = delivery.attempt == 1 and delivery.json()["data"]["order"] in self._lose
        return 500 if lost else status


def signed(order, secret=SECRET, at=None, body=None):
    """A request as the hub sends it, for an order."""
    name = str(uuid.uuid4())
    if body is None:
        body = json.dumps({"id": name, "type": "order.placed", "data": {"order": order}}).encode()
    made = Delivery("/", {"webhook-id": name, "webhook-timestamp": str(int(at or time.time())),
                          "content-type": "application/json"}, body, 0, 0)
    return resigned(made, secret)


def resigned(delivery, secret):
    return changed(delivery, webhook_signature=signature(delivery, secret))


def changed(delivery, body=None, **headers):
    """The same with other bytes or headers; a header that is None is left out."""
    new = {**delivery.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return dataclasses.replace(delivery, body=delivery.body if body is None else body, headers={
        name: text for name, text in new.items() if text is not None})
