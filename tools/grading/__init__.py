# The grader of the labs: what a submission may be, how its kernel is built and watched, and what is said of it.
# Called by tools/grade; docs/maintaining/grader.md describes the whole.
# SPDX-License-Identifier: MIT
