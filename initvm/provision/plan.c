/* SPDX-License-Identifier: MIT */
/*
 * Putting a plan together, and accounting for every answer of the installer's: honoured, of no meaning without an
 * installer, refused, or named in a warning.  The reading of the answers themselves is in plan_*.c by subject.
 */
#include "provision/plan.h"

#include "base/util.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

void plan_free(struct plan *plan)
{
        if (!plan)
                return;
        for (size_t i = 0; i < plan->n_sources; i++) {
                struct plan_source *s = &plan->sources[i];
                free(s->name);
                free(s->uri);
                free(s->suite);
                strv_free(s->components);
                free(s->comment);
                free(s->key);
        }
        free(plan->sources);
        free(plan->hostname);
        free(plan->domain);
        free(plan->locale);
        strv_free(plan->locales);
        free(plan->keymap_model);
        free(plan->keymap_layout);
        free(plan->keymap_variant);
        free(plan->keymap_options);
        free(plan->timezone);
        free(plan->ntp_server);
        free(plan->root_password.value);
        free(plan->username);
        free(plan->fullname);
        free(plan->user_password.value);
        strv_free(plan->user_groups);
        free(plan->proxy);
        strv_free(plan->packages);
        free(plan->kernel);
        free(plan->modules);
        free(plan->kernel_options);
        free(plan->filesystem);
        free(plan->early_command);
        free(plan->late_command);
        free(plan->selections);
        strv_free(plan->warnings);
        free(plan);
}

char *plan_string(struct preseed *p, const char *question)
{
        const char *s = preseed_string(p, question);
        size_t n;

        if (!s)
                return NULL;
        s += strspn(s, " \t");
        n = strlen(s);
        while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
                n--;
        return n > 0 ? xstrndup(s, n) : NULL;
}

int plan_check_characters(const struct preseed *p, const char *question, const char *value, const char *others, struct error *err)
{
        for (const char *s = value; s && *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr(others, *s))
                        return preseed_invalid(p, preseed_find(p, NULL, question), err, "'%c' is not possible in '%s'", *s,
                                               value);
        return 0;
}

int plan_unsupported(const struct preseed *p, const struct preseed_entry *e, struct error *err, const char *what)
{
        return error_set(err, ERR_UNSUPPORTED,
                         "%s:%u: '%s' asks for %s, which bootstrap cannot make: remove the line, or use the installer",
                         p->filename, e->line, e->question, what);
}

/*
 * What only an installer asks: its own course, confirmations, media and hardware.  No machine differs by them.  Patterns of
 * fnmatch(3).
 */
static const char *const installer_only[] = {
        "anna/*",
        "apt-cdrom-setup/*",
        "apt-setup/cdrom/*",
        "apt-setup/disable-cdrom-entries",
        "apt-setup/use_mirror",
        "apt-setup/no_mirror",
        "apt-setup/mirror/*",
        "base-installer/debootstrap/*",
        "base-installer/kernel/override-image",
        "cdrom-checker/*",
        "cdrom-detect/*",
        "debconf/*",
        "debian-installer/allow_unauthenticated_ssl",
        "debian-installer/exit/*",
        "debian-installer/framebuffer",
        "debian-installer/splash",
        "debian-installer/theme",
        "debian-installer/quiet",
        "disk-detect/*",
        "di-utils-shell/*",
        "di-utils-reboot/*",
        "finish-install/*",
        "grub-installer/bootdev",
        "grub-installer/choose_bootdev",
        "grub-installer/force-efi-extra-removable",
        "grub-installer/make_active",
        "grub-installer/multiple_bootdev",
        "grub-installer/only_debian",
        "grub-installer/sequence-check/*",
        "grub-installer/update-nvram",
        "grub-installer/with_other_os",
        "hw-detect/*",
        "keyboard-configuration/toggle",
        "keyboard-configuration/unsupported_*",
        "localechooser/continent",
        "localechooser/shortlist",
        "localechooser/translation/*",
        "localechooser/languagelist",
        "localechooser/preferred-locale",
        "lowmem/*",
        "media-retriever/*",
        "mirror/udeb/*",
        "mirror/codename",
        "mirror/error",
        "mirror/no-default",
        "mirror/*/countries",
        "mirror/*/mirror",
        "mirror/bad-mirror",
        "net-retriever/*",
        "netcfg/choose_interface_*",
        "netcfg/confirm_static",
        "netcfg/dhcp_failed",
        "netcfg/dhcp_options",
        "netcfg/dhcp_timeout",
        "netcfg/dhcpv6_timeout",
        "netcfg/link_wait_timeout",
        "netcfg/target_network_config",
        "netcfg/wireless_*",
        "network-console/*",
        "nobootloader/*",
        "partman-auto/disk",
        "partman-auto/init_automatically_partition",
        "partman-auto-crypto/*",
        "partman-auto-lvm/*",
        "partman-auto/automatically_partition",
        "partman-base/*",
        "partman-basicfilesystems/*",
        "partman-crypto/*",
        "partman-efi/*",
        "partman-ext3/*",
        "partman-lvm/*",
        "partman-md/*",
        "partman-partitioning/*",
        "partman-swapfile/*",
        "partman-target/*",
        "partman/alignment",
        "partman/choose_label",
        "partman/choose_partition",
        "partman/confirm*",
        "partman/early_command", /* acts on the installer's disks; reported below when it is not empty */
        "partman/mount_style",
        "partman/unmount_active",
        "passwd/root-password-again",
        "passwd/user-password-again",
        "pkgsel/progress/*",
        "pkgsel/updatedb", /* an index that only its package makes */
        "preseed/interactive",
        "rescue/*",
        "save-logs/*",
        "tzsetup/*",
};

/* Answers that ask for another machine, or fetch further answers that nobody would honour. */
static const struct {
        const char *question;
        const char *value; /* only with this value; NULL: with any but "" and false */
        const char *what;
} refused[] = {
        {"netcfg/disable_autoconfig", "true", "a static network"},
        {"netcfg/disable_dhcp", "true", "a static network"},
        {"netcfg/use_autoconfig", "false", "a static network"},
        {"netcfg/use_dhcp", "false", "a static network"},
        {"netcfg/enable", "false", "a machine without network"},
        {"netcfg/get_ipaddress", NULL, "a static network"},
        {"netcfg/get_netmask", NULL, "a static network"},
        {"netcfg/get_gateway", NULL, "a static network"},
        {"netcfg/get_nameservers", NULL, "a static network"},
        {"partman-auto-raid/recipe", NULL, "a RAID"},
        {"partman-auto/expert_recipe_file", NULL, "a recipe from a file of the installer"},
        {"partman/early_command", NULL, "a command among the installer's disks"},
        {"preseed/include", NULL, "further preseed files"},
        {"preseed/include_command", NULL, "further preseed files"},
        {"preseed/run", NULL, "scripts inside the installer"},
        {"base-installer/includes", "none", "a machine without base packages"},
};

static bool empty(const char *value)
{
        return value[strspn(value, " \t")] == '\0' || streq(value, "false");
}

int plan_read_rest(struct plan *plan, struct preseed *p, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                const struct preseed_entry *e = preseed_find(p, NULL, refused[i].question);

                if (!e)
                        continue;
                if (refused[i].value ? streq(e->value, refused[i].value) : !empty(e->value))
                        return plan_unsupported(p, e, err, refused[i].what);
                preseed_mark(p, refused[i].question, true);
        }
        for (const struct preseed_entry *e = NULL; (e = preseed_next_unused(p, e));)
                for (size_t i = 0; i < ARRAY_SIZE(installer_only); i++)
                        if (fnmatch(installer_only[i], e->question, 0) == 0) {
                                preseed_mark(p, e->question, true);
                                break;
                        }
        for (const struct preseed_entry *e = NULL; (e = preseed_next_unused(p, e));)
                if (e->type != PRESEED_SEEN)
                        strv_addf(&plan->warnings,
                                  "%s:%u: '%s' is not honoured by bootstrap: the VM is made without it; use the installer for it",
                                  p->filename, e->line, e->question);
        return 0;
}

struct plan *plan_new(const struct image *image, struct preseed *preseed, const struct plan_overrides *overrides,
                      struct error *err)
{
        autoplan struct plan *plan = xcalloc(1, sizeof(*plan));

        plan->image = image;
        plan->selections = preseed_selections(preseed);
        if (plan_read_disk(plan, preseed, overrides, err) < 0 || plan_read_system(plan, preseed, overrides, err) < 0 ||
            plan_read_users(plan, preseed, err) < 0 || plan_read_apt(plan, preseed, overrides, err) < 0 ||
            plan_read_packages(plan, preseed, err) < 0 || plan_read_rest(plan, preseed, err) < 0)
                return NULL;
        return take_ptr(plan);
}
