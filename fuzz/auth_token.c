/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tokens of peers against an index, and identities from the control channel. */
#include "core/auth/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN "alk_Ab3dEf9h_0123456789abcdefghijAB"

static const struct alk_auth_index *make_index(void)
{
    struct alk_prng g;
    alk_prng_init(&g, 1);
    struct alk_rand rand = alk_prng_rand(&g);
    struct alk_auth_builder *b = NULL;
    const struct alk_auth_index *index = NULL;
    struct alk_identity_spec spec = {.id = ALK_LIT("laptop")};
    struct alk_auth_token token = {.prefix = "Ab3dEf9h", .id = ALK_LIT("laptop")};
    alk_token_hash(ALK_LIT(TOKEN), token.hash);
    ALK_ASSERT(alk_auth_builder_new(NULL, &rand, &b) == ALK_OK);
    ALK_ASSERT(alk_auth_builder_add_identity(b, &spec, "x") == ALK_OK);
    ALK_ASSERT(alk_auth_builder_add_token(b, &token, false, "x") == ALK_OK);
    ALK_ASSERT(alk_auth_builder_finish(b, 1, &index) == ALK_OK);
    alk_auth_builder_free(b);
    return index;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct alk_auth_index *index;
    struct alk_span in = alk_span(data, size), prefix;
    const struct alk_identity *identity = NULL;
    if (index == NULL) {
        index = make_index();
    }
    /* One string and no other is the token. */
    alk_err err = alk_auth_index_by_token(index, in, 0, &identity);
    ALK_ASSERT((err == ALK_OK) == alk_span_is(in, TOKEN));
    ALK_ASSERT(err == ALK_OK || err == ALK_E_AUTH);
    if (alk_token_parse(in, &prefix)) {
        ALK_ASSERT(in.n == ALK_TOKEN_LEN && prefix.p == data + 4);
        ALK_ASSERT(alk_token_prefix_is_valid(prefix));
    }
    uint8_t hash[ALK_TOKEN_HASH_SIZE];
    if (alk_token_hash_parse(in, hash) == ALK_OK) {
        ALK_ASSERT(in.n == ALK_TOKEN_HASH_TEXT_SIZE - 1);
    }

    struct alk_rd r = alk_rd(in);
    identity = NULL;
    if (alk_identity_get(NULL, &r, &identity) == ALK_OK) {
        /* It prints as it was read. */
        struct alk_buf b;
        alk_buf_init(&b, NULL, ALK_IDENTITY_WIRE_MAX + 4);
        struct alk_wr w = alk_wr_buf(&b);
        alk_identity_put(&w, identity);
        ALK_ASSERT(w.err == ALK_OK);
        ALK_ASSERT(alk_span_equal(alk_buf_span(&b), alk_span_head(in, alk_buf_len(&b))));
        alk_buf_fini(&b);
        alk_identity_unref(identity);
    }
    return 0;
}
