"""The rules of check.py."""
import ast
import re

from cpp import blank, closing, functions, lambdas, line_of

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 60
TEST_FUNCTION_LINES_MAX = 100
FILE_LINES_MAX = 400
RELEASED = ("migrations/0001", "migrations/0002")  # older than the limit, and never edited

CPP = (".cpp", ".hpp")
SEES = {  # layer -> layers it may include, besides itself
    "core": set(),
    "pg": {"core"},
    "store": {"core", "pg"},
    "http": {"core"},
    "api": {"core", "pg", "store", "http"},
    "fanout": {"core", "pg", "store"},
    "cleanup": {"core", "pg", "store"},
    "dispatcher": {"core", "pg", "store", "http"},
    "cli": {"core", "pg", "store", "http"},
}
SEES["app"] = set(SEES)

LIBRARIES = {  # start of an include -> where it may stand
    "boost/beast": r"src/(http/|cli/call\.cpp)",
    "openssl/": r"src/(http/|cli/call\.cpp)",
    "ares": r"src/http/",
    "libpq": r"src/pg/|bench/(hub_database|baseline_postgres)",
    "simdjson": r"src/core/json",
    "toml++": r"src/core/config|bench/scenarios\.cpp",
    "CLI/": r"src/app/cli\.cpp|src/cli/arguments\.cpp|bench/options\.cpp",
    "prometheus/": r"src/core/metrics",
    "spdlog/": r"src/core/log",
}
# Their references are to what outlives the io_context that runs the coroutine.
OWNERS = r"src/app/(healthcheck|hub|migrate)\.cpp"
BANNED = [  # (pattern, where it may stand, what to do instead)
    (r"\bdetached\b", None, "detached swallows exceptions: eventhub::spawn"),
    (r"\bco_spawn\s*\(", r"src/core/async\.cpp", "start coroutines with eventhub::spawn"),
    (r"\bstd::j?thread\b", r"src/(core/log|store/embedded)", "one thread per process"),
    (r"\bstd::(mutex|shared_mutex|recursive_mutex)\b", r"src/(core/log|store/embedded)",
     "one thread per process: no locks"),
    (r"\bthis_thread::sleep", None, "it stops the loop: co_await eventhub::sleep_for"),
    (r"\bsystem_clock::now\s*\(", r"src/core/time\.cpp", "time comes from Clock"),
    (r"\bstd::(cout|cerr)\b", r"src/(app/|cli/|main\.cpp)|bench/",
     "output goes through eventhub::log"),
    (r"awaitable_operators", None, "|| loses errors and costs seconds of compile time"),
]


def _is_code(path):
    return path.endswith(CPP + (".py", ".sh", ".sql", ".ts", ".go")) or path.startswith("scripts/")


def _in_product(path):
    return path.endswith(CPP) and path.startswith(("src/", "include/"))


def _is_program(path):
    return _in_product(path) or path.endswith(CPP) and path.startswith("bench/")


def columns(path, text):
    if not _is_code(path) or path.startswith(RELEASED):
        return []
    return [(number, f"{len(line)} columns, at most {COLUMNS_MAX}")
            for number, line in enumerate(text.split("\n"), 1) if len(line) > COLUMNS_MAX]


def white_space(path, text):
    if not _is_code(path):
        return []
    found = [(number, "white space at the end of the line")
             for number, line in enumerate(text.split("\n"), 1) if line != line.rstrip()]
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        found.append((text.count("\n"), "the file ends in one line end"))
    return found


def file_length(path, text):
    lines = text.count("\n")
    if not _is_code(path) or lines <= FILE_LINES_MAX:
        return []
    return [(lines, f"{lines} lines, at most {FILE_LINES_MAX}: split it by topic")]


def function_length(path, text):
    limit = TEST_FUNCTION_LINES_MAX if path.startswith("test/") else FUNCTION_LINES_MAX
    if path.endswith(".py"):
        spans = [(node.lineno, node.end_lineno) for node in ast.walk(ast.parse(text))
                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    elif path.endswith(CPP):
        code = blank(text)
        spans = [(line_of(code, start), line_of(code, end)) for start, end in functions(code)]
    else:
        return []
    return [(first, f"a function of {last - first + 1} lines, at most {limit}")
            for first, last in spans if last - first + 1 > limit]


def _layer(path):
    match = re.match(r"(?:src|include/eventhub)/(\w+)/", path)
    return match.group(1) if match else None


def _includes(text):
    for match in re.finditer(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE):
        yield line_of(text, match.start(1)), match.group(1)


def layers(path, text):
    """The include DAG; a layer's private headers (beside its sources) are its own."""
    layer = _layer(path)
    if layer is None or not path.endswith(CPP):
        return []
    found = []
    for line, name in _includes(text):
        public = re.match(r"eventhub/(\w+)/", name)
        private = re.match(r"(\w+)/", name)
        if public and public.group(1) not in SEES.get(layer, set()) | {layer}:
            found.append((line, f"{layer} may not see {public.group(1)}"))
        elif not public and private and private.group(1) in SEES and private.group(1) != layer:
            found.append((line, f"{name} is private to {private.group(1)}"))
        elif not public and private and path.startswith("include/") and private.group(1) in SEES:
            found.append((line, f"a public header includes the private {name}"))
    return found


def libraries(path, text):
    if not _is_program(path):
        return []
    return [(line, f"<{name}> is only for {where}")
            for line, name in _includes(text) for start, where in LIBRARIES.items()
            if name.startswith(start) and not re.match(where, path)]


def banned_words(path, text):
    if not _is_program(path):
        return []
    code = blank(text)
    return [(line_of(code, match.start()), f"{match.group().strip()}: {instead}")
            for pattern, where, instead in BANNED
            if not (where and re.match(where, path)) for match in re.finditer(pattern, code)]


def lambda_coroutines(path, text):
    """A lambda's captures live in the lambda, not in the coroutine's frame."""
    if not path.endswith(CPP):
        return []
    code = blank(text)
    return [(line_of(code, offset), f"a coroutine that captures [{captures}]: name the function")
            for captures, offset, body in lambdas(code)
            if captures and re.search(r"\bco_(await|return|yield)\b", body)]


def spawned_by_value(path, text):
    """What spawn() starts outlives its caller: parameters by value, no references or pointers."""
    if not _in_product(path) or re.match(OWNERS, path):
        return []
    code = blank(text)
    found = set()
    for match in re.finditer(r"\bspawn\(", code):
        call = code[match.end():closing(code, match.end() - 1)]
        for name in re.findall(r"(\w+)\s*\(", call):
            for made in re.finditer(rf"\bTask<[^;{{}}()]*>\s+(?:\w+::)*{name}\(", code):
                if re.search(r"[&*]", code[made.end():closing(code, made.end() - 1)]):
                    found.add((line_of(code, made.start()), f"{name} is spawned: by value"))
    return sorted(found)


def one_await(path, text):
    """One co_await per statement, its result in a named local (GCC destroys temporaries twice)."""
    if not _in_product(path):
        return []
    code = blank(text)
    found = []
    for match in re.finditer(r"\bco_await\b", code):
        rest = re.match(r"[^;{}]*", code[match.end():]).group()
        head = re.search(r"[^;{}]*$", code[:match.start()]).group()
        if "co_await" in rest:
            found.append((line_of(code, match.start()), "two co_await in one statement"))
        elif re.search(r"\b(if|switch|while|for)\s*\([^)]*$", head):
            found.append((line_of(code, match.start()), "co_await in a condition: name its result"))
    return found


def opening_comment(path, text):
    if not path.startswith("src/") or not path.endswith(".cpp") or text.startswith("//"):
        return []
    return [(1, "the first comment says what the file does and what it calls next")]


def pragma_once(path, text):
    if not path.endswith(".hpp") or text.startswith("#pragma once\n"):
        return []
    return [(1, "a header begins with #pragma once")]


RULES = [columns, white_space, file_length, function_length, layers, libraries, banned_words,
         lambda_coroutines, spawned_by_value, one_await, opening_comment, pragma_once]
