"""The programs of examples/ against a real hub, with what goes wrong in between."""
import base64
import email.utils
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

from examples import EXAMPLES, FETCHED, SECRET, Programs, Receiver, Road, changed, lines
from examples import resigned, signed
from faults import Fault, names
from hub import ROOT, wait_until
from load import PATIENCE
from sink import Answer

SLOW = pytest.mark.slow
GO = pytest.param("go", marks=SLOW)  # builds the standard library the first time
TYPESCRIPT = pytest.param("typescript", marks=SLOW)
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(64))).decode()
every_language = pytest.mark.parametrize("language", ["python", TYPESCRIPT, GO])
tables = pytest.mark.parametrize("language", ["python", TYPESCRIPT])


@pytest.fixture(name="workshop", scope="session")
def built_once(tmp_path_factory):
    made = {}

    def programs(language):
        if language not in made:
            root = tmp_path_factory.mktemp(language)
            made[language] = Programs(language, root).build()
        return made[language]

    return programs


@pytest.fixture(name="shop")
def with_the_shops_tables(server):
    """A database of a service's own: variables that point there."""
    database = server.create_database()
    set_up_shop(database)
    yield pg_variables(database)
    database.close()


@pytest.fixture(name="receiver")
def receivers(workshop, shop, tmp_path):
    """receiver(language, …) starts one."""
    started = []

    def start(language, **env):
        started.append(Receiver(workshop(language), tmp_path, {**shop, **env}))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def set_up_shop(database):
    with open(os.path.join(EXAMPLES, "shop.sql"), encoding="utf-8") as file:
        database.rows(file.read())


def pg_variables(database):
    return {"PGHOST": database.server.socket_dir, "PGDATABASE": database.name,
            "PGUSER": "eventhub"}


def url(hub):
    return {"EVENTHUB_URL": f"http://127.0.0.1:{hub.port}"}


def orders(*numbers):
    return [{"order": number, "item": "book", "quantity": 1} for number in numbers]


def subscribe(database, sink):
    return database.subscribe(sink.url("/"), "order.*", body="envelope", secret=SECRET,
                              retry_backoff_seconds=[1])


def forgeries(good):
    """What a receiver must not take, made of a request that it has to."""
    now = int(time.time())
    yield "a changed body", changed(good, body=good.body.replace(b"book", b"lamp"))
    yield "a longer body", changed(good, body=good.body + b" ")
    yield "no UTF-8", changed(good, body=b"\xff" + good.body[1:])
    yield "another id", changed(good, webhook_id=good.headers["webhook-id"][:-1] + "x")
    yield "another time", changed(good, webhook_timestamp=str(now + 1))
    yield "another secret", resigned(good, OTHER_SECRET)
    yield "an old request", resigned(changed(good, webhook_timestamp=str(now - 3600)), SECRET)
    for name in ("id", "timestamp", "signature"):
        yield f"no {name}", changed(good, **{f"webhook_{name}": None})
    for text in ("", "v1", "v1,", "v1,#", "v2," + good.headers["webhook-signature"][3:], ",,"):
        yield f"the signature {text!r}", changed(good, webhook_signature=text)


@pytest.mark.parametrize("language", ["python", "typescript", GO])
def test_each_event_is_worked_on_once_and_no_forgery_is_taken(
        language, workshop, receiver, hub, database, sink):
    one = hub()
    mine = receiver(language)
    road = Road(mine, lose=(2, 5))
    sink.on("/", road)
    subscribe(database, sink)
    done = workshop(language).run("producer", env=url(one), orders=orders(1, 2, 3, 4, 5, 6))
    assert done.returncode == 0, done.stderr
    accepted = re.findall(r"^order-(\d)-placed ([0-9a-f-]{36})$", done.stdout, re.M)
    assert [number for number, _ in accepted] == list("123456")
    deliveries = sink.wait(8, "/", PATIENCE)
    assert road.statuses == [204] * 8  # a repetition is as welcome as the first one
    assert {d.event_id for d in deliveries} == {event_id for _, event_id in accepted}
    wait_until(lambda: len(mine.orders()) >= 6, PATIENCE, "all are worked on")

    for what, forgery in forgeries(deliveries[0]):
        assert mine.post(forgery).status == 401, what
    assert mine.post(resigned(changed(deliveries[0], body=b"[]"), SECRET)).status == 400
    assert mine.announce(3 << 20) == 413
    assert mine.post(deliveries[0]).status == 204
    assert mine.stop() == 0
    assert sorted(mine.orders()) == [1, 2, 3, 4, 5, 6]


@every_language
def test_the_answer_does_not_wait_for_the_work_which_is_done_all_the_same(language, receiver):
    mine = receiver(language, WORK_SECONDS="2")
    assert [mine.post(signed(number)).status for number in (0, 1)] == [204] * 2
    assert not mine.orders()
    assert mine.stop() == 0
    assert mine.orders()
    if language != "go":  # whose queue is in memory, and so worked through before the end
        mine.start()
        wait_until(lambda: len(mine.orders()) >= 2, PATIENCE)
    assert mine.orders() == [0, 1]


@tables
def test_what_was_answered_outlives_a_kill(language, receiver):
    mine = receiver(language, WORK_SECONDS="0.7")
    requests = [signed(number) for number in range(4)]
    assert [mine.post(request).status for request in requests] == [204] * 4
    wait_until(mine.orders, PATIENCE)
    mine.kill()
    done_before = len(mine.orders())
    assert done_before < 4
    mine.start()
    assert mine.post(requests[0]).status == 204  # it is known over the kill
    wait_until(lambda: mine.orders()[-1] == 3, PATIENCE)
    assert mine.stop() == 0
    done = mine.orders()
    assert sorted(set(done)) == [0, 1, 2, 3]
    assert len(done) - 4 <= 1, f"more than the one that was under way came twice: {done}"


@every_language
def test_a_receiver_that_cannot_keep_more_says_503_and_takes_it_later(
        language, receiver, shop, tmp_path):
    """Go: its queue is full. The others: their table is away."""
    mine = receiver(language, WORK_SECONDS="0.7" if language == "go" else "0")
    last = signed(-1)
    if language == "go":
        while mine.post(last).status == 204:
            last = signed(len(mine.orders()))
    else:
        rename_inbox(language, shop, tmp_path, "inbox", "elsewhere")
    refused = mine.post(last)
    assert refused.status == 503 and int(refused.headers["retry-after"]) > 0
    if language != "go":
        rename_inbox(language, shop, tmp_path, "elsewhere", "inbox")
    wait_until(lambda: mine.post(last).status == 204, PATIENCE)
    if language != "go":
        wait_until(lambda: mine.orders() == [-1], PATIENCE)


def rename_inbox(language, shop, directory, old, new):
    sql = f"ALTER TABLE {old} RENAME TO {new}"
    if language == "python":
        with sqlite3.connect(os.path.join(directory, "inbox.sqlite")) as table:
            table.execute(sql)
        table.close()
    else:
        subprocess.run(["psql", "-qc", sql.replace(old, f"shop.{old}", 1)], check=True,
                       env={**os.environ, **shop}, timeout=PATIENCE)


@every_language
@pytest.mark.skipif(not names("point"), reason="the binary has no fault points")
def test_a_hub_killed_before_its_answer_makes_no_second_event(
        language, workshop, hub, database, sink, tmp_path):
    fault = Fault(tmp_path, "api.after_commit_before_reply", "kill", nth=5)
    one = hub(env=fault.env)
    subscribe(database, sink)
    fault.arm()
    with workshop(language).start("producer", env=url(one), text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as producer:
        producer.stdin.write(lines(orders(*range(12))))
        producer.stdin.close()
        fault.wait(one)
        fault.disarm(one)
        one.start()
        out, errors = producer.stdout.read(), producer.stderr.read()
        assert producer.wait(PATIENCE) == 0, errors
    assert "again in" in errors
    accepted = [line.split()[1] for line in out.splitlines()]
    stored = database.rows("SELECT id::text FROM events ORDER BY event_seq")
    assert [event_id for event_id, in stored] == accepted and len(accepted) == 12
    wait_until(lambda: {d.event_id for d in sink.answered("/")} == set(accepted), PATIENCE)


def date_in(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@SLOW
@every_language
def test_a_producer_asks_again_with_the_same_key_and_not_too_soon(language, workshop, sink):
    half = b'HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n{"event_id": "'
    answers = iter([
        lambda: Answer(close=True),
        lambda: Answer(503, {"Retry-After": "2"}, b'{"detail": "busy"}'),
        lambda: Answer(502, {"Retry-After": date_in(3)}, b"<html>"),
        lambda: Answer(raw=half),
        lambda: Answer(429, {"Retry-After": "soon"}),
        lambda: Answer(202, {}, b'{"event_id": "the-id"}')])
    sink.on("/events", lambda _: next(answers)())
    done = workshop(language).run("producer", env={"EVENTHUB_URL": sink.url("").rstrip("/"),
                                                   "EVENTHUB_API_KEY": "a-key"}, orders=orders(7))
    assert (done.returncode, done.stdout) == (0, "order-7-placed the-id\n"), done.stderr
    asked = sink.deliveries("/events")
    assert len(asked) == 6
    assert {d.headers["idempotency-key"] for d in asked} == {"order-7-placed"}
    assert {d.headers["authorization"] for d in asked} == {"Bearer a-key"}
    assert len({d.body for d in asked}) == 1
    waits = [(after.t_start - before.t_end) / 1e9 for before, after in zip(asked, asked[1:])]
    for wait, least in zip(waits, (0.1, 2, 1.9, 0.8, 1.6)):
        assert wait > least - 0.05, waits
    assert "busy" in done.stderr


@every_language
def test_a_refusal_is_told_and_not_repeated(language, workshop, hub, database, sink):
    one = hub()
    sink.on("/events", Answer(302, {"Location": f"http://127.0.0.1:{one.port}/events"}))
    other_item = {"order": 1, "item": "lamp", "quantity": 1}
    done = workshop(language).run("producer", env=url(one),
                                  orders=[*orders(1), other_item, *orders(2)])
    assert done.returncode == 1
    assert re.findall(r"^order-(\d)-placed ", done.stdout, re.M) == ["1", "2"]
    told = done.stderr.strip().splitlines()
    assert len(told) == 1 and "order-1-placed" in told[0] and "422" in told[0]
    assert "key" in told[0], "what the hub says is wrong"
    assert database.value("SELECT count(*) FROM events") == 2
    done = workshop(language).run("producer", env={"EVENTHUB_URL": sink.url("").rstrip("/")},
                                  orders=orders(3))
    assert done.returncode == 1 and "302" in done.stderr
    assert len(sink.deliveries("/events")) == 1


@tables
def test_an_order_and_its_event_are_one_transaction(language, workshop, hub, database, sink):
    hub()
    set_up_shop(database)
    subscribe(database, sink)

    def place(*words):
        return workshop(language).run("place_order", *words, env=pg_variables(database))

    placed = place("1", "lamp", "2")
    assert placed.returncode == 0, placed.stderr
    for refused in (place("2", "lamp", "1"), place("3", "piano", "1"), place("1", "book", "1")):
        assert refused.returncode == 1 and "was not placed" in refused.stderr, refused.stderr
        assert not refused.stdout
    assert place("4", "book", "1").returncode == 0
    delivered = sink.wait(2, "/", PATIENCE)
    assert sorted(d.json()["data"]["order"] for d in delivered) == [1, 4]
    assert placed.stdout == f"order-1-placed {delivered[0].event_id}\n"
    assert database.rows("SELECT id FROM shop.orders ORDER BY id") == [(1,), (4,)]
    assert database.value("SELECT count(*) FROM events") == 2
    assert database.value("SELECT count(*) FROM outbox") == 0


def page(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def printed_commands(language):
    """Both blocks that a person runs, with what they take for granted: time between commands."""
    title = {"python": "Python", "typescript": "TypeScript", "go": "Go"}[language]
    found = re.findall(r"^## ([^\n]+)\n.*?^```sh\n(.*?)^```", page("examples/README.md"),
                       re.M | re.S)
    blocks = dict(found)
    assert list(blocks) == ["Once", "Python", "TypeScript", "Go"] and len(found) == 4
    text = blocks[title]
    assert text.count(" &\n") == 1 and text.endswith("kill %1\n")
    text = text.replace(" &\n", ' >"$HEARD" &\nuntil (: </dev/tcp/127.0.0.1/$PORT); '
                                "do sleep 0.1; done 2>/dev/null\n")
    text = text.replace("kill %1\n", 'until [ $(wc -l <"$HEARD") -ge $WANTED ]; do sleep 0.1; '
                                     "done\nkill %1\nwait $!\n")
    return blocks["Once"] + text


def wanted_for_commands(language):
    if language == "python" and not os.path.exists(f"{FETCHED}/python/requirements.txt"):
        pytest.skip("standardwebhooks could not be fetched for the example's own installation")


@SLOW
@pytest.mark.parametrize("language", ["python", "typescript", "go"])
def test_every_command_of_the_page_works(language, hub, database, tmp_path):
    wanted_for_commands(language)
    programs = Programs(language, tmp_path)
    if language == "typescript":
        shutil.copytree(f"{FETCHED}/typescript/node_modules", f"{programs.directory}/node_modules",
                        symlinks=True)
    one = hub()
    port = str(one.port + 1)
    wanted = [1, 2, 3] if language == "go" else [1, 2, 3, 4]
    heard = tmp_path / "heard"
    env = {"PORT": port, "HEARD": str(heard), "WANTED": str(len(wanted)), **url(one),
           **pg_variables(database)}
    if language == "python":
        env |= {"PIP_TARGET": str(tmp_path / "installed"),
                "PYTHONPATH": str(tmp_path / "installed")}
    script = printed_commands(language).replace("localhost:3000", f"localhost:{one.port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("127.0.0.1:8080", f"127.0.0.1:{port}")],
        cwd=tmp_path, capture_output=True, text=True, timeout=6 * PATIENCE, check=False,
        env=programs.environment(env))
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("out of stock" in done.stdout) == (language != "go")
    found = re.findall(r'^order\.placed \S+ \{"order": ?(\d)', heard.read_text(), re.M)
    assert sorted(map(int, found)) == wanted


def test_the_pages_code_is_that_of_the_examples():
    """docs/receivers.md shows lines of the examples as they are."""
    suffix = {"python": "python/receiver.py", "ts": "typescript/receiver.ts",
              "go": "go/receiver/main.go"}
    found = re.findall(r"^```(\w+)\n(.*?)^```", page("docs/receivers.md"), re.M | re.S)
    shown = [(language, code) for language, code in found if language in suffix]
    assert {language for language, _ in shown} == set(suffix)
    for language, code in shown:
        assert code in page(f"examples/{suffix[language]}"), code
