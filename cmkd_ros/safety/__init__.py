# SPDX-License-Identifier: Apache-2.0
"""The safety envelope: what five actuators may do now, whoever asks. Pure: meters, proposals, time and state in.

`Envelope` is the state machine for any number of farms; `Gatekeeper` is its live use for one; `safe_programme` is what
each actuator does when nobody decides; `LIMITS` names the limits in their order, as docs/safety.md does.
"""

from cmkd_ros.safety.envelope import Envelope, Interventions
from cmkd_ros.safety.explain import Reason, binding, explain
from cmkd_ros.safety.gatekeeper import Answer, Gatekeeper, Step
from cmkd_ros.safety.journal import Event
from cmkd_ros.safety.limits import LIMIT_INDEX, LIMIT_NAMES, LIMITS, ORDER, Limit
from cmkd_ros.safety.meters import Meters, unmetered
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.safety.programmes import safe_programme
from cmkd_ros.safety.state import EnvelopeState

__all__ = [
    "Answer",
    "Envelope",
    "EnvelopeOptions",
    "EnvelopeState",
    "Event",
    "Gatekeeper",
    "Interventions",
    "LIMITS",
    "LIMIT_INDEX",
    "LIMIT_NAMES",
    "Limit",
    "Meters",
    "ORDER",
    "Reason",
    "Step",
    "binding",
    "explain",
    "safe_programme",
    "unmetered",
]
