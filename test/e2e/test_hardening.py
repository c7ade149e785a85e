"""How the program is built: what makes a memory fault hard to exploit is in the file itself."""
import os
import re
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


def test_libc_calls_check_their_buffers():
    fortified = {name for name in imports() if re.fullmatch(r"__\w+_chk", name)}
    assert fortified or not optimised()
