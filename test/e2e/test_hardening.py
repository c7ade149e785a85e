"""How the program is built: what makes a memory fault hard to exploit is in the file itself."""
import os
import re
import resource
import signal
import subprocess

import pytest

from hub import BINARY

pytestmark = pytest.mark.release


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, BINARY], check=True, capture_output=True,
                          text=True).stdout


def segments():
    """[(type, flags)], flags like "R E"."""
    return re.findall(r"^  (\w+) +(?:0x[0-9a-f]+ ){5}([RWE ]{3}) ", readelf("-l"), re.M)


def imports():
    return set(re.findall(r" UND (\w+)", readelf("--dyn-syms")))


def optimised():
    """Fortified functions need optimisation, and are left out beside the address sanitizer."""
    cache = os.path.join(os.path.dirname(BINARY), "CMakeCache.txt")
    if not os.path.exists(cache):
        return True
    with open(cache, encoding="utf-8") as file:
        return "CMAKE_BUILD_TYPE:STRING=Debug" not in file.read()


def test_it_can_be_loaded_anywhere():
    assert re.search(r"^  Type: +DYN ", readelf("-h"), re.M)
    assert re.search(r"\(FLAGS_1\) +Flags:.*\bPIE\b", readelf("-d"))


def test_what_the_linker_wrote_is_read_only_before_the_first_line_runs():
    assert "GNU_RELRO" in dict(segments())
    dynamic = readelf("-d")
    assert re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", dynamic)
    assert not re.search(r"\(TEXTREL\)", dynamic)


def test_nothing_is_both_written_and_run():
    found = segments()
    assert ("GNU_STACK", "RW ") in found
    assert len([kind for kind, _ in found if kind == "LOAD"]) > 1
    assert not [kind for kind, flags in found if "W" in flags and "E" in flags]


def test_frames_have_canaries_and_containers_check_their_bounds():
    found = imports()
    assert "__stack_chk_fail" in found
    assert any("glibcxx_assert_fail" in name for name in found)


def dies_with_core(hub, **environment):
    """Whether the kernel wrote one for a process that may write as much as it likes."""
    one = hub(roles="api", env=environment)
    resource.prlimit(one.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    os.kill(one.pid, signal.SIGABRT)
    _, status = os.waitpid(one.pid, 0)
    one.process.returncode = -os.WTERMSIG(status)
    return os.WCOREDUMP(status)


@pytest.mark.skipif(not optimised(), reason="the leak checker has to attach to the process")
def test_a_crash_leaves_no_core_file_unless_it_may(hub):
    if not dies_with_core(hub, EVENTHUB_CORE_DUMPS="true"):
        pytest.skip("this machine writes no core files")
    assert not dies_with_core(hub)


def test_libc_calls_check_their_buffers():
    fortified = {name for name in imports() if re.fullmatch(r"__\w+_chk", name)}
    assert fortified or not optimised()


def test_the_allocator_is_the_one_that_was_measured():
    assert optimised() == ("libtcmalloc_minimal.so" in readelf("-d"))
