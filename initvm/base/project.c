/* SPDX-License-Identifier: MIT */
#include "base/project.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What quotactl(2) counts in: QIF_DQBLKSIZE. */
#define QUOTA_BLOCK 1024u

static int unsupported(const char *folder, struct error *err)
{
        return error_set(err, ERR_UNSUPPORTED,
                         "the filesystem of '%s' in the VM has no project quotas, as that of a VM of an older initvm; make a new "
                         "VM, or set "
                         "no limit for the disk",
                         folder);
}

int project_assign(const char *folder, uint32_t project, struct error *err)
{
        autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct fsxattr attributes;

        if (fd < 0)
                return error_errno(err, errno, "cannot open the folder '%s'", folder);
        if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
                return unsupported(folder, err);
        attributes.fsx_projid = project;
        attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
        if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) == 0)
                return 0;
        return errno == EOPNOTSUPP ? unsupported(folder, err) : error_errno(err, errno, "cannot limit the folder '%s'", folder);
}

uint32_t project_of(const char *folder)
{
        autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct fsxattr attributes;

        return fd >= 0 && ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 ? attributes.fsx_projid : 0;
}

uint64_t project_usage(const char *folder, uint32_t project)
{
        autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct if_dqblk usage = {0};

        if (fd < 0 || project == 0 || syscall(SYS_quotactl_fd, fd, QCMD(Q_GETQUOTA, PRJQUOTA), project, &usage) < 0)
                return 0;
        return usage.dqb_curspace;
}

int project_limit(const char *folder, uint32_t project, uint64_t bytes, struct error *err)
{
        autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct if_dqblk limit = {.dqb_bhardlimit = (bytes + QUOTA_BLOCK - 1) / QUOTA_BLOCK, .dqb_valid = QIF_BLIMITS};
        unsigned enforce = FS_QUOTA_PDQ_ENFD;

        if (fd < 0)
                return error_errno(err, errno, "cannot open the folder '%s'", folder);
        /* Without a mount option ext4 counts, and enforces nothing. */
        if (syscall(SYS_quotactl_fd, fd, QCMD(Q_XQUOTAON, PRJQUOTA), 0, &enforce) < 0 && errno != EEXIST)
                return errno == ENOSYS || errno == EINVAL || errno == ESRCH
                               ? unsupported(folder, err)
                               : error_errno(err, errno, "cannot turn quotas on for '%s'", folder);
        if (syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PRJQUOTA), project, &limit) < 0)
                return error_errno(err, errno, "cannot limit what '%s' takes on the disk", folder);
        return 0;
}
