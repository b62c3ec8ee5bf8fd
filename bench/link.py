# SPDX-License-Identifier: MIT OR Apache-2.0
"""A link with a round trip: two network namespaces, a TUN device in each, and a
process between that hands every IP packet on after half of it. UDP and TCP go the
same way, packet by packet; nothing on the way ends a connection. Needs root.

    with Link(50) as link:
        subprocess.run([*link.at(0), "ping", "-c1", link.address(1)])
"""
import ctypes
import fcntl
import heapq
import os
import select
import signal
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_MAX = 65536
QUEUE_MAX = 16384  # packets on the way, each direction; more are dropped


def possible():
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.R_OK | os.W_OK)


def enter(namespace):
    """This thread's network from now on."""
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Link:
    def __init__(self, round_trip_ms):
        self.delay = round_trip_ms / 2000
        self.holders, self.tuns, self.relay = [], [], 0

    def __enter__(self):
        try:
            for end in (0, 1):
                self.make_end(end)
            self.relay = os.fork()
            if self.relay == 0:
                try:
                    carry(self.tuns, self.delay)
                finally:
                    os._exit(1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for fd in self.tuns:
            os.close(fd)
        if self.relay > 0:
            os.kill(self.relay, signal.SIGKILL)
            os.waitpid(self.relay, 0)
        for p in self.holders:
            p.kill()
            p.wait()

    def at(self, end):
        """Words before a command that is to run at this end."""
        return ["nsenter", f"--net=/proc/{self.holders[end].pid}/ns/net"]

    @staticmethod
    def address(end):
        return f"10.99.0.{end + 1}"

    def make_end(self, end):
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
                                  stdout=subprocess.PIPE)
        self.holders.append(holder)
        holder.stdout.readline()
        home = open("/proc/thread-self/ns/net")
        try:
            with open(f"/proc/{holder.pid}/ns/net") as there:
                enter(there)
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self.tuns.append(fd)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TUN | IFF_NO_PI))
        finally:
            enter(home)
            home.close()
        for words in (["addr", "add", self.address(end) + "/30", "dev", "far"],
                      ["link", "set", "dev", "far", "up", "txqueuelen", "10000"],
                      ["link", "set", "dev", "lo", "up"]):
            subprocess.run([*self.at(end), "ip", *words], check=True)


def carry(tuns, delay):
    """Every packet comes out at the other end `delay` later, in order."""
    waiting, count = [], 0
    poller = select.epoll()
    for fd in tuns:
        poller.register(fd, select.EPOLLIN)
    other = {tuns[0]: tuns[1], tuns[1]: tuns[0]}
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, fd, packet = heapq.heappop(waiting)
            try:
                os.write(fd, packet)
            except OSError:
                pass  # a link loses what does not fit
        patience = waiting[0][0] - now if waiting else -1
        for fd, _ in poller.poll(patience):
            try:
                while len(waiting) < QUEUE_MAX:
                    packet = os.read(fd, PACKET_MAX)
                    count += 1
                    heapq.heappush(waiting, (time.monotonic() + delay, count, other[fd], packet))
            except BlockingIOError:
                pass
