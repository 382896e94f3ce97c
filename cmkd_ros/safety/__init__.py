# SPDX-License-Identifier: Apache-2.0
"""The safety envelope: what five actuators may do now, whoever asks. Pure: meters, proposals, time and state in."""
