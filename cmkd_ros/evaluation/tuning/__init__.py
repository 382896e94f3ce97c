# SPDX-License-Identifier: Apache-2.0
"""The documented search for the settings of simple controllers, on training worlds and within a stated budget.

`tuned` says what can be tuned on which worlds; `search` does it with `evolution` over a `crowd` of the same worlds.
"""
