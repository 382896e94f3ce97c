# SPDX-License-Identifier: Apache-2.0
"""Formulas that several rooms share: sun and clear sky (held to pvlib by a test), vapour pressure."""
