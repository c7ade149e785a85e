"""/openapi.json is what the hub does: its paths are the routes of src/api/routes.cpp, and every
answer of a walk over all of them is one that it describes."""
import datetime
import json
import os
import re

import jsonschema
import pytest

from hub import ROOT, wait_until
from load import PATIENCE

METHODS = ("get", "post", "patch", "put", "delete")
NOBODY = "00000000-0000-8000-8000-000000000000"


class Described:
    """Requests to a hub whose answers must be described."""

    def __init__(self, hub):
        self.hub = hub
        self.spec = hub.request("GET", "/openapi.json").json()
        self.seen = set()

    def operations(self):
        return {(method, path): operation for path, item in self.spec["paths"].items()
                for method, operation in item.items() if method in METHODS}

    def resolve(self, item):
        while "$ref" in item:
            found = self.spec
            for part in item["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            item = found
        return item

    def validate(self, value, schema):
        resolver = jsonschema.RefResolver("", self.spec)
        jsonschema.Draft202012Validator(schema, resolver=resolver).validate(value)

    def __call__(self, method, template, status, body=None, query="", id=NOBODY, key=None,
                 token=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = "Bearer " + token
        if key:
            headers["Idempotency-Key"] = key
        data = None if body is None else json.dumps(body).encode()
        path = template.replace("{id}", id) + query
        reply = self.hub.request(method, path, data, headers)
        assert reply.status == status, f"{method} {path}: {reply.status} {reply.body}"
        operation = self.operations()[(method.lower(), template)]
        response = operation["responses"].get(str(status), operation["responses"].get("default"))
        assert response, f"{method} {template} does not describe {status}"
        self.seen.add((method.lower(), template, status))
        if body is not None and status < 300:
            sent = self.resolve(operation["requestBody"])["content"]["application/json"]["schema"]
            self.validate(body, sent)
        return self.check(reply, self.resolve(response))

    def check(self, reply, response):
        if "content" not in response:
            assert reply.body == b""
            return None
        media = reply.headers["content-type"].partition(";")[0]
        assert media in response["content"], media
        for name in response.get("headers", {}):
            assert name.lower() in reply.headers or name == "X-Next-Cursor", name
        if not media.endswith("json") or media.endswith("ndjson"):
            return reply.body.decode()
        self.validate(reply.json(), response["content"][media]["schema"])
        return reply.json()


def test_the_paths_are_the_routes(hub):
    ask = Described(hub(roles="api"))
    with open(os.path.join(ROOT, "src/api/routes.cpp"), encoding="utf-8") as file:
        routes = re.findall(r'Route\{"([A-Z]+)", "(/[^"]*)"', file.read())
    assert set(ask.operations()) == {(method.lower(), path) for method, path in routes}
    assert ask.spec["openapi"].startswith("3.1.")
    names = [operation["operationId"] for operation in ask.operations().values()]
    assert len(set(names)) == len(names)
    for ref in set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(ask.spec))):
        ask.resolve({"$ref": ref})
    for (_, path), operation in ask.operations().items():
        shared = ask.spec["paths"][path].get("parameters", [])
        names = [ask.resolve(one)["name"] for one in operation.get("parameters", []) + shared]
        assert ("id" in names) == ("{id}" in path) and len(set(names)) == len(names)
    with open(os.path.join(ROOT, "CMakeLists.txt"), encoding="utf-8") as file:
        assert ask.spec["info"]["version"] == re.search(r"eventhubd VERSION (\S+)",
                                                         file.read())[1]


def test_every_query_parameter_is_known_to_the_hub(hub):
    ask = Described(hub(roles="api"))
    values = {"uuid": NOBODY, "date-time": "2026-01-31T08:00:00Z"}
    for (method, path), operation in ask.operations().items():
        for one in map(ask.resolve, operation.get("parameters", [])):
            if method != "get" or one["in"] != "query" or one["name"] == "cursor":
                continue
            schema = one["schema"]
            value = values.get(schema.get("format")) or schema.get("enum", [None])[0] or {
                "integer": "100", "boolean": "true"}.get(schema.get("type"), "x")
            ask("GET", path, 200, query=f"?{one['name']}={value}")


def test_every_answer_is_described(hub, database, sink):
    ask = Described(hub())
    walk_subscribers(ask, sink)
    walk_messages(ask, sink)
    walk_dead_letters(ask, database)
    walk_keys(ask)
    for path in ("/health", "/livez", "/readyz", "/metrics", "/openapi.json", "/", "/dashboard.js",
                 "/dashboard.css"):
        ask("GET", path, 200)
    missing = {(method, path) for method, path in ask.operations()} - {
        (method, path) for method, path, status in ask.seen if status < 300}
    assert not missing, missing


def walk_subscribers(ask, sink):
    row = {"name": "a", "event_type": "ok", "webhook_url": sink.url("/a"),
           "headers": {"X-A": "1"}, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    mine = ask("POST", "/subscribers", 201, row)["id"]
    ask("POST", "/subscribers", 422, {"name": ""})
    ask("POST", "/subscribers", 400, [])
    ask("POST", "/subscribers", 201, {"name": "b", "event_type": "bad", "retry_limit": 0,
                                      "webhook_url": sink.url("/b")})
    ask("GET", "/subscribers", 200)
    ask("GET", "/subscribers", 400, query="?x=1")
    ask("PATCH", "/subscribers/{id}", 200, {"headers": {"X-A": None}, "timeout_ms": None}, id=mine)
    ask("PATCH", "/subscribers/{id}", 422, {"id": 1}, id=mine)
    ask("POST", "/subscribers/{id}/pause", 200, {"reason": "x"}, id=mine)
    ask("POST", "/subscribers/{id}/pause", 422, {"x": "x"}, id=mine)
    ask("POST", "/subscribers/{id}/rotate-secret", 200, {"overlap_seconds": 60}, id=mine)
    ask("POST", "/subscribers/{id}/rotate-secret", 409, id=mine)
    ask("POST", "/subscribers/{id}/rotate-secret", 422, {"x": "x"}, id=mine)
    ask("POST", "/subscribers/{id}/rotate-secret", 404)
    ask("PATCH", "/subscribers/{id}", 200, {"auth": {"type": "bearer", "token": "t"}}, id=mine)
    ask("GET", "/subscribers/{id}", 200, id=mine)
    ask("POST", "/subscribers/{id}/resume", 200, id=mine)
    for method in ("GET", "DELETE"):
        ask(method, "/subscribers/{id}", 404)
    ask("POST", "/subscribers/{id}/test", 200, id=mine)
    ask("POST", "/subscribers/{id}/test", 404)
    event = {"event_type": "ok", "payload": {"id": 7}, "user_id": "u"}
    ask("POST", "/subscribers/{id}/match", 200, event, id=mine)
    ask("PATCH", "/subscribers/{id}", 200, {
        "ordering_enabled": True, "ordering_key": "/id", "organization_id": None,
        "filter": {"not": {"path": "/id", "gt": 7, "lt": "x"}}}, id=mine)
    ask("PATCH", "/subscribers/{id}", 422, {"filter": {"path": "id", "gt": 7}}, id=mine)
    ask("POST", "/subscribers/{id}/match", 200, event, id=mine)
    ask("GET", "/subscribers/{id}", 200, id=mine)
    ask("PATCH", "/subscribers/{id}", 200, {"filter": {"path": "/id", "gt": 7}}, id=mine)
    ask("POST", "/subscribers/{id}/match", 200, event, id=mine)
    ask("PATCH", "/subscribers/{id}", 200, {"filter": None, "ordering_enabled": False}, id=mine)
    ask("POST", "/subscribers/{id}/match", 400, {"event_type": "ok"}, id=mine)
    ask("POST", "/subscribers/{id}/match", 404, event)
    gone = ask("POST", "/subscribers", 201, {**row, "event_type": None, "event_types": ["c"]})
    ask("DELETE", "/subscribers/{id}", 204, id=gone["id"])


def walk_messages(ask, sink):
    sink.on("/b", 500)
    event = {"event_type": "ok", "payload": [1], "user_id": "u"}
    first = ask("POST", "/events", 202, event, key="k")["event_id"]
    ask("POST", "/events", 200, event, key="k")
    ask("POST", "/events", 422, {**event, "payload": []}, key="k")
    ask("POST", "/events", 400, {"event_type": "ok"})
    ask("POST", "/events", 202, {**event, "event_type": "bad"})
    keyed = {**event, "event_type": "many", "idempotency_key": "m"}
    ask("POST", "/events/batch", 200, [keyed, keyed, {**keyed, "payload": []}])
    ask("POST", "/events/batch", 400, event)
    ask("POST", "/events/batch", 413, [event] * 1001)
    ask("GET", "/events/{id}", 404)
    later = ask("POST", "/events", 202, {**event, "deliver_after": ahead(3600)})["event_id"]
    ask("POST", "/events", 400, {**event, "deliver_after": "tomorrow"})
    ask("GET", "/events/{id}", 200, id=later)
    ask("DELETE", "/events/{id}", 204, id=later)
    ask("DELETE", "/events/{id}", 404, id=later)
    ask("DELETE", "/events/{id}", 409, id=first)
    ask("GET", "/messages/{id}", 404)
    ask("POST", "/messages/{id}/retry", 404)
    wait_until(lambda: ask("GET", "/messages", 200, query="?status=dead")["data"], PATIENCE)
    message, = wait_until(lambda: ask("GET", "/messages", 200, query="?status=delivered")["data"],
                          PATIENCE)
    ask("GET", "/events", 200)
    ask("GET", "/events/{id}", 200, id=first)
    ask("GET", "/messages/{id}", 200, id=message["id"])
    walk_replay(ask)
    gone = ask("POST", "/events", 202, {**event, "event_type": "gone", "expires_at": ahead(60)})
    ask("DELETE", "/events/{id}/payload", 204, id=gone["event_id"])
    ask("DELETE", "/events/{id}/payload", 404)
    ask("GET", "/events/{id}", 200, id=gone["event_id"])
    sink.on("/a", 503)
    ask("POST", "/messages/{id}/retry", 202, id=message["id"])
    ask("POST", "/messages/{id}/retry", 409, id=message["id"])
    ask("POST", "/messages/{id}/retry", 422, {"x": 1}, id=message["id"])


def walk_replay(ask):
    mine = ask("GET", "/subscribers", 200, query="?name=a")["data"][0]["id"]
    asked = {"from_seq": 0, "event_type": "nothing", "dry_run": True}
    ask("POST", "/subscribers/{id}/replay", 200, asked, id=mine)
    ask("POST", "/subscribers/{id}/replay", 202, {**asked, "dry_run": False, "rate": 5}, id=mine)
    ask("POST", "/subscribers/{id}/replay", 422, {"dry_run": True}, id=mine)
    ask("POST", "/subscribers/{id}/replay", 404, asked)


def ahead(seconds):
    return (datetime.datetime.now(datetime.timezone.utc)
            + datetime.timedelta(seconds=seconds)).isoformat()


def walk_dead_letters(ask, database):
    letter, = ask("GET", "/dlq", 200)["data"]
    ask("GET", "/dlq", 400, query="?outcome=x")
    ask("GET", "/dlq/{id}", 200, id=letter["id"])
    lines = ask("GET", "/dlq/export", 200).splitlines()
    ask.validate(json.loads(lines[0]), {"$ref": "#/components/schemas/DeadLetterWithPayload"})
    assert len(lines) == 1
    for method in ("GET", "DELETE"):
        ask(method, "/dlq/{id}", 404)
    ask("POST", "/dlq/{id}/retry", 404)
    ask("POST", "/dlq/retry", 200, {"filter": {"reason": "x"}, "dry_run": True})
    ask("POST", "/dlq/retry", 422, {"filter": {"x": 1}})
    ask("POST", "/dlq/retry", 202, {"filter": {"reason": "x"}, "rate": 1})
    ask("POST", "/dlq/{id}/retry", 202, id=letter["id"])
    wait_until(lambda: database.value("SELECT max(attempts) FROM dead_letter_queue") == 2, PATIENCE)
    database.rows("UPDATE subscribers SET delivery_guarantee = 'at_most_once'")
    ask("POST", "/dlq/{id}/retry", 409, id=letter["id"])
    database.rows("UPDATE dead_letter_queue SET payload = NULL")
    ask("DELETE", "/dlq/{id}", 202, id=letter["id"])


def walk_keys(ask):
    """The last walk: from now on every request needs a key."""
    ask("POST", "/keys", 400, {"name": "x"})
    admin = ask("POST", "/keys", 201, {"name": "ops", "scopes": ["admin"]})["token"]
    few = ask("POST", "/keys", 201, {"name": "few", "scopes": ["read"], "rate": 0.1, "burst": 1},
              token=admin)
    ask("POST", "/keys", 409, {"name": "few", "scopes": ["read"]}, token=admin)
    ask("GET", "/keys", 401)
    ask("GET", "/dlq", 200, token=few["token"])
    ask("GET", "/dlq", 429, token=few["token"])
    ask("GET", "/keys", 403, token=few["token"])
    assert len(ask("GET", "/keys", 200, token=admin)["data"]) == 2
    ask("DELETE", "/keys/{id}", 404, token=admin)
    ask("DELETE", "/keys/{id}", 204, id=few["id"], token=admin)


@pytest.mark.parametrize("path", ["/subscribers", "/events", "/messages", "/dlq", "/dlq/export"])
def test_a_process_without_the_role_says_so_in_a_described_way(hub, path):
    ask = Described(hub(roles="dispatcher"))
    assert "role api" in ask("GET", path, 404)["detail"]
