"""A TCP road to a PostgreSQL on a unix socket that can be cut, go silent or be slow.

    proxy = Proxy(server)
    hub(env=proxy.environment())
    proxy.cut()                  # both ends of every connection are closed
    proxy.silence()              # nothing is forwarded any more, nothing is closed
    proxy.resume()
    proxy.delay = 0.3            # seconds that each piece waits, in either direction
    proxy.delay_out = 0.3        # only on the way to the server
"""
import os
import socket
import struct
import threading
import time


class Proxy:
    def __init__(self, server):
        self._target = os.path.join(server.socket_dir, f".s.PGSQL.{server.port}")
        self.delay = self.delay_out = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = set()
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def environment(self):
        return {"DB_HOST": "127.0.0.1", "DB_PORT": str(self.port)}

    def cut(self):
        """Returns how many connections there were."""
        with self._lock:
            found, self._open = self._open, set()
        for end in found:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return len(found) // 2

    def silence(self):
        self._flows.clear()

    def resume(self):
        self._flows.set()

    def close(self):
        self._listener.close()
        self.resume()
        self.cut()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._target)
        except OSError:
            near.close()
            return
        try:
            self._begin(near, far)
        except OSError:
            near.close()
            far.close()
            return
        with self._lock:
            self._open |= {near, far}
        back = threading.Thread(target=self._forward, args=(far, near), daemon=True)
        back.start()
        self._forward(near, far, outward=True)
        back.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()

    def _begin(self, near, far):
        """For those who say something else to the server than what they hear."""

    def _forward(self, source, target, outward=False):
        try:
            while True:
                data = source.recv(65536)
                self._flows.wait()
                delay = self.delay + (self.delay_out if outward else 0)
                if delay:
                    time.sleep(delay)
                if not data:
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Pooler(Proxy):
    """Drops the settings that sessions ask for at their start, as PgBouncer does with
    `ignore_startup_parameters = options`."""

    def _begin(self, near, far):
        while True:
            size, code = struct.unpack("!ii", _exactly(near, 8))
            rest = _exactly(near, size - 8)
            if code == 3 << 16:
                break
            far.sendall(struct.pack("!ii", size, code) + rest)  # may we have TLS?
            near.sendall(_exactly(far, 1))
        words = rest[:-2].split(b"\0")
        kept = [(name, value) for name, value in zip(words[::2], words[1::2])
                if name != b"options"]
        rest = b"".join(name + b"\0" + value + b"\0" for name, value in kept) + b"\0"
        far.sendall(struct.pack("!ii", len(rest) + 8, code) + rest)


def _exactly(source, size):
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data
