/* schedule_list.h: the schedules, one line each. SPDX-License-Identifier: MIT */
SCHEDULE(vp)
SCHEDULE(vp_cosine)
SCHEDULE(vp_discrete)
SCHEDULE(subvp)
SCHEDULE(ve)
SCHEDULE(edm)
SCHEDULE(karras)
SCHEDULE(rf)
