"""The fork server: a process with the document libraries loaded, which forks one confined worker per document.

It never reads a document. Over its control socket (SEQPACKET) come {"id", "kind", "request", "limits"} with two
descriptors (document, result pipe) and {"kill": id}; back go {"ready", "sandbox"} once and {"exit": id, "status",
"cpu_s", "memory_bytes"} per worker. When the socket closes it kills its workers and ends.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from daemon.jobs.documents import sandbox
from daemon.jobs.documents.warm import warm
from daemon.jobs.documents.work import run

MESSAGE_BYTES_MAX = 160 << 10
WORKERS_MAX = 64
KIB = 1024
NICE = {"analyse": 10}
"""Reading yields the processor to acknowledgements and releases; what is on its way to a printer does not wait."""


def main(control_fd: int) -> None:
    """Serve until the control socket closes."""
    control = socket.socket(fileno=control_fd)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the daemon decides when to end
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    warm()
    gc.collect()
    gc.freeze()
    _say(control, {"ready": True, "sandbox": sandbox.abilities()})
    workers: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    if not _serve(control, workers):
                        _kill(workers, workers)
                        return
                else:
                    with suppress(BlockingIOError):
                        os.read(wake_read, KIB)
            _reap(control, workers)


def _serve(control: socket.socket, workers: dict[int, int]) -> bool:
    """Handle one message; False when the daemon is gone."""
    message, handles, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 2)
    if not message:
        return False
    order = json.loads(message)
    if "kill" in order:
        _kill(workers, [order["kill"]])
        return True
    document, result = handles
    try:
        if len(workers) < WORKERS_MAX:
            pid = os.fork()
            if pid == 0:
                _worker(order, document, result)
            workers[order["id"]] = pid
        else:
            _say(control, {"exit": order["id"], "status": 0, "cpu_s": 0, "memory_bytes": 0})
    finally:
        os.close(document)
        os.close(result)
    return True


def _worker(order: dict[str, Any], document: int, result: int) -> None:
    """The forked child: never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.nice(NICE.get(order["kind"], 0))
        sandbox.keep_only(document, result)
        sys.stdin = sys.stdout = sys.stderr = None
        code = run(order["kind"], order["request"], order["limits"])
    finally:
        os._exit(code)


def _kill(workers: dict[int, int], which: Any) -> None:
    for job in list(which):
        pid = workers.get(job)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


def _reap(control: socket.socket, workers: dict[int, int]) -> None:
    by_pid = {pid: job for job, pid in workers.items()}
    while by_pid:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        job = by_pid.pop(pid, None)
        if job is not None:
            del workers[job]
            used = {"cpu_s": usage.ru_utime + usage.ru_stime, "memory_bytes": usage.ru_maxrss * KIB}
            _say(control, {"exit": job, "status": os.waitstatus_to_exitcode(status), **used})


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the daemon is gone: the next read says so
        control.send(json.dumps(message).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
