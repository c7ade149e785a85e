"""What goes out: connections that are taken, addresses that are not called, and what is counted."""
import json
import subprocess

from hub import Hub, free_port, wait_until
from sink import Answer, Sink


def event(number=1):
    return {"event_type": "user.created", "payload": {"number": number}}


def delivered(metrics, sid, status):
    return metrics.get('eventhub_messages_delivered_total'
                       f'{{status="{status}",subscriber_id="{sid}"}}')


def public_id(database, sid):
    return database.value(f"SELECT id FROM eventhub.subscribers WHERE sid = {sid}")


def test_who_waits_for_a_connection_uses_up_no_attempt(hub, database, sink):
    """A receiver that hangs has the only connection of its host for longer than others wait."""
    one = hub(env={"EVENTHUB_WEBHOOK_CONNECTIONS_PER_ORIGIN_MAX": "1",
                   "WEBHOOK_TIMEOUT_MS": "5000"})
    sink.on("/hang", Answer(hang=True))
    database.subscribe(sink.url("/hang"), "user.created", retry_limit=0)
    one.post(event())
    wait_until(lambda: sink.deliveries("/hang"))
    least = database.subscribe(sink.url("/a"), "user.updated", timeout_ms=1500, retry_limit=0)
    once = database.subscribe(sink.url("/b"), "user.updated", timeout_ms=1500,
                              delivery_guarantee="at_most_once")
    one.post({"event_type": "user.updated", "payload": {}})
    sink.wait(1, "/a")
    sink.wait(1, "/b")
    wait_until(database.drained)
    for sid, path in ((least, "/a"), (once, "/b")):
        assert [d.attempt for d in sink.deliveries(path)] == [1]
        assert database.states(sid) == {"delivered": 1}
        label = public_id(database, sid)
        assert delivered(one.metrics(), label, "success") == 1
        assert not delivered(one.metrics(), label, "network_error")


def test_what_is_not_called_is_no_network_error(hub, database):
    one = hub()
    sid = database.subscribe("http://10.1.2.3/", "user.created")
    one.post(event())
    wait_until(database.drained)
    assert database.states(sid) == {"dead": 1}
    metrics = one.metrics()
    assert metrics['eventhub_delivery_attempts_total{outcome="refused"}'] == 1
    label = public_id(database, sid)
    assert not delivered(metrics, label, "network_error")
    assert not metrics.get(f'eventhub_delivery_latency_seconds_count{{subscriber_id="{label}"}}')


def test_the_hub_does_not_call_itself_unless_it_may(hub, database):
    one = hub()
    sid = database.subscribe(f"http://127.0.0.1:{one.port}/events", "user.created")
    one.post(event())
    wait_until(database.drained)
    assert database.value("SELECT reason FROM eventhub.dead_letter_queue "
                          f"WHERE sid = {sid}") == "blocked_by_policy"
    assert "egress.allow_self" in database.value(
        f"SELECT last_error FROM eventhub.dead_letter_queue WHERE sid = {sid}")
    one.stop()
    one.environment["EVENTHUB_EGRESS_ALLOW_SELF"] = "true"
    one.start()
    one.post(event())
    wait_until(lambda: database.states(sid).get("dead") == 2)
    assert database.value("SELECT reason FROM eventhub.dead_letter_queue "
                          f"WHERE sid = {sid} ORDER BY event_seq DESC LIMIT 1") == "rejected"


def test_the_port_for_monitors_is_not_called_either(hub, database):
    """Management may be there: who publishes would manage by way of a webhook."""
    port = free_port()
    one = hub(env={"EVENTHUB_SERVER_METRICS_PORT": str(port),
                   "EVENTHUB_SERVER_MANAGEMENT_ON_METRICS_PORT": "true"})
    url = f"http://127.0.0.1:{port}/subscribers"
    row = json.dumps({"name": "loop", "event_type": "user.created", "webhook_url": url})
    done = subprocess.run(
        ["curl", "-sS", "-w", "%{http_code}", "-H", "Content-Type: application/json", "-d", row,
         url], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.endswith("422") and "egress.allow_self" in done.stdout, done.stdout
    sid = database.subscribe(url, "user.created")
    one.post(event())
    wait_until(database.drained)
    assert database.value("SELECT reason FROM eventhub.dead_letter_queue "
                          f"WHERE sid = {sid}") == "blocked_by_policy"


def test_proxy_variables_are_not_used(hub, database, sink):
    """A proxy would connect to addresses that nobody judged."""
    proxy = Sink()
    try:
        names = ("http_proxy", "https_proxy", "all_proxy")
        one = hub(env={**{name: proxy.url() for name in names}, "no_proxy": "",
                       **{name.upper(): proxy.url() for name in names}})
        sid = database.subscribe(sink.url("/a"), "user.created")
        refused = database.subscribe("http://10.1.2.3/", "user.created")
        one.post(event())
        sink.wait(1, "/a")
        wait_until(database.drained)
        assert database.states(sid) == {"delivered": 1}
        assert database.states(refused) == {"dead": 1}
        assert proxy.connections == 0
    finally:
        proxy.close()


def test_the_limit_of_open_files_is_raised(database):
    one = Hub(database)
    one.command = ["prlimit", "--nofile=256:2048", *one.command]
    try:
        one.start()
        assert one.metrics()["process_max_fds"] == 2048
    finally:
        one.stop()
    assert one.sanitizer_report() is None
