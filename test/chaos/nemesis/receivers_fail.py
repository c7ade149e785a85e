"""One receiver misbehaves for a while, whatever it is sent."""
from nemesis.base import Fault


class OfReceiver(Fault):
    answer = None
    lasts = (2.0, 4.0)

    def run(self, world, rng, seconds, note):
        paths = [f"/{index}" for index in range(len(world.subscribers))
                 if f"/{index}" not in world.sink.override]
        if not paths:
            return
        path = rng.choice(paths)
        note.begin(path)
        before = len(world.sink.deliveries(path))
        world.sink.override[path] = self.answer
        try:
            world.rest(seconds)
        finally:
            world.sink.override.pop(path, None)
        note.hit(len(world.sink.deliveries(path)) - before)


def _fault(name, answer, text):
    return type(name, (OfReceiver,), {"name": f"sink-{name}", "answer": answer, "__doc__": text})


ALL = [
    _fault("hang", "hang", "It accepts and never answers."),
    _fault("drip", "drip", "It answers byte by byte, without end."),
    _fault("reset", "reset", "It resets the connection."),
    _fault("redirect", "redirect", "It redirects."),
    _fault("garbage", "garbage", "It answers what is not HTTP."),
    _fault("gigabyte", "gigabyte", "It answers 200 and a gigabyte."),
    _fault("down", "503", "It answers 503."),
]
