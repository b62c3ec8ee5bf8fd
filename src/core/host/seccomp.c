/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A deny list: the handlers and the programs they start are ordinary programs,
 * for which an allow list would break with the next libc. What is denied is what
 * attacks on a kernel and on neighbours are made of. */
#include "core/host/seccomp.h"

#include "base/assert.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#define X32_BIT 0x40000000u
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

/* Newer than the oldest headers we build with; the same on all architectures. */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#if defined(ARCH)
static const uint16_t killed[] = {
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
};

static const uint16_t denied[] = {
    /* kernel code and its interpreters */
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_bpf,
#if defined(SYS_kexec_file_load)
    SYS_kexec_file_load,
#endif
    SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register, SYS_personality,
    /* file systems and namespaces */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree, SYS_fsopen,
    SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_quotactl, SYS_quotactl_fd,
    SYS_setns, SYS_unshare, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_fanotify_init,
    SYS_swapon, SYS_swapoff,
    /* keys, other processes */
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_kcmp, SYS_pidfd_getfd, SYS_process_madvise,
    SYS_move_pages, SYS_migrate_pages,
    /* the machine */
    SYS_reboot, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_acct,
    SYS_syslog, SYS_sethostname, SYS_setdomainname, SYS_vhangup, SYS_lookup_dcookie,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl,
    SYS_create_module, SYS_get_kernel_syms, SYS_query_module, SYS_nfsservctl, SYS_vserver,
#endif
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PROGRAM_MAX (32 + 2 * (COUNT(killed) + COUNT(denied)))

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short n;
};

static void put(struct program *p, unsigned code, uint8_t jt, uint8_t jf, uint32_t k)
{
    ALK_ASSERT(p->n < PROGRAM_MAX);
    p->code[p->n++] = (struct sock_filter){(uint16_t)code, jt, jf, k};
}

static void put_load(struct program *p, size_t offset)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* If the accumulator is k: this result. */
static void put_if(struct program *p, uint32_t k, uint32_t result)
{
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, k);
    put(p, BPF_RET | BPF_K, 0, 0, result);
}

/* Low half of argument i: the flags looked at here all live there. */
static size_t low_arg(unsigned i)
{
    size_t at = offsetof(struct seccomp_data, args) + i * sizeof(uint64_t);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    at += sizeof(uint32_t);
#endif
    return at;
}

static void build(struct program *p)
{
    const uint32_t eperm = SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA);
    put_load(p, offsetof(struct seccomp_data, arch));
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
    put(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
    put_load(p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    put(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
    put(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < COUNT(killed); i++) {
        put_if(p, killed[i], SECCOMP_RET_KILL_PROCESS);
    }
    for (size_t i = 0; i < COUNT(denied); i++) {
        put_if(p, denied[i], eperm);
    }
    /* clone3 hides its flags in memory; libc falls back to clone. */
    put_if(p, SYS_clone3, SECCOMP_RET_ERRNO | (ENOSYS & SECCOMP_RET_DATA));
    /* clone: no new namespaces */
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_clone);
    put_load(p, low_arg(0));
    put(p, BPF_JMP | BPF_JSET | BPF_K, 0, 6, NAMESPACES);
    put(p, BPF_RET | BPF_K, 0, 0, eperm);
    /* ioctl: no typing into a terminal */
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_ioctl);
    put_load(p, low_arg(1));
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, TIOCSTI);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, TIOCLINUX);
    put(p, BPF_RET | BPF_K, 0, 0, eperm);
    put(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

bool alk_seccomp_enter(void)
{
    struct program p = {.n = 0};
    build(&p);
    const struct sock_fprog prog = {.len = p.n, .filter = p.code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0;
}
#else
bool alk_seccomp_enter(void)
{
    return false; /* an architecture whose numbers we have not checked */
}
#endif
