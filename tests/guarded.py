"""Runs a program that ends when whoever started it does, however that ended: python guarded.py PROGRAM WORDS...

Its standard input is to be a pipe, which the system closes with the process that holds the other end.
"""

import os
import runpy
import signal
import sys
import threading


def watch() -> None:
    while os.read(0, 1):  # not by way of sys.stdin, whose lock Python wants when it ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch, daemon=True).start()
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
