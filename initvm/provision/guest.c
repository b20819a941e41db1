/* SPDX-License-Identifier: MIT */
#include "provision/guest.h"

#include "base/file.h"
#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int guest_write(const char *path, unsigned mode, const char *text, struct error *err)
{
        autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        autoclose int fd = -1;

        if (*folder && dir_make(folder, 0755, err) < 0)
                return -1;
        unlink(path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0 || fchmod(fd, mode) < 0 || fd_write_all(fd, text, strlen(text)) < 0)
                return error_errno(err, errno, "writing '%s' in the new system", path);
        return 0;
}

int guest_writef(const char *path, unsigned mode, struct error *err, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return guest_write(path, mode, text, err);
}

int guest_link(const char *target, const char *path, struct error *err)
{
        autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

        if (*folder && dir_make(folder, 0755, err) < 0)
                return -1;
        unlink(path);
        if (symlink(target, path) < 0)
                return error_errno(err, errno, "linking '%s' in the new system", path);
        return 0;
}

int guest_copy(int from, int to, struct error *err)
{
        char block[65536];
        ssize_t n;

        for (off_t at = 0; (n = pread(from, block, sizeof(block), at)) > 0; at += n)
                if (fd_write_all(to, block, (size_t)n) < 0)
                        return error_errno(err, errno, "copying a file");
        return n < 0 ? error_errno(err, errno, "copying a file") : 0;
}

int guest_run(char *const *argv, const char *input, struct error *err)
{
        static char *const environment[] = {
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL=C.UTF-8",
                "HOME=/root",
                "DEBIAN_FRONTEND=noninteractive",
                "DEBCONF_NONINTERACTIVE_SEEN=true",
                "SYSTEMD_OFFLINE=1",
                NULL,
        };
        autoclose int in = memfd_create("input", MFD_CLOEXEC);
        const struct process_fd fds[] = {{in, 0}, {STDOUT_FILENO, 1}, {STDERR_FILENO, 2}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .environment = environment, .cwd = "/"};
        int status;
        pid_t pid;

        if (in < 0 || (input && (fd_write_all(in, input, strlen(input)) < 0 || lseek(in, 0, SEEK_SET) < 0)))
                return error_errno(err, errno, "cannot run '%s'", argv[0]);
        if (process_spawn(argv, &options, &pid, err) < 0)
                return error_prefix(err, "in the new system");
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, errno, "waiting for '%s'", argv[0]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return error_set(err, ERR_FAILED, "'%s' in the new system ended with %s", argv[0], process_status_text(status));
        return 0;
}

int guest_preconfigure(const struct plan *plan, struct error *err)
{
        char *const argv[] = {"debconf-set-selections", NULL};

        /* The kernel's package would make an initrd before our settings are there, and the trigger at the end another one. */
        return guest_run(argv, plan->selections, err);
}

/* Removes what is in a folder whose name matches neither NULL nor a kept suffix; the folder stays. */
static int empty_folder(const char *path, struct error *err)
{
        DIR *d = opendir(path);
        int result = 0;

        if (!d)
                return errno == ENOENT ? 0 : error_errno(err, errno, "opening '%s' in the new system", path);
        for (struct dirent *e; result == 0 && (e = readdir(d));) {
                autofree char *full = xasprintf("%s/%s", path, e->d_name);

                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        result = tree_remove(full, err);
        }
        closedir(d);
        return result;
}

/* mmdebstrap keeps services from starting while it runs (mmdebstrap(1), OPERATION, chroot/...), and takes that back only after
 * its hooks: after we have read the root. */
#define FAKE_DAEMON "/usr/sbin/start-stop-daemon"

static int remove_all(const char *const *files, size_t n, struct error *err)
{
        for (size_t i = 0; i < n; i++)
                if (tree_remove(files[i], err) < 0)
                        return -1;
        return 0;
}

int guest_forget_identity(struct error *err)
{
        static const char *const files[] = {
                "/var/lib/systemd/random-seed",  "/var/lib/dbus/machine-id",          "/etc/ssh/ssh_host_rsa_key",
                "/etc/ssh/ssh_host_rsa_key.pub", "/etc/ssh/ssh_host_ecdsa_key",       "/etc/ssh/ssh_host_ecdsa_key.pub",
                "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub",
        };

        if (remove_all(files, ARRAY_SIZE(files), err) < 0)
                return -1;
        /* Newer than /usr: nothing that systemd rebuilds after an update (ConditionNeedsUpdate=) is out of date. */
        if (guest_write("/etc/.updated", 0644, "", err) < 0 || guest_write("/var/.updated", 0644, "", err) < 0)
                return -1;
        /* Empty: systemd makes it at the first boot, and does not take the boot for a factory's first one (machine-id(5)). */
        return guest_write("/etc/machine-id", 0444, "", err);
}

/* What belongs to this host or to the bootstrap. */
int guest_clean(struct error *err)
{
        static const char *const files[] = {
                "/etc/apt/apt.conf.d/00mmdebstrap",
                "/etc/apt/apt.conf.d/99mmdebstrap",
                "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
                "/usr/sbin/policy-rc.d",
                "/etc/hostname.orig",
                "/etc/resolv.conf.orig",
                "/var/cache/apt/pkgcache.bin",
                "/var/cache/apt/srcpkgcache.bin",
        };
        static const char *const folders[] = {"/var/cache/apt/archives", "/var/lib/apt/lists/auxfiles", "/tmp", "/run",
                                              "/var/tmp"};

        if (rename(FAKE_DAEMON ".REAL", FAKE_DAEMON) < 0 && errno != ENOENT)
                return error_errno(err, errno, "cannot restore '" FAKE_DAEMON "'");
        if (remove_all(files, ARRAY_SIZE(files), err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (empty_folder(folders[i], err) < 0)
                        return -1;
        return dir_make("/var/cache/apt/archives/partial", 0755, err) < 0 ? -1 : guest_forget_identity(err);
}

int guest_apply(const struct guest *guest, struct error *err)
{
        if (guest_apply_system(guest->plan, err) < 0 || guest_apply_users(guest->plan, err) < 0 ||
            guest_apply_apt(guest, err) < 0 || guest_apply_services(guest, err) < 0 || guest_put_commands(guest->plan, err) < 0 ||
            guest_apply_boot(guest, err) < 0)
                return -1;
        return guest_clean(err);
}
