# Shared library, flags by hand. PREFIX is where Sonde is installed.
#
# SPDX-License-Identifier: MIT
cc demo.c -I"$PREFIX/include" -L"$PREFIX/lib" -lsonde -o demo
