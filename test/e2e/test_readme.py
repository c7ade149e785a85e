"""The README's commands, taken out of README.md and run. Only names, ports and ids are replaced."""
import json
import os
import re
import subprocess
import time

import pytest

from hub import BINARY, ROOT, clean_environment, wait_until
from sink import Answer

NOT_RUN = ("scripts/demo", "build/release/eventhubd --embedded", 'echo "EVENTHUB_ADMIN_KEY=')
PATH = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"  # it is eventhubd there
ADMIN = "an-admin-key-for-the-tests-0123456789"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


def blocks(language, *words):
    """The fenced blocks of a language with all the words in them; there must be one."""
    found = re.findall(rf"^```{language}\n(.*?)^```", readme(), re.M | re.S)
    chosen = [block for block in found if all(word in block for word in words)]
    assert chosen, f"README.md has no {language} block with {words}"
    return chosen


def rows(first_cell):
    """The rows of the table whose head begins with `first_cell`, as lists of cells."""
    head = rf"^\| {re.escape(first_cell)} ?\|.*\n\|[-|]+\|\n"
    table = re.search(head + r"((?:\|.*\n)+)", readme(), re.M)
    assert table, f"README.md has no table of {first_cell}"
    return [[cell.strip() for cell in row.strip("|").split("|")]
            for row in table[1].replace("\\|", "¦").splitlines()]


def run(command, database, port=3000, ok=True):
    """Shell commands as they are printed, with the hub on another port."""
    command = command.replace("localhost:3000", f"localhost:{port}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True,
                          text=True, timeout=60, check=False,
                          env=clean_environment({**database.environment(), "PATH": PATH}))
    assert not ok or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def psql(sql, database, ok=True):
    """As role eventhub, with nothing set: what the README shows must work like this."""
    done = subprocess.run(
        ["psql", "-XAt", "-v", "ON_ERROR_STOP=1", "-h", database.server.socket_dir, "-U",
         "eventhub", "-d", database.name], input=sql, capture_output=True, text=True, timeout=60,
        check=False, env=clean_environment())
    assert not ok or done.returncode == 0, f"{sql}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def test_the_subscriber_and_the_event_of_the_readme_meet(hub, database, sink):
    """The INSERT, the curl command and the table of headers."""
    one = hub()
    psql(blocks("sql", "INSERT INTO subscribers")[0], database)
    assert psql("SELECT name, ordering_key, retry_backoff_seconds FROM subscribers", database) == (
        "User Service|organization_id|{5,30,300}")
    database.rows("UPDATE subscribers SET webhook_url = %s, secret = %s", sink.url("/a"), SECRET)
    command = blocks("sh", "curl -i -X POST")[0]
    answer = run(command, database, one.port)
    assert answer.startswith("HTTP/1.1 202")
    said = json.loads(answer[answer.index("{"):])
    promised = json.loads(re.search(r'`202 (\{.*?\})`', readme())[1])
    assert set(said) == set(promised) and said["message"] == promised["message"]
    delivery = sink.wait(1, "/a")[0]
    assert delivery.event_id == said["event_id"]
    assert delivery.body.decode() == re.search(r'"payload": (\{.*?\})', command)[1]
    for cell, *_ in rows("header"):
        for name in re.findall(r"`([^`]+)`", cell):
            assert name == "traceparent" or name.lower() in delivery.headers, name


def test_the_commands_about_keys(hub, database):
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN})
    create, post, listing, revoke = re.split(r"\n(?! )", blocks("sh", "keys create")[0].strip())
    key = run(create + "\necho $KEY", database).strip()
    event = post.replace("$KEY", key)
    assert run(post.replace("$KEY", "wrong"), database, one.port).startswith("HTTP/1.1 401")
    wait_until(lambda: run(event, database, one.port).startswith("HTTP/1.1 202"), 2)
    assert re.search(r"shop-1 +shop +publish", run(listing, database))
    run(revoke, database)
    wait_until(lambda: run(event, database, one.port).startswith("HTTP/1.1 401"), 2)
    body = re.search(r"`(\{\"name\": \"shop-1\".*?\})`", readme())[1]
    answer = one.request("POST", "/keys", body, {"Content-Type": "application/json",
                                                 "Authorization": f"Bearer {ADMIN}"})
    assert answer.status == 201 and set(json.loads(body)) < set(answer.json())


def at(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_the_members_of_the_table_are_those_of_an_event(hub):
    one = hub(roles="api")
    members = [name for cell, _ in rows("member") for name in re.findall(r"`([^`]+)`", cell)]
    assert members == ["event_type", "payload", "version", "organization_id", "user_id",
                       "deliver_after", "expires_at"]
    event = {name: {} if name == "payload" else "a" for name in members}
    event.update(deliver_after=at(60), expires_at=at(120))
    assert one.post(event).status == 202
    for name in members:
        assert one.post({**event, name: 1}).status == 400, name


def test_dead_letters_and_states(hub, database, sink):
    """Each statement of the block, the sample id replaced by one that is there."""
    one = hub()
    database.subscribe(sink.url("/a"), "user.created")
    sink.on("/a", 400)
    for number in range(2):
        one.post({"event_type": "user.created", "payload": {"number": number}})
    wait_until(lambda: database.value("SELECT count(*) FROM dead_letters") == 2)
    ids = [str(row[0]) for row in database.rows("SELECT message_id FROM dead_letters")]
    sink.on("/a", Answer())
    block = blocks("sql", "retry_dead_letter")[0]
    statements = [part for part in re.sub(r"--[^\n]*", "", block).split(";") if part.strip()]
    assert len(statements) == 4
    everything, retry, discard, states = statements
    assert ids[0] in psql(everything, database)
    sample = re.search(r"'([0-9a-f-]{36})'", retry)[1]
    psql(retry.replace(sample, ids[0]), database)
    psql(discard.replace(sample, ids[1]), database)
    wait_until(lambda: psql(everything, database) == "")
    assert [d.message_id for d in sink.deliveries("/a") if d.ok] == [ids[0]]
    assert psql(states, database).splitlines() == ["dead||1", "delivered||1"]


def test_management(hub, database):
    """The commands about subscribers, messages and dead letters."""
    one = hub(roles="api")
    make, *lists = blocks("sh", "/subscribers")[0].replace("\\\n", "").splitlines()
    assert json.loads(run(make, database, one.port))["name"] == "Audit"
    assert psql("SELECT event_type FROM subscribers", database) == ">"
    assert len(lists) == 2
    for command in lists:
        assert json.loads(run(command, database, one.port)) == {"data": [], "next_cursor": None}


def test_troubleshooting(hub, database, sink):
    """Every alternative of the grep commands finds something; every statement runs."""
    one = hub()
    database.subscribe(sink.url("/a"), "user.created", retry_limit=0)
    sink.on("/a", lambda d: 500 if d.json()["number"] else 200)
    for number in range(2):
        one.post({"event_type": "user.created", "payload": {"number": number}})
    wait_until(lambda: database.value("SELECT count(*) FROM dead_letters") == 1)
    for block in blocks("sh", "/metrics"):
        for command in filter(None, block.splitlines()):
            shown = run(command, database, one.port)
            pattern = re.search(r"\((.*?)\)", command)
            for name in pattern[1].split("|") if pattern else []:
                assert name in shown, f"{command} shows no {name}"
    for block in blocks("sh", "readyz"):
        assert "database ok" in run(block, database, one.port)
    wait_until(lambda: database.value("SELECT sum(shards) FROM nodes") == 64)  # the next heartbeat
    shown = psql(blocks("sql", "FROM nodes")[0], database)
    assert "delivered" in shown and "dead" in shown and "retries_exhausted" in shown
    assert re.search(r"dispatcher.*\|64\|", shown)


def test_the_other_ways_in_of_the_readme(hub, database, sink):
    one = hub()
    database.subscribe(sink.url("/a"), "user.created")
    assert " 202 " in run(blocks("sh", "cloudevents+json")[0], database, one.port)
    psql(blocks("sql", "SELECT publish")[0], database)
    assert {tuple(d.json()) for d in sink.wait(2, "/a")} == {("email",), ("user_id",)}


def test_a_private_address_is_the_reason_that_the_readme_names(hub, database, sink):
    reason = re.search(r"`(\w+)` among the dead letters", readme())[1]
    variable = re.search(r"name its range in `(\w+)`", readme())[1]
    one = hub(env={variable: ""})
    database.subscribe(sink.url("/a"), "user.created")
    one.post({"event_type": "user.created", "payload": {}})
    wait_until(lambda: database.rows("SELECT reason FROM dead_letter_queue") == [(reason,)])
    assert not sink.deliveries("/a")


def test_the_defaults_of_the_configuration_table():
    with open(os.path.join(ROOT, "docs/configuration.md"), encoding="utf-8") as file:
        reference = file.read()
    for cell, _, defaults in rows("variable"):
        names = [name for name in re.findall(r"`([A-Z_]+)`", cell)
                 if name not in ("_FILE", "DATABASE_URL")]
        values = defaults.split(", ")
        assert len(names) == len(values), cell
        for name, value in zip(names, values):
            row = re.search(rf"\| `{name}` \| [^|]+ \| ([^|]+) \|", reference)
            assert row and row[1].strip('`" ') == value, f"{name}: {row and row[1]}"


def test_the_defaults_of_a_subscriber(hub, database, sink):
    hub(roles="api")
    database.subscribe(sink.url("/a"))
    checked = 0
    for cell, _, defaults in rows("column"):
        names = re.findall(r"`([^`]+)`", cell)
        values = re.findall(r"(?:`[^`]*`|[^,`])+", defaults) if len(names) > 1 else [defaults]
        for name, value in zip(names, values):
            expected = {"": None, "off": "false", "none": None, "all": None}.get(
                value, value.strip(" `"))
            if expected in ("needed", "WEBHOOK_TIMEOUT_MS") or "needed" in value:
                continue
            found = psql(f"SELECT {name} FROM subscribers", database)
            assert found == {"true": "t", "false": "f", None: ""}.get(expected, expected), name
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("language", ["sh", "sql"])
def test_every_block_is_run_here_or_known(language):
    tested = ("INSERT INTO subscribers", "curl -i -X POST", "retry_dead_letter", "/metrics",
              "readyz", "FROM nodes", "/subscribers", "keys create", "SELECT publish")
    for block in blocks(language):
        assert block.startswith(NOT_RUN) or any(word in block for word in tested), block
