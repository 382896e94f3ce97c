# SPDX-License-Identifier: Apache-2.0
"""Thin lifecycle nodes, one executable a file: they wire topics, timers and services to the rooms that know."""
