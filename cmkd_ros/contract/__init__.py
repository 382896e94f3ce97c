# SPDX-License-Identifier: Apache-2.0
"""The vocabulary every room shares: actions, telemetry channels, samples, student inputs, device protocols, errors.

Nothing here imports another room, and nothing here does work: names, units, ranges, and the one decoder that turns a
message-shaped object (live, or from a bag) into a sample. `test/contract/test_messages.py` holds `msg/` to it.
"""
