# SPDX-License-Identifier: Apache-2.0
"""What to do: the rules, the student under ONNX Runtime, and the one decision function that farm and bag share."""
