/* SPDX-License-Identifier: MIT */
/* What is on the image: the system, how many packages it has, its file systems. */
#include "image/guest.h"

#include <stdlib.h>
#include <string.h>

#define OS_RELEASE_MAX 65536

/* libguestfs' words, which are to be freed; "unknown" says nothing. */
static void add_words(struct json_object *o, const char *key, char *owned)
{
        autofree char *words = owned;

        if (words && !streq(words, "unknown"))
                json_add_string(o, key, words);
}

char *guest_os_release(struct guest *guest, const char *key)
{
        size_t n = 0;
        char *text = guestfs_read_file(guest->g, "/etc/os-release", &n), *value = NULL;
        autofree char *begin = xasprintf("\n%s=", key), *lines = text && n <= OS_RELEASE_MAX ? xasprintf("\n%s", text) : NULL;
        char *line = lines ? strstr(lines, begin) : NULL;

        if (line) {
                line += strlen(begin);
                line[strcspn(line, "\n")] = '\0';
                line += *line == '"';
                value = xstrndup(line, strcspn(line, "\""));
        }
        free(text);
        return value;
}

static void add_system(struct guest *guest, struct json_object *result)
{
        struct guestfs_application2_list *packages;
        struct json_object *o = json_new();
        guestfs_h *g = guest->g;
        const char *root = guest->root;
        autofree char *version =
                xasprintf("%d.%d", guestfs_inspect_get_major_version(g, root), guestfs_inspect_get_minor_version(g, root));

        add_words(o, "product", guest_os_release(guest, "PRETTY_NAME"));
        add_words(o, "distribution", guestfs_inspect_get_distro(g, root));
        add_words(o, "codename", guestfs_inspect_get_osinfo(g, root));
        json_add_string(o, "version", version);
        add_words(o, "architecture", guestfs_inspect_get_arch(g, root));
        add_words(o, "hostname", guestfs_inspect_get_hostname(g, root));
        packages = guestfs_inspect_list_applications2(g, root);
        if (packages)
                json_add_u64(o, "packages", packages->len);
        guestfs_free_application2_list(packages);
        json_add(result, "system", o);
}

static void add_usage(struct guest *guest, struct json_object *o, const char *device)
{
        struct guestfs_statvfs *st;
        char **mounts = guestfs_mountpoints(guest->g);

        for (char **m = mounts; m && *m; m += 2) {
                if (streq(m[0], device) && (st = guestfs_statvfs(guest->g, m[1]))) {
                        json_add_string(o, "mountPoint", m[1]);
                        json_add_u64(o, "size", (uint64_t)st->blocks * (uint64_t)st->frsize);
                        json_add_u64(o, "used", (uint64_t)(st->blocks - st->bfree) * (uint64_t)st->frsize);
                        guestfs_free_statvfs(st);
                }
                free(m[0]);
                free(m[1]);
        }
        free(mounts);
}

/* The device alone tells the size of what is not mounted. */
static struct json_object *describe(struct guest *guest, const char *device, const char *type)
{
        struct json_object *o = json_new();
        int64_t size = guestfs_blockdev_getsize64(guest->g, device);

        json_add_string(o, "device", device);
        json_add_string(o, "type", type);
        if (size > 0)
                json_add_u64(o, "partition", (uint64_t)size);
        add_usage(guest, o, device);
        return o;
}

int guest_inspect(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct json_object *array;
        char **filesystems;

        (void)request;
        guest->uuid = NULL; /* it is to be seen what is there */
        if (guest_mount(guest, err) < 0)
                return -1;
        add_system(guest, result);
        filesystems = guestfs_list_filesystems(guest->g);
        if (!filesystems)
                return guest_failed(guest, err, "the file systems cannot be listed");
        array = json_object_new_array();
        for (char **s = filesystems; *s; s += 2) {
                if (!streq(s[1], "unknown"))
                        json_object_array_add(array, describe(guest, s[0], s[1]));
                free(s[0]);
                free(s[1]);
        }
        free(filesystems);
        json_add(result, "filesystems", array);
        return 0;
}
