/* list.h: the methods of this room, one line each. SPDX-License-Identifier: MIT */
METHOD(raw)
METHOD(sq)
METHOD(pq)
METHOD(kmeans)
