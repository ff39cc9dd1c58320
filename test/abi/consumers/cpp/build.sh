# C++ through sonde.hpp, shared library.
#
# SPDX-License-Identifier: MIT
c++ -std=c++17 demo.cpp $(pkg-config --cflags --libs sonde) -o demo
