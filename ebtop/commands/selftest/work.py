# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the known work of `ebtop selftest`: what the worker process does on request, and the facts
that it returns.

Each kind of work is a function that returns facts: its own counts, or the kernel's account of it.
It is bounded, leaves nothing behind, talks only to itself over loopback, and knows nothing of
ebtop.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import resource
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

Facts = dict[str, float]

PAGE = mmap.PAGESIZE
WAIT_S = 0.15
CALLS, FAILED_CALLS, OPENS, FAILED_OPENS = 1009, 101, 53, 19
SLEEPS, CHILDREN, PROGRAMS, THREADS = 101, 23, 7, 11
FILE_CHUNK, FILE_CHUNKS = 7919, 211
DISK_BLOCK, DISK_BLOCKS = 65536, 61
STREAM_CHUNK, STREAM_CHUNKS = 10007, 101
DATAGRAM, DATAGRAMS = 1009, 211
MAPPINGS, MAPPING_PAGES, TOUCHED_PAGES = 53, 67, 4001
_MISSING = "/nonexistent-ebtop-selftest"
_TRUE = ("/bin/true", "/usr/bin/true")
_BURN_S, _CHILD_BURN_S, _QUEUE_BURN_S = 0.15, 0.004, 0.25


def _burn(seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
    """Uses this much CPU time, in user mode except for reading the clock."""
    end = clock() + seconds
    while clock() < end:
        for _ in range(2000):
            pass


def cpu() -> Facts:
    """CPU time, two thirds of it in user mode; the kernel's own account of how it was divided."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    _burn(_BURN_S)
    end = time.thread_time() + _BURN_S / 2
    with open("/dev/zero", "rb", buffering=0) as zeros:
        room = bytearray(1 << 20)
        while time.thread_time() < end:
            zeros.readinto(room)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user = after.ru_utime - before.ru_utime
    return {"user_share": user / (user + after.ru_stime - before.ru_stime)}


def switches() -> Facts:
    for _ in range(SLEEPS):
        time.sleep(0.0005)
    return {}


def run_queue() -> Facts:
    """Two children share one CPU; the facts are the scheduler's account of their waits for it."""
    cpu = min(os.sched_getaffinity(0))
    waited = 0
    readers = []
    for _ in range(2):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.sched_setaffinity(0, {cpu})
            _burn(_QUEUE_BURN_S)
            with open("/proc/self/schedstat", "rb") as file:
                os.write(writer, file.read())
            os._exit(0)
        os.close(writer)
        readers.append((pid, reader))
    for pid, reader in readers:
        waited += int(os.read(reader, 100).split()[1])
        os.close(reader)
        os.waitpid(pid, 0)
    return {"runq_wait_ns": waited}


# ---- waits, a reason each: the time off the CPU inside one blocking call ----


@contextlib.contextmanager
def _off_cpu(facts: Facts) -> Iterator[None]:
    """The time inside the block, minus the time that the thread ran or waited for a CPU."""
    path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
    with open(path, "rb") as file:
        began, before = time.monotonic_ns(), file.read().split()
        yield
        ended = time.monotonic_ns()
        file.seek(0)
        after = file.read().split()
    on_cpu_or_ready = sum(int(after[at]) - int(before[at]) for at in (0, 1))
    facts["wait_ns"] = ended - began - on_cpu_or_ready


def wait_sleep() -> Facts:
    facts: Facts = {}
    with _off_cpu(facts):
        time.sleep(WAIT_S)
    return facts


def wait_poll() -> Facts:
    facts: Facts = {}
    poller = select.poll()
    with _off_cpu(facts):
        poller.poll(WAIT_S * 1000)
    return facts


def wait_pipe() -> Facts:
    facts: Facts = {}
    reader, writer = os.pipe()
    with _later(lambda: os.write(writer, b"x")), _off_cpu(facts):
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return facts


def wait_network() -> Facts:
    facts: Facts = {}
    with contextlib.ExitStack() as both:
        client, server = both.enter_context(_pair(socket.AF_INET))
        both.enter_context(_later(lambda: client.send(b"x")))
        with _off_cpu(facts):
            server.recv(1)
    return facts


def wait_lock() -> Facts:
    """Waits for a file lock held by another process: contention that Python can produce."""
    facts: Facts = {}
    with tempfile.TemporaryFile() as held:
        other = os.open(f"/proc/self/fd/{held.fileno()}", os.O_RDWR)
        fcntl.flock(held, fcntl.LOCK_EX)
        with _later(lambda: fcntl.flock(held, fcntl.LOCK_UN)), _off_cpu(facts):
            fcntl.flock(other, fcntl.LOCK_EX)
        os.close(other)
    return facts


def wait_condition() -> Facts:
    """Waits on a semaphore that is not posted, as Python's locks are."""
    facts: Facts = {}
    lock = threading.Lock()
    lock.acquire()
    with _off_cpu(facts):
        lock.acquire(timeout=WAIT_S)
    return facts


@contextlib.contextmanager
def _later(act: Callable[[], object]) -> Iterator[None]:
    """Another process does it after a while: a thread of this process would add waits of its
    own."""
    pid = os.fork()
    if pid == 0:
        time.sleep(WAIT_S)
        act()
        os._exit(0)
    yield
    os.waitpid(pid, 0)


# ---- system calls, files, disks ----


def system_calls() -> Facts:
    for _ in range(CALLS):
        os.getppid()
    for _ in range(FAILED_CALLS):
        with contextlib.suppress(OSError):
            os.rmdir(_MISSING)
    began = time.monotonic_ns()
    time.sleep(WAIT_S)
    return {"sleep_ns": time.monotonic_ns() - began}


def opens() -> Facts:
    for _ in range(OPENS):
        os.close(os.open(os.devnull, os.O_RDONLY))
    for _ in range(FAILED_OPENS):
        with contextlib.suppress(FileNotFoundError):
            os.open(_MISSING, os.O_RDONLY)
    return {}


def files() -> Facts:
    chunk = b"f" * FILE_CHUNK
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(FILE_CHUNKS):
            file.write(chunk)
        for number in range(FILE_CHUNKS):
            os.pread(file.fileno(), FILE_CHUNK, number * FILE_CHUNK)
    return {}


class Disk:
    """Reads and writes past the page cache, in a file without a name; the kernel's own account."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        # opened by whoever this process still is; it may always be read by the process itself
        self._io = os.open("/proc/self/io", os.O_RDONLY)

    def __call__(self) -> Facts:
        before = self._account()
        block = mmap.mmap(-1, DISK_BLOCK)  # page aligned, as direct I/O demands
        block.write(b"d" * DISK_BLOCK)
        with tempfile.TemporaryFile(dir=self._directory, buffering=0) as file:
            fd = file.fileno()
            # from the first byte on: what stays in the page cache may be written by others
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)
            for number in range(DISK_BLOCKS):
                os.pwritev(fd, [block], number * DISK_BLOCK)
            for number in range(DISK_BLOCKS):
                os.preadv(fd, [block], number * DISK_BLOCK)
        block.close()
        after = self._account()
        return {name: after[name] - before[name] for name in after}

    def _account(self) -> Facts:
        words = os.pread(self._io, 1000, 0).split()
        names = ("read_bytes", "write_bytes")
        return {f"disk_{name}": int(words[words.index(f"{name}:".encode()) + 1]) for name in names}


# ---- network ----


@contextlib.contextmanager
def _pair(family: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection to itself."""
    address = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        address_and_port = listener.getsockname()[:2]
        with socket.create_connection(address_and_port) as client, listener.accept()[0] as server:
            yield client, server


def tcp() -> Facts:
    """Sends data in small pieces and answers the last one, over IPv4 and, where available, IPv6."""
    facts: Facts = {"connections": 0}
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError), _pair(family) as (client, server):
            facts["connections"] += 1
            for _ in range(STREAM_CHUNKS):
                client.sendall(b"t" * STREAM_CHUNK)
                _receive(server)
            server.sendall(b"t" * STREAM_CHUNK)
            _receive(client)
    facts["bytes"] = facts["connections"] * (STREAM_CHUNKS + 1) * STREAM_CHUNK
    return facts


def _receive(end: socket.socket) -> None:
    left = STREAM_CHUNK
    while left:
        left -= len(end.recv(left))


def udp() -> Facts:
    kind = socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as to, socket.socket(socket.AF_INET, kind) as out:
        to.bind(("127.0.0.1", 0))
        for _ in range(DATAGRAMS):
            out.sendto(b"u" * DATAGRAM, to.getsockname())
            to.recv(DATAGRAM)
    return {}


# ---- memory, threads, processes ----


class Memory:
    """Maps and unmaps; then keeps some touched pages until it is called again."""

    def __init__(self) -> None:
        self._kept: mmap.mmap | None = None

    def __call__(self) -> Facts:
        self.release()
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        for _ in range(MAPPINGS):
            mmap.mmap(-1, MAPPING_PAGES * PAGE, private).close()
        self._kept = mmap.mmap(-1, TOUCHED_PAGES * PAGE, private)
        for page in range(TOUCHED_PAGES):
            self._kept[page * PAGE] = 1
        return {}

    def release(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


class Threads:
    """So many more, until it is called again."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def __call__(self) -> Facts:
        self.release()
        self._threads = [threading.Thread(target=self._end.wait) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return {}

    def release(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._end = threading.Event()


def processes() -> Facts:
    """Children that exit by themselves, each with its own status, and some that execute a
    program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = next((path for path in _TRUE if os.access(path, os.X_OK)), None)
    programs = PROGRAMS if program else 0
    statuses = 0
    for number in range(CHILDREN + programs):
        pid = os.fork()
        if pid == 0:
            try:
                _burn(_CHILD_BURN_S)
                if program and number >= CHILDREN:
                    # a user who can trace it sees its environment, which must not be root's
                    os.execve(program, [program], {})
            finally:
                os._exit(number + 1)
        statuses += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"born": CHILDREN + programs, "execs": programs, "statuses": statuses,
            "cpu_ns": cpu_s * 1e9}  # fmt: skip


def works(directory: str) -> dict[str, Callable[[], Facts]]:
    """All of it, by name. `directory` is where the file for the disk is made."""
    waits = (wait_sleep, wait_poll, wait_pipe, wait_network, wait_lock, wait_condition)
    plain = (cpu, switches, run_queue, *waits, system_calls, opens, files, tcp, udp, processes)
    return {
        **{work.__name__: work for work in plain},
        "disk": Disk(directory),
        "memory": Memory(),
        "threads": Threads(),
    }


def explained(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO)
