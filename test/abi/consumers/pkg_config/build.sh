# Shared library, flags from pkg-config.
#
# SPDX-License-Identifier: MIT
cc demo.c $(pkg-config --cflags --libs sonde) -o demo
