"""The command line: what it prints, its exit codes, and that it does what it says."""
import http.server
import json
import os
import pty
import re
import subprocess
import threading

import pytest

from commands import Commands
from hub import BINARY, clean_environment, free_port, wait_until
from load import PATIENCE
from sink import signature

ADMIN = "an-admin-key-for-the-tests-0123456789"


def test_from_a_subscriber_to_a_delivery(hub, sink):
    cli = Commands(hub())
    cli("subscribers", "create", "--name", "User Service", "--event-type", "user.*",
        "--webhook-url", sink.url("/a"), "--header", "X-Team: users",
        "--ordered-by", "organization_id")
    listed = cli("subscribers", "list").splitlines()
    assert re.match(r"name +event type +", listed[0]) and listed[1].startswith("User Service  ")
    event = cli("publish", "user.created", '["[x]", {"n": 1}]', "--org", "o1").strip()
    delivery = sink.wait(1, "/a")[0]
    assert delivery.event_id == event and delivery.body == b'["[x]", {"n": 1}]'
    assert delivery.headers["x-team"] == "users"
    wait_until(lambda: cli.json("messages", "list", "--status", "delivered")["data"])
    shown = cli("events", "show", event)
    assert '["[x]", {"n": 1}]' in shown and "User Service" in shown and "delivered" in shown
    test = cli("subscribers", "test", "User Service")
    assert re.search(r"^delivered +true$", test, re.M)
    sink.on("/a", 500)
    cli("subscribers", "test", "User Service", code=1)


def test_exit_codes_say_what_went_wrong(hub):
    one = hub(roles="api", env={"EVENTHUB_ADMIN_KEY": ADMIN})
    cli = Commands(one)
    cli("events", "list", code=1)
    assert "401" in cli.errors and "EVENTHUB_API_KEY" in cli.errors
    cli.environment["EVENTHUB_API_KEY"] = ADMIN
    cli("subscribers", "create", "--name", "x", "--event-type", "a", "--webhook-url",
        "http://127.0.0.1:1/", "--retry-limit", "101", code=1)
    assert "422" in cli.errors and "#/retry_limit" in cli.errors
    cli("events", "show", "0190c8a2-7c1e-7000-8000-2f5b8f0c4f11", code=1)
    assert "there is no event with this id" in cli.errors
    cli("events", "show", "17", code=2)
    cli("events", "show", code=2)
    cli("events", "shwo", code=2)
    assert "not expected: shwo" in cli.errors
    for words in (["--file", "."], ["--file", ".", "--ndjson"], ["--file", "/no/such"]):
        cli("publish", "a", *words, code=2)
        assert "cannot be read" in cli.errors
    nobody = Commands(env={"PORT": str(free_port())})
    nobody("events", "list", code=3)
    assert nobody("tail", code=3) == ""
    assert f"127.0.0.1:{nobody.environment['PORT']}" in nobody.errors


def answering(body):
    """The URL of somebody who gives this answer to everything."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_POST = do_GET

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def test_what_is_no_hub_is_told_apart():
    """Else an event would seem to be taken, and a list would have no end."""
    cli = Commands(env={"EVENTHUB_URL": answering(b'{"data": [], "next_cursor": "a"}')})
    for words in (["publish", "a", "1"], ["events", "list", "--all"]):
        cli(*words, code=1)
        assert "what answers there is no hub" in cli.errors


@pytest.mark.slow
def test_a_secret_is_shown_once_and_credentials_come_from_files(hub, sink, tmp_path):
    one = hub()
    cli = Commands(one)
    (tmp_path / "token").write_text("a-token\n")
    said = cli("subscribers", "create", "--name", "S", "--event-type", "a.b", "--webhook-url",
               sink.url("/a"), "--auth-bearer-file", str(tmp_path / "token"), "--rate-limit", "20",
               "--circuit-failures", "5")
    secret = re.search(r"^secret +(whsec_\S+)$", said, re.M)[1]
    assert "not shown again" in cli.errors and "a-token" not in said
    shown = cli.json("subscribers", "show", "S")
    assert "secret" not in shown and shown["header_names"] == ["Authorization"]
    assert (shown["rate_limit"], shown["circuit_failures"]) == (20, 5)
    cli("publish", "a.b", "{}")
    delivery = sink.wait(1, "/a")[0]
    assert delivery.headers["authorization"] == "Bearer a-token"
    assert delivery.headers["webhook-signature"] == signature(delivery, secret)

    new = cli.json("subscribers", "rotate-secret", "S", "--overlap-seconds", "0")["secret"]
    cli("subscribers", "test", "S")
    delivery = sink.deliveries("/a")[-1]
    assert delivery.headers["webhook-signature"] == signature(delivery, new) and new != secret
    cli("subscribers", "rotate-secret", "S")
    cli("subscribers", "rotate-secret", "S", code=1)
    assert "refused (409" in cli.errors
    cli("subscribers", "rotate-secret", "S", "--force")
    cli("subscribers", "update", "S", "--set", "secret=null", "--set", "auth=null")
    shown = cli.json("subscribers", "show", "S")
    assert shown["header_names"] == [] and not shown["has_secret"]


def test_help_has_examples_and_a_shell_can_complete():
    cli = Commands()
    assert "Examples:\n  eventhubd events list --type user.created" in cli("events", "list",
                                                                          "--help")
    script = f"""
source <({BINARY} completion bash)
try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _eventhubd; echo "${{COMPREPLY[*]}}"; }}
try eventhubd ev
try eventhubd events ''
try eventhubd events list --org publish --li
try eventhubd keys create --sc
"""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True,
                          text=True, timeout=PATIENCE, check=False, env=clean_environment())
    assert done.stdout.splitlines() == [
        "events", "list show cancel expunge", "--limit", "--scopes"], done
    cli("completion", "csh", code=2)


@pytest.mark.slow
def test_json_is_that_of_the_api_and_lists_go_page_after_page(hub):
    one = hub(roles="api")
    cli = Commands(one)
    lines = "".join(f'{{"n": {number}}}\n' for number in range(230))
    ids = cli("publish", "a.b", "--ndjson", "--user", "u1", stdin=lines).split()
    assert len(set(ids)) == 230
    page = cli.json("events", "list", "--limit", "3")
    assert page == one.request("GET", "/events?limit=3").json()
    rows = cli.lines("events", "list", "--all", "--user", "u1")
    assert [row["id"] for row in rows] == ids[::-1]
    assert len(cli("events", "list", "--limit", "210").splitlines()) == 211
    assert "there are more" in cli.errors
    assert len(cli("events", "list", "--since", "1h", "--all").splitlines()) == 231
    assert cli("events", "list", "--until", "1h").count("\n") == 1


@pytest.mark.slow
def test_the_same_lines_again_make_no_second_event(hub):
    one = hub(roles="api")
    cli = Commands(one)
    whole = '{"event_type": "c.d", "payload": [1], "organization_id": "o"}\n'
    ids = cli("publish", "--ndjson", "--idempotency-key", "import", stdin=whole * 3).split()
    one.kill()
    cli("publish", "--ndjson", "--idempotency-key", "import", code=3, stdin=whole * 3)
    one.start()
    again = cli("publish", "--ndjson", "--idempotency-key", "import", code=1,
                stdin=whole * 3 + "{bad}\n\n" + '{"payload": 1}\n').split()
    assert again == ids and len(set(ids)) == 3
    assert "line 4: is not valid JSON" in cli.errors and "line 6: refused (400" in cli.errors
    assert "2 of 6 lines were refused" in cli.errors


@pytest.mark.slow
def test_what_cannot_be_written_is_not_done(hub):
    cli = Commands(hub(roles="api"))
    for words in (["list"], ["list", "--json"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, "events", *words], stdout=full, stderr=subprocess.PIPE,
                                  timeout=PATIENCE, check=False,
                                  env=clean_environment(cli.environment))
        assert done.returncode == 1 and b"standard output" in done.stderr


@pytest.mark.slow
def test_keys_come_from_files_and_not_without_a_warning_from_flags(hub, tmp_path):
    cli = Commands(hub(roles="api", env={"EVENTHUB_ADMIN_KEY": ADMIN}))
    (tmp_path / "key").write_text(ADMIN + "\r\n")
    cli("events", "list", "--key-file", str(tmp_path / "key"))
    assert cli.errors == ""
    cli("events", "list", "--key", ADMIN)
    assert "seen by everyone" in cli.errors and ADMIN not in cli.errors
    cli.environment["EVENTHUB_API_KEY_FILE"] = str(tmp_path / "key")
    cli("events", "list")
    cli("events", "list", "--key-file", str(tmp_path / "none"), code=2)


@pytest.mark.slow
def test_a_bar_is_shown_on_a_terminal_only(hub, tmp_path):
    cli = Commands(hub(roles="api"))
    lines = "".join('{"n": 1}\n' for _ in range(400))
    primary, secondary = pty.openpty()
    done = subprocess.run([BINARY, "publish", "a", "--ndjson"], input=lines.encode(),
                          stdout=subprocess.PIPE, stderr=secondary, check=True, timeout=PATIENCE,
                          env=clean_environment(cli.environment))
    os.close(secondary)
    shown = os.read(primary, 1 << 16).decode()
    os.close(primary)
    assert done.stdout.count(b"\n") == 400
    assert re.search(r"published \d+ events", shown) and shown.endswith("\r\x1b[K")
    cli("publish", "a", "--ndjson", stdin=lines)
    assert cli.errors == ""


@pytest.mark.slow
def test_a_hub_with_tls_is_believed_only_with_its_authority(hub, tmp_path):
    from test_tls import Authority
    authority = Authority(tmp_path)
    certificate, key = authority.sign("first")
    port = free_port()
    one = hub(roles="api", ready=False, port=port, flags=["--insecure"],
              env={"EVENTHUB_SERVER_BIND": "0.0.0.0",
                   "EVENTHUB_SERVER_TLS_CERTIFICATE_FILE": str(certificate),
                   "EVENTHUB_SERVER_TLS_KEY_FILE": str(key)})
    cli = Commands(env={"EVENTHUB_URL": f"https://localhost:{port}"})

    def answered():
        assert one.alive
        done = subprocess.run([BINARY, "healthcheck", f"https://127.0.0.1:{port}/readyz"],
                              capture_output=True, timeout=PATIENCE, check=False)
        return done.returncode == 0
    wait_until(answered, every=0.3)
    cli("events", "list", code=3)
    assert "certificate is not trusted" in cli.errors
    cli("events", "list", "--ca-file", authority.ca)
    assert json.loads(cli("publish", "a", "{}", "--json", "--ca-file", authority.ca))["event_id"]
    cli("events", "list", "--ca-file", authority.ca, "--url", f"https://127.0.0.2:{port}", code=3)
    assert "TLS: " in cli.errors  # the certificate is of another address
