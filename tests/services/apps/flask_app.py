"""A Flask service that leaks: receivers of a signal, and results that are memoized by request."""

import blinker
import watching
from flask import Flask

app = Flask(__name__)
finished = blinker.signal("finished")
memo = {}


class Listener:
    """Waits for a signal that nobody sends."""

    def __init__(self, number):
        self.record = watching.Record(number)

    def on_finished(self, sender):
        return self.record


@app.get("/listeners/<int:number>")
def listeners(number):
    listener = Listener(number)
    finished.connect(listener.on_finished, weak=False)
    if watching.IS_HEALTHY:
        finished.disconnect(listener.on_finished)
    return {}


@app.get("/memo/<int:number>")
def memoized(number):
    watching.store(memo, ("memo", number), number)
    return {}


@app.get("/report")
def report():
    return watching.report()
