"""The command line and the settings as a user meets them."""
import os
import subprocess

import pytest

from hub import BINARY, ROOT, clean_environment, free_port


def run(*arguments, env=None, cwd="/", timeout=20):
    return subprocess.run([BINARY, *arguments], env=clean_environment(env), cwd=cwd, text=True,
                          capture_output=True, check=False, timeout=timeout)


def test_version():
    for arguments in (["--version"], ["version"]):
        done = run(*arguments)
        assert done.returncode == 0
        assert done.stdout.startswith("eventhubd 0.")


def test_help_names_every_setting_and_command():
    text = run("--help").stdout
    for word in ("--server.port", "--port", "--roles", "--embedded", "--config", "DATABASE_URL",
                 "migrate", "config", "listen", "healthcheck", "version"):
        assert word in text, word


def test_flag_beats_environment_beats_file_beats_default(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text("[server]\nport = 4001\n[webhook]\ntimeout_ms = 4002\nidle_ms = 4003\n")
    done = run("config", "--config", str(file), "--server.port=4005",
               env={"PORT": "4004", "WEBHOOK_TIMEOUT_MS": "4006"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "port = 4005" in lines
    assert "timeout_ms = 4006" in lines
    assert "idle_ms = 4003" in lines
    assert "poll_interval_ms = 100" in lines


def test_settings_work_after_a_command_too():
    assert "port = 4100" in run("config", "--port=4100").stdout.splitlines()
    assert "port = 4100" in run("--port", "4100", "config").stdout.splitlines()


def test_the_password_is_never_printed():
    done = run("config", env={"DB_PASSWORD": "very-secret-word"})
    assert done.returncode == 0
    assert "very-secret-word" not in done.stdout + done.stderr


@pytest.mark.parametrize("flag", ["--database.password=very-secret-word",
                                  "--database.url=postgresql://u:very-secret-word@h/d"])
def test_a_password_on_the_command_line_is_refused(flag):
    done = run("config", flag)
    assert done.returncode == 2
    assert "everyone on this machine" in done.stderr
    assert "very-secret-word" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments, env, words", [
    (["--no.such=1"], {}, ["--no.such"]),
    (["--server.port=99999"], {}, ["server.port"]),
    ([], {"PORT": "three"}, ["PORT"]),
    ([], {"EVENTHUB_ROLES": "api,typo"}, ["typo"]),
    (["--config=/no/such/file.toml"], {}, ["/no/such/file.toml"]),
    ([], {"EVENTHUB_EGRESS_ALLOW_CIDRS": "300.0.0.0/8"}, ["300.0.0.0/8"]),
    (["--webhook.dns_servers=ns.example.test"], {}, ["webhook.dns_servers", '"ns.example.test"']),
    ([], {"EVENTHUB_WEBHOOK_DNS_SERVERS": "127.0.0.1:99999"},
     ["EVENTHUB_WEBHOOK_DNS_SERVERS", '"127.0.0.1:99999"']),
    ([], {"DB_MAX_CONNECTIONS": "1"}, ["DB_MAX_CONNECTIONS"]),
    ([], {"DATABASE_URL": "notaurl"}, ["database.url", "DATABASE_URL"]),
    ([], {"DATABASE_URL": "postgresql://u:p@ss@h/d"}, ["DATABASE_URL", "%40"]),
    (["--server.bind=foo"], {}, ["server.bind", '"foo"']),
    ([], {"EVENTHUB_SERVER_METRICS_BIND": "foo"}, ["EVENTHUB_SERVER_METRICS_BIND", '"foo"']),
    (["--server.metrics_port=3000"], {}, ["server.metrics_port"]),
    ([], {"EVENTHUB_EGRESS_ALLOW_PORTS": "443,x"}, ["EVENTHUB_EGRESS_ALLOW_PORTS", '"x"']),
    ([], {"EVENTHUB_EGRESS_ALLOW_HOSTS": "a b"}, ["EVENTHUB_EGRESS_ALLOW_HOSTS", '"a b"']),
    ([], {"EVENTHUB_EGRESS_CA_FILE": "/no/such.pem"}, ["egress.ca_file", "/no/such.pem"]),
    ([], {"EVENTHUB_EGRESS_CA_FILE": BINARY}, ["egress.ca_file", BINARY]),
])
@pytest.mark.parametrize("command", [[], ["config"]])
def test_a_bad_setting_stops_the_start_and_is_named(command, arguments, env, words):
    done = run(*command, *arguments, env={"DB_HOST": "/nonexistent", **env})
    assert done.returncode == 2, done.stdout + done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("section, line, words", [
    ("server", 'bind = "foo"', ["server.bind"]),
    ("webhook", 'dns_servers = "10.0.0.2,"', ["webhook.dns_servers"]),
    ("egress", 'allow_cidrs = ["10.0.0.0/99"]', ["egress.allow_cidrs", "10.0.0.0/99"]),
    ("egress", 'ca_file = "/no/such.pem"', ["egress.ca_file"]),
    ("database", 'url = "hunter2"', ["database.url"]),
])
def test_a_bad_text_of_the_file_is_named_with_its_line(tmp_path, section, line, words):
    file = tmp_path / "hub.toml"
    file.write_text(f"[{section}]\n{line}\n")
    for command in ([], ["config"]):
        done = run(*command, "--config", str(file))
        assert done.returncode == 2, done.stdout + done.stderr
        for word in [*words, "hub.toml:2"]:
            assert word in done.stderr
        assert "hunter2" not in done.stdout + done.stderr


def test_a_mistyped_secret_is_not_repeated():
    for arguments in (["--db-password=hunter2"], ["--db-password", "hunter2"],
                      ["migrate", "--pasword=hunter2"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert arguments[-1].split("=")[0] in done.stderr or "--db-password" in done.stderr
        assert "hunter2" not in done.stdout + done.stderr
    assert "migrat" in run("migrat").stderr


def test_the_secret_of_listen_is_not_for_the_command_line(tmp_path):
    done = run("listen", "--secret", "whsec_hunter2")
    assert done.returncode == 2
    assert "--secret-file" in done.stderr and "EVENTHUB_LISTEN_SECRET" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    done = run("listen", "--secret-file", str(tmp_path / "none"), "--port", "0")
    assert done.returncode == 2 and "none" in done.stderr


def test_an_unknown_key_of_the_file_is_named_with_its_line(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text("[server]\nport = 4001\nprot = 4002\n")
    done = run("config", "--config", str(file))
    assert done.returncode == 2
    assert "prot" in done.stderr and "hub.toml:3" in done.stderr


def test_defaults_are_the_file_of_the_repository():
    with open(os.path.join(ROOT, "config/eventhub.toml"), encoding="utf-8") as file:
        assert run("config", "--defaults").stdout == file.read()


def test_the_default_file_can_be_used(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text(run("config", "--defaults").stdout)
    done = run("config", "--config", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("config", cwd=tmp_path).stdout


def test_an_unreachable_database_is_told_with_what_to_do():
    port = free_port()
    done = run(env={"DB_HOST": "127.0.0.1", "DB_PORT": str(port), "DB_PASSWORD": "very-secret-word",
                    "PORT": "0", "EVENTHUB_DATABASE_CONNECT_TIMEOUT_MS": "500"})
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"127.0.0.1:{port}" in said and "--embedded" in said
    assert "very-secret-word" not in said


def test_migrate_prints_sql_that_makes_the_schema(database):
    printed = run("migrate", "--print")
    assert printed.returncode == 0
    assert "CREATE TABLE" in printed.stdout
    subprocess.run(["psql", "-qX", "-h", database.server.socket_dir, "-U", "eventhub",
                    database.name], input=printed.stdout, text=True, check=True)
    assert database.value("SELECT count(*) FROM eventhub.shards") == 64


def test_migrate_is_done_once(database):
    first = run("migrate", env=database.environment())
    assert first.returncode == 0, first.stderr
    assert "(0 applied)" not in first.stdout
    second = run("migrate", env=database.environment())
    assert second.returncode == 0
    assert "(0 applied)" in second.stdout


def test_without_migration_the_start_is_refused_on_an_empty_database(database):
    done = run(env={**database.environment(), "EVENTHUB_DATABASE_MIGRATE": "false",
                    "PORT": str(free_port())})
    assert done.returncode == 1
    assert "migrate" in done.stdout + done.stderr


def test_healthcheck_of_nothing():
    done = run("healthcheck", env={"PORT": str(free_port())})
    assert done.returncode == 1
    assert "readyz" in done.stderr


def test_a_taken_port_is_named(database, sink):
    done = run("--port", str(sink.port), env=database.environment())
    assert done.returncode == 1
    assert str(sink.port) in done.stdout + done.stderr
