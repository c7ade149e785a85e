"""The commands of docs/api.md, run in their order as one script against a running hub."""
import json
import os
import re
import subprocess

from hub import ROOT, clean_environment, wait_until
from load import PATIENCE


def page():
    with open(os.path.join(ROOT, "docs/api.md"), encoding="utf-8") as file:
        return file.read()


def commands(port):
    """Each block's commands, told apart in what they print."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page(), re.M | re.S)
    assert len(blocks) > 8
    return [block.replace("localhost:3000", f"localhost:{port}") for block in blocks]


def test_every_command_of_the_page_works(hub, database, sink, tmp_path):
    one = hub(env={"EVENTHUB_EGRESS_ALLOW_CIDRS": "127.0.0.0/8"})
    sink.on("/hooks", 400)
    blocks = commands(one.port)
    assert "https://api.example.com/hooks" in blocks[0]
    blocks[0] = blocks[0].replace("https://api.example.com/hooks", sink.url("/hooks"))
    # What a page of people's commands takes for granted: time between them.
    until_dead = f"until curl -s localhost:{one.port}/dlq | grep rejected; do sleep 0.1; done\n"
    script = "".join(until_dead + block if "/messages?status" in block else block
                     for block in blocks)
    done = subprocess.run(["bash", "-euxo", "pipefail", "-c", script], cwd=tmp_path,
                          capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert set(re.findall(r'"title":"(\w+)', text)) <= {
        "Conflict", "Bad"}, text  # still under way, and an item that is wrong to show what comes
    assert database.rows("SELECT name, headers, retry_limit, paused FROM subscribers") == [
        ("User Service", {"X-Service": "users"}, 5, False)]
    assert '"dry_run":true' in text and '"dry_run":false' in text
    assert (tmp_path / "dead_letters.ndjson").read_text().count("\n") == 1
    assert json.loads((tmp_path / "dead_letters.ndjson").read_text())["payload"] == {"n": 1}
    wait_until(lambda: not database.rows("SELECT FROM redeliveries"), PATIENCE)
    wait_until(lambda: not database.rows("SELECT FROM dead_letter_queue"), PATIENCE)


def test_the_page_names_every_route_of_the_management_api():
    with open(os.path.join(ROOT, "src/api/routes.cpp"), encoding="utf-8") as file:
        routes = re.findall(r'Route\{"([A-Z]+)", "(/[^"]*)"', file.read())
    table = re.search(r"^\| \| \|\n\|---\|---\|\n((?:\|.*\n)+)", page(), re.M)[1]
    told = set()
    for span in re.findall(r"`([^`]+)`", table):
        method, _, path = span.partition(" ")
        told.add((method, path))
    told |= {("GET", "/subscribers/{id}"), ("PATCH", "/subscribers/{id}")}  # three in one cell
    told -= {("GET", ""), ("PATCH", "")}
    wanted = {(method, path) for method, path in routes
              if path.split("/")[1] in ("subscribers", "messages", "dlq", "events")}
    assert told == wanted - {("POST", "/events")}
