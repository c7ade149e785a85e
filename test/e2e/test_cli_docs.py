"""The commands of docs/cli.md, run in their order as one script against a running hub."""
import os
import re
import subprocess

import pytest

from hub import BINARY, ROOT, clean_environment
from load import PATIENCE

PATH = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"  # it is eventhubd there


def page():
    with open(os.path.join(ROOT, "docs/cli.md"), encoding="utf-8") as file:
        return file.read()


def script(port):
    """Every block, told apart in what they print; time between them where people take some."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page(), re.M | re.S)
    assert len(blocks) == 11
    text = ""
    for block in blocks:
        if "dlq list" in block:
            text += "until [ $(eventhubd dlq list | wc -l) -gt 3 ]; do sleep 0.2; done\n"
        if "subscribers test" in block:
            block = block.replace("subscribers test 'User Service'",
                                  "subscribers test 'User Service' && false || [ $? = 1 ]")
        text += block.replace("localhost:3000", f"localhost:{port}")
    return text


@pytest.mark.slow
def test_every_command_of_the_page_works(hub, database, sink, tmp_path):
    one = hub()
    sink.on("/hooks", 400)
    url = "https://api.example.com/hooks"
    toml = re.search(r"^```toml\n(.*?)^```", page(), re.M | re.S)[1]
    assert url in toml
    (tmp_path / "subscribers.toml").write_text(toml.replace(url, sink.url("/hooks")))
    text = script(one.port)
    assert url in text
    environment = clean_environment({**database.environment(), "PATH": PATH,
                                     "EVENTHUB_EGRESS_ALLOW_CIDRS": "127.0.0.0/8"})
    done = subprocess.run(["bash", "-euxo", "pipefail", "-c",
                           text.replace(url, sink.url("/hooks"))], cwd=tmp_path,
                          capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
                          env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert database.rows("SELECT name, retry_limit, secret IS NOT NULL, on_dead FROM subscribers"
                         ) == [("User Service", 5, True, "block")]
    assert database.value("SELECT count(*) FROM events WHERE event_type = 'user.created'") == 3
    assert (tmp_path / "dead_letters.ndjson").read_text().count("\n") >= 3


def test_the_page_names_every_command():
    table = re.search(r"^\| \| \|\n\|---\|---\|\n((?:\|.*\n)+)", page(), re.M)[1]
    told = set(re.findall(r"`([^`]+)`", table))
    shown = set()
    for words in ([], ["events"], ["messages"], ["subscribers"], ["dlq"]):
        done = subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True,
                              timeout=PATIENCE, check=True, env=clean_environment())
        names = re.findall(r"^  ([a-z-]+) ", done.stdout.split("Subcommands:")[1], re.M)
        shown |= {" ".join([*words, name]) for name in names}
    assert told == shown - {"events", "messages", "subscribers", "dlq"}
