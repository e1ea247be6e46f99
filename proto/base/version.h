/* SPDX-License-Identifier: Apache-2.0
 * proto/base/version.h - what `git describe` said when this was built
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

extern const char build_version[];

#endif
