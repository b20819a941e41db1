/* SPDX-License-Identifier: MIT */
#include "chroot/syscalls.h"

#include "base/util.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>

/* Each is possible with what systemd-nspawn(1), --capability=, leaves to root in a container; what needs other capabilities
 * (modules, the clock) needs no entry. */
static const int denied[] = {
        /* any file of a filesystem, past every root */
        SCMP_SYS(open_by_handle_at),
        /* another kernel */
        SCMP_SYS(kexec_load),
        SCMP_SYS(kexec_file_load),
        /* the limits of jobs: disk, memory */
        SCMP_SYS(quotactl),
        SCMP_SYS(quotactl_fd),
        SCMP_SYS(swapon),
        SCMP_SYS(swapoff),
        /* what the kernel does, and with whom */
        SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open),
        /* keyrings, which know no namespaces: keyrings(7) */
        SCMP_SYS(add_key),
        SCMP_SYS(request_key),
        SCMP_SYS(keyctl),
};

/* What the VM's CPU executes beside its own, by its own architecture: the numbers of system calls differ. */
static const struct {
        uint32_t native, other[2];
} compatible[] = {
        {SCMP_ARCH_X86_64, {SCMP_ARCH_X86, SCMP_ARCH_X32}},
        {SCMP_ARCH_AARCH64, {SCMP_ARCH_ARM, SCMP_ARCH_ARM}},
};

/* 0, or an errno as a negative number, as libseccomp has it. */
static int add_rules(scmp_filter_ctx filter)
{
        uint32_t native = seccomp_arch_native();
        int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(compatible); i++)
                for (size_t j = 0; r == 0 && j < ARRAY_SIZE(compatible[i].other) && compatible[i].native == native; j++)
                        if (seccomp_arch_exist(filter, compatible[i].other[j]) == -EEXIST)
                                r = seccomp_arch_add(filter, compatible[i].other[j]);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(denied); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
        return r == 0 ? seccomp_load(filter) : r;
}

int syscalls_deny(struct error *err)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int r = filter ? add_rules(filter) : -ENOMEM;

        if (filter)
                seccomp_release(filter);
        return r < 0 ? error_errno(err, -r, "cannot keep the VM's kernel from what is in the chroot") : 0;
}
