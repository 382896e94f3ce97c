# SPDX-License-Identifier: Apache-2.0
"""Many episodes, over the cores and gone on with after a break, and what their rows say.

`study` makes jobs, `workers` and `execute` do them, `journal` keeps the rows; `statistics` and `summary` read them.
"""
