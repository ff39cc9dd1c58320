# A program that needs nothing at run time; sonde.c and sonde.h lie here.
#
# SPDX-License-Identifier: MIT
musl-gcc -static -O2 -I. demo.c sonde.c -lm -o demo
