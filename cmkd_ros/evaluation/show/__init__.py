# SPDX-License-Identifier: Apache-2.0
"""Pictures: the report of a study, and the preview of a simulated day, in one look (`drawing`)."""
