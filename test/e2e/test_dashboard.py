"""GET / in a browser (Chromium): what people see of a hub, and what they do with it."""
import re
import shutil
import subprocess

import pytest

from hub import BINARY, clean_environment, wait_until
from load import PATIENCE

HOSTILE = "<img src=x onerror=document.title='run'>"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not shutil.which("chromedriver"), reason="chromium is not installed")]


@pytest.fixture
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    for word in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    made = webdriver.Chrome(service=service, options=options)
    yield Page(made)
    made.quit()


class Page:
    def __init__(self, driver):
        self.driver = driver

    def open(self, hub, view=""):
        self.driver.get(f"http://localhost:{hub.port}/{view}")

    def text(self, selector):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def rows(self, count):
        """The cells of each row, once there are so many."""
        wait_until(lambda: len(self._rows()) == count, PATIENCE, f"{count} rows: {self._rows()}")
        return self._rows()

    def _rows(self):
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#rows tr')].map("
            "row => [...row.cells].map(cell => cell.innerText))")

    def press(self, label, within="body"):
        """A button or a link, by what stands on it; rows that are drawn anew are waited for."""
        wait_until(lambda: self.driver.execute_script(
            "const found = [...document.querySelectorAll(arguments[1] + ' button, ' + arguments[1]"
            " + ' a')].find(one => one.innerText == arguments[0]); found?.click(); return !!found",
            label, within), PATIENCE, f"there is {label}")

    def fill(self, name, value):
        self.driver.execute_script(
            "document.querySelector(`[name=${arguments[0]}]`).value = arguments[1]", name, value)

    def told(self, words):
        wait_until(lambda: words in self.text("#told"), PATIENCE, words)

    def complaints(self):
        return [line for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]


def test_a_dead_letter_is_found_looked_at_and_sent_again(hub, database, sink, browser):
    one = hub()
    sink.on("/a", 400)
    database.subscribe(sink.url("/a"), name=HOSTILE)
    for letters, number in enumerate((9007199254740993, 2)):
        reply = one.request("POST", "/events", b'{"event_type": "test.event", "organization_id": '
                            b'"o", "payload": {"number": %d}}' % number,
                            {"Content-Type": "application/json"})
        assert reply.status == 202
        wait_until(lambda n=letters: database.value("SELECT count(*) FROM dead_letter_queue") > n,
                   PATIENCE, "the letters lie in this order")
    browser.open(one)
    assert browser.rows(1)[0][0] == HOSTILE
    wait_until(lambda: browser.text("#health") == "healthy, database connected", PATIENCE)
    browser.press("Dead letters", "#rows")
    assert [row[1:4] for row in browser.rows(2)] == [["rejected", "400", HOSTILE]] * 2
    browser.press("Details", "#rows tr:last-child")
    wait_until(lambda: '"number": 9007199254740993' in browser.text("#text"), PATIENCE)
    browser.press("Close")
    sink.on("/a", 200)
    browser.press("Send again", "#rows tr:last-child")
    browser.told("Send again: done")
    sink.wait(3, "/a", PATIENCE)
    wait_until(lambda: database.value("SELECT count(*) FROM dead_letter_queue") == 1, PATIENCE)
    browser.press("Messages", "#views")
    browser.rows(2)
    browser.fill("status", "delivered")
    browser.press("Show")
    assert browser.rows(1)[0][1] == "delivered"
    assert browser.driver.title == "eventhubd" and not browser.complaints()


def test_a_subscriber_is_paused_and_resumed_and_lists_go_on(hub, database, sink, browser):
    one = hub()
    database.subscribe(sink.url("/a"), name="mine")
    for _ in range(60):
        assert one.post({"event_type": "test.event", "payload": {}}).status == 202
    sink.wait(60, "/a", PATIENCE)
    browser.open(one)
    browser.rows(1)
    browser.press("Pause")
    wait_until(lambda: database.value("SELECT paused FROM subscribers"), PATIENCE)
    wait_until(lambda: "Resume" in browser.text("#rows"), PATIENCE)
    browser.press("Resume")
    wait_until(lambda: not database.value("SELECT paused FROM subscribers"), PATIENCE)
    browser.press("Test")
    browser.told("Test: delivered: 200")
    browser.open(one, "#events?event_type=test.event")
    browser.rows(50)
    browser.press("More")
    browser.rows(60)
    browser.open(one, "#events?since=nonsense")
    browser.told("400: since must be a time")
    browser.open(one, "#events?event_type=other")
    browser.told("There are none.")


def test_a_key_is_asked_for_and_its_scope_counts(hub, database, sink, browser):
    one = hub()
    database.subscribe(sink.url("/a"), name="mine")
    made = subprocess.run(
        [BINARY, "keys", "create", "--name", "look", "--scopes", "read"], capture_output=True,
        text=True, check=True, timeout=PATIENCE, env=clean_environment(database.environment()))
    token = re.search(r"ehk_[0-9a-f]+", made.stdout)[0]
    wait_until(lambda: one.request("GET", "/subscribers").status == 401, PATIENCE)
    browser.open(one)
    browser.told("401:")
    browser.fill("key", "ehk_" + "0" * 64)
    browser.press("Use")
    browser.told("401:")
    browser.fill("key", token)
    browser.press("Use")
    browser.rows(1)
    browser.press("Pause")
    browser.told("403:")
    assert not database.value("SELECT paused FROM subscribers")
    assert token not in one.log_text()


def test_the_page_may_ask_its_own_hub_alone(hub, browser):
    one = hub(roles="api")
    policy = one.request("GET", "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    browser.open(one)
    wait_until(lambda: browser.text("#views"), PATIENCE)
    assert browser.driver.execute_async_script(
        "const done = arguments[0]; fetch('http://127.0.0.1:1/').then(() => done('sent'),"
        " () => done('refused'))") == "refused"
    assert any("Content Security Policy" in line["message"] for line in browser.complaints())
