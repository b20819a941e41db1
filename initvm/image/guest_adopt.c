/* SPDX-License-Identifier: MIT */
/*
 * A system that another tool has made becomes a machine of ours: what cannot is said before anything is changed; then its root
 * file system grows, and it gets the agent, an identity of its own, a login on the serial line, keys only for SSH, a network,
 * and no wait for a cloud.  The system's own programs are run for nothing but `systemctl enable`.
 */
#include "image/adopt_text.h"
#include "image/guest.h"
#include "provision/guest_files.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1024 * 1024) /* of a configuration file */

/* Before all others: the first one that says something counts (sshd_config(5)), and clouds' images have some that allow
 * passwords. */
#define SSHD_CONFIG "/etc/ssh/sshd_config"
#define SSHD_OURS   "/etc/ssh/sshd_config.d/00-initvm.conf"

#define WANTED_NETWORKD "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
#define WANTED_NM       "/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
#define INTERFACES      "/etc/network/interfaces"

/* For a system whose network is ifupdown's and whose name server dhclient writes down: every network card, whatever its name
 * (interfaces(5), "PATTERN MATCHING INTERFACES"). */
static const char interfaces[] = "auto lo\n"
                                 "iface lo inet loopback\n"
                                 "\n"
                                 "auto /e*=initvm\n"
                                 "iface initvm inet dhcp\n";

struct adopting {
        struct guest *guest;
        const struct image_request *request;
        struct json_object *result;
        struct json_object *notices; /* of the result */
};

static bool is_file(struct adopting *a, const char *path)
{
        return guestfs_is_file_opts(a->guest->g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1) == 1;
}

static bool is_link(struct adopting *a, const char *path)
{
        return guestfs_is_symlink(a->guest->g, path) == 1;
}

static void notice(struct adopting *a, const char *text)
{
        json_object_array_add(a->notices, json_object_new_string(text));
}

/* Owned; NULL when it is not there or too long to be what it should. */
static char *read_text(struct adopting *a, const char *path)
{
        size_t n = 0;
        char *text = is_file(a, path) ? guestfs_read_file(a->guest->g, path, &n) : NULL;

        if (text && (n > TEXT_MAX || strlen(text) != n)) {
                free(text);
                return NULL;
        }
        return text;
}

static int put(struct adopting *a, const char *path, int mode, const char *text, struct error *err)
{
        return guest_put_text(a->guest, path, mode, text, err);
}

/* ---- what it is */

static bool in_partition(struct guest *guest)
{
        char *disk = guestfs_part_to_dev(guest->g, guest->root);
        bool yes = disk && guestfs_part_to_partnum(guest->g, guest->root) > 0;

        free(disk);
        return yes;
}

static int check(struct adopting *a, struct error *err)
{
        guestfs_h *g = a->guest->g;
        const char *root = a->guest->root;
        autofree char *distribution = guestfs_inspect_get_distro(g, root), *architecture = guestfs_inspect_get_arch(g, root);
        autofree char *codename = guest_os_release(a->guest, "VERSION_CODENAME");
        const struct adopt_system system = {
                .distribution = distribution ? distribution : "unknown",
                .architecture = architecture ? architecture : "unknown",
                .systemd = is_file(a, "/usr/lib/systemd/systemd") || is_file(a, "/lib/systemd/systemd"),
                .partition = in_partition(a->guest),
        };

        json_add_string(a->result, "codename", codename);
        return adopt_check_system(&system, a->request->architecture, err);
}

/* ---- the disk */

/* The system is mounted again afterwards: a partition grows while nothing of its disk is. */
static int grow(struct adopting *a, struct error *err)
{
        struct error why = ERROR_INIT;

        if (guestfs_umount_all(a->guest->g) < 0)
                return guest_failed(a->guest, err, "the file systems cannot be unmounted");
        if (guest_grow(a->guest, a->request, a->result, &why) < 0) {
                autofree char *text = xasprintf("the root file system keeps its size: %s", why.message);

                if (a->request->size || why.code != ERR_UNSUPPORTED)
                        return error_set(err, why.code, "%s", why.message);
                notice(a, text);
        }
        if (guestfs_umount_all(a->guest->g) < 0)
                return guest_failed(a->guest, err, "the file systems cannot be unmounted");
        return guest_mount(a->guest, err);
}

static char *uuid_of(void *userdata, unsigned partition)
{
        struct adopting *a = userdata;
        autofree char *device = xasprintf("/dev/sda%u", partition); /* the appliance's name of the one disk */
        char *uuid = guestfs_vfs_uuid(a->guest->g, device);

        if (uuid && !*uuid)
                free(take_ptr(uuid));
        return uuid;
}

static int complete_fstab(struct adopting *a, struct error *err)
{
        autofree char *old = read_text(a, "/etc/fstab"), *new = old ? adopt_fstab(old, uuid_of, a) : NULL;

        return !new || streq(old, new) ? 0 : put(a, "/etc/fstab", 0644, new, err);
}

/* ---- what it boots with */

static int take_boot(struct adopting *a, struct error *err)
{
        autofree char *folder = xstrndup(a->request->file, (size_t)(strrchr(a->request->file, '/') - a->request->file));

        return guest_take_boot(a->guest, folder, err);
}

static void add_step(struct json_object *array, const char *text, const char *program)
{
        struct json_object *o = json_new();
        autostrv char **argv = NULL;

        strv_add(&argv, program);
        json_add_string(o, "text", text);
        json_add(o, "argv", json_from_strv(argv));
        json_object_array_add(array, o);
}

/* The image boots by itself as well, with its boot loader, whose menu is made again when the machine runs. */
static int set_boot_loader(struct adopting *a, const char *serial, struct error *err)
{
        struct json_object *finish = json_object_new_array();
        autofree char *settings = NULL;

        json_add(a->result, "finish", finish);
        if (!is_file(a, "/boot/grub/grub.cfg") || !is_file(a, "/usr/sbin/update-grub"))
                return 0;
        settings = xasprintf("# A virtual machine with a serial console and one system.\n"
                             "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX console=tty0 console=%s\"\n"
                             "GRUB_DISABLE_OS_PROBER=true\n",
                             serial);
        add_step(finish, "writing the boot loader's menu", "update-grub");
        return put(a, "/etc/default/grub.d/initvm.cfg", 0644, settings, err);
}

static int set_command_line(struct adopting *a, struct error *err)
{
        autofree char *menu = read_text(a, "/boot/grub/grub.cfg"), *options = menu ? adopt_kernel_options(menu) : NULL;
        autofree char *uuid = guestfs_vfs_uuid(a->guest->g, a->guest->root), *text = NULL;

        if (!uuid || !*uuid)
                return error_set(err, ERR_UNSUPPORTED, "the root file system of the image has no UUID");
        text = xasprintf("root=UUID=%s ro%s%s", uuid, options && *options ? " " : "", options ? options : "");
        json_add_string(a->result, "commandLine", text);
        return 0;
}

/* ---- what runs in it */

static int enable(struct adopting *a, const char *unit, struct error *err)
{
        char *const argv[] = {(char *)"systemctl", (char *)"-q", (char *)"enable", (char *)unit, NULL};
        char *output = guestfs_command(a->guest->g, argv);

        if (!output)
                return guest_failed(a->guest, err, "'%s' cannot be enabled", unit);
        free(output);
        return 0;
}

static int put_agent(struct adopting *a, struct error *err)
{
        guestfs_h *g = a->guest->g;

        if (guestfs_mkdir_p(g, GUEST_AGENT_FOLDER) < 0 || guestfs_upload(g, a->request->agent, GUEST_AGENT) < 0 ||
            guestfs_chmod(g, 0755, GUEST_AGENT) < 0)
                return guest_failed(a->guest, err, "the agent cannot be put into the image");
        return put(a, GUEST_AGENT_UNIT, 0644, guest_agent_unit, err) < 0 ? -1 : enable(a, "initvm-agent.service", err);
}

static int set_console(struct adopting *a, const char *serial, struct error *err)
{
        autofree char *getty = xasprintf("serial-getty@%s.service", serial);

        return put(a, GUEST_CONSOLE_LOGIN, 0644, guest_console_login, err) < 0 ? -1 : enable(a, getty, err);
}

static int set_ssh(struct adopting *a, struct error *err)
{
        autofree char *old = read_text(a, SSHD_CONFIG), *new = adopt_sshd_config(old ? old : "", SSHD_OURS);

        return put(a, SSHD_OURS, 0644, guest_sshd, err) < 0 || put(a, SSHD_CONFIG, 0644, new, err) < 0 ? -1 : 0;
}

/* Names are resolved by systemd-resolved where it is there, else as the image has it. */
static int set_networkd(struct adopting *a, struct error *err)
{
        static const char stub[] = "../run/systemd/resolve/stub-resolv.conf";

        if (put(a, GUEST_NETWORK, 0644, guest_network, err) < 0 || put(a, GUEST_WAIT_ONLINE, 0644, guest_wait_online, err) < 0 ||
            enable(a, "systemd-networkd.service", err) < 0)
                return -1;
        if (!is_file(a, "/lib/systemd/systemd-resolved"))
                return 0;
        if (!is_link(a, "/etc/resolv.conf") && guestfs_ln_sf(a->guest->g, stub, "/etc/resolv.conf") < 0)
                return guest_failed(a->guest, err, "'/etc/resolv.conf' cannot be made");
        return enable(a, "systemd-resolved.service", err);
}

static int set_ifupdown(struct adopting *a, struct error *err)
{
        guestfs_h *g = a->guest->g;

        if (is_file(a, INTERFACES) && guestfs_mv(g, INTERFACES, INTERFACES ".before-initvm") < 0)
                return guest_failed(a->guest, err, "'" INTERFACES "' cannot be kept");
        return put(a, INTERFACES, 0644, interfaces, err);
}

/* Its network card is another one than the image has seen: whoever cares for the network there asks DHCP for any. */
static int set_network(struct adopting *a, struct error *err)
{
        if (is_link(a, WANTED_NM))
                return 0;
        if (!is_link(a, WANTED_NETWORKD) && !is_file(a, "/usr/sbin/netplan") && is_file(a, "/sbin/ifup") &&
            is_file(a, "/sbin/dhclient"))
                return set_ifupdown(a, err);
        return set_networkd(a, err);
}

/* No cloud answers here: it would be waited for at each boot, and without one users, keys and passwords of its own come into
 * being (cloud-init's documentation, "How to disable cloud-init"). */
static int stop_cloud_init(struct adopting *a, struct error *err)
{
        if (guestfs_is_dir(a->guest->g, "/etc/cloud") != 1 || is_file(a, "/etc/cloud/cloud-init.disabled"))
                return 0;
        notice(a, "cloud-init of the image is off: /etc/cloud/cloud-init.disabled was made");
        return put(a, "/etc/cloud/cloud-init.disabled", 0644, "", err);
}

static int change(struct adopting *a, struct error *err)
{
        const char *serial = streq(a->request->architecture, "arm64") ? "ttyAMA0" : "ttyS0";
        bool ssh = is_file(a, "/usr/sbin/sshd");

        json_add_bool(a->result, "ssh", ssh);
        if (guest_give_identity(a->guest, a->request->hostname, ssh, a->request->file, err) < 0)
                return -1;
        guest_stage("agent", "putting the agent in");
        return put_agent(a, err) < 0 || set_console(a, serial, err) < 0 || (ssh && set_ssh(a, err) < 0) ||
                               set_network(a, err) < 0 || stop_cloud_init(a, err) < 0 || complete_fstab(a, err) < 0 ||
                               set_command_line(a, err) < 0 || set_boot_loader(a, serial, err) < 0 || take_boot(a, err) < 0
                       ? -1
                       : 0;
}

int guest_adopt(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct adopting a = {.guest = guest, .request = request, .result = result, .notices = json_object_new_array()};
        int64_t size;

        json_add(result, "notices", a.notices);
        json_add_string(result, "hostname", request->hostname);
        if (!request->agent || !request->architecture || !request->hostname || !request->file)
                return error_set(err, ERR_INVALID, "'adopt' was called without a parameter that it needs");
        if (guest_mount(guest, err) < 0 || check(&a, err) < 0 || grow(&a, err) < 0)
                return -1;
        size = guestfs_blockdev_getsize64(guest->g, "/dev/sda");
        if (size > 0)
                json_add_u64(result, "virtual", (uint64_t)size);
        return change(&a, err);
}
