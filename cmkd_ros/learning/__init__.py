# SPDX-License-Identifier: Apache-2.0
"""How the student comes to know: for now the demo student, fitted in numpy to the rules; later teachers and distillation.

`demo_data` simulates farms, `regression` fits, `demo_graph` writes ONNX, and `demo_student` reads top to bottom.
"""
