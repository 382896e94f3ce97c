# SPDX-License-Identifier: Apache-2.0
"""Running nodes: each in its own executor and thread, so that one that blocks does not stop another; stopped in order.

Exit codes: 0 asked to stop (SIGINT, SIGTERM), 1 a fault, 2 parameters that cannot be used (starting again won't help).
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.middleware.lifecycle import FarmNode

STOPPED, FAULT, UNUSABLE = 0, 1, 2
JOIN_S = 3.0


def run(make_node: Callable[[], FarmNode[Any]]) -> None:
    """The `main` of a node's executable: runs it until SIGINT or SIGTERM, then leaves the process."""
    sys.exit(run_together(lambda: [make_node()]))


def run_together(make_nodes: Callable[[], list[FarmNode[Any]]]) -> int:
    """Run nodes in this process until SIGINT or SIGTERM; returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # rclpy's own handlers shut the context down at once, and nothing could be written or published on the way out.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        nodes = make_nodes()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        rclpy.try_shutdown()
        return UNUSABLE
    failed: list[FarmNode[Any]] = []
    threads = [threading.Thread(target=spin, args=(node, stop, failed), daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(JOIN_S)
    for node in nodes:
        node.close()
    rclpy.try_shutdown()
    return FAULT if failed else STOPPED


def spin(node: FarmNode[Any], stop: threading.Event, failed: list[FarmNode[Any]]) -> None:
    """Run a node's callbacks until `stop` is set. A context that was shut down adds the node to `failed`."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    try:
        while not stop.is_set():
            _spin_once(executor, node)
    except ExternalShutdownException:
        failed.append(node)
    finally:
        stop.set()
        executor.remove_node(node)
        executor.shutdown(timeout_sec=0)


def _spin_once(executor: SingleThreadedExecutor, node: FarmNode[Any]) -> None:
    """One callback. What it raises restarts its node, in this process; the log has the traceback."""
    try:
        executor.spin_once(timeout_sec=1.0)  # the housekeeping timer wakes it five times a second
    except ExternalShutdownException:
        raise
    except Exception as error:
        node.get_logger().error(traceback.format_exc())
        node.restart(f"{type(error).__name__}: {error}")
