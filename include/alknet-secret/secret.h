/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet-secret/secret.h - one seed phrase, every key.
 *
 * From a BIP39 phrase come Ed25519 keys (SLIP-0010) and, where the library was
 * built with libsecp256k1, secp256k1 keys (BIP-0032); what cannot be derived is
 * sealed with AES-256-GCM under a derived key. A library of its own: it needs
 * libsodium, GnuTLS, libunistring and yyjson, and nothing else of alknet.
 *
 * Results are written to memory of the caller and change only on ALKSEC_OK.
 * Where a result is a secret the contract says so: the caller wipes it with
 * alksec_wipe. The objects (alksec_vault, alksec_key) are opaque, live in
 * memory that is locked where the system allows and kept out of core dumps, and
 * are wiped when they are freed; there is no call that copies one.
 *
 * Text goes in as pointer and length. Times are nanoseconds on a clock of the
 * caller's that never goes back. Nothing prints, reads files or the environment.
 * Functions without an object may be called from any thread; a vault too; a key
 * by one thread at a time.
 */
#ifndef ALKNET_SECRET_H
#define ALKNET_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ALKSEC_API       __attribute__((visibility("default")))
#define ALKSEC_NODISCARD __attribute__((warn_unused_result))
#else
#define ALKSEC_API
#define ALKSEC_NODISCARD
#endif

/* Numbers are permanent. */
#define ALKSEC_ERR_MAP(X)                                                                          \
    X(OK, 0, "success")                                                                            \
    X(E_INVALID, -1, "invalid argument")                                                           \
    X(E_NOMEM, -2, "out of memory")                                                                \
    X(E_COUNT, -3, "a phrase has 12, 15, 18, 21 or 24 words")                                      \
    X(E_WORD, -4, "a word is not in the English word list")                                        \
    X(E_CHECKSUM, -5,                                                                              \
      "the words are known, but their checksum is wrong: one is another, or their "                \
      "order")                                                                                     \
    X(E_TEXT, -6, "the passphrase is not valid UTF-8, or too long")                                \
    X(E_PATH, -7, "not a path like m/74'/0'/0'/0'")                                                \
    X(E_HARDENED, -8, "Ed25519 keys have hardened indices only: write 0' or 0h")                   \
    X(E_VERSION, -9, "version 1 is reserved: versions of encryption keys start at 2")              \
    X(E_FORMAT, -10, "not an encrypted value")                                                     \
    X(E_OPEN, -11, "it cannot be opened: the key is another one, or it was changed")               \
    X(E_LOCKED, -12, "the vault is locked")                                                        \
    X(E_STATE, -13, "the vault is unlocked already")                                               \
    X(E_TOO_BIG, -14, "larger than the limit allows")                                              \
    X(E_UNSUPPORTED, -15, "built without secp256k1")                                               \
    X(E_CRYPTO, -16, "a cryptographic operation failed")                                           \
    X(E_XKEY, -17, "not an extended key: xprv... or xpub... in base58")                            \
    X(E_XKEY_CHECKSUM, -18, "the checksum of the extended key is wrong")                           \
    X(E_XKEY_VERSION, -19, "the extended key is neither an xprv nor an xpub")                      \
    X(E_XKEY_ROOT, -20, "the extended key is a master key, yet names a parent or an index")        \
    X(E_XKEY_VALUE, -21, "what the extended key holds is no key of its kind")

#define ALKSEC_ERR_ENUM(name, number, text) ALKSEC_##name = (number),
typedef enum alksec_err { ALKSEC_ERR_MAP(ALKSEC_ERR_ENUM) } alksec_err;
#undef ALKSEC_ERR_ENUM

/* One lower-case sentence without a full stop; static text. It tells nothing of
 * a secret, nor which of several ways a blob was wrong. */
ALKSEC_API const char *alksec_err_text(alksec_err err);

/* Overwrites n bytes in a way that no compiler leaves out. p may be NULL. */
ALKSEC_API void alksec_wipe(void *p, size_t n);

/* Where memory comes from. alloc and resize return NULL when there is none;
 * release accepts NULL. alloc_locked gives zeroed or arbitrary bytes for
 * secrets; what it gave goes back, wiped, through release_locked. Safe to call
 * from every thread that uses objects made with it. A NULL struct alksec_mem
 * pointer means the C library's heap and sodium_malloc. */
struct alksec_mem {
    void *(*alloc)(void *ctx, size_t n);
    void *(*resize)(void *ctx, void *p, size_t n);
    void (*release)(void *ctx, void *p);
    void *(*alloc_locked)(void *ctx, size_t n);
    void (*release_locked)(void *ctx, void *p);
    void *ctx;
};

/* Fills n bytes with randomness. A NULL pointer to one means the system's. */
struct alksec_random {
    void (*fill)(void *ctx, uint8_t *p, size_t n);
    void *ctx;
};

/* --- phrases [BIP39] ------------------------------------------------------------- */

#define ALKSEC_ENTROPY_MAX    32
#define ALKSEC_SEED           64
/* The longest phrase: 24 words of 8 letters, 23 spaces and the zero. */
#define ALKSEC_PHRASE_SIZE    240
/* Bytes of a passphrase, before and after normalisation. */
#define ALKSEC_PASSPHRASE_MAX 1024

/* What is wrong with a phrase, for the person who typed it. */
struct alksec_phrase_error {
    unsigned word_count;    /* words that were found */
    unsigned word;          /* number of the first unknown word, from 1; 0: all are known */
    const char *suggestion; /* the word of the list that it may mean, or NULL; static */
};

/* A new phrase of `words` words. ALKSEC_E_COUNT. *ret is a secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_phrase_new(unsigned words,
                                                         const struct alksec_random *random,
                                                         char ret[ALKSEC_PHRASE_SIZE]);
/* The phrase of 16, 20, 24, 28 or 32 bytes (else ALKSEC_E_COUNT). A secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_phrase_from_entropy(const uint8_t *entropy, size_t n,
                                                                  char ret[ALKSEC_PHRASE_SIZE]);
/* The way back, checksum included. White space between words and capital
 * letters do not matter. ALKSEC_E_COUNT, ALKSEC_E_WORD, ALKSEC_E_CHECKSUM; then
 * *ret_why, which may be NULL, is filled. *ret is a secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_phrase_to_entropy(const char *phrase, size_t n,
                                                                struct alksec_phrase_error *ret_why,
                                                                uint8_t ret[ALKSEC_ENTROPY_MAX],
                                                                size_t *ret_n);
/* Whether a phrase is right; errors as above. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_phrase_check(const char *phrase, size_t n,
                                                           struct alksec_phrase_error *ret_why);
/* The seed of a phrase that is right. The passphrase (NULL, 0: none) is UTF-8
 * and normalised (NFKD): ALKSEC_E_TEXT. Takes milliseconds: 2048 rounds of
 * PBKDF2. *ret is a secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_phrase_seed(const char *phrase, size_t n,
                                                          const char *passphrase,
                                                          size_t passphrase_n,
                                                          uint8_t ret[ALKSEC_SEED]);
/* Word i of the list, 0..2047; NULL beyond. Static. */
ALKSEC_API const char *alksec_word(size_t i);
/* The word of the list that n letters may stand for, or NULL: one with the same
 * first four letters, else one a slip away. Static. */
ALKSEC_API const char *alksec_word_suggest(const char *word, size_t n);

/* --- paths ------------------------------------------------------------------------ */

#define ALKSEC_PATH_MAX  16
#define ALKSEC_PATH_SIZE (1 + ALKSEC_PATH_MAX * 12 + 1) /* as text, with the zero */
#define ALKSEC_HARDENED  UINT32_C(0x80000000)

struct alksec_path {
    uint32_t index[ALKSEC_PATH_MAX]; /* with ALKSEC_HARDENED set where it is */
    unsigned depth;
};

/* "m", "m/74'/0'/0'/1'", "m/44h/60h/0h/0/0". ALKSEC_E_PATH: anything else, more
 * than ALKSEC_PATH_MAX steps, an index above 2^31-1, superfluous zeros. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_path_parse(const char *text, size_t n,
                                                         struct alksec_path *ret);
/* With ' for hardened ones. */
ALKSEC_API void alksec_path_print(const struct alksec_path *path, char ret[ALKSEC_PATH_SIZE]);

/* The identity of node or device n: m/74'/0'/0'/n'. ALKSEC_E_INVALID: n >= 2^31. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_path_identity(uint32_t n, struct alksec_path *ret);
/* Its SSH host key: m/74'/0'/1'/n'. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_path_host_key(uint32_t n, struct alksec_path *ret);
/* Encryption key of a version: m/74'/2'/0'/(version-2)'. ALKSEC_E_VERSION: below 2. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_path_encryption(uint32_t version,
                                                              struct alksec_path *ret);
/* The first Ethereum account: m/44'/60'/0'/0/0. */
ALKSEC_API void alksec_path_ethereum(struct alksec_path *ret);

/* --- keys ------------------------------------------------------------------------- */

enum alksec_curve { ALKSEC_ED25519, ALKSEC_SECP256K1 };
#define ALKSEC_PUBLIC_MAX 33

/* A key with its chain code; freed with alksec_key_free. It is a private one but
 * where it was read from an xpub, or derived from such a key. */
struct alksec_key;

/* The key at a path below a seed of 16 to 64 bytes. ALKSEC_E_INVALID,
 * ALKSEC_E_HARDENED (Ed25519 and an index that is not), ALKSEC_E_UNSUPPORTED,
 * ALKSEC_E_NOMEM, ALKSEC_E_CRYPTO. mem must outlive the key. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_key_derive(const struct alksec_mem *mem,
                                                         enum alksec_curve curve,
                                                         const uint8_t *seed, size_t n,
                                                         const struct alksec_path *path,
                                                         struct alksec_key **ret);
/* NULL is allowed. */
ALKSEC_API void alksec_key_free(struct alksec_key *key);
/* The key at a path below another one. Errors as alksec_key_derive; of a key
 * that is not private an index that is hardened is ALKSEC_E_INVALID; more than 255
 * steps below the master key are ALKSEC_E_TOO_BIG. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_key_child(const struct alksec_mem *mem,
                                                        const struct alksec_key *parent,
                                                        const struct alksec_path *path,
                                                        struct alksec_key **ret);
/* 32 bytes: the Ed25519 seed [RFC 8032], or the secp256k1 scalar; NULL of a key
 * that is not private. A secret; borrows until the key is freed. */
ALKSEC_API const uint8_t *alksec_key_private(const struct alksec_key *key);
/* 32 bytes. Whoever has one with a public key that is not hardened below has
 * its siblings: treat it as a secret. Borrows. */
ALKSEC_API const uint8_t *alksec_key_chain_code(const struct alksec_key *key);
/* The public key: 32 bytes of Ed25519, 33 (compressed) of secp256k1. Borrows. */
ALKSEC_API const uint8_t *alksec_key_public(const struct alksec_key *key, size_t *ret_n);
ALKSEC_API enum alksec_curve alksec_key_curve(const struct alksec_key *key);

/* An extended key as text, with its zero [BIP-0032]. */
#define ALKSEC_XKEY_SIZE 113

/* "xprv...": everything below it follows from it, a secret. ALKSEC_E_INVALID: not
 * private, or not on secp256k1. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_key_print_xprv(const struct alksec_key *key,
                                                             char ret[ALKSEC_XKEY_SIZE]);
/* "xpub...", also of a private key. ALKSEC_E_INVALID: not on secp256k1. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_key_print_xpub(const struct alksec_key *key,
                                                             char ret[ALKSEC_XKEY_SIZE]);
/* Reads either. ALKSEC_E_XKEY: not 82 bytes in base58; then in this order
 * ALKSEC_E_XKEY_CHECKSUM, _VERSION, _ROOT, _VALUE; ALKSEC_E_UNSUPPORTED,
 * ALKSEC_E_NOMEM. Takes time that depends on the text. mem must outlive the key. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_key_parse(const struct alksec_mem *mem,
                                                        const char *text, size_t n,
                                                        struct alksec_key **ret);

/* --- sealed values ---------------------------------------------------------------- */

/* A value sealed with AES-256-GCM, as JSON text:
 *
 *     {"key_version":2,"salt":"...","iv":"...","data":"...","context":"..."}
 *
 * salt (32 random bytes, for wire compatibility; unused), iv (12 random bytes)
 * and data (the ciphertext, then the tag of 16 bytes) are base64. context is
 * there when the value is bound to a place; its bytes are then authenticated. */
#define ALKSEC_KEY         32
#define ALKSEC_PLAIN_MAX   ((size_t)1 << 20) /* bytes of a value */
#define ALKSEC_CONTEXT_MAX 1024
#define ALKSEC_BLOB_MAX    ((size_t)1536 << 10) /* bytes of its text */

/* Borrowed bytes; {NULL, 0}: none. */
struct alksec_span {
    const void *p;
    size_t n;
};

/* Room for the text of a value of plain_n bytes, with its zero. */
ALKSEC_API size_t alksec_blob_size(size_t plain_n, size_t context_n);
/* Seals under a key of that version. The context is UTF-8; empty: none. The text
 * with a zero goes to ret, its length without to *ret_n (may be NULL).
 * ALKSEC_E_VERSION, ALKSEC_E_TOO_BIG (also: ret_size is below alksec_blob_size),
 * ALKSEC_E_TEXT (the context), ALKSEC_E_NOMEM, ALKSEC_E_CRYPTO. */
ALKSEC_API ALKSEC_NODISCARD alksec_err
alksec_blob_seal(const struct alksec_mem *mem, const struct alksec_random *random, uint32_t version,
                 const uint8_t key[ALKSEC_KEY], struct alksec_span plain,
                 struct alksec_span context, char *ret, size_t ret_size, size_t *ret_n);
/* The version of the key that a blob asks for. ALKSEC_E_FORMAT, ALKSEC_E_VERSION,
 * ALKSEC_E_TOO_BIG, ALKSEC_E_NOMEM. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_blob_version(const struct alksec_mem *mem,
                                                           struct alksec_span text, uint32_t *ret);
/* Opens. With a context the blob must be bound to that one; an empty one accepts
 * whatever the blob says. ret needs room for text.n bytes at most, and is zeroed
 * when the value is refused. ALKSEC_E_FORMAT: not of this shape. ALKSEC_E_OPEN:
 * everything else, alike. ALKSEC_E_VERSION, ALKSEC_E_TOO_BIG, ALKSEC_E_NOMEM.
 * The result is a secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_blob_open(const struct alksec_mem *mem,
                                                        struct alksec_span text,
                                                        const uint8_t key[ALKSEC_KEY],
                                                        struct alksec_span context, uint8_t *ret,
                                                        size_t ret_size, size_t *ret_n);

/* --- the vault -------------------------------------------------------------------- */

/* A seed behind a lock. Locked it holds nothing; unlocked it derives keys and
 * remembers them for a while, seals and opens values. lock wipes all of it. Any
 * thread may call any function at any time; they take turns. */
struct alksec_vault;

struct alksec_vault_options {
    const struct alksec_mem *mem;       /* must outlive the vault */
    const struct alksec_random *random; /* the same */
    uint64_t ttl_ns;                    /* how long a derived key is remembered; 0: an hour */
    unsigned cache;                     /* keys remembered, at most 64; 0: 64 */
    bool has_no_cache;                  /* remember none */
};

/* Made locked. options NULL: the defaults. ALKSEC_E_INVALID, ALKSEC_E_NOMEM,
 * ALKSEC_E_CRYPTO. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_new(const struct alksec_vault_options *options,
                                                        struct alksec_vault **ret);
/* Locks, then frees. No other thread may be in a call. NULL is allowed. */
ALKSEC_API void alksec_vault_free(struct alksec_vault *vault);

/* Takes the seed of a phrase; neither phrase nor passphrase is kept. Errors as
 * alksec_phrase_seed; ALKSEC_E_STATE: unlocked already. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_unlock(struct alksec_vault *vault,
                                                           struct alksec_span phrase,
                                                           struct alksec_span passphrase);
/* Makes a phrase, unlocks with it and gives it out, for the owner to write down.
 * *ret_phrase is a secret. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_unlock_new(struct alksec_vault *vault,
                                                               unsigned words,
                                                               struct alksec_span passphrase,
                                                               char ret_phrase[ALKSEC_PHRASE_SIZE]);
ALKSEC_API void alksec_vault_lock(struct alksec_vault *vault);
ALKSEC_API bool alksec_vault_is_unlocked(struct alksec_vault *vault);
/* Keys remembered just now, the too old ones included that nobody has asked for. */
ALKSEC_API unsigned alksec_vault_cached(struct alksec_vault *vault);

/* As alksec_key_derive. ALKSEC_E_LOCKED. Gives the key: it stays until it is freed, also
 * when the vault is locked. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_derive(struct alksec_vault *vault,
                                                           uint64_t now_ns, enum alksec_curve curve,
                                                           const struct alksec_path *path,
                                                           struct alksec_key **ret);
/* As alksec_blob_seal, under the derived key of that version. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_encrypt(struct alksec_vault *vault,
                                                            uint64_t now_ns, uint32_t version,
                                                            struct alksec_span plain,
                                                            struct alksec_span context, char *ret,
                                                            size_t ret_size, size_t *ret_n);
/* As alksec_blob_open, with the key of the version that the blob names. */
ALKSEC_API ALKSEC_NODISCARD alksec_err
alksec_vault_decrypt(struct alksec_vault *vault, uint64_t now_ns, struct alksec_span text,
                     struct alksec_span context, uint8_t *ret, size_t ret_size, size_t *ret_n);
/* The same value under another version, with the same context. ret needs
 * text.n + 64 bytes at most. Errors of both. */
ALKSEC_API ALKSEC_NODISCARD alksec_err alksec_vault_rotate(struct alksec_vault *vault,
                                                           uint64_t now_ns, uint32_t version,
                                                           struct alksec_span text, char *ret,
                                                           size_t ret_size, size_t *ret_n);

#ifdef __cplusplus
}
#endif

#endif
