# An installed Sonde from CMake. PREFIX is where it is installed.
#
# SPDX-License-Identifier: MIT
cmake -S . -B build -DCMAKE_PREFIX_PATH="$PREFIX"
cmake --build build
