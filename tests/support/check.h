/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/check.h - what every decoder's test calls.
 *
 * Inputs are handed over in memory of their exact size, so that AddressSanitizer
 * sees a read one byte too far. A failed check fails the running cmocka test and
 * prints where in the input it happened.
 */
#ifndef ALK_TEST_CHECK_H
#define ALK_TEST_CHECK_H

#include "base/buf.h"
#include "base/wire.h"

/* cmocka.h needs these four first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A parser in the shape of STYLE.md §2: *r and *ret change on ALK_OK only. */
typedef alk_err check_parse_fn(struct alk_rd *r, void *ret);

/* whole parses with ALK_OK and is used up; every proper prefix gives ALK_MORE
 * and changes neither the reader nor the ret_size bytes of the result. */
void check_prefixes(struct alk_span whole, check_parse_fn *parse, size_t ret_size);

/* Feeds the pieces in their order to a fresh object and writes what came of it
 * (events, output, errors) as text into *trace. */
typedef void check_feed_fn(const struct alk_span *pieces, size_t n, struct alk_buf *trace,
                           void *ctx);
/* However the stream is cut - in one piece, in two at every place, byte by byte,
 * at random places - the trace is the same. */
void check_splits(struct alk_span whole, check_feed_fn *feed, void *ctx);

/* Looks at any input at all; what it returns does not matter. */
typedef void check_input_fn(struct alk_span in, void *ctx);
/* Every bit flipped, every byte 00, ff, 7f and 80, every byte left out, doubled,
 * every cut, and 2 000 random combinations: nothing crashes. */
void check_mutations(struct alk_span whole, check_input_fn *look, void *ctx);

/* err, with its name in the message. */
#define check_err(got, want) check_err_at((got), (want), __FILE__, __LINE__)
void check_err_at(alk_err got, alk_err want, const char *file, int line);
/* The span holds exactly this text. */
#define check_text(got, want) check_text_at((got), (want), __FILE__, __LINE__)
void check_text_at(struct alk_span got, const char *want, const char *file, int line);

#endif
