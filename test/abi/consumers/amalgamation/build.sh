# The whole library compiled beside the program; sonde.c and sonde.h lie here.
#
# SPDX-License-Identifier: MIT
cc -O2 -I. demo.c sonde.c -lm -o demo
