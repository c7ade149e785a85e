"""Secrets are nowhere but where they belong. Every hub of the end-to-end tests has its log searched
(Hub.leak); here one is given a canary wherever a secret can be, and everything it says is read."""
import base64
import json
import os
import threading

from hub import CANARY, wait_until
from load import PATIENCE
from names import NameServer

ADMIN = f"{CANARY}-admin-key-of-forty-characters"
SECRET = "whsec_" + base64.b64encode(f"{CANARY}-{'s' * 24}".encode()).decode()
MASTER = f"{CANARY}-{'m' * 16}".encode()[:32].hex()
BASIC = base64.b64encode(f"ann:{CANARY}-password".encode()).decode()
EVERYWHERE = (CANARY, SECRET.removeprefix("whsec_"), MASTER, BASIC)
JSON = {"Content-Type": "application/json"}


class Watched:
    """Requests with the admin key; keeps every answer but those that show a secret by design."""

    def __init__(self, hub):
        self.hub = hub
        self.answers = []

    def __call__(self, method, path, body=None, headers=None, key=ADMIN, shown=False):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        reply = self.hub.request(method, path, data, {
            **(JSON if body is not None else {}), "Authorization": f"Bearer {key}",
            **(headers or {})})
        if not shown:
            self.answers.append((method, path, reply.status,
                                 f"{reply.headers} {reply.body.decode(errors='replace')}"))
        return reply


class Activity:
    """The statements in pg_stat_activity, looked at all the time."""

    def __init__(self, database):
        self._database, self.seen, self._over = database, set(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection = self._database.connect()
        cursor = connection.cursor()
        while not self._over.wait(0.005):
            cursor.execute("SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                           " AND pid <> pg_backend_pid()")
            self.seen.update(row[0] for row in cursor.fetchall())
        connection.close()

    def end(self):
        self._over.set()
        self._thread.join()
        return self.seen


def make_subscribers(ask, sink):
    """Some that work, some that fail in every way that has a message; all with the canary."""
    places = {"/ok": {}, "/bad": {"retry_limit": 0}, "/basic": {"auth": {
        "type": "basic", "username": "ann", "password": CANARY + "-password"}}}
    urls = {path: sink.url(path) + f"?token={CANARY}" for path in places}
    urls["closed"] = f"http://127.0.0.1:1/?token={CANARY}"
    urls["nowhere"] = f"http://no.such.test/?token={CANARY}"
    ids = []
    for name, url in urls.items():
        row = {"name": "n" + name, "event_type": "a", "webhook_url": url, "secret": SECRET,
               "retry_limit": 1, "retry_backoff_seconds": [0.05],
               "auth": {"type": "bearer", "token": CANARY}, **places.get(name, {})}
        reply = ask("POST", "/subscribers", row, shown=True)  # webhook_url is shown as it is
        assert reply.status == 201 and CANARY not in reply.body.decode().replace(url, "")
        ids.append(reply.json()["id"])
    return ids


def say_wrong_things(ask):
    """Requests that are refused: with the canary in every value."""
    event = {"event_type": "a", "payload": {"x": CANARY}}
    bad = [({**event, "version": CANARY + "\n"}, None),
           ({**event, "event_type": CANARY + " "}, None),
           ({**event, "payload": CANARY}, None), ({**event, "user_id": [CANARY]}, None),
           (b'{"event_type": "a", "payload": {"' + CANARY.encode() + b'": tru}}', None),
           (event, {"X-Idempotency-Key": CANARY + "\xe9"}), (event, {"Content-Type": CANARY}),
           (event, {"X-Idempotency-Key": "a", "Idempotency-Key": CANARY})]
    for body, headers in bad:
        assert 400 <= ask("POST", "/events", body, headers).status < 500, body
    for row in ({"secret": CANARY}, {"secret": SECRET + "?"}, {"secret": [SECRET]},
                {"auth": CANARY}, {"headers": {"Host": CANARY}},
                {"auth": {"type": "basic", "username": CANARY + ":", "password": CANARY}},
                {"auth": {"type": "bearer", "token": CANARY + " "}}, {"auth": {"type": CANARY}},
                {"headers": {"X-A": CANARY + "\n"}}, {"headers": CANARY},
                {"webhook_url": f"http://ann:{CANARY}@a.example/"}, {"retry_limit": CANARY},
                {"webhook_url": f"https://a.example/?{CANARY}#"}, {"name": "", "secret": SECRET}):
        whole = {"name": "a", "event_type": "a", "webhook_url": "https://a.example/", **row}
        assert ask("POST", "/subscribers", whole).status == 422, row
    for path in ("/subscribers/1/rotate-secret", "/keys", "/dlq/retry"):
        assert 400 <= ask("POST", path, {"secret": CANARY, "name": CANARY}).status < 500
    for key in (CANARY, ADMIN + "x", ADMIN[:-1]):
        assert ask("GET", "/subscribers", key=key).status == 401
    assert ask("GET", f"/messages?subscriber={CANARY}").status == 400


def test_a_canary_is_nowhere(hub, database, sink, server):
    names = NameServer()
    one = hub(env={"EVENTHUB_ADMIN_KEY": ADMIN, "EVENTHUB_SECRETS_MASTER_KEY": MASTER,
                   "EVENTHUB_WEBHOOK_DNS_SERVERS": names.address})
    sink.on("/bad", 400)
    ask, activity = Watched(one), Activity(database)
    ids = make_subscribers(ask, sink)
    for number in range(5):
        event = {"event_type": "a", "payload": {"n": number, "x": CANARY}, "user_id": CANARY}
        key = {"X-Idempotency-Key": f"{CANARY}-{number}"}
        assert ask("POST", "/events", event, key).status == 202
    say_wrong_things(ask)
    wait_until(lambda: database.value("SELECT count(*) FROM dead_letter_queue") >= 15, PATIENCE,
               "three subscribers' messages are dead")
    for id in ids:
        ask("POST", f"/subscribers/{id}/rotate-secret", {"secret": SECRET, "overlap_seconds": 5},
            shown=True)
        ask("POST", f"/subscribers/{id}/test")
        ask("PATCH", f"/subscribers/{id}", {"webhook_url": sink.url("/ok"), "headers": {
            "X-B": CANARY}})
        for path in ("", "/pause", "/resume"):
            ask("POST" if path else "GET", f"/subscribers/{id}{path}")
    made = ask("POST", "/keys", {"name": "k", "producer": "p", "scopes": ["read"]}, shown=True)
    assert made.status == 201
    for path in ("/subscribers", "/keys", "/health", "/livez", "/readyz?verbose", "/openapi.json",
                 "/metrics"):
        assert ask("GET", path).status == 200
    statements = activity.end()
    names.close()
    assert any("INSERT INTO subscribers" in text for text in statements) or len(statements) > 10
    for method, path, status, text in ask.answers:
        found = [word for word in EVERYWHERE if word in text]
        assert not found, f"{method} {path} {status} shows {found}: {text}"
    with open(os.path.join(server.root, "server.log"), encoding="utf-8", errors="replace") as file:
        said = {"the log": one.log_text(), "pg_stat_activity": "\n".join(statements),
                "PostgreSQL's log": file.read()}
    for where, text in said.items():
        for word in EVERYWHERE + (made.json()["token"],):
            assert word not in text, f"{where} shows {word}: {text[text.index(word) - 500:][:800]}"
    assert not [word for word in EVERYWHERE[1:] if word in "\n".join(
        row for row, in database.rows("SELECT to_jsonb(s)::text FROM subscribers s"))]
