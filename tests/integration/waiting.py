"""What every program that runs real servers needs: a claim that does not hold, a deadline, a port."""
import random
import socket
import time

given = set()  # ports of this process's servers: one that is dead for a moment keeps its own


class Failure(Exception):
    """A test's claim that does not hold."""


def wait_for(what, seconds, condition, every=0.05):
    """Waits until condition() is true and returns it; a deadline, never a sleep for luck."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s in vain for: {what}")
        time.sleep(every)
    return value


def free_port(upper=30000, beside=()):
    """Below the ephemeral ports: while a killed server is away no client's socket may take its port. With `beside`, PORT + N
    is free as well for each N: a Redis cluster's bus is 10000 above."""
    while True:
        port = random.SystemRandom().randrange(15000, upper)
        if port in given:
            continue
        try:
            for number in (port, *(port + more for more in beside)):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", number))
        except OSError:
            continue
        given.add(port)
        return port
