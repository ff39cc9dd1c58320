/* list.h: the methods of this room, one line each. SPDX-License-Identifier: MIT */
METHOD(rotation)
METHOD(pca)
METHOD(normalise)
