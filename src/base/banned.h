/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/banned.h - functions that must not compile.
 *
 * The build includes this header before every source file of ours. They are
 * unbounded (strcpy, sprintf, gets), hide failure (atoi), share state (strtok,
 * gmtime, rand), start a shell (system), or race (tmpnam, mktemp). Instead:
 * struct alk_buf, struct alk_wr, alk_span_u64, alk_rand, posix_spawn, mkstemp.
 *
 * The headers that declare them come first: poison forbids later declarations.
 */
#ifndef ALK_BASE_BANNED_H
#define ALK_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if !defined(__wasm__)
#include <alloca.h>
#include <unistd.h>
#endif

#undef alloca
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok atoi atol
#pragma GCC poison gmtime localtime ctime asctime tmpnam mktemp

/* Words that also stand in other libraries' headers: calls only. */
#define alloca(...) alk_banned_alloca(__VA_ARGS__)
#define rand(...)   alk_banned_rand(__VA_ARGS__)
#define srand(...)  alk_banned_srand(__VA_ARGS__)
#define system(...) alk_banned_system(__VA_ARGS__)

#endif
