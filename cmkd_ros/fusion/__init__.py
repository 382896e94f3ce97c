# SPDX-License-Identifier: Apache-2.0
"""Samples to windows to tensors: which sample belongs to which decision, what is stale, what is masked."""
