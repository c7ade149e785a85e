"""TLS on the hub's own ports: the real binary, certificates of an authority of the tests, curl."""
import concurrent.futures
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from hub import BINARY, clean_environment, free_port, wait_until

EVENT = json.dumps({"event_type": "a", "payload": {}}).encode()
JSON = {"Content-Type": "application/json"}


class Authority:
    """Signs certificates for localhost; each has its name as the common name."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = str(directory / "ca.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj",
                      "/CN=ca", "-addext", "basicConstraints=critical,CA:TRUE")

    def sign(self, name):
        """(certificate, key)"""
        (self.directory / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, timeout=30,
                       capture_output=True)


@pytest.fixture(scope="module", name="authority")
def made_authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    for name in ("first", "second"):
        made.sign(name)
    return made


class Served:
    """A hub with TLS and the files it reads."""

    def __init__(self, hub, authority, directory, **env):
        self.authority = authority
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        self.install("first")
        self.hub = hub(ready=False, env={
            "EVENTHUB_SERVER_TLS_CERTIFICATE_FILE": str(self.certificate),
            "EVENTHUB_SERVER_TLS_KEY_FILE": str(self.key), **env})
        self.port = self.hub.port
        wait_until(lambda: self.ask("GET", "/readyz") == 200, 30, "/readyz by TLS")

    def install(self, name):
        """Each file takes the place of the former at once, as a careful tool does it."""
        for source, target in ((f"{name}.pem", self.certificate), (f"{name}.key", self.key)):
            fresh = target.with_suffix(".new")
            shutil.copy(self.authority.directory / source, fresh)
            fresh.replace(target)

    def link(self, context=None, port=None, timeout=10):
        raw = socket.create_connection(("localhost", port or self.port), timeout=timeout)
        return (context or self.authority.context()).wrap_socket(raw, server_hostname="localhost")

    def name(self):
        """Of the certificate that a new connection is shown."""
        with self.link() as link:
            return dict(pair[0] for pair in link.getpeercert()["subject"])["commonName"]

    def connection(self):
        return http.client.HTTPSConnection("localhost", self.port, timeout=30,
                                           context=self.authority.context())

    def ask(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            connection.request(method, path, body, headers or {})
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()


def everything(link):
    text = b""
    while piece := link.recv(1000):
        text += piece
    return text


@pytest.fixture(name="served")
def hub_with_tls(hub, authority, tmp_path):
    return Served(hub, authority, tmp_path)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_posts_by_tls(served, authority, version):
    done = subprocess.run(
        ["curl", "-sS", "-i", "--cacert", authority.ca, f"--tlsv{version}", "--tls-max", version,
         "-w", "\n%{ssl_verify_result}", "-H", "Content-Type: application/json", "-d",
         EVENT.decode(), f"https://localhost:{served.port}/events"],
        capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("HTTP/1.1 202") and done.stdout.endswith("\n0")


def test_what_is_older_than_1_2_or_no_tls_is_not_answered(served):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        served.link(old)
    with socket.create_connection(("localhost", served.port), timeout=10) as link:
        link.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        try:
            assert b"HTTP" not in link.recv(1000)
        except ConnectionResetError:
            pass
    assert served.ask("POST", "/events", EVENT, JSON) == 202


def test_many_requests_on_one_connection_small_and_large(served, database):
    connection = served.connection()
    large = json.dumps({"event_type": "a", "payload": {"x": "y" * 1_000_000}}).encode()
    for body in (EVENT, large, EVENT, large):
        connection.request("POST", "/events", body, JSON)
        answer = connection.getresponse()
        assert answer.status == 202 and answer.read()
    connection.request("GET", "/metrics")
    assert b"eventhub_events_received_total" in connection.getresponse().read()
    connection.close()
    assert database.value("SELECT count(*) FROM events") == 4
    assert database.value("SELECT max(length(payload)) FROM events") > 1_000_000


def test_a_refused_body_gets_its_answer(served):
    with served.link() as link:
        link.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
                     + b"x" * 1000)
        assert everything(link).startswith(b"HTTP/1.1 413")


def test_the_end_of_a_connection_is_told(served):
    """A cut would raise SSLEOFError."""
    with served.link() as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = everything(link)
        assert text.startswith(b"HTTP/1.1 200") and text.endswith(b"ok\n")


def test_a_new_certificate_is_taken_without_a_restart(served):
    kept = served.connection()
    kept.request("GET", "/livez")
    assert kept.getresponse().read() == b"ok\n"
    assert served.name() == "first"
    served.install("second")
    wait_until(lambda: served.name() == "second", 3, "a new connection sees the new certificate")
    kept.request("GET", "/livez")
    assert kept.getresponse().read() == b"ok\n"
    served.certificate.write_text("no certificate\n")
    time.sleep(1.2)
    assert served.name() == "second"
    told, = served.hub.wait_lines(lambda line: line["msg"].startswith("the new TLS certificate"))
    assert told["msg"] == "the new TLS certificate cannot be used, the one before stays"
    assert told["level"] == "error"
    served.certificate.unlink()  # and for a moment there is none
    time.sleep(1.2)
    assert served.name() == "second"
    served.install("first")
    wait_until(lambda: served.name() == "first", 3, "it is mended")


def test_what_is_no_file_is_not_opened(served):
    """A pipe would be waited for, by the whole process."""
    for path in (served.certificate, served.key):
        path.unlink()
        os.mkfifo(path)
        time.sleep(1.2)
        assert served.name() == "first"
        done = subprocess.run([BINARY, "config"], env=clean_environment(served.hub.environment),
                              capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 2 and "is not a regular file" in done.stderr
        served.install("first")
        wait_until(lambda: served.name() == "first", 3)
    served.hub.wait_lines(lambda line: "is not a regular file" in line.get("error", ""))


@pytest.mark.slow
def test_certificates_change_under_load_and_nobody_notices(served):
    stop = time.monotonic() + 6

    def post():
        count = 0
        while time.monotonic() < stop:
            assert served.ask("POST", "/events", EVENT, JSON) == 202
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        posters = [pool.submit(post) for _ in range(4)]
        for turn in range(4):
            served.install("second" if turn % 2 == 0 else "first")
            time.sleep(1.3)
        assert sum(poster.result() for poster in posters) > 20


@pytest.mark.slow
def test_who_does_not_shake_hands_is_let_go(hub, authority, tmp_path):
    served = Served(hub, authority, tmp_path, EVENTHUB_SERVER_HEADER_TIMEOUT_MS="500")
    for beginning in (b"", b"\x16\x03\x01"):
        with socket.create_connection(("localhost", served.port), timeout=10) as link:
            link.sendall(beginning)
            began = time.monotonic()
            assert link.recv(100) == b""
            assert time.monotonic() - began < 5
    assert served.ask("GET", "/livez") == 200


def test_a_hub_with_open_connections_stops(served):
    kept = served.connection()
    kept.request("GET", "/livez")
    kept.getresponse().read()
    with socket.create_connection(("localhost", served.port), timeout=10):  # shakes no hands
        began = time.monotonic()
        served.hub.stop(20)
        assert time.monotonic() - began < 10
    kept.close()


def test_the_port_for_monitors_speaks_tls_too(hub, authority, tmp_path):
    port = free_port()
    served = Served(hub, authority, tmp_path, EVENTHUB_SERVER_METRICS_PORT=str(port))
    with served.link(port=port) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert link.recv(1000).startswith(b"HTTP/1.1 200")


def test_the_health_check_of_a_container_finds_the_port(served):
    def check():
        return subprocess.run([BINARY, "healthcheck"], cwd=served.hub.directory, check=False,
                              env=clean_environment(served.hub.environment), timeout=20,
                              capture_output=True).returncode
    assert check() == 0
    served.hub.stop()
    assert check() == 1


@pytest.mark.parametrize("certificate,key,names", [
    ("first.pem", None, "server.tls_certificate_file"),
    (None, "first.key", "server.tls_key_file"),
    ("nothing.pem", "first.key", "server.tls_certificate_file"),
    ("first.key", "first.key", "server.tls_certificate_file"),
    ("first.pem", "second.key", "server.tls_key_file"),
    ("first.pem", "first.pem", "server.tls_key_file")])
def test_files_that_are_no_good_stop_the_start(authority, certificate, key, names):
    env = {}
    if certificate:
        env["EVENTHUB_SERVER_TLS_CERTIFICATE_FILE"] = str(authority.directory / certificate)
    if key:
        env["EVENTHUB_SERVER_TLS_KEY_FILE"] = str(authority.directory / key)
    done = subprocess.run([BINARY, "config"], env=clean_environment(env), capture_output=True,
                          text=True, check=False, timeout=20)
    assert done.returncode == 2 and done.stderr.startswith(f"eventhubd: {names} = "), done.stderr
