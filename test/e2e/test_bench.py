"""The bench as users run it: a short load on a real hub is judged from both logs, and each way of
spoiling a log is found, the limits are measured, and results become charts."""
import json
import os
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


def figures(value):
    """All numbers of a JSON value."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in figures(part)]
    return [value]


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
        "backlog": result(0, disturb={"rows": 1000000},
                          comparison={"first": {"events_per_second": 9000}})})
    assert set(charts) == {"cpu.svg", "latency.svg", "backlog.svg"}
    for word in ("closed without hub", "PostgreSQL", "µs per event", "receiver"):
        assert word in charts["cpu.svg"]
    for word in ("400", "webhook, p99", "milliseconds"):
        assert word in charts["latency.svg"]
    for word in ("whole run", "first", "1M"):
        assert word in charts["backlog.svg"]


@pytest.mark.skipif(not shutil.which("gnuplot"), reason="gnuplot is not installed")
def test_a_chart_without_results_is_left_out(tmp_path):
    assert set(drawn(tmp_path, {"closed": result(0)})) == {"cpu.svg"}
