# SPDX-License-Identifier: Apache-2.0
"""The pip package. CMakeLists.txt builds and installs, for pip and for colcon alike; this file only names."""

from xml.etree import ElementTree

from scikit_build_core.setuptools.wrapper import setup

package = ElementTree.parse("package.xml").getroot()
maintainer = package.find("maintainer")

setup(
    name=package.findtext("name"),
    version=package.findtext("version"),
    description=" ".join(package.findtext("description").split()),
    maintainer=maintainer.text,
    maintainer_email=maintainer.get("email"),
    license=package.findtext("license"),
    license_files=["LICENSE"],
    project_urls={url.get("type").capitalize(): url.text for url in package.findall("url")},
    # The ROS wheels exist for these versions only.
    python_requires=">=3.11,<3.14",
    install_requires=[
        # The same ROS wheels stand in pyproject.toml: messages must be built against what they run with.
        "ros-jazzy-rclpy[fastrtps]==7.1.6",
        "ros-jazzy-std-msgs==5.3.6",
        "ros-jazzy-sensor-msgs==5.3.6",
        "ros-jazzy-diagnostic-msgs==5.3.6",
        "ros-jazzy-std-srvs==5.3.6",
        # Lower bounds where Ubuntu 24.04's own package must do on a Pi: numpy, OpenCV, rich, typer.
        "matplotlib>=3.6",
        "mcap>=1.6,<2",
        "numpy>=1.26",
        "onnxruntime>=1.20",
        "opencv-python-headless>=4.6",
        "pymodbus[serial]>=3.16,<4",
        "PyYAML>=6",
        "rich>=13.7",
        "rosbags>=0.11.9,<0.12",
        "sounddevice>=0.5",
        "soundfile>=0.12",
        "typer>=0.9",
        "tzdata",
    ],
    extras_require={
        "study": ["highspy>=1.8", "scipy"],  # planners and the studies of `cmkd evaluate`
        "learning": ["torch==2.13.0", "safetensors", "onnx", "scipy"],
        "dev": [
            "highspy>=1.8",
            "hypothesis",
            # Exact: a new release may find new faults in old code, and that should come as a commit of its own.
            "mypy==2.4.1",
            "ruff==0.17.6",
            "onnx",
            "pre-commit",
            "psutil",
            "pvlib",
            "pytest",
            "pytest-timeout",
            "scipy",
            "types-PyYAML",
        ],
    },
    entry_points={"console_scripts": ["cmkd = cmkd_ros.cli.cmkd:main"]},
    packages=[],  # CMakeLists.txt installs them; without this line setuptools guesses packages in launch/ and config/
    cmake_source_dir=".",
    # rosidl writes an egg-info of its own beside pip's record of the package.
    cmake_process_manifest_hook=lambda files: [file for file in files if ".egg-info/" not in file],
)
