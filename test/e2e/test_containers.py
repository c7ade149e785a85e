"""The container files mean what they say: names of settings exist, commands run, health checks
pass. No container runtime is needed: each service's command is run as a process with its
environment."""
import os
import re
import subprocess

import pytest
import yaml

from hub import BINARY, ROOT, Hub, clean_environment, wait_until

HUBS = {"api-1": "api", "api-2": "api", "fanout": "fanout", "dispatcher": "dispatcher",
        "cleanup": "cleanup"}
KEY = "the-key-of-somebody-who-read-env-example"
REPLICAS = {"api-1": 1, "api-2": 1, "fanout": 1, "dispatcher": 4, "cleanup": 1}


def load(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return yaml.safe_load(file)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def example():
    """.env.example as {name: value}."""
    pairs = [line.split("=", 1) for line in read(".env.example").splitlines()
             if line and not line.startswith("#")]
    return dict(pairs)


def substituted(value, variables):
    """${NAME:-default} and ${NAME:?what is wrong} as compose does it."""
    def value_of(match):
        assert variables.get(match[1]) or match[2] == "-", f"{match[1]}: {match[3]}"
        return variables.get(match[1]) or match[3]
    return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", value_of, str(value))


def needed():
    """Variables that compose.yaml has no default for."""
    return re.findall(r"\$\{(\w+):\?", read("compose.yaml"))


@pytest.fixture(scope="module")
def compose():
    return load("compose.yaml")


@pytest.fixture(scope="module")
def known_names():
    reference = subprocess.run([BINARY, "config", "--reference"], capture_output=True, text=True,
                               env=clean_environment(), check=True).stdout
    return set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b", reference))


def test_every_service_of_the_specification_is_there_in_its_number(compose):
    services = compose["services"]
    assert set(services) == set(HUBS) | {"postgres", "prometheus"}
    for name, number in REPLICAS.items():
        assert services[name].get("deploy", {}).get("replicas", 1) == number
    assert services["api-1"]["ports"] == ["3000:3000"]
    assert services["prometheus"]["ports"] == ["9090:9090"]


def test_every_variable_is_a_setting(compose, known_names):
    for name in HUBS:
        unknown = set(compose["services"][name]["environment"]) - known_names
        assert not unknown, f"{name} sets {unknown}"
    assert set(example()) <= known_names
    used = set(re.findall(r"\$\{(\w+)", read("compose.yaml")))
    assert used == set(example()), "compose.yaml and .env.example name the same variables"


def test_the_example_says_what_the_defaults_are(compose):
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", read("compose.yaml")))
    assert {**defaults, **dict.fromkeys(needed(), "")} == example()


def test_the_key_has_no_default(compose):
    """A key that everybody can read in this repository is none."""
    assert needed() == ["EVENTHUB_ADMIN_KEY"] and example()["EVENTHUB_ADMIN_KEY"] == ""
    for name in HUBS:
        with pytest.raises(AssertionError, match="EVENTHUB_ADMIN_KEY: set it in .env"):
            substituted(compose["services"][name]["environment"]["EVENTHUB_ADMIN_KEY"], example())


def test_hubs_start_after_a_healthy_database(compose):
    assert "healthcheck" in compose["services"]["postgres"]
    for name in HUBS:
        service = compose["services"][name]
        assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
        assert service["healthcheck"]["test"] == ["CMD", "eventhubd", "healthcheck"]


def test_prometheus_scrapes_every_role(compose):
    mounted = compose["services"]["prometheus"]["volumes"][0].split(":")[0]
    config = load(mounted)
    found = config["scrape_configs"][0]["dns_sd_configs"][0]
    assert set(found["names"]) == set(HUBS)
    assert {str(found["port"])} == {
        str(compose["services"][name]["environment"]["PORT"]) for name in HUBS}


def test_the_image_runs_what_was_built_as_nobody_special():
    text = read("Dockerfile")
    assert re.search(r"^USER eventhub$", text, re.MULTILINE)
    assert re.search(r"^ENV EVENTHUB_SERVER_BIND=0.0.0.0$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["eventhubd"]' in text
    assert 'CMD ["eventhubd", "healthcheck"]' in text
    for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE):
        assert os.path.exists(os.path.join(ROOT, source)), source


def libraries_of(binary):
    lines = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s*(\S+?)\.so", lines, re.MULTILINE))


def test_the_image_installs_the_libraries_that_the_binary_loads():
    """Each library that is no part of every Debian image is in a package of the second stage."""
    runtime = read("Dockerfile").split("FROM debian:bookworm-slim")[1]
    packages = {"libpq": "libpq5", "libcares": "libc-ares2", "libfmt": "libfmt9",
                "libprometheus-cpp-core": "libprometheus-cpp-core1.0", "libssl": "libssl3",
                "libtcmalloc_minimal": "libtcmalloc-minimal4", "libsimdjson": "libsimdjson14",
                "libtomlplusplus": "libtomlplusplus3"}
    loaded = libraries_of(BINARY)
    for library, package in packages.items():
        if library in loaded:
            assert package in runtime, f"{library} needs {package}"


@pytest.mark.parametrize("service", sorted(HUBS))
def test_the_command_runs_with_its_environment(service, compose, database, hub):
    entry = compose["services"][service]
    chosen = {**example(), "EVENTHUB_ADMIN_KEY": KEY}
    variables = {name: substituted(value, chosen)
                 for name, value in entry["environment"].items()}
    for name in ("DB_HOST", "DB_NAME", "DB_USER", "PORT"):
        variables.pop(name)  # where the test's database and port are instead
    assert entry["command"] == [f"--roles={HUBS[service]}"]
    process = hub(roles=HUBS[service], env=variables)
    check = [BINARY, *entry["healthcheck"]["test"][2:]]
    assert run_check(check, process) == 0
    assert process.request("GET", "/metrics").status == 200
    event = b'{"event_type": "a", "payload": {}}'
    kind = {"Content-Type": "application/json"}
    answered = [process.request("POST", "/events", event, headers).status
                for headers in (kind, {**kind, "Authorization": f"Bearer {KEY}"})]
    assert answered == ([401, 202] if HUBS[service] == "api" else [404, 404])
    process.stop()
    assert run_check(check, process) == 1


def run_check(check, process: Hub):
    return subprocess.run(check, env=clean_environment(process.environment), cwd=process.directory,
                          stderr=subprocess.DEVNULL, check=False, timeout=10).returncode


def test_all_containers_together_deliver(compose, database, hub, sink):
    """One process per container of compose.yaml, started all at once on an empty database."""
    started = []
    for service, role in sorted(HUBS.items()):
        for _ in range(compose["services"][service].get("deploy", {}).get("replicas", 1)):
            started.append(hub(roles=role, ready=False))
    for process in started:
        process.wait_ready(60)
    database.subscribe(sink.url("/a"), "user.created", ordering_enabled=True,
                       ordering_key="organization_id")
    api = [process for process in started if process.roles == "api"]
    for number in range(40):
        reply = api[number % 2].post({"event_type": "user.created", "payload": {"number": number},
                                      "organization_id": f"org-{number % 5}"})
        assert reply.status == 202
    sink.wait(40, "/a", timeout=60)
    wait_until(database.drained, 30)
    assert sorted(d.json()["number"] for d in sink.deliveries("/a")) == list(range(40))
