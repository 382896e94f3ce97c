# SPDX-License-Identifier: Apache-2.0
"""The error tree. A message says what is wrong, where, and what to do about it."""


class CmkdError(Exception):
    """Anything this package raises on purpose. The command line prints it without a traceback."""


class ConfigurationError(CmkdError):
    """A site file, register map or parameter that cannot be used. Lists every fault found, not just the first."""

    def __init__(self, where: str, faults: list[str]):
        self.where, self.faults = where, list(faults)
        super().__init__("\n".join([f"{where}: {len(self.faults)} fault(s)", *(f"  - {fault}" for fault in faults)]))


class SampleError(CmkdError):
    """A message or a sample that cannot be decoded (wrong encoding, wrong length)."""


class DeviceError(CmkdError):
    """A camera, microphone or Modbus device that does not answer, or answers nonsense. Callers back off and retry."""


class RegisterError(CmkdError):
    """A value that a register cannot hold, or a register that may not be written. Trying again does not help."""


class ModelError(CmkdError):
    """A model that does not match its manifest, or a manifest that this version cannot serve."""


class PolicyError(CmkdError):
    """A policy that cannot be loaded or used here."""


class BagError(CmkdError):
    """A bag that cannot be read, written or repaired: what is wrong with which file, and what to do about it."""


class EvaluationError(CmkdError):
    """A judged run or a comparison that gives no figure: which, and why."""
