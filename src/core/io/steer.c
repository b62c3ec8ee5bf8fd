/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/steer.h"

#include "core/io/sock.h"

#include <errno.h>

#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF 51
#endif

/* Offsets in the UDP payload [RFC 8999 §5]. */
enum { AT_FLAGS = 0, AT_SHORT_CID = 1, AT_DCID_LEN = 5, AT_LONG_CID = 6 };
#define LONG_HEADER 0x80

struct program {
    struct sock_filter *code;
    size_t n;
};

static void emit(struct program *p, unsigned code, uint8_t jt, uint8_t jf, uint32_t k)
{
    p->code[p->n++] = (struct sock_filter){(uint16_t)code, jt, jf, k};
}

/* A is an id: return the slot of the loop that has it, else fall through. */
static void emit_table(struct program *p, const struct alk_steer_loop *loops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, loops[i].id);
        emit(p, BPF_RET | BPF_K, 0, 0, loops[i].slot);
    }
}

/* Spreads by the 32 bits at the offset over the loops that accept. */
static void emit_spread(struct program *p, const struct alk_steer_loop *loops, size_t n,
                        uint32_t offset)
{
    uint32_t accepting = 0;
    for (size_t i = 0; i < n; i++) {
        accepting += loops[i].is_accepting ? 1 : 0;
    }
    ALK_ASSERT(accepting > 0);
    emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
    emit(p, BPF_ALU | BPF_MOD | BPF_K, 0, 0, accepting);
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!loops[i].is_accepting) {
            continue;
        }
        if (at + 1 < accepting) {
            emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, at);
        }
        emit(p, BPF_RET | BPF_K, 0, 0, loops[i].slot);
        at++;
    }
}

size_t alk_steer_program(const struct alk_steer_loop *loops, size_t n, uint8_t cid_len,
                         struct sock_filter *ret)
{
    struct program p = {.code = ret};
    ALK_ASSERT(n > 0 && n <= ALK_STEER_MAX);
    emit(&p, BPF_LD | BPF_B | BPF_ABS, 0, 0, AT_FLAGS);
    /* A conditional jump reaches 255 instructions only: jump over a JA. */
    emit(&p, BPF_JMP | BPF_JSET | BPF_K, 0, 1, LONG_HEADER);
    size_t to_long = p.n;
    emit(&p, BPF_JMP | BPF_JA, 0, 0, 0);

    emit(&p, BPF_LD | BPF_B | BPF_ABS, 0, 0, AT_SHORT_CID);
    emit_table(&p, loops, n);
    emit(&p, BPF_RET | BPF_K, 0, 0, loops[0].slot); /* an ID that no loop ever gave */

    ret[to_long].k = (uint32_t)(p.n - to_long - 1);
    emit(&p, BPF_LD | BPF_B | BPF_ABS, 0, 0, AT_DCID_LEN);
    emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, cid_len);
    size_t to_spread = p.n;
    emit(&p, BPF_JMP | BPF_JA, 0, 0, 0);
    emit(&p, BPF_LD | BPF_B | BPF_ABS, 0, 0, AT_LONG_CID);
    emit_table(&p, loops, n);
    ret[to_spread].k = (uint32_t)(p.n - to_spread - 1);
    emit_spread(&p, loops, n, AT_LONG_CID);
    return p.n;
}

alk_err alk_steer_attach(int fd, const struct alk_steer_loop *loops, size_t n, uint8_t cid_len)
{
    struct sock_filter code[ALK_STEER_CODE(ALK_STEER_MAX)];
    struct sock_fprog program = {.filter = code};
    program.len = (unsigned short)alk_steer_program(loops, n, cid_len, code);
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0
               ? ALK_OK
               : alk_sock_err(errno);
}
