# SPDX-License-Identifier: Apache-2.0
"""ROS for tests: a DDS domain of its own for each test, real nodes in real executors, all gone at the end."""

import fcntl
import os
import random
import tempfile
import threading
import time
from pathlib import Path

import pytest


@pytest.fixture
def domain(monkeypatch, tmp_path):
    """A domain that no other test on this computer uses meanwhile, be it of another run; child processes inherit it.

    DDS computes ports from it, so it stays below 101; state goes to the test's own folder.
    """
    number, lock = _locked_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield number
    lock.close()


def _locked_domain():
    folder = Path(tempfile.gettempdir()) / f"cmkd_ros-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in random.sample(range(1, 101), 100):
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return number, lock
    raise RuntimeError("a hundred tests with ROS at once: no DDS domain is left")


class Ros:
    """Runs nodes, each in a thread of its own, until the test is over."""

    def __init__(self, domain: int):
        import rclpy
        from rclpy.context import Context

        self.context = Context()
        rclpy.init(args=[], context=self.context, domain_id=domain)
        self._running: list = []

    def run(self, node):
        """Spin `node` as the nodes' own main does."""
        from cmkd_ros.middleware.main import spin

        stop, failed = threading.Event(), []
        thread = threading.Thread(target=spin, args=(node, stop, failed), daemon=True)
        thread.start()
        self._running.append((node, stop, thread))
        return node

    def node(self, name: str = "test", **options):
        """A plain node that spins."""
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        node = rclpy.create_node(name, context=self.context, **options)
        executor = SingleThreadedExecutor(context=self.context)
        executor.add_node(node)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                executor.spin_once(timeout_sec=0.05)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._running.append((node, stop, thread))
        return node

    def close(self):
        import rclpy

        for node, stop, thread in reversed(self._running):
            stop.set()
            thread.join(5)
            (node.close if hasattr(node, "close") else node.destroy_node)()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def ros(domain):
    """`Ros` in the test's own domain."""
    pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")
    made = Ros(domain)
    yield made
    made.close()


@pytest.fixture
def until():
    """`until(condition, timeout_s)`: the condition's first true value."""
    return _until


def _until(condition, timeout_s: float = 10.0):
    """The condition's first true value; fails the test when there is none in time."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s")
