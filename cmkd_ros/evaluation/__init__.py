# SPDX-License-Identifier: Apache-2.0
"""Judged runs: every controller on the same episodes, behind the same envelope, measured by the same objective.

`scenario` says what is run (site, weather, prices, seed), `batch` makes once what no controller changes, `windows`
what a controller may see, `loops` are the fast loops under all of them, `episode` runs and `accounts` settle.
`controllers` names who is judged; `foresight` and `knowing` tell some what no farm knows, which `information` prices.
The rooms inside: `limits` of what is possible, `tuning`, `studies` of many episodes, `show`.
"""
