/* pic.h: the two interrupt controllers of the first PCs, which nobody wants any more and which must be silenced.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Moves their vectors away from the CPU's exceptions and masks them all. */
void pic_disable(void);
