# The checks of the kernel's machine code that need no run: tools/check-entry puts them together, and
# docs/maintaining/static-checks.md says what they prove and what they take for granted.
# SPDX-License-Identifier: MIT
