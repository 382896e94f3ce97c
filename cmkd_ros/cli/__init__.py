# SPDX-License-Identifier: Apache-2.0
"""The cmkd command. Composes rooms; a room is imported only when its subcommand runs."""
