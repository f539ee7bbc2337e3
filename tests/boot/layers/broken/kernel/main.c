/* main.c: no C at all. Used by tests/boot/test_contract.py, for a build that fails.
 * SPDX-License-Identifier: MIT */
this does not compile
