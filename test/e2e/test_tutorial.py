"""The commands of docs/tutorial.md, run in their order as one script: a new user's first hour."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

from hub import BINARY, ROOT, clean_environment, free_port
from load import PATIENCE

LISTENS = "until (exec 3<>/dev/tcp/127.0.0.1/9000); do sleep 0.2; done\n"
DEAD = "until curl -s localhost:3000/dlq | grep {}; do sleep 0.2; done\n"
LOGGED = "until [ -s {}.jsonl ]; do sleep 0.2; done; sleep 1\n"


def patient(block):
    """Where the page waits a second, a busy machine takes as long as it does."""
    for after, wait in (("RECEIVER=", LISTENS), ("order-2", DEAD.format("order.placed")),
                        ("PARCEL=", DEAD.format("parcel.packed")),
                        ("dlq retry", LOGGED.format("shop")),
                        ("/retry", LOGGED.format("depot"))):
        block = re.sub(rf"({re.escape(after)}[^&]*?\n)sleep 1\n", rf"\1{wait}", block)
    return block


def script(port, hook_port):
    with open(os.path.join(ROOT, "docs/tutorial.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
    text = "".join(patient(block) for block in blocks)
    assert len(re.findall("^sleep 1$", text, re.M)) == 0
    return (text.replace("$PWD/build/release", os.path.dirname(BINARY))
            .replace("localhost:3000", f"localhost:{port}").replace("9000", str(hook_port)))


@pytest.fixture
def place():
    """Where the private PostgreSQL comes to, which runs as another user when we are root."""
    with tempfile.TemporaryDirectory(prefix="eventhub-tutorial-") as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


@pytest.mark.slow
@pytest.mark.release
def test_every_command_of_the_page_works(place):
    port, hook_port = free_port(), free_port()
    shell = subprocess.Popen(
        ["bash", "-euxo", "pipefail", "-c", script(port, hook_port)], cwd=place, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=clean_environment({"PORT": str(port), "EVENTHUB_EMBEDDED_DATA_DIR": f"{place}/data"}))
    try:
        told, errors = shell.communicate(timeout=PATIENCE * 2)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, told + errors
    for answer in ("not wanted", "it answers 400", '"matches":false', '"reason":"filter"'):
        assert answer in told
    for name, value in (("shop", '"amount": 150'), ("depot", '"weight": 12')):
        got = [json.loads(line) for line in (place / f"{name}.jsonl").read_text().splitlines()]
        assert [(one["status"], value in one["body"]) for one in got] == [(200, True)], got
