/* SPDX-License-Identifier: Apache-2.0
 * proto/base/version.c - the one file that is compiled again when the version changes
 */
#include "base/version.h"

const char build_version[] = VERSION;
