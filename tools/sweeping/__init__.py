# What tools/sweep and the tests of tests/sweeps need: something strikes the kernel at every instruction of a path.
# docs/maintaining/sweeps.md says what is swept, and how.
# SPDX-License-Identifier: MIT
