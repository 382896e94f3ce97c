# SPDX-License-Identifier: Apache-2.0
"""Asks every node of a namespace for its parameters, without holding anybody up. For a bag's metadata."""

from __future__ import annotations

import json
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python


class Survey:
    """Ask by `step`, time and again; `found` fills by and by: parameters by node, then by name."""

    def __init__(self, node: Node):
        self._node = node
        self.found: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()

    def step(self) -> None:
        """Ask nodes that have come up since the last step. Their answers come through the node's executor."""
        own, namespace = self._node.get_fully_qualified_name(), self._node.get_namespace()
        for name, space in self._node.get_node_names_and_namespaces():
            full = f"{space.rstrip('/')}/{name}"
            if full in self._asked or full == own or space != namespace:
                continue
            client = self._node.create_client(ListParameters, f"{full}/list_parameters")
            if client.service_is_ready():
                self._asked.add(full)
                client.call_async(ListParameters.Request()).add_done_callback(
                    lambda future, full=full: self._listed(full, future.result())
                )
            else:
                self._node.destroy_client(client)

    def as_json(self) -> str:
        """What was found, as text."""
        return json.dumps(self.found, sort_keys=True, default=str)

    def _listed(self, full: str, answer: Any) -> None:
        names = [] if answer is None else list(answer.result.names)
        client = self._node.create_client(GetParameters, f"{full}/get_parameters")
        client.call_async(GetParameters.Request(names=names)).add_done_callback(
            lambda future: self._got(full, names, future.result())
        )

    def _got(self, full: str, names: list[str], answer: Any) -> None:
        values = [] if answer is None else [parameter_value_to_python(value) for value in answer.values]
        self.found[full] = dict(zip(names, values))
