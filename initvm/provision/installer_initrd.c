/* SPDX-License-Identifier: MIT */
/* What is appended to the installer's initrd, and the answers among it. */
#include "base/embed.h"
#include "base/file.h"
#include "base/json.h"
#include "base/util.h"
#include "provision/initrd.h"
#include "provision/installed.h"
#include "provision/installer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The agent and initvm-target are a few MB each. */
#define PROGRAM_MAX (64u << 20)

/* Compressed, an installer's initrd has some 40 MB. */
#define INITRD_FILE_MAX (512u << 20)

/* Debian's GRUB packages ask for a disk when they are installed before the installer's own step for it. */
#define BOOT_LOADER_PREFIX "grub-"

EMBED(installer_log_script, "provision/installer-log.sh");
EMBED(installer_finish_script, "provision/installer-finish.sh");
extern const char installer_log_script[], installer_finish_script[];

char *installer_guest_url(const char *url)
{
        static const char *const here[] = {"localhost", "127.", "[::1]"};
        const char *host = strstr(url, "://"), *rest, *at;

        if (!host)
                return NULL;
        host += 3;
        rest = host + strcspn(host, "/");
        at = memchr(host, '@', (size_t)(rest - host)); /* after a user and password */
        if (at)
                host = at + 1;
        for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
                const char *end = host + (*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/"));
                bool whole = here[i][strlen(here[i]) - 1] != '.';

                if (!str_has_prefix(host, here[i]) || (whole && (size_t)(end - host) != strlen(here[i])))
                        continue;
                return xasprintf("%.*s" INSTALLER_GATEWAY "%s", (int)(host - url), url, end);
        }
        return NULL;
}

static char *guest_url(const char *url)
{
        char *rewritten = installer_guest_url(url);

        return rewritten ? rewritten : xstrdup(url);
}

/* An answer that counts only where the preseed has none. */
static void add_default(struct buf *b, const struct preseed *p, const char *question, const char *type, const char *value)
{
        if (!preseed_find(p, NULL, question))
                buf_printf(b, "d-i %s %s %s\n", question, type, value);
}

/* The locale by a name that localechooser knows: of those that are there in UTF-8 only, it knows them without that. Owned. */
static char *known_locale(const char *locale, const char *known)
{
        static const char utf8[] = ".UTF-8";
        autostrv char **names = strv_split(known, "\n");
        const char *charset = strstr(locale, utf8);
        autofree char *plain =
                charset ? xasprintf("%.*s%s", (int)(charset - locale), locale, charset + strlen(utf8)) : xstrdup(locale);

        return xstrdup(strv_contains(names, plain) && !strv_contains(names, locale) ? plain : locale);
}

/*
 * On a serial line localechooser offers English and no language only, and ignores a locale of any other, which it then asks for.
 * So it is told that the installer's own words are English, as they are here, and the locale as the new system's.  Then it does
 * not take the country out of that; where there is none, no answer of ours depends on it.
 */
static void add_language(struct buf *b, const struct preseed *p, const char *locale, const char *known)
{
        autofree char *name = known_locale(locale, known);
        const char *country = strchr(locale, '_');

        country = country ? country + 1 : "US";
        buf_printf(b, "d-i debian-installer/language string %s\nd-i debian-installer/locale string %s\n",
                   streq(locale, "C") ? "C" : "en", name);
        if (!preseed_find(p, NULL, "debian-installer/country"))
                buf_printf(b, "d-i debian-installer/country string %.*s\n", (int)strcspn(country, ".@"), country);
}

/* "http://host/path" as choose-mirror's answers. */
static void add_mirror(struct buf *b, const char *url)
{
        autofree char *seen = guest_url(url);
        const char *host = strstr(seen, "://") + 3, *path = host + strcspn(host, "/");
        int scheme = (int)(host - 3 - seen);

        buf_printf(b, "d-i mirror/country string manual\nd-i mirror/protocol string %.*s\n", scheme, seen);
        buf_printf(b, "d-i mirror/%.*s/hostname string %.*s\n", scheme, seen, (int)(path - host), host);
        buf_printf(b, "d-i mirror/%.*s/directory string %s\n", scheme, seen, *path ? path : "/");
}

/* Those of the preseed and of the image that are names of packages and that no other step of the installer installs. */
static void add_packages(struct buf *b, const struct plan *plan)
{
        buf_printf(b, "d-i pkgsel/include string");
        for (char **p = plan->packages; p && *p; p++)
                if (!streq(*p, plan->kernel) && !str_has_prefix(*p, BOOT_LOADER_PREFIX) && !str_has_prefix(*p, "task-") &&
                    **p != '?')
                        buf_printf(b, " %s", *p);
        buf_printf(b, "\n");
}

char *installer_preseed(const struct image *image, struct preseed *p, const char *text, const struct plan *plan,
                        const char *mirror, const char *proxy, const char *locales)
{
        autobuf struct buf b = {0};
        const char *protocol = preseed_string(p, "mirror/protocol");
        autofree char *seen = proxy ? guest_url(proxy) : NULL;

        buf_printf(&b, "%s\n\n### What the image and the options of 'initvm create' say. The last answer to a question counts.\n",
                   text);
        add_language(&b, p, plan->locale, locales);
        add_default(&b, p, "netcfg/get_hostname", "string", plan->hostname);
        add_default(&b, p, "netcfg/get_domain", "string", plan->domain);
        add_default(&b, p, "mirror/suite", "string", image->suite);
        add_default(&b, p, "base-installer/kernel/image", "string", image->kernel);
        if (mirror ||
            !(protocol && preseed_find(p, NULL, streq(protocol, "https") ? "mirror/https/hostname" : "mirror/http/hostname")))
                add_mirror(&b, mirror ? mirror : image->main.uri);
        if (seen)
                buf_printf(&b, "d-i mirror/http/proxy string %s\nd-i mirror/https/proxy string %s\n", seen, seen);
        add_packages(&b, plan);
        /* The end that is waited for: no key to press, and switched off. */
        buf_printf(&b, "d-i finish-install/reboot_in_progress note\nd-i debian-installer/exit/poweroff boolean true\n"
                       "d-i debian-installer/exit/halt boolean false\nd-i debian-installer/exit/always_halt boolean false\n");
        return buf_take_string(&b);
}

/* For initvm-target, which makes the same plan again. */
static struct json_object *target_input(const struct installer *in, struct error *err)
{
        struct json_object *o = json_new(), *image = json_parse_file(in->request->image, err);

        if (!image) {
                json_object_put(o);
                return NULL;
        }
        json_add(o, "image", image);
        json_add_string(o, "imagePath", in->request->image);
        json_add_string(o, "preseedPath", in->request->preseed);
        json_add_string(o, "preseed", in->preseed_text);
        json_add_string(o, "name", in->request->name);
        json_add_string(o, "mirror", in->request->mirror);
        json_add_bool(o, "proxyAfterwards", in->plan->proxy != NULL);
        return o;
}

static int add_program(struct buf *out, const char *member, const char *path, struct error *err)
{
        size_t n;
        autofree char *data = file_read(path, PROGRAM_MAX, &n, err);

        if (!data)
                return -1;
        initrd_add(out, member, 0755, data, n);
        return 0;
}

/* Folders that the installer has are not named: one that is a link there would be replaced by an empty one. */
static int make_archive(const struct installer *in, struct buf *out, struct error *err)
{
        autofree char *preseed = installer_preseed(in->image, in->preseed, in->preseed_text, in->plan, in->request->mirror,
                                                   in->proxy, in->locales);
        autojson struct json_object *input = target_input(in, err);
        const char *line = input ? json_line(input) : NULL;

        if (!input)
                return -1;
        initrd_add(out, "preseed.cfg", 0600, preseed, strlen(preseed));
        initrd_add(out, "lib/debian-installer-startup.d/S11initvm", 0755, installer_log_script, strlen(installer_log_script));
        initrd_add(out, "usr/lib/finish-install.d/93initvm", 0755, installer_finish_script, strlen(installer_finish_script));
        initrd_add(out, "initvm", 0700, NULL, 0);
        initrd_add(out, "initvm/" INSTALLED_INPUT, 0600, line, strlen(line));
        if (add_program(out, "initvm/initvm-target", in->request->target, err) < 0 ||
            add_program(out, "initvm/" INSTALLED_AGENT, in->request->agent, err) < 0)
                return -1;
        initrd_end(out);
        return 0;
}

int installer_append(struct installer *in, struct error *err)
{
        static const char zeros[4];
        autofree char *path = xasprintf("%s/initrd", in->target);
        autobuf struct buf archive = {0};
        autoclose int fd = -1;
        off_t end;

        if (make_archive(in, &archive, err) < 0)
                return -1;
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        if (end < 0 || fd_write_all(fd, zeros, (size_t)(-end % 4 + 4) % 4) < 0 ||
            fd_write_all(fd, buf_head(&archive), buf_size(&archive)) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        return 0;
}
