# SPDX-License-Identifier: Apache-2.0
"""Hardware to samples: the camera (OpenCV, simulated) and the microphone (sounddevice, file, simulated)."""
