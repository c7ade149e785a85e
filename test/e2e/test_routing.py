"""Filters, organizations of subscribers and ordering keys in the payload: from an accepted event to
the webhook. docs/filters.md: each of its examples, tried on a hub."""
import json
import os
import re
import subprocess

from hub import ROOT, clean_environment, wait_until
from load import PATIENCE, Gate, wait_ended


def page():
    with open(os.path.join(ROOT, "docs/filters.md"), encoding="utf-8") as file:
        return file.read()


def match(hub, subscriber, event):
    """`event` is JSON."""
    reply = hub.request("POST", f"/subscribers/{subscriber}/match", event.encode(),
                        {"Content-Type": "application/json"})
    assert reply.status == 200, reply.body
    return reply.json()


def examples():
    """(filter, event, whether it is wanted): a block of JSON, then a list of events. As they are
    written: Python's JSON knows neither those numbers nor members that come twice."""
    pattern = r"^```json\n(.*?)^```\n\n((?:\* [^\n]*\n)+)"
    for block, events in re.findall(pattern, page(), re.M | re.S):
        for verdict, text in re.findall(r"^\* (yes|no): `(.*?)`$", events, re.M):
            event = text if '"payload"' in text else f'{{"payload": {text}}}'
            if '"event_type"' not in event:
                event = '{"event_type": "order.paid", ' + event[1:]
            yield block, event, verdict == "yes"


def test_every_example_of_the_page_is_true(hub, database):
    one = hub(roles="api")
    assert len(list(examples())) >= 20
    row = {"name": "a", "event_type": ">", "webhook_url": "https://api.example.com/a"}
    made = one.request("POST", "/subscribers", json.dumps(row).encode(),
                       {"Content-Type": "application/json"}).json()["id"]
    for filter_, event, wanted in examples():
        body = f'{{"filter": {filter_}}}'.encode()
        reply = one.request("PATCH", f"/subscribers/{made}", body,
                            {"Content-Type": "application/json"})
        assert reply.status == 200, reply.body
        assert match(one, made, event)["matches"] == wanted, (filter_, event)


def test_the_commands_of_the_page(hub, database):
    one = hub(roles="api")
    blocks = re.findall(r"^```sh\n(.*?)^```", page(), re.M | re.S)
    script = "".join(block for block in blocks if "localhost" in block)
    script = script.replace("localhost:3000", f"localhost:{one.port}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True,
                          text=True, timeout=PATIENCE, check=False, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.search(r"^```\n(\{\"matches\".*?)\n```", page(), re.M)[1]
    assert done.stdout.rstrip().endswith(shown), done.stdout
    statement = re.search(r"^```sql\n(.*?)^```", page(), re.M | re.S)[1]
    database.rows("SET search_path = eventhub; " + statement)
    assert database.value("SELECT filter IS NOT NULL FROM subscribers WHERE name = 'Big orders'")


def test_a_filtered_subscriber_gets_what_match_says_in_the_order_of_its_keys(hub, database, sink):
    """Key 1 is blocked by a receiver that refuses it; key 2 and what has no key go on."""
    one = hub(roles="api")
    for _ in range(2):
        hub(roles="fanout,dispatcher,cleanup")
    gate = Gate(shut=503, only=lambda d: d.json().get("customer", {}).get("id") == 1)
    sink.on("/a", gate)
    columns = {"ordering_enabled": True, "ordering_key": "/customer/id", "retry_limit": 100,
               "retry_backoff_seconds": [0.1], "event_type": "order.*",
               "filter": json.dumps({"all": [{"path": "/amount", "gte": 100},
                                             {"member": "organization_id", "prefix": "acme"}]})}
    sid = database.subscribe(sink.url("/a"), **columns)
    subscriber = database.value("SELECT id FROM subscribers WHERE sid = %s", sid)
    wanted = []
    for number in range(60):
        payload = {"number": number, "amount": 90 + number % 4 * 10}
        if number % 5:
            payload["customer"] = {"id": number % 2 + 1}
        event = {"event_type": "order.paid", "payload": payload,
                 "organization_id": "other" if number % 7 == 0 else "acme-1"}
        said = match(one, subscriber, json.dumps(event))
        assert said["matches"] == (number % 4 > 0 and number % 7 > 0)
        assert (said["ordering_key"] is None) == (not said["matches"] or number % 5 == 0)
        if said["matches"]:
            wanted.append(number)
        assert one.post(event, timeout=PATIENCE).status == 202
    free = {n for n in wanted if n % 5 == 0 or n % 2 == 1}
    wait_until(lambda: {d.json()["number"] for d in sink.deliveries("/a") if d.ok} == free,
               PATIENCE)
    blocked = [n for n in wanted if n not in free]
    assert {d.json()["number"] for d in sink.deliveries("/a") if not d.ok} == {blocked[0]}
    gate.open()
    assert wait_ended(database, sid, len(wanted)) == {"delivered": len(wanted)}
    done = [d.json()["number"] for d in sink.deliveries("/a") if d.ok]
    assert sorted(done) == wanted
    for parity in (0, 1):
        keyed = [n for n in done if n % 5 and n % 2 == parity]
        assert keyed == sorted(keyed)


def test_an_organizations_subscriber_gets_only_its_events(hub, database, sink):
    one = hub()
    own = database.subscribe(sink.url("/own"), "a", organization_id="org-1")
    database.subscribe(sink.url("/all"), "a")
    for number, organization in enumerate(["org-1", "org-2", None, "org-10", "ORG-1", "org-1"]):
        one.post({"event_type": "a", "payload": {"number": number},
                  "organization_id": organization})
    sink.wait(6, "/all", PATIENCE)
    assert wait_ended(database, own, 2) == {"delivered": 2}
    assert sorted(d.json()["number"] for d in sink.deliveries("/own")) == [0, 5]


def test_a_change_by_sql_or_api_acts_within_a_second(hub, database, sink):
    one = hub()
    sid = database.subscribe(sink.url("/a"), "a")
    subscriber = database.value("SELECT id FROM subscribers WHERE sid = %s", sid)

    def by_sql(filter_):
        database.rows("UPDATE subscribers SET filter = %s WHERE sid = %s", filter_, sid)

    def by_api(filter_):
        reply = one.request("PATCH", f"/subscribers/{subscriber}",
                            json.dumps({"filter": json.loads(filter_)}).encode(),
                            {"Content-Type": "application/json"})
        assert reply.status == 200

    for number, change in enumerate([by_sql, by_api, by_sql, by_api]):
        change(json.dumps({"path": "/n", "eq": number}))
        for n in range(4):
            one.post({"event_type": "a", "payload": {"n": n}})
        sink.wait(number + 1, "/a", PATIENCE)
        assert [d.json()["n"] for d in sink.deliveries("/a")] == list(range(number + 1))


def test_events_published_by_sql_meet_filters_and_keys_too(hub, database, sink):
    """Deeper than the API takes, and with a number that no other program could hold."""
    hub()
    sid = database.subscribe(sink.url("/a"), "a", ordering_enabled=True, ordering_key="/key",
                             filter=json.dumps({"path": "/n", "gt": 9007199254740992}))
    deep = "[" * 3000 + "]" * 3000
    for n in (9007199254740992, 9007199254740993):
        payload = f'{{"x": {deep}, "n": {n}, "n": 0, "key": "k"}}'
        database.rows("SELECT publish('a', %s::text)", payload)
    assert wait_ended(database, sid, 1) == {"delivered": 1}
    assert database.rows("SELECT khash IS NOT NULL, event_seq FROM messages") == [(True, 2)]
