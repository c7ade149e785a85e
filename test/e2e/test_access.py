"""Who is let in: the real binary, its command line, curl, and more than one process."""
import json
import re
import subprocess
import time

import pytest

from hub import BINARY, Hub, clean_environment, free_port, wait_until

ADMIN = "an-admin-key-for-the-tests-0123456789"
EVENT = json.dumps({"event_type": "a", "payload": {}})
EVERY_ADDRESS = {"EVENTHUB_SERVER_BIND": "0.0.0.0"}


def curl(hub, path, *options, port=None):
    """(status, {header: value}, body) of what curl shows."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", "20", *options,
         f"http://localhost:{port or hub.port}{path}"],
        capture_output=True, check=True, timeout=30)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def key(token):
    return ("-H", f"Authorization: Bearer {token}")


def post(hub, *options):
    return curl(hub, "/events", "-H", "Content-Type: application/json", "-d", EVENT, *options)


def keys(database, *arguments, ok=True):
    """`eventhubd keys …`, as (standard output, standard error)."""
    done = subprocess.run([BINARY, "keys", *arguments], capture_output=True, text=True,
                          env=clean_environment(database.environment()), check=False, timeout=30)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout.strip(), done.stderr


def audits(text):
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["msg"] == "audit"]


def ended(database, env):
    """Starts a hub that does not stay; its exit code and log."""
    made = Hub(database, env=env)
    made.start(ready=False)
    return made.wait(30), made.log_text()


# ── the door ──

def test_an_address_that_others_reach_needs_a_key(database, hub):
    code, text = ended(database, EVERY_ADDRESS)
    assert code == 1
    assert "there is no API key: set EVENTHUB_ADMIN_KEY" in text
    token, _ = keys(database, "create", "--name=ops", "--scopes=admin")
    one = hub(env=EVERY_ADDRESS)
    assert post(one)[0] == 401
    assert post(one, *key(token))[0] == 202
    assert "there is no API key" not in one.log_text()


def test_insecure_says_so(hub):
    one = hub(env=EVERY_ADDRESS, flags=["--insecure"])
    assert post(one)[0] == 202
    assert post(one, "-H", "Host: events.example.com")[0] == 202
    wait_until(lambda: "everybody may publish and manage" in one.log_text(), 10)


def test_a_process_without_the_api_needs_no_key(hub):
    one = hub(roles="dispatcher", env=EVERY_ADDRESS)
    assert one.request("GET", "/metrics").status == 200
    assert post(one)[0] == 404
    assert curl(one, "/keys")[0] == 404


def test_on_loopback_the_hub_is_open_and_says_so(hub):
    one = hub()
    wait_until(lambda: "every program on this machine may publish and manage" in one.log_text(), 10)
    assert post(one)[0] == 202
    status, _, body = post(one, "-H", "Host: rebind.example")
    assert status == 403 and "answers only to localhost" in body


@pytest.mark.parametrize("kind", ["EVENTHUB_ADMIN_KEY", "EVENTHUB_ADMIN_KEY_FILE"])
def test_the_admin_key_of_the_settings(kind, hub, tmp_path):
    value = ADMIN
    if kind.endswith("_FILE"):
        value = str(tmp_path / "key")
        (tmp_path / "key").write_text(ADMIN + "\n")
    one = hub(env={**EVERY_ADDRESS, kind: value})
    assert post(one)[0] == 401
    assert post(one, *key(ADMIN))[0] == 202
    status, _, body = curl(one, "/keys", *key(ADMIN))
    assert status == 200 and json.loads(body) == {"data": [], "next_cursor": None}
    assert ADMIN not in one.log_text()


@pytest.mark.parametrize("value", ["short", "x" * 31, "with a space in it 0123456789abcdefgh"])
def test_an_admin_key_that_is_no_good_stops_the_start(value):
    done = subprocess.run([BINARY, "config"], env=clean_environment({"EVENTHUB_ADMIN_KEY": value}),
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert "server.admin_key" in done.stderr and value not in done.stdout + done.stderr


def test_the_admin_key_is_not_for_the_command_line():
    done = subprocess.run([BINARY, f"--server.admin_key={ADMIN}", "config"], capture_output=True,
                          env=clean_environment(), text=True, check=False, timeout=20)
    assert done.returncode == 2 and ADMIN not in done.stdout + done.stderr
    done = subprocess.run([BINARY, "config"], env=clean_environment({"EVENTHUB_ADMIN_KEY": ADMIN}),
                          capture_output=True, text=True, check=True, timeout=20)
    assert "admin_key" in done.stdout and ADMIN not in done.stdout


# ── the answers ──

def test_401_and_403_as_curl_sees_them(database, hub):
    one = hub()
    token, _ = keys(database, "create", "--name=watch", "--scopes=read")
    wait_until(lambda: post(one)[0] == 401, 2)
    status, headers, body = post(one)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["WWW-Authenticate"] == 'Bearer realm="eventhub"'
    assert json.loads(body) == {
        "type": "about:blank", "title": "Unauthorized", "status": 401,
        "detail": "an API key is needed: Authorization: Bearer KEY",
        "error": "an API key is needed: Authorization: Bearer KEY"}
    status, headers, body = post(one, *key(token[:-1]))
    assert status == 401
    assert headers["WWW-Authenticate"] == 'Bearer realm="eventhub", error="invalid_token"'
    status, headers, body = post(one, *key(token))
    assert status == 403
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["WWW-Authenticate"] == (
        'Bearer realm="eventhub", error="insufficient_scope", scope="publish"')
    assert json.loads(body)["detail"] == "this API key lacks the scope publish"
    for path in ("/health", "/livez", "/readyz", "/metrics"):
        assert curl(one, path)[0] == 200


def test_a_refused_request_stores_nothing(database, hub):
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN})
    assert curl(one, "/events", "-H", "Content-Type: application/json", "-d", "{garbage")[0] == 401
    assert post(one, *key("x" * 600))[0] == 401
    assert post(one, *key(ADMIN), *key(ADMIN))[0] == 400
    assert database.value("SELECT count(*) FROM events") == 0
    assert post(one, *key(ADMIN))[0] == 202


# ── keys and their life, over several processes ──

def test_a_key_of_the_command_line_works_in_every_process_within_a_second(database, hub):
    processes = [hub(roles="api"), hub(roles="api")]
    token, told = keys(database, "create", "--name=shop-1", "--scopes=publish,read")
    assert re.fullmatch("ehk_[0-9a-f]{64}", token)
    assert "It is not shown again" in told and token not in told
    for one in processes:
        wait_until(lambda one=one: post(one)[0] == 401, 1.5, "a key was made elsewhere")
        assert post(one, *key(token))[0] == 202
    listed, _ = keys(database, "list")
    assert "shop-1" in listed and "publish,read" in listed and token[4:] not in listed
    entry, = json.loads(keys(database, "list", "--json")[0])
    assert entry["name"] == entry["producer"] == "shop-1"
    assert entry["created_by"].startswith("eventhubd keys, ")
    out, _ = keys(database, "revoke", "shop-1")
    assert out == "revoked shop-1"
    for one in processes:
        wait_until(lambda one=one: post(one, *key(token))[0] == 401, 1.5, "it was revoked")
    assert json.loads(keys(database, "list", "--json")[0]) == []


def test_a_key_revoked_by_the_api_ends_at_once_here_and_within_a_second_there(hub):
    here = hub(roles="api", env={"EVENTHUB_ADMIN_KEY": ADMIN})
    there = hub(roles="api", env={"EVENTHUB_ADMIN_KEY": ADMIN})
    status, headers, body = curl(here, "/keys", "-H", "Content-Type: application/json", "-d",
                                 '{"name": "shop", "scopes": ["publish"]}', *key(ADMIN))
    assert status == 201
    made = json.loads(body)
    assert headers["Location"] == f"/keys/{made['id']}"
    assert post(here, *key(made["token"]))[0] == 202
    wait_until(lambda: post(there, *key(made["token"]))[0] == 202, 1.5)
    assert curl(here, headers["Location"], "-X", "DELETE", *key(ADMIN))[0] == 204
    assert post(here, *key(made["token"]))[0] == 401
    wait_until(lambda: post(there, *key(made["token"]))[0] == 401, 1.5)
    assert curl(here, headers["Location"], "-X", "DELETE", *key(ADMIN))[0] == 404


def test_a_replaced_key_doubles_nothing(database, hub):
    """The producer sends again, with its new key, what it does not know to be accepted."""
    one = hub()
    old, _ = keys(database, "create", "--name=shop-1", "--producer=shop", "--scopes=publish")
    new, _ = keys(database, "create", "--name=shop-2", "--producer=shop", "--scopes=publish")
    till, _ = keys(database, "create", "--name=till", "--scopes=publish")
    wait_until(lambda: post(one)[0] == 401, 2)
    same = ("-H", "Idempotency-Key: order-1")
    wait_until(lambda: post(one, *key(till))[0] == 202, 2)
    first = json.loads(post(one, *key(old), *same)[2])["event_id"]
    keys(database, "revoke", "shop-1")
    status, headers, body = post(one, *key(new), *same)
    assert status == 200 and headers["Idempotency-Replayed"] == "true"
    assert json.loads(body)["event_id"] == first
    assert json.loads(post(one, *key(till), *same)[2])["event_id"] != first


@pytest.mark.slow
def test_when_a_key_was_last_used(database, hub):
    one = hub()
    token, _ = keys(database, "create", "--name=shop", "--scopes=publish")
    assert json.loads(keys(database, "list", "--json")[0])[0]["last_used_at"] is None
    wait_until(lambda: post(one, *key(token))[0] == 202 and post(one)[0] == 401, 2)
    writes = database.value("SELECT xmin::text FROM api_keys")
    for _ in range(20):
        post(one, *key(token))
    wait_until(lambda: json.loads(keys(database, "list", "--json")[0])[0]["last_used_at"], 15)
    age = database.value("SELECT extract(epoch FROM now() - last_used_at) FROM api_keys")
    assert 0 <= age < 20
    assert database.value("SELECT xmin::text FROM api_keys") != writes
    assert database.value("SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'api_keys'"
                          ) <= 5, "a write per request"


def test_the_first_key_is_made_before_there_is_a_schema(database, hub):
    token, _ = keys(database, "create", "--name=first", "--scopes=admin")
    assert post(hub(env=EVERY_ADDRESS), *key(token))[0] == 202


def test_a_wrong_command_says_why(database):
    keys(database, "create", "--name=taken", "--scopes=read")
    for arguments in (
            ("create", "--name=a b", "--scopes=read"), ("create", "--name=a", "--scopes=write"),
            ("create", "--name=a"), ("create", "--scopes=read"), ("revoke", "nobody"),
            ("revoke",), (), ("create", "--name=taken", "--scopes=read")):
        out, told = keys(database, *arguments, ok=False)
        assert out == "" and len(told.strip()) > 10, arguments
    assert len(json.loads(keys(database, "list", "--json")[0])) == 1


# ── limits ──

def test_a_key_with_a_limit_as_curl_sees_it(database, hub):
    one = hub()
    token, told = keys(database, "create", "--name=shop", "--scopes=publish", "--rate=0.5",
                       "--burst=3")
    assert "0.5/s, burst 3" in told
    free, _ = keys(database, "create", "--name=till", "--scopes=publish")
    wait_until(lambda: post(one, *key(free))[0] == 202 and post(one)[0] == 401, 2)
    answers = [post(one, *key(token)) for _ in range(5)]
    assert [status for status, _, _ in answers[:4]] == [202, 202, 202, 429]
    for _, headers, _ in answers:
        assert headers["RateLimit-Policy"] == '"default";q=3;w=6'
    left = [headers["RateLimit"] for _, headers, _ in answers[:3]]
    assert [re.fullmatch(r'"default";r=(\d);t=[2-6]', text)[1] for text in left] == ["2", "1", "0"]
    _, headers, body = answers[3]
    assert headers["Retry-After"] in ("1", "2")
    assert headers["Content-Type"] == "application/problem+json"
    assert json.loads(body)["status"] == 429 and json.loads(body)["title"] == "Too Many Requests"
    assert "RateLimit" not in post(one, *key(free))[1]
    wait_until(lambda: post(one, *key(token))[0] == 202, 4, "Retry-After is over")
    assert database.value("SELECT count(*) FROM events e") >= 4


def test_a_limit_is_kept_in_the_long_run(database, hub):
    """Some seconds of asking all the time: the rate, and one burst. Who is too slow to ask for it
    all (a busy machine) loses what the bucket has no room for."""
    rate, burst = 20, 5
    one = hub()
    token, _ = keys(database, "create", "--name=shop", "--scopes=publish", f"--rate={rate}",
                    f"--burst={burst}")
    wait_until(lambda: post(one)[0] == 401, 2)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    seen, asked = [], [time.monotonic()]
    while asked[-1] - asked[0] < 4:
        seen.append(one.request("POST", "/events", EVENT, headers).status)
        asked.append(time.monotonic())
    expected, room = 0, burst
    for before, after in zip(asked, asked[1:]):
        room = min(burst, room + rate * (after - before))
        if room >= 1:
            expected, room = expected + 1, room - 1
    assert 202 in seen and set(seen) <= {202, 429}
    assert expected - burst <= seen.count(202)
    assert seen.count(202) <= burst + rate * (asked[-1] - asked[0]) + 1
    assert database.value("SELECT count(*) FROM events") == seen.count(202)


# ── what is left behind ──

def test_every_change_of_a_key_is_one_line_of_the_log(database, hub):
    """Whatever the level: who, what, from where."""
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN, "EVENTHUB_LOG_LEVEL": "error"})
    body = curl(one, "/keys", "-H", "Content-Type: application/json", "-d",
                '{"name": "shop", "scopes": ["publish"]}', *key(ADMIN))[2]
    made = json.loads(body)
    curl(one, f"/keys/{made['id']}", "-X", "DELETE", *key(ADMIN))
    curl(one, f"/keys/{made['id']}", "-X", "DELETE", *key(ADMIN))  # changes nothing
    curl(one, "/keys", *key(ADMIN))
    wait_until(lambda: len(audits(one.log_text())) == 2)
    create, revoke = audits(one.log_text())
    assert create["action"] == "key.create" and revoke["action"] == "key.revoke"
    for line in (create, revoke):
        assert line["by"] == "key EVENTHUB_ADMIN_KEY"
        assert line["from"] in ("127.0.0.1", "::1")
        assert line["id"] == made["id"]
    assert create["what"] == "shop, producer shop, scopes publish" and revoke["what"] == "shop"
    _, told = keys(database, "create", "--name=till", "--scopes=read")
    line, = audits(told)
    assert line["action"] == "key.create" and line["by"] == "eventhubd keys" and "@" in line["from"]


def test_a_key_is_nowhere_but_with_its_owner(database, hub):
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN})
    token, _ = keys(database, "create", "--name=shop", "--scopes=publish")
    body = curl(one, "/keys", "-H", "Content-Type: application/json", "-d",
                '{"name": "till", "scopes": ["publish"]}', *key(ADMIN))[2]
    secrets = [token, json.loads(body)["token"], ADMIN]
    for secret in secrets:
        wait_until(lambda secret=secret: post(one, *key(secret))[0] == 202, 2)
        post(one, *key(secret + "x"))
    dump = subprocess.run(
        ["pg_dump", "-h", database.server.socket_dir, "-U", "eventhub", "-d", database.name],
        capture_output=True, text=True, check=True, timeout=60,
        env=clean_environment()).stdout
    seen = database.rows("SELECT query FROM pg_stat_activity")
    places = {"log": one.log_text(), "dump": dump, "activity": str(seen),
              "metrics": one.request("GET", "/metrics").body.decode(),
              "list": keys(database, "list", "--json")[0],
              "api": curl(one, "/keys", *key(ADMIN))[2]}
    for secret in secrets:
        for name, text in places.items():
            assert secret.removeprefix("ehk_") not in text, name


# ── the port for monitors ──

def test_management_on_the_port_for_monitors(hub):
    port = free_port()
    one = hub(env={"EVENTHUB_SERVER_METRICS_PORT": str(port), "EVENTHUB_ADMIN_KEY": ADMIN,
                   "EVENTHUB_SERVER_MANAGEMENT_ON_METRICS_PORT": "true"})
    assert curl(one, "/keys", *key(ADMIN))[0] == 404
    assert curl(one, "/keys", port=port)[0] == 401
    assert curl(one, "/keys", *key(ADMIN), port=port)[0] == 200
    assert curl(one, "/events", "-X", "POST", *key(ADMIN), port=port)[0] == 405
    assert post(one, *key(ADMIN))[0] == 202


def test_management_is_not_on_the_port_for_monitors_by_itself(hub):
    port = free_port()
    one = hub(env={"EVENTHUB_SERVER_METRICS_PORT": str(port), "EVENTHUB_ADMIN_KEY": ADMIN})
    assert curl(one, "/keys", *key(ADMIN), port=port)[0] == 404
    assert curl(one, "/keys", *key(ADMIN))[0] == 200
