# SPDX-License-Identifier: Apache-2.0
# Builds against ROS 2 from PyPI's wheels. pip reads this file (pyproject.toml says so); colcon on a real ROS 2 does not.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND "${Python3_EXECUTABLE}" -c "import ament_package; print(ament_package.__file__, end='')"
  OUTPUT_VARIABLE module COMMAND_ERROR_IS_FATAL ANY)

# <prefix>/lib/python3.x/site-packages/ament_package/__init__.py, in a virtual environment or in pip's for the build.
string(REGEX MATCH "^(.*)/(lib/[^/]+/site-packages)/" _ "${module}")
set(prefix "${CMAKE_MATCH_1}")
set(PYTHON_INSTALL_DIR "${CMAKE_MATCH_2}")
set(ENV{AMENT_PREFIX_PATH} "${prefix}")
list(PREPEND CMAKE_PREFIX_PATH "${prefix}")

# The wheels' imported targets name folders of the machine that built them, which CMake refuses.
function(drop_foreign_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(includes)
      list(FILTER includes EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${includes}")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL drop_foreign_includes)
