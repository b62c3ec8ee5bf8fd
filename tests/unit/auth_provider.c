/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/provider.h"

#include "support/oom.h"

#define KEY   "ed25519:21dd1eb93665cb13851672efbefbb856eb0482753a87cf2c91c25f5673561b99"
#define TOKEN "alk_Ab3dEf9h_0123456789abcdefghijAB"

/* What came back. */
struct answer {
    int count;
    alk_err err;
    uint64_t generation;
    char id[ALK_ID_MAX + 1];
};

static void done(void *ctx, alk_err err, const struct alk_identity *identity, uint64_t generation)
{
    struct answer *a = ctx;
    a->count++;
    a->err = err;
    a->generation = generation;
    assert_true(alk_span_cstr(alk_identity_id(identity), a->id, sizeof(a->id)));
}

/* A member that says what it is told to, at once or when asked to. */
struct fake {
    alk_err err;
    bool is_late;
    int asked;
    /* Of a question that waits. */
    const struct alk_auth_query *query;
    alk_auth_done_fn *done;
    void *ctx;
    /* What it saw. */
    char token[64];
    char key[ALK_FINGERPRINT_MAX];
    char alpn[ALK_ALPN_MAX + 1];
};

static void see(struct fake *f, const struct alk_auth_query *query)
{
    assert_true(alk_span_cstr(query->token, f->token, sizeof(f->token)));
    if (query->fingerprint_count > 0) {
        memcpy(f->key, query->fingerprints[0], sizeof(f->key));
    }
    if (query->context != NULL) {
        memcpy(f->alpn, query->context->alpn, sizeof(f->alpn));
    }
}

static void fake_resolve(void *provider, const struct alk_auth_query *query,
                         alk_auth_done_fn *answer, void *ctx)
{
    struct fake *f = provider;
    f->asked++;
    if (f->is_late) {
        f->query = query;
        f->done = answer;
        f->ctx = ctx;
        return;
    }
    see(f, query);
    answer(ctx, f->err, NULL, 7);
}

static void fake_answer(struct fake *f)
{
    see(f, f->query);
    f->done(f->ctx, f->err, NULL, 7);
}

static const struct alk_identity_provider fake_vtable = {
    .struct_size = sizeof(struct alk_identity_provider), .name = "fake", .resolve = fake_resolve};

static struct alk_chain_provider *chain_of(const struct alk_mem *mem, struct fake *fakes, size_t n)
{
    struct alk_chain_member members[ALK_CHAIN_MAX];
    struct alk_chain_provider *chain = NULL;
    for (size_t i = 0; i < n; i++) {
        members[i] = (struct alk_chain_member){&fake_vtable, &fakes[i]};
    }
    check_err(alk_chain_provider_new(mem, members, n, &chain), ALK_OK);
    return chain;
}

static void ask_token(struct alk_chain_provider *chain, struct answer *ret)
{
    struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN, .token = ALK_LIT(TOKEN)};
    alk_chain_provider_vtable.resolve(chain, &query, done, ret);
}

static void only_unknown_goes_on_to_the_next(void **state)
{
    static const struct {
        const char *name;
        alk_err first, second, want;
        int asked;
    } cases[] = {
        {"the first knows", ALK_OK, ALK_E_AUTH, ALK_OK, 0},
        {"the second knows", ALK_E_AUTH, ALK_OK, ALK_OK, 1},
        {"nobody knows", ALK_E_AUTH, ALK_E_AUTH, ALK_E_AUTH, 1},
        {"revoked stays revoked", ALK_E_REVOKED, ALK_OK, ALK_E_REVOKED, 0},
        {"expired stays expired", ALK_E_EXPIRED, ALK_OK, ALK_E_EXPIRED, 0},
        {"unavailable is denied", ALK_E_UNAVAILABLE, ALK_OK, ALK_E_UNAVAILABLE, 0},
        {"the second is unavailable", ALK_E_AUTH, ALK_E_UNAVAILABLE, ALK_E_UNAVAILABLE, 1},
        {"an error is no pass", ALK_E_INTERNAL, ALK_OK, ALK_E_INTERNAL, 0},
    };
    (void)state;
    /* Each at once and late, in all four combinations. */
    for (size_t i = 0; i < 4 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake f[2] = {{.err = cases[i / 4].first, .is_late = (i & 1) != 0},
                            {.err = cases[i / 4].second, .is_late = (i & 2) != 0}};
        struct answer a = {0};
        struct test_mem mem;
        print_message("%s\n", cases[i / 4].name);
        test_mem_init(&mem, 0);
        struct alk_chain_provider *chain = chain_of(&mem.mem, f, 2);
        ask_token(chain, &a);
        if (f[0].is_late) {
            assert_int_equal(a.count, 0);
            fake_answer(&f[0]);
        }
        if (f[1].is_late && f[1].asked > 0) {
            assert_int_equal(a.count, 0);
            fake_answer(&f[1]);
        }
        assert_int_equal(a.count, 1);
        check_err(a.err, cases[i / 4].want);
        assert_int_equal(a.generation, 7);
        assert_int_equal(f[1].asked, cases[i / 4].asked);
        alk_chain_provider_free(chain);
        test_mem_check(&mem);
    }
}

static void a_late_member_sees_what_the_caller_has_long_freed(void **state)
{
    (void)state;
    struct fake f[2] = {{.err = ALK_E_AUTH, .is_late = true}, {.err = ALK_E_AUTH, .is_late = true}};
    struct answer a = {0};
    struct alk_chain_provider *chain = chain_of(NULL, f, 2);
    {
        struct alk_auth_context context = {.struct_size = sizeof(context), .alpn = "alknet/call"};
        char keys[1][ALK_FINGERPRINT_MAX] = {KEY};
        char token[] = TOKEN;
        struct alk_auth_query query = {
            .kind = ALK_CREDENTIAL_TOKEN,
            .context = &context,
            .fingerprints = (const char(*)[ALK_FINGERPRINT_MAX])keys,
            .fingerprint_count = 1,
            .token = alk_span(token, sizeof(token) - 1),
        };
        alk_chain_provider_vtable.resolve(chain, &query, done, &a);
        memset(&context, 0x55, sizeof(context));
        memset(keys, 0x55, sizeof(keys));
        memset(token, 0x55, sizeof(token));
        memset(&query, 0x55, sizeof(query));
    }
    /* The owner goes first; the answer still comes. */
    alk_chain_provider_free(chain);
    fake_answer(&f[0]);
    fake_answer(&f[1]);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(f[i].token, TOKEN);
        assert_string_equal(f[i].key, KEY);
        assert_string_equal(f[i].alpn, "alknet/call");
    }
    assert_int_equal(a.count, 1);
    check_err(a.err, ALK_E_AUTH);
}

static void what_does_not_fit_is_unknown(void **state)
{
    (void)state;
    static const uint8_t large[257];
    struct fake f[1] = {{.err = ALK_OK}};
    struct answer a = {0};
    struct alk_chain_provider *chain = chain_of(NULL, f, 1);
    struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                   .token = alk_span(large, sizeof(large))};
    alk_chain_provider_vtable.resolve(chain, &query, done, &a);
    assert_int_equal(a.count, 1);
    check_err(a.err, ALK_E_AUTH);
    assert_int_equal(f[0].asked, 0);
    alk_chain_provider_free(chain);
}

static void a_chain_has_one_to_eight_members(void **state)
{
    (void)state;
    struct alk_chain_member members[ALK_CHAIN_MAX + 1] = {{&fake_vtable, NULL}};
    struct alk_chain_provider *chain = NULL;
    check_err(alk_chain_provider_new(NULL, members, 0, &chain), ALK_E_INVALID);
    check_err(alk_chain_provider_new(NULL, members, ALK_CHAIN_MAX + 1, &chain), ALK_E_INVALID);
    assert_null(chain);
    alk_chain_provider_free(NULL);
}

static void without_memory_it_is_unavailable(void **state)
{
    (void)state;
    struct fake f[1] = {{.err = ALK_OK}};
    struct answer a = {0};
    struct test_mem mem;
    test_mem_init(&mem, 2);
    struct alk_chain_provider *chain = chain_of(&mem.mem, f, 1);
    ask_token(chain, &a);
    assert_int_equal(a.count, 1);
    check_err(a.err, ALK_E_UNAVAILABLE);
    assert_int_equal(f[0].asked, 0);
    alk_chain_provider_free(chain);
    test_mem_check(&mem);
}

static uint64_t clock_of(void *ctx)
{
    return *(const uint64_t *)ctx;
}

static const struct alk_auth_index *index_of(const char *id, uint64_t generation)
{
    struct alk_prng g;
    alk_prng_init(&g, 3);
    struct alk_rand rand = alk_prng_rand(&g);
    struct alk_auth_builder *b = NULL;
    const struct alk_auth_index *index = NULL;
    struct alk_identity_spec spec = {.id = alk_span_str(id)};
    struct alk_auth_token t = {.id = spec.id, .prefix = "Ab3dEf9h", .expires_at = 1000};
    alk_token_hash(ALK_LIT(TOKEN), t.hash);
    check_err(alk_auth_builder_new(NULL, &rand, &b), ALK_OK);
    check_err(alk_auth_builder_add_identity(b, &spec, "x"), ALK_OK);
    check_err(alk_auth_builder_add_token(b, &t, false, "x"), ALK_OK);
    check_err(alk_auth_builder_finish(b, generation, &index), ALK_OK);
    alk_auth_builder_free(b);
    return index;
}

static void an_index_provider_answers_from_the_newest_generation(void **state)
{
    (void)state;
    uint64_t now = 10;
    struct alk_index_provider p;
    struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN, .token = ALK_LIT(TOKEN)};
    struct answer a = {0};
    alk_index_provider_init(&p, clock_of, &now);
    alk_index_provider_vtable.resolve(&p, &query, done, &a);
    check_err(a.err, ALK_E_AUTH);

    const struct alk_auth_index *index = index_of("laptop", 5);
    alk_index_provider_set(&p, index);
    alk_auth_index_unref(index);
    alk_index_provider_vtable.resolve(&p, &query, done, &a);
    check_err(a.err, ALK_OK);
    assert_string_equal(a.id, "laptop");
    assert_int_equal(a.generation, 5);

    index = index_of("phone", 6);
    alk_index_provider_set(&p, index);
    alk_auth_index_unref(index);
    alk_index_provider_vtable.resolve(&p, &query, done, &a);
    assert_string_equal(a.id, "phone");
    assert_int_equal(a.generation, 6);

    now = 1000;
    alk_index_provider_vtable.resolve(&p, &query, done, &a);
    check_err(a.err, ALK_E_EXPIRED);
    assert_int_equal(a.count, 4);
    alk_index_provider_fini(&p);
}

static void swap_inside(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct alk_index_provider *p = ctx;
    check_err(err, ALK_OK);
    assert_int_equal(generation, 5);
    alk_index_provider_set(p, NULL);
    check_text(alk_identity_id(identity), "laptop");
}

static void an_answer_lasts_while_the_generation_changes(void **state)
{
    (void)state;
    uint64_t now = 10;
    struct alk_index_provider p;
    struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN, .token = ALK_LIT(TOKEN)};
    alk_index_provider_init(&p, clock_of, &now);
    const struct alk_auth_index *index = index_of("laptop", 5);
    alk_index_provider_set(&p, index);
    alk_auth_index_unref(index);
    alk_index_provider_vtable.resolve(&p, &query, swap_inside, &p);
    assert_null(p.index);
    alk_index_provider_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_unknown_goes_on_to_the_next),
        cmocka_unit_test(a_late_member_sees_what_the_caller_has_long_freed),
        cmocka_unit_test(what_does_not_fit_is_unknown),
        cmocka_unit_test(a_chain_has_one_to_eight_members),
        cmocka_unit_test(without_memory_it_is_unavailable),
        cmocka_unit_test(an_index_provider_answers_from_the_newest_generation),
        cmocka_unit_test(an_answer_lasts_while_the_generation_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
