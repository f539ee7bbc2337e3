# The machines that ringstep runs on: how QEMU and Bochs are started, stopped and talked to.
# Used by tools/boot, and by whatever drives a debugger. Only the standard library is needed.
# SPDX-License-Identifier: MIT
