/* SPDX-License-Identifier: MIT */
/* What is installed: base-installer, pkgsel and tasksel, and the answers that packages find in debconf. */
#include "provision/plan.h"

#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What may stand in a package's name with a version, release or architecture (apt-get(8)); no pattern, no removal. */
#define PACKAGE_CHARACTERS "+-.:~=/"

/* Zones outside these areas are old names, which are a package of their own since Debian 13. */
static const char *const areas[] = {"Africa/",    "America/", "Antarctica/", "Arctic/",  "Asia/", "Atlantic/",
                                    "Australia/", "Europe/",  "Indian/",     "Pacific/", "Etc/"};
#define TZDATA_LEGACY_SINCE 13

/* What the making of the machine itself runs in it, what its console cannot do without, and what its disk grows by. */
static const char *const base[] = {"passwd", "login", "e2fsprogs", "fdisk", "udev", "kmod", "procps", "less"};

static void add_package(struct plan *plan, const char *name)
{
        if (!strv_contains(plan->packages, name))
                strv_add(&plan->packages, name);
}

/* The names of one question. */
static int add_packages(struct plan *plan, struct preseed *p, const char *question, struct error *err)
{
        autostrv char **names = NULL;

        if (preseed_words(p, question, &names, err) < 0)
                return -1;
        for (char **n = names; n && *n; n++) {
                if (plan_check_characters(p, question, *n, PACKAGE_CHARACTERS, err) < 0)
                        return -1;
                if (!isalnum((unsigned char)**n) || str_has_suffix(*n, "-"))
                        return preseed_invalid(p, preseed_find(p, NULL, question), err, "'%s' is not a package", *n);
                add_package(plan, *n);
        }
        return 0;
}

/* tasksel(8): each task is a package task-NAME, but "standard" is a priority and "minimal" nothing. */
static int read_tasks(struct plan *plan, struct preseed *p, struct error *err)
{
        autostrv char **tasks = NULL;
        bool run = true;

        if (preseed_bool(p, "pkgsel/run_tasksel", &run, err) < 0 || preseed_list(p, "tasksel/first", &tasks, err) < 0)
                return -1;
        for (char **t = tasks; run && t && *t; t++) {
                autofree char *package = xasprintf("task-%s", *t);

                if (plan_check_characters(p, "tasksel/first", *t, "-", err) < 0)
                        return -1;
                if (streq(*t, "standard"))
                        add_package(plan, "?priority(standard)");
                else if (!streq(*t, "minimal"))
                        add_package(plan, package);
        }
        return 0;
}

static int read_kernel(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *kernel = plan_string(p, "base-installer/kernel/image");
        autofree char *policy = plan_string(p, "base-installer/initramfs-tools/driver-policy");
        autofree char *options = plan_string(p, "debian-installer/add-kernel-opts");

        if (plan_check_characters(p, "base-installer/kernel/image", kernel, "+-.", err) < 0 ||
            plan_check_characters(p, "debian-installer/add-kernel-opts", options, "_.,:=/+-@% ", err) < 0)
                return -1;
        if (streq(kernel, "none"))
                return plan_unsupported(p, preseed_find(p, NULL, "base-installer/kernel/image"), err, "a machine without kernel");
        if (policy && !streq(policy, "most") && !streq(policy, "dep"))
                return preseed_invalid(p, preseed_find(p, NULL, "base-installer/initramfs-tools/driver-policy"), err,
                                       "'%s' is neither 'most' nor 'dep'", policy);
        /* "dep" means what this machine needs. Its devices are known: ours is the same, made without looking at the host. */
        plan->modules = xstrdup(streq(policy, "most") ? "most" : "list");
        plan->kernel = kernel ? take_ptr(kernel) : xstrdup(plan->image->kernel);
        plan->kernel_options = options ? take_ptr(options) : xstrdup("");
        add_package(plan, plan->kernel);
        return 0;
}

static int read_upgrades(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *upgrade = plan_string(p, "pkgsel/upgrade"), *policy = plan_string(p, "pkgsel/update-policy");

        /* Every package comes in its newest version at once: there is nothing left to upgrade, whichever way was asked. */
        if (upgrade && !streq(upgrade, "none") && !streq(upgrade, "safe-upgrade") && !streq(upgrade, "full-upgrade"))
                return preseed_invalid(p, preseed_find(p, NULL, "pkgsel/upgrade"), err,
                                       "'%s' is none of none, safe-upgrade, full-upgrade", upgrade);
        if (streq(policy, "unattended-upgrades"))
                add_package(plan, "unattended-upgrades");
        else if (policy && !streq(policy, "none"))
                preseed_mark(p, "pkgsel/update-policy", false);
        return 0;
}

static bool is_legacy_zone(const char *zone)
{
        for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
                if (str_has_prefix(zone, areas[i]))
                        return false;
        return strchr(zone, '/') != NULL;
}

/* Ours come first, so that a preseed's own answers win; but a bootloader must not look for a disk while the root is made. */
static void add_selections(struct plan *plan)
{
        autobuf struct buf b = {0};
        const char *slash = strchr(plan->timezone, '/');

        if (plan->locales) {
                buf_printf(&b, "locales locales/locales_to_be_generated multiselect ");
                for (char **l = plan->locales; *l; l++) {
                        const char *charset = strchr(*l, '.') + 1;
                        buf_printf(&b, "%s%s %.*s", l == plan->locales ? "" : ", ", *l, (int)strcspn(charset, "@"), charset);
                }
                buf_printf(&b, "\nlocales locales/default_environment_locale select %s\n", plan->locale);
        }
        if (slash)
                buf_printf(&b, "tzdata tzdata/Areas select %.*s\ntzdata tzdata/Zones/%.*s select %s\n",
                           (int)(slash - plan->timezone), plan->timezone, (int)(slash - plan->timezone), plan->timezone,
                           slash + 1);
        buf_printf(&b, "keyboard-configuration keyboard-configuration/modelcode string %s\n", plan->keymap_model);
        buf_printf(&b, "keyboard-configuration keyboard-configuration/layoutcode string %s\n", plan->keymap_layout);
        buf_printf(&b, "keyboard-configuration keyboard-configuration/variantcode string %s\n", plan->keymap_variant);
        buf_printf(&b, "keyboard-configuration keyboard-configuration/optionscode string %s\n", plan->keymap_options);
        /* The index of manual pages is rebuilt after each package and read by nobody who builds packages. */
        buf_printf(&b, "man-db man-db/auto-update boolean false\n");
        buf_printf(&b, "%s%s", plan->selections, *plan->selections && !str_has_suffix(plan->selections, "\n") ? "\n" : "");
        buf_printf(&b, "grub-pc grub-pc/install_devices multiselect \n");
        buf_printf(&b, "grub-pc grub-pc/install_devices_empty boolean true\n");
        free(plan->selections);
        plan->selections = buf_take_string(&b);
}

int plan_read_packages(struct plan *plan, struct preseed *p, struct error *err)
{
        uint64_t version = 0;

        plan->recommends = true; /* base-installer's default */
        if (preseed_bool(p, "base-installer/install-recommends", &plan->recommends, err) < 0 || read_kernel(plan, p, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(base); i++)
                add_package(plan, base[i]);
        for (char **n = plan->image->packages; n && *n; n++)
                add_package(plan, *n);
        if (plan->locales)
                add_package(plan, "locales");
        add_package(plan, "tzdata");
        if (is_legacy_zone(plan->timezone) && parse_u64(plan->image->version, 1, UINT32_MAX, &version) == 0 &&
            version >= TZDATA_LEGACY_SINCE)
                add_package(plan, "tzdata-legacy");
        if (plan->ntp)
                add_package(plan, "systemd-timesyncd");
        if (plan->username && !plan->root_login)
                add_package(plan, "sudo");
        if (read_tasks(plan, p, err) < 0 || read_upgrades(plan, p, err) < 0 ||
            add_packages(plan, p, "base-installer/includes", err) < 0 || add_packages(plan, p, "pkgsel/include", err) < 0)
                return -1;
        add_selections(plan);
        return 0;
}
