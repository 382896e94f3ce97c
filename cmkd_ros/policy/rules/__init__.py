# SPDX-License-Identifier: Apache-2.0
"""The best simple rules: five pure functions, one an actuator, over the same window that the student sees.

`reading` takes the facts out of a window, `outlook` guesses the next 24 hours from them, and `light`, `battery`,
`climate`, `water` and `co2` decide. `settings` holds every number that a tuner may choose. All work on a leading batch
axis; a fact that is not known never becomes NaN in an action, it takes a fallback that the function names.
"""

from cmkd_ros.policy.rules.policy import Rules
from cmkd_ros.policy.rules.settings import RuleSettings, load_settings, save_settings, settings_for

__all__ = ["RuleSettings", "Rules", "load_settings", "save_settings", "settings_for"]
