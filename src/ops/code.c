/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The codes that all operations share. */
#include "core/frame.h"
#include "ops/request.h"

static const struct {
    const char *code;
    const char *text;
} codes[ALK_OPS_CODES] = {
    {ALK_OPS_NOT_FOUND, "there is no such operation"},
    {ALK_OPS_FORBIDDEN, "this is not permitted"},
    {ALK_OPS_UNAUTHENTICATED, "an identity is needed"},
    {ALK_OPS_INVALID_INPUT, "the input does not fit"},
    {ALK_OPS_INVALID_FRAME, "the frame is not valid"},
    {ALK_OPS_TIMEOUT, "no answer in time"},
    {ALK_OPS_ABORTED, "aborted"},
    {ALK_OPS_UNAVAILABLE, "not available now"},
    {ALK_OPS_EXHAUSTED, "a limit is reached"},
    {ALK_OPS_TOO_LARGE, "too large"},
    {ALK_OPS_CONFLICT, "this contradicts what is there"},
    {ALK_OPS_SLOW_CONSUMER, "the answers were not taken in time"},
    {ALK_OPS_EXPIRED, "this has expired"},
    {ALK_OPS_INTERNAL, "internal error"},
    {"OTHER", "failed"},
};

unsigned alk_ops_code_index(const char *code)
{
    unsigned i = 0;
    while (i < ALK_OPS_CODES - 1 && strcmp(codes[i].code, code) != 0) {
        i++;
    }
    return i;
}

const char *alk_ops_code_at(unsigned index)
{
    return codes[index].code;
}

const char *alk_ops_code_text(const char *code)
{
    return codes[alk_ops_code_index(code)].text;
}

bool alk_ops_code_is_retryable(const char *code)
{
    return alk_frame_code_is_retryable(code);
}
