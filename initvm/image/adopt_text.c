/* SPDX-License-Identifier: MIT */
#include "image/adopt_text.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* ---- the kernel's options */

static bool is_left_out(const char *word)
{
        static const char *const prefixes[] = {
                "root=", "console=", "earlyprintk=", "BOOT_IMAGE=", "initrd=", "panic=", "oops=", "resume=", "vt_handoff="};
        static const char *const words[] = {"ro", "rw", "quiet", "splash", "---"};

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (str_has_prefix(word, prefixes[i]))
                        return true;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (streq(word, words[i]))
                        return true;
        return strchr(word, '$') != NULL; /* a variable of GRUB's */
}

char *adopt_kernel_options(const char *grub_cfg)
{
        autostrv char **kept = NULL;

        for (const char *line = grub_cfg; *line;) {
                size_t n = strcspn(line, "\n");
                autofree char *copy = xstrndup(line, n);
                autostrv char **words = strv_split(copy, " \t");

                line += n + (line[n] == '\n');
                if (strv_length(words) < 2 || (!streq(words[0], "linux") && !streq(words[0], "linuxefi")))
                        continue;
                for (char **w = words + 2; *w; w++)
                        if (!is_left_out(*w))
                                strv_add(&kept, *w);
                break;
        }
        return strv_join(kept, " ");
}

/* ---- fstab */

/* The number in "/dev/sda1"; 0: it is no such name. */
static unsigned partition_of(const char *device)
{
        static const char *const disks[] = {"/dev/sd", "/dev/vd", "/dev/hd", "/dev/xvd"};
        uint64_t n;

        for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
                const char *rest = device + strlen(disks[i]);

                if (str_has_prefix(device, disks[i]) && *rest == 'a' && parse_u64(rest + 1, 1, 128, &n) == 0)
                        return (unsigned)n;
        }
        return 0;
}

char *adopt_fstab(const char *fstab, adopt_uuid_fn uuid_of, void *userdata)
{
        autobuf struct buf b = {0};

        for (const char *line = fstab; *line;) {
                size_t n = strcspn(line, "\n"), first = strspn(line, " \t");
                size_t end = first < n ? first + strcspn(line + first, " \t\n") : n;
                autofree char *device = xstrndup(line + first, end - MIN(first, end));
                unsigned partition = partition_of(device);
                autofree char *uuid = partition ? uuid_of(userdata, partition) : NULL;

                if (uuid)
                        buf_printf(&b, "UUID=%s%.*s\n", uuid, (int)(n - end), line + end);
                else
                        buf_printf(&b, "%.*s\n", (int)n, line);
                line += n + (line[n] == '\n');
        }
        return buf_take_string(&b);
}

/* ---- sshd_config */

static const char include_all[] = "Include /etc/ssh/sshd_config.d/*.conf";

char *adopt_sshd_config(const char *config, const char *file)
{
        for (const char *line = config; *line;) {
                size_t n = strcspn(line, "\n");

                if (line[strspn(line, " \t")] != '#' && strspn(line, " \t") < n)
                        return str_has_prefix(line, include_all) ? xstrdup(config) : xasprintf("Include %s\n%s", file, config);
                line += n + (line[n] == '\n');
        }
        return xasprintf("Include %s\n%s", file, config);
}

/* ---- what can be adopted */

static const char *dpkg_architecture(const char *libguestfs)
{
        return streq(libguestfs, "x86_64") ? "amd64" : streq(libguestfs, "aarch64") ? "arm64" : libguestfs;
}

int adopt_check_system(const struct adopt_system *s, const char *architecture, struct error *err)
{
        const char *own = dpkg_architecture(s->architecture);

        if (!streq(s->distribution, "debian") && !streq(s->distribution, "ubuntu"))
                return error_set(err, ERR_UNSUPPORTED,
                                 "the system on the image is '%s': only Debian and Ubuntu can be taken over", s->distribution);
        if (!streq(own, architecture))
                return error_set(err, ERR_UNSUPPORTED,
                                 "the system on the image is for %s, this host is %s; the VM has the host's architecture", own,
                                 architecture);
        if (!s->systemd)
                return error_set(err, ERR_UNSUPPORTED,
                                 "the system on the image is not run by systemd, which the agent and its commands need");
        if (!s->partition)
                return error_set(err, ERR_UNSUPPORTED,
                                 "the root file system of the image is not in a partition of its own (LVM, RAID, a subvolume or "
                                 "a whole disk): that cannot be taken over");
        return 0;
}
