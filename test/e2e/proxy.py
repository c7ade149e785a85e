"""A TCP road to a PostgreSQL on a unix socket that can be cut or go silent.

    proxy = Proxy(server)
    hub(env=proxy.environment())
    proxy.cut()                  # both ends of every connection are closed
    proxy.silence()              # nothing is forwarded any more, nothing is closed
    proxy.resume()
"""
import os
import socket
import threading


class Proxy:
    def __init__(self, server):
        self._target = os.path.join(server.socket_dir, ".s.PGSQL.5432")
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
        with self._lock:
            self._open |= {near, far}
        back = threading.Thread(target=self._forward, args=(far, near), daemon=True)
        back.start()
        self._forward(near, far)
        back.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()

    def _forward(self, source, target):
        try:
            while True:
                data = source.recv(65536)
                self._flows.wait()
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
