"""A daemon for the sd_notify tests: does what the lines on its own control socket say, one JSON object each, and answers with
one. `talker.py SOCKET [MESSAGE…]`: the messages are sent at once to NOTIFY_SOCKET."""
import array
import json
import os
import signal
import socket
import sys
import time


def send(text, fds=(), path=None):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path or os.environ["NOTIFY_SOCKET"])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        s.sendmsg([text.encode() if isinstance(text, str) else text], control)


def barrier():
    """True when the reader has closed the descriptor that it was sent."""
    ours, theirs = os.pipe()
    send("BARRIER=1", [theirs])
    os.close(theirs)
    os.set_blocking(ours, False)
    end = time.monotonic() + 10
    try:
        while time.monotonic() < end:
            try:
                return os.read(ours, 1) == b""
            except BlockingIOError:
                time.sleep(0.005)
        return False
    finally:
        os.close(ours)


def child(work, lives):
    """A child that does `work` and then lives on or ends; a dead one is waited for."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work()
        while lives:
            signal.pause()
        os._exit(0)
    if not lives:
        os.waitpid(pid, 0)
    return pid


def obey(order):
    path = order.get("path")
    if "send" in order:
        for _ in range(order.get("times", 1)):
            send(order["send"], [0] * order.get("fds", 0), path)
        return "sent"
    if "big" in order:
        send(b"STATUS=" + b"x" * (order["big"] - 7), (), path)
        return "sent"
    if "from_dead" in order:
        return child(lambda: send(order["from_dead"], (), path), False)
    if "fork" in order:
        return child(lambda: None, True)
    if "barrier" in order:
        return barrier()
    if "environment" in order:
        return os.environ.get(order["environment"])
    os._exit(order["exit"])


def main():
    for message in sys.argv[2:]:
        send(message)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.exists(sys.argv[1]):
        os.unlink(sys.argv[1])
    listener.bind(sys.argv[1])
    listener.listen()
    while True:
        peer, _ = listener.accept()
        with peer, peer.makefile("rw") as lines:
            for line in lines:
                try:
                    answer = obey(json.loads(line))
                except OSError as error:
                    answer = f"error: {error}"
                lines.write(json.dumps(answer) + "\n")
                lines.flush()


main()
