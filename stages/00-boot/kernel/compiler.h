/* compiler.h: the few things that C has no word for. Used everywhere.
 * SPDX-License-Identifier: MIT */
#pragma once

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* One real load or store, neither split nor merged nor left out: for what another CPU or an interrupt changes. */
#define READ_ONCE(object)         (*(const volatile __typeof__(object) *)&(object))
#define WRITE_ONCE(object, value) (*(volatile __typeof__(object) *)&(object) = (value))
