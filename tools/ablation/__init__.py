# What tools/ablate is made of: which instructions there are, the runs that could notice that one is gone, the table.
# SPDX-License-Identifier: MIT
