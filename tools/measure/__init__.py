# What `make bench` measures, and how: each module of this package is one group of figures.
# Used by tools/bench, and by the test that compares instruction counts with the baseline.
# SPDX-License-Identifier: MIT
