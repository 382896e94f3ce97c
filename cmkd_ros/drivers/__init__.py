# SPDX-License-Identifier: Apache-2.0
"""Hardware to samples: the camera (OpenCV, simulated) and the microphone (sounddevice, file, simulated).

`make_camera` and `make_microphone` choose by the source's name; `Reconnecting` runs either for ever in a thread.
"""

from cmkd_ros.drivers.backoff import Backoff, Reconnecting
from cmkd_ros.drivers.camera import CameraOptions, make_camera
from cmkd_ros.drivers.microphone import MicrophoneOptions, make_microphone

__all__ = ["Backoff", "CameraOptions", "MicrophoneOptions", "Reconnecting", "make_camera", "make_microphone"]
