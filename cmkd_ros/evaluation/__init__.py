# SPDX-License-Identifier: Apache-2.0
"""Judged runs and what is shown of them: the simulated farm under a policy behind the safety envelope, and pictures."""
