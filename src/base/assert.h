/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/assert.h - assertions about our own bugs; never about peer data, memory
 * or the environment.
 *
 * ALK_ASSERT is always on and cheap. ALK_DEBUG_ASSERT may be costly and is only
 * compiled with ALK_DEBUG. Both call the hook, which must not return; without
 * one the program traps.
 */
#ifndef ALK_BASE_ASSERT_H
#define ALK_BASE_ASSERT_H

typedef void alk_assert_fn(const char *file, int line, const char *what);
/* Set once before any other call; NULL restores the trap. */
void alk_assert_hook(alk_assert_fn *fn);
_Noreturn void alk_assert_failed(const char *file, int line, const char *what);

#define ALK_ASSERT(cond)  ((cond) ? (void)0 : alk_assert_failed(__FILE__, __LINE__, #cond))
#define ALK_UNREACHABLE() alk_assert_failed(__FILE__, __LINE__, "unreachable")
#ifdef ALK_DEBUG
#define ALK_DEBUG_ASSERT(cond) ALK_ASSERT(cond)
#else
#define ALK_DEBUG_ASSERT(cond) ((void)sizeof(cond))
#endif

#endif
