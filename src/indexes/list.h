/* list.h: the index kinds, one line each. SPDX-License-Identifier: MIT */
METHOD(flat)
METHOD(ivf)
METHOD(hamming)
