"""demo.py: the shared library from Python without any binding.

SPDX-License-Identifier: MIT
"""

import ctypes

sonde = ctypes.CDLL("libsonde.so.1")
sonde.sonde_version.restype = ctypes.c_char_p
print("sonde", sonde.sonde_version().decode())
