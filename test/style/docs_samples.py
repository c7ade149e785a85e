"""For each rule of docs.py: (path, text, whether the rule must fire), read with FACTS."""
from docs_facts import Facts

FACTS = Facts(
    files={"README.md", "docs", "docs/contract.md", "docs/metrics.md", "src/core/retry.cpp"},
    headings={"docs/metrics.md": {"process-and-database"}},
    tests={"test/unit/a_test.cpp": {"a: it works"}, "test/e2e/test_a.py": {"test_it"}},
    words={"Lanes", "feed", "blocked_by_policy"},
    options={"egress.allow_cidrs", "roles"},
    variables={"DB_HOST", "DB_PASSWORD", "DB_PASSWORD_FILE", "EVENTHUB_CONFIG"},
    metrics={"eventhub_dlq_size", "eventhub_latency_seconds", "eventhub_latency_seconds_sum",
             "eventhub_latency_seconds_count", "eventhub_end_to_end_latency_seconds_sum"},
    tables={"nodes"}, columns={"event_type", "event_types"},
    sql={"nodes", "name", "event_seq", "retry_dead_letter"},
    flags={"--embedded", "--port", "--roles"}, scripts={"scripts/demo": {"--stay"}},
    commands={"listen", "migrate"})

CONTRACT = "docs/contract.md"
README = "README.md"
RELIABILITY = "docs/reliability.md"

SAMPLES = {
    "promises_name_tests": [
        (CONTRACT, "* **C1** It works.\n* **C2** So.\n  `test/unit/a_test.cpp: x`\n", True),
        (CONTRACT, "* **C1** It works.\n\n`test/unit/a_test.cpp: x`\n", True),
        (CONTRACT, "* **C1** a `test/a: x`\n* **C3** b `test/a: x`\n", True),
        (CONTRACT, "* **C1** a\n  `test/unit/a_test.cpp: x`\n* **C2** b\n  no test yet\n", True),
        (CONTRACT, "* **C1** a\n  `test/a: x`\n* **C2** b\n  `test/a: y`,\n  `test/a: z`\n", False),
    ],
    "faults_name_tests": [
        (RELIABILITY, "| what | tests |\n|---|---|\n| a kill `test/a: x` | |\n", True),
        (RELIABILITY, "| what | tests |\n|---|---|\n| a | `test/a: x` |\n| b | soon |\n", True),
        (RELIABILITY, "no table at all\n", True),
        (RELIABILITY, "| what | tests |\n|---|---|\n| a | `test/a: x`, `test/a: y` |\n", False),
        (CONTRACT, "| what | tests |\n|---|---|\n| a | soon |\n", False),
    ],
    "tests_exist": [
        (RELIABILITY, "`test/e2e/test_a.py: test_that`", True),
        (CONTRACT, "`test/unit/a_test.cpp: it works`", True),
        (CONTRACT, "`test/unit/b_test.cpp: a: it works`", True),
        (CONTRACT, "`test/e2e/test_a.py: test_that`", True),
        (CONTRACT, "`test/unit/a_test.cpp: a: it works`, `test/e2e/test_a.py: test_it`", False),
    ],
    "links_lead_somewhere": [
        (README, "[x](docs/nothing.md)", True),
        ("docs/a.md", "[x](docs/contract.md)", True),
        (README, "[x](docs/metrics.md#nothing)", True),
        ("docs/a.md", "[x](contract.md) [y](../README.md) [z](metrics.md#process-and-database)",
         False),
        (README, "[x](https://example.com/a) [y](docs/)", False),
    ],
    "paths_exist": [
        ("docs/a.md", "see `src/core/nothing.cpp`", True),
        ("docs/a.md", "see `src/core/retry.cpp`, `src/core/lanes*.cpp`, `docs`", False),
    ],
    "symbols_exist": [
        ("docs/a.md", "`Lanes::eat`", True),
        ("docs/a.md", "`Lanes::feed` and `unrelated`", False),
    ],
    "names_exist": [
        (README, "`blocked_by_nobody`", True),
        (README, "`blocked_by_policy` and blocked_by_nobody in prose", False),
    ],
    "variables_exist": [
        (README, "set DB_HOSTS", True),
        (README, "`EVENTHUB_NOTHING`", True),
        (README, "`DB_PASSWORD`, DB_PASSWORD_FILE, ${DB_HOST:-x}, `EVENTHUB_CONFIG`", False),
    ],
    "options_exist": [
        (README, "`egress.allow`", True),
        (README, "`egress.allow_cidrs`, `example.com`", False),
    ],
    "metrics_exist": [
        (README, "`eventhub_dlq_length`", True),
        (README, "grep -E 'eventhub_(latency|delay)_seconds_(sum|count)'", True),
        (README, "eventhub_dlq_size 'eventhub_latency_seconds_(sum|count)'", False),
        (README, "eventhub_(latency|end_to_end_latency)_seconds_sum", False),
    ],
    "sql_exists": [
        (README, "```sql\nSELECT name FROM hubs;\n```\n", True),
        (README, "```sql\nSELECT title FROM nodes;\n```\n", True),
        (README, "```sql\nSELECT retry_letter('x');\n```\n", True),
        (README, "```sql\nSELECT name, count(*) FROM nodes WHERE event_seq > 0; -- of hubs\n"
                 "SELECT retry_dead_letter('it');\n```\n", False),
    ],
    "columns_exist": [
        (README, "| column | meaning |\n|---|---|\n| `event_typ` | x |\n", True),
        (README, "| column | meaning |\n|---|---|\n| `event_type`, `event_types` | `x` |\n", False),
        (README, "| member | meaning |\n|---|---|\n| `event_typ` | x |\n", False),
    ],
    "flags_exist": [
        (README, "`eventhubd --embed`", True),
        (README, "`scripts/demo --go`", True),
        (README, "```sh\nbuild/release/eventhubd --rolls=api\n```\n", True),
        (README, "`--embedded`, `scripts/demo --stay`, `curl --silent`, `--roles=api,fanout`",
         False),
    ],
    "commands_exist": [
        (README, "`eventhubd lissen --port 1`", True),
        (README, "`eventhubd listen --port 1`, `build/release/eventhubd migrate`", False),
    ],
}
