/* SPDX-License-Identifier: MIT */
#include "image/guest.h"

#include "image/fstab.h"
#include "image/qemu_img.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ONE_CPU 1

#define FSTAB_MAX ((size_t)1 << 20)

static const struct operation {
        const char *name;
        bool read_only;
        int (*run)(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err);
} operations[] = {
        {"inspect", true, guest_inspect}, {"check", true, guest_check},   {"repair", false, guest_check},
        {"grow", false, guest_grow},      {"trim", false, guest_trim},    {"list", true, guest_list},
        {"read", true, guest_read},       {"write", false, guest_write},  {"identity", false, guest_identity},
        {"adopt", false, guest_adopt},    {"import", true, guest_import},
};

int(guest_failed)(struct guest *guest, struct error *err, const char *fmt, ...)
{
        const char *why = guestfs_last_error(guest->g);
        va_list ap;

        va_start(ap, fmt);
        autofree char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return error_set(err, ERR_FAILED, "%s: %s", text, why ? why : "libguestfs does not say why");
}

static int launch(struct guest *guest, const struct image_request *request, bool read_only, struct error *err)
{
        guestfs_h *g = guest->g;

        guestfs_set_error_handler(g, NULL, NULL);
        if (guestfs_set_backend(g, "direct") < 0 || guestfs_set_smp(g, ONE_CPU) < 0 ||
            (!request->kvm && guestfs_set_backend_setting(g, "force_tcg", "1") < 0) ||
            guestfs_add_drive_opts(g, request->image, GUESTFS_ADD_DRIVE_OPTS_FORMAT, QEMU_IMG_FORMAT,
                                   GUESTFS_ADD_DRIVE_OPTS_READONLY, (int)read_only, GUESTFS_ADD_DRIVE_OPTS_DISCARD,
                                   read_only ? "disable" : "besteffort", -1) < 0)
                return guest_failed(guest, err, "the appliance cannot be prepared");
        if (guestfs_launch(g) < 0)
                return guest_failed(guest, err,
                                    "the appliance that looks into images does not start (it needs a kernel in /boot: install "
                                    "linux-image-cloud-amd64, or linux-image-arm64)");
        return 0;
}

int guest_operate(const char *operation, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct guest guest = {0};
        int r = -1;

        for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
                const struct operation *o = &operations[i];

                if (!streq(o->name, operation))
                        continue;
                guest.uuid = request->root;
                guest.g = guestfs_create();
                if (!guest.g)
                        return error_set(err, ERR_FAILED, "libguestfs cannot be prepared");
                r = launch(&guest, request, o->read_only, err);
                if (r == 0)
                        r = o->run(&guest, request, result, err);
                /* What was written is in the image from here on. */
                if (r == 0 && (guestfs_umount_all(guest.g) < 0 || guestfs_shutdown(guest.g) < 0))
                        r = guest_failed(&guest, err, "the appliance did not end in order");
                guestfs_close(guest.g);
                free(guest.root);
                return r;
        }
        return error_set(err, ERR_PROTOCOL, "there is no operation '%s'", operation);
}

static void free_strings(char **strings)
{
        for (char **s = strings; s && *s; s++)
                free(*s);
        free(strings);
}

/* Of partitions or devices, owned. guestfs_list_filesystems() leaves out what it cannot look into. */
static bool any_encrypted(struct guest *guest, char **devices)
{
        bool encrypted = false;

        for (char **d = devices; d && *d; d++) {
                char *type = guestfs_vfs_type(guest->g, *d);

                encrypted |= streq(type, "crypto_LUKS") || streq(type, "BitLocker");
                free(type);
        }
        free_strings(devices);
        return encrypted;
}

/* A sentence for images without a system: what they have instead. */
static int no_system(struct guest *guest, struct error *err)
{
        bool partition = any_encrypted(guest, guestfs_list_partitions(guest->g));

        if (partition || any_encrypted(guest, guestfs_list_devices(guest->g)))
                return error_set(err, ERR_UNSUPPORTED, "the image is encrypted: only what is not can be looked into");
        return error_set(err, ERR_UNSUPPORTED, "no operating system was found on the image");
}

/* Of several systems only those on the root file system that is known, if one is. */
static void choose_roots(struct guest *guest, char **roots)
{
        size_t n = 0;

        for (char **root = roots; *root; root++) {
                char *device = guestfs_mountable_device(guest->g, *root); /* it may be a subvolume */

                if (!guest->root || streq(device, guest->root))
                        roots[n++] = *root;
                else
                        free(*root);
                free(device);
        }
        roots[n] = NULL;
}

/* The system that is on the image becomes guest->root, as inspection names it. */
static int inspect(struct guest *guest, struct error *err)
{
        char **roots, *type;
        bool is_linux;

        guest_stage("inspect", "looking for the system on the image");
        roots = guestfs_inspect_os(guest->g);
        if (!roots)
                return guest_failed(guest, err, "the image cannot be inspected");
        choose_roots(guest, roots);
        if (!roots[0] || roots[1]) {
                size_t n = strv_length(roots);

                free_strings(roots);
                return n == 0 ? no_system(guest, err)
                              : error_set(err, ERR_UNSUPPORTED,
                                          "there are %zu operating systems on the image: only one can be "
                                          "worked with",
                                          n);
        }
        type = guestfs_inspect_get_type(guest->g, roots[0]);
        is_linux = streq(type, "linux");
        free(type);
        free(take_ptr(guest->root));
        if (is_linux)
                guest->root = xstrdup(roots[0]);
        free_strings(roots);
        return is_linux ? 0 : error_set(err, ERR_UNSUPPORTED, "the system on the image is not Linux");
}

int guest_find_system(struct guest *guest, struct error *err)
{
        char *device;

        if (guest->root)
                return 0;
        device = guest->uuid ? guestfs_findfs_uuid(guest->g, guest->uuid) : NULL;
        if (!device) {
                guest->uuid = NULL;
                return inspect(guest, err);
        }
        guest->root = xstrdup(device);
        free(device);
        return 0;
}

/* Of the mounted root file system: whether it is the whole system, without others and without subvolumes, one of which is the
 * system. What inspection takes under emulation is worth asking that. */
static bool is_whole(struct guest *guest)
{
        char *type = guestfs_vfs_type(guest->g, guest->root), *text = NULL;
        bool whole = type && !streq(type, "btrfs");
        size_t n = 0;

        if (whole && guestfs_is_file(guest->g, "/etc/fstab") == 1) {
                text = guestfs_read_file(guest->g, "/etc/fstab", &n);
                whole = text && n <= FSTAB_MAX && !fstab_has_more(text);
        }
        free(type);
        free(text);
        return whole;
}

static int by_length(const void *a, const void *b)
{
        size_t n = strlen(*(char *const *)a), m = strlen(*(char *const *)b);

        return n < m ? -1 : n > m;
}

int guest_mount(struct guest *guest, struct error *err)
{
        char **mounts;
        int r = 0;

        if (guest_find_system(guest, err) < 0)
                return -1;
        if (guest->uuid) {
                if (guestfs_mount_options(guest->g, "discard", guest->root, "/") < 0)
                        return guest_failed(guest, err, "the root file system on '%s' cannot be mounted", guest->root);
                if (is_whole(guest))
                        return 0;
                if (guestfs_umount_all(guest->g) < 0)
                        return guest_failed(guest, err, "the root file system cannot be unmounted");
                if (inspect(guest, err) < 0)
                        return -1;
        }
        mounts = guestfs_inspect_get_mountpoints(guest->g, guest->root);
        if (!mounts)
                return guest_failed(guest, err, "the mount points of the image cannot be told");
        /* Pairs of a mount point and its device, as they are freed; shorter ones first. */
        qsort(mounts, strv_length(mounts) / 2, 2 * sizeof(char *), by_length);
        for (char **m = mounts; *m && r == 0; m += 2)
                if (guestfs_mount_options(guest->g, "discard", m[1], m[0]) < 0 && guestfs_mount(guest->g, m[1], m[0]) < 0 &&
                    streq(m[0], "/"))
                        r = guest_failed(guest, err, "the root file system on '%s' cannot be mounted", m[1]);
        free_strings(mounts);
        return r;
}
