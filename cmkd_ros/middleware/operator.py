# SPDX-License-Identifier: Apache-2.0
"""A person's hand on the farm: one service call to the fusion node, from the command line."""

from __future__ import annotations

import contextlib
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from cmkd_ros.contract.errors import CmkdError
from cmkd_ros.middleware.bringup import NAMESPACE
from cmkd_ros.srv import SetOverride, SetPolicy


def set_override(
    actuator: str, value: float, duration_s: float, reason: str, namespace: str = NAMESPACE
) -> tuple[bool, str]:
    """Whether the override was accepted, and why. Raises `CmkdError` when no fusion node answers."""
    request = SetOverride.Request(actuator=actuator, value=value, duration_s=duration_s, reason=reason)
    answer = _call(SetOverride, "set_override", request, namespace)
    return answer.accepted, answer.message


def set_policy(policy: str, reason: str, namespace: str = NAMESPACE) -> tuple[bool, str]:
    """Whether the policy was changed, and why. Raises `CmkdError` when no fusion node answers."""
    answer = _call(SetPolicy, "set_policy", SetPolicy.Request(policy=policy, reason=reason), namespace)
    return answer.accepted, answer.message


def _call(kind: Any, name: str, request: Any, namespace: str, timeout_s: float = 5.0) -> Any:
    context = Context()
    rclpy.init(args=[], context=context)
    with contextlib.ExitStack() as leave:
        leave.callback(rclpy.try_shutdown, context=context)
        node = rclpy.create_node("operator", namespace=namespace, context=context, use_global_arguments=False)
        leave.callback(node.destroy_node)
        client = node.create_client(kind, name)
        if not client.wait_for_service(timeout_s):
            raise CmkdError(f"nobody serves {namespace}/{name}: is the farm up, and is this its namespace?")
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        future = client.call_async(request)
        executor.spin_until_future_complete(future, timeout_s)
        if not future.done():
            raise CmkdError(f"{namespace}/{name} did not answer within {timeout_s:g} s")
        return future.result()
