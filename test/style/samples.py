"""For each rule of rules.py: (path, text, whether the rule must fire)."""

_LONG_BODY = "  call();\n" * 61

SAMPLES = {
    "columns": [
        ("src/core/a.cpp", "x" * 101 + "\n", True),
        ("src/core/a.cpp", "ä" * 100 + "\n", False),
        ("docs/a.md", "x" * 300 + "\n", False),
    ],
    "white_space": [
        ("src/core/a.cpp", "int a; \n", True),
        ("src/core/a.cpp", "int a;", True),
        ("src/core/a.cpp", "int a;\n", False),
    ],
    "file_length": [
        ("src/core/a.cpp", "\n" * 401, True),
        ("src/core/a.cpp", "\n" * 400, False),
    ],
    "function_length": [
        ("src/core/a.cpp", "namespace a {\nint f(int x) {\n" + _LONG_BODY + "}\n}\n", True),
        ("src/core/a.cpp", "struct A {\n  A() : b_{1} {\n" + _LONG_BODY + "  }\n};\n", True),
        ("src/core/a.cpp", "int f(int x) {\n  call();\n}\n" * 40, False),
        ("src/core/a.cpp", 'const char* t = "f() {";\nint f() { return 1\'000; }\n', False),
        ("src/core/a.cpp", "enum class E {\n" + "  a,\n" * 80 + "};\n", False),
        ("test/unit/a.py", "def f():\n" + "    pass\n" * 101, True),
    ],
    "layers": [
        ("src/core/a.cpp", '#include "eventhub/pg/result.hpp"\n', True),
        ("src/fanout/a.cpp", '#include "eventhub/http/client.hpp"\n', True),
        ("src/fanout/a.cpp", '#include "eventhub/dispatcher/dispatcher.hpp"\n', True),
        ("src/store/a.cpp", '#include "pg/wire.hpp"\n', True),
        ("include/eventhub/pg/a.hpp", '#include "pg/wire.hpp"\n', True),
        ("src/dispatcher/a.cpp", '#include "eventhub/http/client.hpp"\n', False),
        ("src/pg/a.cpp", '#include "pg/wire.hpp"\n', False),
    ],
    "libraries": [
        ("src/api/a.cpp", "#include <boost/beast/http.hpp>\n", True),
        ("include/eventhub/http/a.hpp", "#include <boost/beast/http.hpp>\n", True),
        ("src/store/a.cpp", "#include <libpq-fe.h>\n", True),
        ("src/core/event.cpp", "#include <simdjson.h>\n", True),
        ("src/app/hub.cpp", "#include <CLI/CLI.hpp>\n", True),
        ("src/pg/a.cpp", "#include <libpq-fe.h>\n", False),
        ("src/core/metrics.cpp", "#include <prometheus/registry.h>\n", False),
    ],
    "banned_words": [
        ("src/api/a.cpp", "spawn(x, asio::detached);\n", True),
        ("src/api/a.cpp", "asio::co_spawn(x, y, z);\n", True),
        ("src/core/async.cpp", "asio::co_spawn(x, y, z);\n", False),
        ("src/pg/a.cpp", "std::thread worker;\n", True),
        ("src/store/embedded.cpp", "std::thread worker;\n", False),
        ("src/pg/a.cpp", "std::mutex lock;\n", True),
        ("src/pg/a.cpp", "std::this_thread::sleep_for(x);\n", True),
        ("src/pg/a.cpp", "auto t = std::chrono::system_clock::now();\n", True),
        ("src/core/time.cpp", "return std::chrono::system_clock::now();\n", False),
        ("src/pg/a.cpp", "std::cout << 1;\n", True),
        ("src/app/listen.cpp", "std::cout << 1;\n", False),
        ("src/pg/a.cpp", "using namespace awaitable_operators;\n", True),
        ("src/pg/a.cpp", "// asio::detached swallows exceptions\n", False),
    ],
    "lambda_coroutines": [
        ("src/api/a.cpp", "auto f = [this]() -> Task<void> { co_await g(); };\n", True),
        ("src/api/a.cpp", "h([&](int x) -> Task<int> { if (x) { co_return 1; } });\n", True),
        ("src/api/a.cpp", "auto f = []() -> Task<void> { co_await g(); };\n", False),
        ("src/api/a.cpp", "auto f = [this](auto& r) { return g(r); };\nco_await f(x);\n", False),
        ("src/api/a.cpp", "auto x = a[i];\n{ co_await g(); }\n", False),
    ],
    "one_await": [
        ("src/api/a.cpp", "int n = co_await f() + co_await g();\n", True),
        ("src/api/a.cpp", "if (co_await f()) {\n  co_return;\n}\n", True),
        ("src/api/a.cpp", "while (co_await f()) {\n}\n", True),
        ("src/api/a.cpp", "const int n = co_await f();\nco_await g();\n", False),
        ("src/api/a.cpp", "for (auto& a : all) {\n  co_await f(a);\n}\n", False),
        ("src/api/a.cpp", "if (bad) co_await f();\n", False),
    ],
    "opening_comment": [
        ("src/api/a.cpp", "#include <x>\n", True),
        ("src/api/a.cpp", "// Answers. Calls store.\n", False),
    ],
    "pragma_once": [
        ("include/eventhub/api/a.hpp", "#include <x>\n", True),
        ("include/eventhub/api/a.hpp", "#pragma once\n", False),
    ],
}
