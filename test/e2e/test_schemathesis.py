"""schemathesis asks for everything that /openapi.json describes and for much that it does not: no
answer is a fault of the server, and every answer is described."""
import os
import subprocess
import sys

import pytest

from hub import ROOT

LIBRARY = os.path.join(ROOT, "build/schemathesis")
CHECKS = ",".join(("not_a_server_error", "status_code_conformance", "content_type_conformance",
                   "response_schema_conformance", "response_headers_conformance"))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir(LIBRARY), reason="schemathesis was not fetched from PyPI")
def test_every_answer_is_described_and_none_is_a_fault(hub, tmp_path):
    one = hub(roles="api,fanout,cleanup", env={"EVENTHUB_EGRESS_ALLOW_CIDRS": ""})
    done = subprocess.run(
        [sys.executable, os.path.join(LIBRARY, "bin/schemathesis"), "run",
         f"http://127.0.0.1:{one.port}/openapi.json", "--phases", "examples,coverage,fuzzing",
         "--checks", CHECKS, "--max-examples", "3", "--seed", "1", "--continue-on-failure",
         "--warnings", "off"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": LIBRARY}, capture_output=True, text=True,
        check=False, timeout=600)
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-20000:]
    assert int(done.stdout.rpartition(" generated")[0].split()[-1]) > 1000, "it tested something"
