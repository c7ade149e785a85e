"""The bench as users run it: a short load on a real hub is judged from both logs, and each way of
spoiling a log is found, the limits are measured, and results become charts."""
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest
from hub import BINARY, ROOT, clean_environment

BENCH = os.path.join(os.path.dirname(BINARY), "bench", "eventhub_bench")
LOGS = os.path.join(ROOT, "build", "bench", "load")
FAULTS = ["lost", "duplicate", "order", "overlap", "unknown", "altered"]


def bench(*arguments, **settings):
    environment = clean_environment({"BENCH_BINARY": BENCH, **settings})
    environment["EVENTHUBD"] = BINARY
    return subprocess.run([os.path.join(ROOT, "scripts", "bench"), *arguments], env=environment,
                          capture_output=True, text=True, timeout=240)


def test_the_hubs_command_is_the_bench():
    done = subprocess.run([BINARY, "bench", "--list"], capture_output=True, text=True, cwd=ROOT,
                          env=clean_environment(), check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "steady" in done.stdout and "closed" in done.stdout


@pytest.mark.slow
def test_a_run_is_judged_and_each_way_of_spoiling_its_log_is_found():
    """Few keys and a slow receiver, so that there is an order to break."""
    done = bench("--rate", "100", "--duration", "2", "--keys", "5", "--order", "all",
                 "--sink-delay-ms", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
    with open(os.path.join(LOGS, "result.json"), encoding="utf-8") as file:
        result = json.dumps(json.load(file))
    for word in ("p50", "p99", "max", "wal", "cpu"):
        assert word in result
    assert bench("--check-only", LOGS).returncode == 0
    for fault in FAULTS:
        done = bench("--check-only", LOGS, "--break", fault)
        assert done.returncode == 1, f"{fault}: {done.stdout}{done.stderr}"
        assert "FAIL" in done.stdout


def result_of(scenario):
    with open(os.path.join(ROOT, "build", "bench", scenario, "result.json"),
              encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.slow
def test_a_disturbed_run_measures_twice_and_compares():
    """The disturbance's own subscriber, which gets nothing, is no fault."""
    done = bench("backlog", "--rows", "2000", "--rate", "50", "--closed=false", "--duration", "2",
                 "--warmup", "1", "--dead", "refuses")
    assert done.returncode == 0, done.stdout + done.stderr
    result = result_of("backlog")
    assert result["disturb"]["kind"] == "backlog" and result["disturb"]["rows"] == 2000
    assert result["check"]["clean"] and result["check"]["accepted"] == 300
    compared = result["comparison"]["end_to_end_p99_ms"]
    assert compared["undisturbed"] == result["undisturbed"]["end_to_end_ms"]["p99"] > 0
    assert compared["disturbed"] == result["end_to_end_ms"]["p99"] > 0
    ratio = compared["disturbed"] / compared["undisturbed"]
    assert abs(compared["ratio"] - ratio) < 0.01 * ratio
    assert result["undisturbed"]["events"] == result["events"] == 100
    assert result["hub_peak_rss_mib"] > 1 and result["restart_ready_ms"] > 0


@pytest.mark.slow
def test_a_slow_subscriber_and_a_blocked_key_are_no_faults_of_the_others():
    """Both get some of what was posted; the key's followers are not delivered at all."""
    done = bench("slowdead", "--fanout", "3", "--duration", "2", "--warmup", "1", "--slow-ms", "50")
    assert done.returncode == 0, done.stdout + done.stderr
    check = result_of("slowdead")["check"]
    assert check["deliveries"] > check["expected_deliveries"]  # the slow one's, too
    done = bench("blockedkey", "--rows", "500", "--rate", "50", "--duration", "2", "--warmup", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    check = result_of("blockedkey")["check"]
    assert check["accepted"] == check["expected_deliveries"] + 500


@pytest.mark.slow
def test_an_idle_hub_is_measured_in_percent_of_a_cpu():
    done = bench("idle", "--duration", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    result = result_of("idle")
    assert result["check"]["posted"] == 0 and result["events"] == 0
    assert 0 < result["hub_cpu_percent"] < 100 and 0 < result["postgresql_cpu_percent"] < 100


@pytest.mark.slow
def test_scenarios_are_listed_and_a_slip_in_one_is_named(tmp_path):
    names = re.findall(r"^(\w+) +\w", bench("--list").stdout, re.M)
    files = os.listdir(os.path.join(ROOT, "bench", "scenarios"))
    assert sorted(name + ".toml" for name in names) == sorted(files)
    mine = tmp_path / "mine.toml"
    mine.write_text('about = "mine"\nrate = 50\nduration = 1\nwarmup = 0\n', encoding="utf-8")
    assert bench(str(mine)).returncode == 0
    assert result_of("mine")["events"] == 50
    mine.write_text('about = "mine"\nrats = 50\n', encoding="utf-8")
    done = bench(str(mine))
    assert done.returncode == 2 and 'mine.toml: unknown key "rats"' in done.stderr


def figures(value):
    """All numbers of a JSON value."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in figures(part)]
    return [value]


@pytest.mark.slow
def test_the_limits_without_a_hub_are_measured_beside_it():
    done = bench("--rate", "50", "--duration", "2", "--warmup", "0", "--baseline",
                 BENCH_RESULTS="baseline-test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "% of raw PostgreSQL" in done.stdout
    path = os.path.join(ROOT, "build", "bench", "baseline-test", "result.json")
    with open(path, encoding="utf-8") as file:
        baseline = json.load(file)["baseline"]
    assert all(number > 0 for number in figures(baseline)), baseline
    assert baseline["http"]["requests_per_event"] == 3.5
    raw = baseline["postgresql"]
    assert raw["events"] % raw["batch"] == 0


def result(rate, **more):
    """A result.json as the bench writes it, with what the charts are made of."""
    return {"load": {"closed": rate == 0, "rate": rate, "payload_bytes": 300},
            "events_per_second": rate or 9000, "accept_ms": {"p50": 1, "p99": 5},
            "end_to_end_ms": {"p50": 2, "p99": 9}, "hub_us_per_event": 60,
            "postgresql_us_per_event": 30, "producer_us_per_event": 20,
            "receiver_us_per_event": 25, **more}


def drawn(directory, results):
    """The texts of each chart that scripts/bench-plots makes of results by name."""
    files = []
    for name, content in results.items():
        files.append(directory / name / "result.json")
        files[-1].parent.mkdir()
        files[-1].write_text(json.dumps(content))
    subprocess.run([os.path.join(ROOT, "scripts", "bench-plots"), "--out", directory / "plots",
                    *files], check=True, timeout=240)
    charts = {}
    for chart in (directory / "plots").iterdir():
        root = xml.etree.ElementTree.parse(chart).getroot()
        assert root.tag.endswith("}svg")
        charts[chart.name] = " ".join("".join(part.itertext()) for part in root.iter())
    return charts


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="gnuplot is not installed")
def test_results_become_charts(tmp_path):
    baseline = {"postgresql": {"postgresql_us_per_event": 20},
                "http": {"producer_us_per_event": 30, "receiver_us_per_event": 25}}
    charts = drawn(tmp_path, {
        "closed": result(0, baseline=baseline), "200": result(200), "400": result(400),
        "backlog": result(0, disturb={"kind": "backlog", "rows": 1000000},
                          undisturbed={"events_per_second": 9000})})
    assert set(charts) == {"cpu.svg", "latency.svg", "backlog.svg"}
    for word in ("closed without hub", "PostgreSQL", "µs per event", "receiver"):
        assert word in charts["cpu.svg"]
    for word in ("400", "webhook, p99", "milliseconds"):
        assert word in charts["latency.svg"]
    for word in ("with the backlog", "without", "1M"):
        assert word in charts["backlog.svg"]


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="gnuplot is not installed")
def test_a_chart_without_results_is_left_out(tmp_path):
    assert set(drawn(tmp_path, {"closed": result(0)})) == {"cpu.svg"}
