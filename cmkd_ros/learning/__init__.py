# SPDX-License-Identifier: Apache-2.0
"""How a student comes to know what to do. So far the demo student only, fitted in numpy to the rules on simulated days.

`demo_student` reads top to bottom; `demo_data` simulates farms, `regression` fits, `demo_graph` writes ONNX.
"""
