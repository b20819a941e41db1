/* SPDX-License-Identifier: MIT */
/* Host name, locale, keyboard, time zone and users, as the installer leaves them. */
#include "provision/guest.h"

#include "base/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUPPORTED_MAX (1u << 20) /* glibc's list has some 20 KB */
#define GROUP_MAX     (1u << 20)

static int apply_names(const struct plan *plan, struct error *err)
{
        autofree char *fqdn = *plan->domain ? xasprintf("%s.%s ", plan->hostname, plan->domain) : xstrdup("");

        if (guest_writef("/etc/hostname", 0644, err, "%s\n", plan->hostname) < 0)
                return -1;
        return guest_writef("/etc/hosts", 0644, err,
                            "127.0.0.1\tlocalhost\n"
                            "127.0.1.1\t%s%s\n"
                            "\n"
                            "::1\tlocalhost ip6-localhost ip6-loopback\n"
                            "ff02::1\tip6-allnodes\n"
                            "ff02::2\tip6-allrouters\n",
                            fqdn, plan->hostname);
}

/* locale-gen(8) passes over what it does not know. */
static int check_locales(const struct plan *plan, struct error *err)
{
        autofree char *supported = NULL;

        if (!plan->locales)
                return 0;
        supported = file_read("/usr/share/i18n/SUPPORTED", SUPPORTED_MAX, NULL, err);
        if (!supported)
                return -1;
        for (char **l = plan->locales; *l; l++) {
                autofree char *start = xasprintf("%s ", *l), *inner = xasprintf("\n%s ", *l);

                if (!str_has_prefix(supported, start) && !strstr(supported, inner))
                        return error_set(
                                err, ERR_INVALID,
                                "there is no locale '%s' in this suite: correct 'debian-installer/locale' in the preseed", *l);
        }
        return 0;
}

static int apply_locale(const struct plan *plan, struct error *err)
{
        autofree char *text = xasprintf("LANG=%s\n", plan->locale);
        struct stat st;

        if (check_locales(plan, err) < 0)
                return -1;
        /* The one file is where it is in Debian 12, in later releases it is a link to the other. */
        if (lstat("/etc/default/locale", &st) == 0 && S_ISLNK(st.st_mode))
                return guest_write("/etc/locale.conf", 0644, text, err);
        if (access("/etc/locale.conf", F_OK) == 0 && guest_write("/etc/locale.conf", 0644, text, err) < 0)
                return -1;
        return guest_write("/etc/default/locale", 0644, text, err);
}

static int apply_keyboard(const struct plan *plan, struct error *err)
{
        return guest_writef("/etc/default/keyboard", 0644, err,
                            "# KEYBOARD CONFIGURATION FILE, see keyboard(5)\n"
                            "\n"
                            "XKBMODEL=\"%s\"\n"
                            "XKBLAYOUT=\"%s\"\n"
                            "XKBVARIANT=\"%s\"\n"
                            "XKBOPTIONS=\"%s\"\n"
                            "\n"
                            "BACKSPACE=\"guess\"\n",
                            plan->keymap_model, plan->keymap_layout, plan->keymap_variant, plan->keymap_options);
}

static int apply_clock(const struct plan *plan, struct error *err)
{
        autofree char *zone = xasprintf("/usr/share/zoneinfo/%s", plan->timezone);
        struct stat st;

        if (strstr(plan->timezone, "..") || stat(zone, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set(err, ERR_INVALID, "there is no time zone '%s' in this suite: correct 'time/zone' in the preseed",
                                 plan->timezone);
        if (guest_link(zone, "/etc/localtime", err) < 0 || guest_writef("/etc/timezone", 0644, err, "%s\n", plan->timezone) < 0)
                return -1;
        if (plan->ntp_server)
                return guest_writef("/etc/systemd/timesyncd.conf.d/initvm.conf", 0644, err, "[Time]\nNTP=%s\n", plan->ntp_server);
        return 0;
}

int guest_apply_system(const struct plan *plan, struct error *err)
{
        return apply_names(plan, err) < 0 || apply_locale(plan, err) < 0 || apply_keyboard(plan, err) < 0 ||
                               apply_clock(plan, err) < 0
                       ? -1
                       : 0;
}

/* The name goes on stdin with the password: nothing of it is in a process list. */
static int set_password(const char *name, const struct plan_password *password, struct error *err)
{
        char *const plain[] = {"chpasswd", NULL}, *const crypted[] = {"chpasswd", "-e", NULL};
        char *const lock[] = {"passwd", "-q", "-l", (char *)name, NULL};
        autofree char *line = password->value ? xasprintf("%s:%s\n", name, password->value) : NULL;

        if (!line)
                return guest_run(lock, NULL, err);
        return guest_run(password->crypted ? crypted : plain, line, err);
}

/* Those of the groups that the system has. */
static char *existing_groups(const struct plan *plan, struct error *err)
{
        autofree char *text = file_read("/etc/group", GROUP_MAX, NULL, err);
        autostrv char **groups = NULL;

        if (!text)
                return NULL;
        for (char **g = plan->user_groups; g && *g; g++) {
                autofree char *start = xasprintf("%s:", *g), *inner = xasprintf("\n%s:", *g);

                if (str_has_prefix(text, start) || strstr(text, inner))
                        strv_add(&groups, *g);
        }
        if (!plan->root_login && !strv_contains(groups, "sudo"))
                strv_add(&groups, "sudo");
        return strv_join(groups, ",");
}

static int add_user(const struct plan *plan, struct error *err)
{
        autofree char *groups = existing_groups(plan, err);
        autofree char *uid = plan->user_uid ? xasprintf("%llu", (unsigned long long)plan->user_uid) : NULL;
        autostrv char **argv = NULL;

        if (!groups)
                return -1;
        strv_add(&argv, "useradd");
        strv_add(&argv, "--create-home");
        strv_add(&argv, "--user-group");
        strv_add(&argv, "--shell=/bin/bash");
        strv_addf(&argv, "--comment=%s", plan->fullname);
        if (*groups)
                strv_addf(&argv, "--groups=%s", groups);
        if (uid)
                strv_addf(&argv, "--uid=%s", uid);
        strv_add(&argv, plan->username);
        if (guest_run(argv, NULL, err) < 0)
                return error_prefix(err, "adding the user '%s'", plan->username);
        return set_password(plan->username, &plan->user_password, err);
}

int guest_apply_users(const struct plan *plan, struct error *err)
{
        static const struct plan_password none = {0};

        if (set_password("root", plan->root_login ? &plan->root_password : &none, err) < 0)
                return error_prefix(err, "setting the password of root");
        return plan->username ? add_user(plan, err) : 0;
}
