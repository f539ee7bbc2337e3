/* errno.h: why a system call failed, by Linux's numbers. A call returns one negated.
 * SPDX-License-Identifier: MIT */
#pragma once

#define EPERM  1
#define EBADF  9
#define ENOMEM 12
#define EFAULT 14
#define EEXIST 17
#define EINVAL 22
#define ENOTTY 25
#define ENOSYS 38
