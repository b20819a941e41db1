/* SPDX-License-Identifier: MIT */
/*
 * libvirt's default event loop is thread-safe (its driver's threads add timers and handles), ours is not.  So libvirt's runs the
 * main thread, and our whole loop is one handle in it: the epoll fd is readable when one of our sources is.
 */
#include "daemon/libvirt_connection.h"

#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/virt_stream.h"

#include <grp.h>
#include <libvirt/virterror.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Debian's name of the user that QEMU runs as when the driver runs as root (package libvirt-daemon-system). */
#define QEMU_USER "libvirt-qemu"

#define KVM_DEVICE "/dev/kvm"

/* Whether the user could open a file of this owner and mode for reading and writing. */
static bool may_use(const struct passwd *user, const struct stat *st)
{
        gid_t groups[64];
        int n = ARRAY_SIZE(groups);

        if (st->st_uid == user->pw_uid)
                return (st->st_mode & 0600) == 0600;
        if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
                n = 0;
        for (int i = 0; i < n; i++)
                if (groups[i] == st->st_gid)
                        return (st->st_mode & 0060) == 0060;
        return (st->st_mode & 0006) == 0006;
}

const char *libvirt_hide_unusable_kvm(const char *state)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam(QEMU_USER) : NULL;
        autofree char *decoy = xasprintf("%s/no-kvm", state);
        struct stat st;

        if (!user || stat(KVM_DEVICE, &st) < 0 || may_use(user, &st))
                return NULL;
        /* A plain file that only root may open: neither a device for the probe, nor accessible for the check. */
        if (file_write_atomic(decoy, 0600, "", 0, NULL) < 0 || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 || mount(decoy, KVM_DEVICE, NULL, MS_BIND, NULL) < 0)
                log_warning("cannot hide " KVM_DEVICE " from libvirt: the first start takes a minute longer");
        return "QEMU runs as '" QEMU_USER "', which may not open " KVM_DEVICE "; 'chgrp kvm " KVM_DEVICE
               "' and 'chmod 660 " KVM_DEVICE "' allow it";
}

uid_t libvirt_qemu_uid(void)
{
        const struct passwd *user = geteuid() == 0 ? getpwnam(QEMU_USER) : NULL;

        return user ? user->pw_uid : geteuid();
}

static void on_loop_ready(int watch, int fd, int events, void *opaque)
{
        (void)watch;
        (void)fd;
        (void)events;
        loop_dispatch(opaque);
}

/* libvirt prints errors to standard error by default; ours come with their context. */
static void ignore_error(void *userdata, virErrorPtr error)
{
        (void)userdata;
        log_debug("libvirt: %s", error->message ? error->message : "?");
}

int libvirt_init(struct loop *loop, struct error *err)
{
        virSetErrorFunc(NULL, ignore_error);
        if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
            virEventAddHandle(loop_epoll_fd(loop), VIR_EVENT_HANDLE_READABLE, on_loop_ready, loop, NULL) < 0)
                return error_set(err, ERR_FAILED, "cannot initialise libvirt: %s", virt_error());
        return 0;
}

int libvirt_run(const bool *quit, struct error *err)
{
        while (!*quit)
                if (virEventRunDefaultImpl() < 0)
                        return error_set(err, ERR_FAILED, "libvirt's event loop failed: %s", virt_error());
        return 0;
}

/*
 * stdio_handler: virtlogd is not there in embedded mode, QEMU writes the console's log itself.
 * namespaces: libvirt's private /dev per VM cannot be built over our own view of it (libvirt_hide_unusable_kvm).
 */
static int write_config(const char *root, struct error *err)
{
        static const char config[] = "stdio_handler = \"file\"\n"
                                     "namespaces = []\n";
        autofree char *folder = xasprintf("%s/etc", root);
        autofree char *path = xasprintf("%s/qemu.conf", folder);

        if (dir_make(root, geteuid() == 0 ? 0711 : 0700, err) < 0 || dir_make(folder, 0700, err) < 0)
                return -1;
        return file_write_atomic(path, 0600, config, sizeof(config) - 1, err);
}

/* As root, QEMU runs as another user, who must be able to pass through every folder above the image. */
static int check_reachable(const char *root, struct error *err)
{
        autofree char *path = xstrdup(root);
        const struct passwd *user;

        if (geteuid() != 0)
                return 0;
        user = getpwnam(QEMU_USER);
        if (!user)
                return error_set(err, ERR_NOT_FOUND,
                                 "the user '" QEMU_USER "' is missing; install the package libvirt-daemon-system");
        for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
                struct stat st;
                *slash = '\0';
                if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH) && st.st_uid != user->pw_uid && st.st_gid != user->pw_gid)
                        return error_set(err, ERR_DENIED,
                                         "QEMU runs as '" QEMU_USER
                                         "', which cannot pass through '%s'; allow it with 'chmod o+x %s', or set "
                                         "INITVM_HOME to another folder",
                                         path, path);
        }
        return 0;
}

virConnectPtr libvirt_connect(const char *root, struct error *err)
{
        autofree char *uri = xasprintf("qemu:///embed?root=%s", root);
        virConnectPtr connection;

        if (write_config(root, err) < 0 || check_reachable(root, err) < 0)
                return NULL;
        connection = virConnectOpen(uri);
        if (!connection)
                error_set(err, ERR_FAILED, "libvirt cannot open '%s': %s; is the package libvirt-daemon-driver-qemu installed?",
                          uri, virt_error());
        return connection;
}
