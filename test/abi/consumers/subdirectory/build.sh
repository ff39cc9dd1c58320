# The amalgamation as a part of the project.
#
# SPDX-License-Identifier: MIT
cmake -S . -B build
cmake --build build
