"""Commands of eventhubd that speak with a hub, run as a person or a script runs them.

    cli = Commands(hub)                       # EVENTHUB_URL points there
    cli("events", "list")                     # standard output; the exit code must be 0
    cli("events", "show", "x", code=2)        # another exit code
    cli.json("messages", "list")              # with --json, read
    cli.errors                                # standard error of the last one
"""
import json
import subprocess

from hub import BINARY, clean_environment
from load import PATIENCE


class Commands:
    def __init__(self, hub=None, env=None):
        self.environment = dict(env or {})
        if hub is not None:
            self.environment["EVENTHUB_URL"] = f"http://127.0.0.1:{hub.port}"
        self.errors = ""

    def __call__(self, *words, code=0, stdin=""):
        done = subprocess.run([BINARY, *words], input=stdin, capture_output=True, text=True,
                              timeout=PATIENCE, check=False,
                              env=clean_environment(self.environment))
        self.errors = done.stderr
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words, **options):
        return json.loads(self(*words, "--json", **options))

    def lines(self, *words, **options):
        """The JSON objects, one per line."""
        return [json.loads(line) for line in self(*words, "--json", **options).splitlines()]

    def start(self, *words):
        """A process whose lines are read while it runs; the caller ends it."""
        return subprocess.Popen([BINARY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True,
                                env=clean_environment(self.environment))
