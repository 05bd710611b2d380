"""A job that is cut off, and goes on."""

from brainleaks.monitor import Monitor


class CutOff(Monitor):
    """Remembers each state, and stops the job after some iterations."""

    def __init__(self, stop_after=None, saved=None, done=0):
        self.stop_after, self.saved, self.done = stop_after, saved, done

    def resume(self, start):
        return self.saved or start

    def remaining(self, iterations):
        yield from range(self.done, iterations)

    def advance(self, iteration, state, **headline):
        assert all(isinstance(value, float) for value in headline.values())
        self.saved = {name: tensor.clone() for name, tensor in state.items()}
        self.done = iteration + 1
        if self.done == self.stop_after:
            raise KeyboardInterrupt
