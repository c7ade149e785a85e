"""The bench as users run it: a short load on a real hub is judged from both logs, and each way of
spoiling a log is found."""
import json
import os
import subprocess

from hub import BINARY, ROOT, clean_environment

BENCH = os.path.join(os.path.dirname(BINARY), "bench", "eventhub_bench")
LOGS = os.path.join(ROOT, "build", "bench", "load")
FAULTS = ["lost", "duplicate", "order", "overlap", "unknown", "altered"]


def bench(*arguments):
    environment = clean_environment({"BENCH_BINARY": BENCH})
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
