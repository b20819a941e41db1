/* SPDX-License-Identifier: MIT */
/*
 * A copy of a machine becomes a machine of its own: host name, machine-id(5), random seed, SSH host key and the host's key that
 * its SSH server lets in.  The keys were made on the host, beside the image, so that it knows them without having asked the
 * machine.
 */
#include "image/guest.h"
#include "image/keys.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX   (64 * 1024)
#define HOSTS_MAX (1024 * 1024)

int guest_put_text(struct guest *guest, const char *path, int mode, const char *text, struct error *err)
{
        autofree char *temporary = xasprintf("%s.initvm-part", path);
        autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        guestfs_h *g = guest->g;

        if (guestfs_mkdir_p(g, folder) < 0 || guestfs_write(g, temporary, text, strlen(text)) < 0 ||
            guestfs_chmod(g, mode, temporary) < 0 || guestfs_rename(g, temporary, path) < 0)
                return guest_failed(guest, err, "'%s' cannot be written", path);
        return 0;
}

/* The line of the machine's own name (hostname(1), "THE FQDN"); the others stay. */
static int write_hosts(struct guest *guest, const char *hostname, struct error *err)
{
        size_t n = 0;
        char *old = guestfs_is_file(guest->g, "/etc/hosts") == 1 ? guestfs_read_file(guest->g, "/etc/hosts", &n) : NULL;
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        if (!old || n > HOSTS_MAX) {
                free(old);
                return 0;
        }
        for (const char *line = old; *line;) {
                size_t length = strcspn(line, "\n");

                if (str_has_prefix(line, "127.0.1.1"))
                        buf_printf(&b, "127.0.1.1\t%s\n", hostname);
                else
                        buf_printf(&b, "%.*s\n", (int)length, line);
                line += length + (line[length] == '\n');
        }
        free(old);
        text = buf_take_string(&b);
        return guest_put_text(guest, "/etc/hosts", 0644, text, err);
}

static int new_machine_id(struct guest *guest, struct error *err)
{
        static const char dbus[] = "/var/lib/dbus/machine-id";
        uint8_t random[16];
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        random_bytes(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
                buf_printf(&b, "%02x", random[i]);
        buf_printf(&b, "\n");
        text = buf_take_string(&b);
        if (guest_put_text(guest, "/etc/machine-id", 0444, text, err) < 0)
                return -1;
        return guestfs_is_symlink(guest->g, dbus) == 1 || guestfs_is_file(guest->g, dbus) != 1
                       ? 0
                       : guest_put_text(guest, dbus, 0444, text, err);
}

static int put_key(struct guest *guest, const char *from, const char *to, int mode, struct error *err)
{
        autofree char *text = file_read(from, KEY_MAX, NULL, err);

        return text ? guest_put_text(guest, to, mode, text, err) : -1;
}

static int new_keys(struct guest *guest, const char *image, struct error *err)
{
        struct image_keys keys;
        int r = 0;

        image_keys_init(&keys, image);
        if (guestfs_rm_f(guest->g, SSH_HOST_KEY) < 0)
                r = guest_failed(guest, err, "the SSH host key cannot be replaced");
        for (const char *const *kind = (const char *const[]){"rsa", "ecdsa", NULL}; *kind && r == 0; kind++) {
                autofree char *path = xasprintf("/etc/ssh/ssh_host_%s_key", *kind), *public_path = xasprintf("%s.pub", path);

                if (guestfs_rm_f(guest->g, path) < 0 || guestfs_rm_f(guest->g, public_path) < 0)
                        r = guest_failed(guest, err, "the SSH host key '%s' cannot be removed", path);
        }
        if (r == 0 && (put_key(guest, keys.host_key, SSH_HOST_KEY, 0600, err) < 0 ||
                       put_key(guest, keys.host_public_key, SSH_HOST_KEY ".pub", 0644, err) < 0 ||
                       put_key(guest, keys.user_public_key, "/etc/ssh/initvm_authorized_keys", 0644, err) < 0))
                r = -1;
        image_keys_done(&keys);
        return r;
}

int guest_give_identity(struct guest *guest, const char *hostname, bool ssh, const char *image, struct error *err)
{
        autofree char *name = xasprintf("%s\n", hostname);

        guest_stage("identity", "giving the machine an identity of its own");
        if (guestfs_rm_f(guest->g, "/var/lib/systemd/random-seed") < 0)
                return guest_failed(guest, err, "the random seed cannot be removed");
        return guest_put_text(guest, "/etc/hostname", 0644, name, err) < 0 || write_hosts(guest, hostname, err) < 0 ||
                               new_machine_id(guest, err) < 0 || (ssh && new_keys(guest, image, err) < 0)
                       ? -1
                       : 0;
}

int guest_identity(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        bool ssh;

        if (!request->hostname)
                return error_set(err, ERR_INVALID, "no host name was given");
        if (guest_mount(guest, err) < 0)
                return -1;
        ssh = guestfs_is_dir(guest->g, "/etc/ssh") == 1;
        json_add_bool(result, "ssh", ssh);
        return guest_give_identity(guest, request->hostname, ssh, request->image, err);
}
