/* SPDX-License-Identifier: MIT */
/* What becomes of a preseed: each honoured answer, each warning and each refusal with its line. */
#include "provision/plan.h"

#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct image *image;

static int setup(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        image = image_load("images/debian-13-amd64.json", &err);
        return image ? 0 : -1;
}

static int teardown(void **state)
{
        (void)state;
        image_free(image);
        return 0;
}

static struct plan *make(const char *text, const char *mirror, struct error *err)
{
        const struct plan_overrides overrides = {.name = "My_VM.1", .mirror = mirror};
        autopreseed struct preseed *p = preseed_parse("p.cfg", text, strlen(text), err);

        return p ? plan_new(image, p, &overrides, err) : NULL;
}

static void put(struct buf *b, const char *name, const char *value)
{
        buf_printf(b, "%s=%s\n", name, value ? value : "(none)");
}

static void put_list(struct buf *b, const char *name, char *const *v)
{
        autofree char *joined = strv_join(v, " ");

        put(b, name, joined);
}

static void put_password(struct buf *b, const char *name, const struct plan_password *p)
{
        buf_printf(b, "%s=%s%s\n", name, p->value ? p->value : "(none)", p->crypted ? " (crypted)" : "");
}

/* A plan as lines NAME=VALUE, for comparing. */
static char *dump(const struct plan *plan)
{
        autobuf struct buf b = {0};

        buf_printf(&b, "\n");
        put(&b, "hostname", plan->hostname);
        put(&b, "domain", plan->domain);
        put(&b, "locale", plan->locale);
        put_list(&b, "locales", plan->locales);
        buf_printf(&b, "keyboard=%s/%s/%s/%s\n", plan->keymap_model, plan->keymap_layout, plan->keymap_variant,
                   plan->keymap_options);
        put(&b, "timezone", plan->timezone);
        buf_printf(&b, "ntp=%d\n", plan->ntp);
        put(&b, "ntp-server", plan->ntp_server);
        buf_printf(&b, "root-login=%d\n", plan->root_login);
        put_password(&b, "root-password", &plan->root_password);
        put(&b, "user", plan->username);
        put(&b, "fullname", plan->fullname);
        put_password(&b, "user-password", &plan->user_password);
        buf_printf(&b, "uid=%llu\n", (unsigned long long)plan->user_uid);
        put_list(&b, "groups", plan->user_groups);
        for (size_t i = 0; i < plan->n_sources; i++) {
                const struct plan_source *s = &plan->sources[i];
                autofree char *components = strv_join(s->components, " ");
                buf_printf(&b, "source=%s %s %s %s%s%s%s\n", s->name, s->uri, s->suite, components,
                           s->with_sources ? " +src" : "", s->key ? " key " : "", s->key ? s->key : "");
        }
        put(&b, "proxy", plan->proxy);
        buf_printf(&b, "recommends=%d unsigned=%d\n", plan->recommends, plan->allow_unsigned);
        put_list(&b, "packages", plan->packages);
        put(&b, "kernel", plan->kernel);
        put(&b, "modules", plan->modules);
        put(&b, "kernel-options", plan->kernel_options);
        put(&b, "filesystem", plan->filesystem);
        buf_printf(&b, "swap=%llu\n", (unsigned long long)plan->swap);
        put(&b, "early", plan->early_command);
        put(&b, "late", plan->late_command);
        put(&b, "selections", "");
        buf_printf(&b, "%s", plan->selections);
        return buf_take_string(&b);
}

static const struct {
        const char *preseed, *expected; /* a line of the dump, or the beginning of one up to '~', or one with ' word ' in it */
} honoured[] = {
        {"", "hostname=my-vm-1"},
        {"d-i netcfg/get_hostname string b1", "hostname=b1"},
        {"d-i netcfg/get_hostname string b1.example.org", "hostname=b1"},
        {"d-i netcfg/get_hostname string b1.example.org", "domain=example.org"},
        {"d-i netcfg/get_hostname string b1\nd-i netcfg/hostname string b2", "hostname=b2"},
        {"d-i netcfg/get_domain string example.net", "domain=example.net"},
        {"", "locale=C.UTF-8"},
        {"", "locales="},
        {"d-i debian-installer/locale string de_DE", "locale=de_DE.UTF-8"},
        {"d-i debian-installer/locale string de_DE.UTF-8", "locales=de_DE.UTF-8"},
        {"d-i debian-installer/language string fr\nd-i debian-installer/country string CH", "locale=fr_CH.UTF-8"},
        {"d-i localechooser/supported-locales multiselect en_US.UTF-8, de_AT.UTF-8", "locales=en_US.UTF-8 de_AT.UTF-8"},
        {"", "keyboard=pc105/us//"},
        {"d-i keyboard-configuration/xkb-keymap select de", "keyboard=pc105/de//"},
        {"d-i keyboard-configuration/xkb-keymap select ch(fr)", "keyboard=pc105/ch/fr/"},
        {"d-i keyboard-configuration/layoutcode string us\nd-i keyboard-configuration/optionscode string compose:menu",
         "keyboard=pc105/us//compose:menu"},
        {"d-i time/zone string Europe/Berlin", "timezone=Europe/Berlin"},
        {"d-i time/zone string US/Eastern", "packages=~tzdata-legacy"},
        {"d-i clock-setup/utc boolean true\nd-i clock-setup/ntp boolean false", "ntp=0"},
        {"d-i clock-setup/ntp-server string ntp.example.org", "ntp-server=ntp.example.org"},
        {"", "packages=~systemd-timesyncd"},
        {"", "root-login=1"},
        {"", "root-password=(none)"},
        {"d-i passwd/root-password password r00t me", "root-password=r00t me"},
        {"d-i passwd/root-password-crypted password $6$x", "root-password=$6$x (crypted)"},
        {"d-i passwd/root-login boolean false", "root-login=0"},
        {"d-i passwd/root-login boolean false\nd-i passwd/username string u", "packages=~sudo"},
        {"", "user=(none)"},
        {"d-i passwd/username string ada\nd-i passwd/make-user boolean false", "user=(none)"},
        {"d-i passwd/username string ada\nd-i passwd/user-fullname string Ada L.", "fullname=Ada L."},
        {"d-i passwd/user-fullname string Ada Lovelace", "user=ada"},
        {"d-i passwd/username string ada\nd-i passwd/user-password-crypted password !", "user-password=! (crypted)"},
        {"d-i passwd/username string ada\nd-i passwd/user-uid string 1010", "uid=1010"},
        {"d-i passwd/username string ada\nd-i passwd/user-default-groups string audio kvm", "groups=audio kvm"},
        {"", "source=main http://deb.debian.org/debian trixie main +src"},
        {"", "source=security http://security.debian.org/debian-security trixie-security main +src"},
        {"d-i apt-setup/enable-source-repositories boolean false",
         "source=updates http://deb.debian.org/debian trixie-updates main"},
        {"d-i apt-setup/services-select multiselect backports",
         "source=backports http://deb.debian.org/debian trixie-backports main +src"},
        {"d-i apt-setup/security_host string sec.example.org",
         "source=security http://sec.example.org/debian-security trixie-security main +src"},
        {"d-i apt-setup/contrib boolean true\nd-i apt-setup/non-free-firmware boolean true",
         "source=main http://deb.debian.org/debian trixie main contrib non-free-firmware +src"},
        {"d-i mirror/http/hostname string m.example.org\nd-i mirror/http/directory string /d/",
         "source=main http://m.example.org/d trixie main +src"},
        {"d-i mirror/protocol select https\nd-i mirror/https/hostname string m.example.org",
         "source=updates https://m.example.org/debian trixie-updates main +src"},
        {"d-i mirror/http/proxy string http://proxy:3128/", "proxy=http://proxy:3128/"},
        {"d-i apt-setup/local0/repository string http://l.example.org/debian stable main extra\n"
         "d-i apt-setup/local0/source boolean true\nd-i apt-setup/local0/key string http://l.example.org/k.asc",
         "source=local0 http://l.example.org/debian stable main extra +src key http://l.example.org/k.asc"},
        {"d-i apt-setup/local1/repository string deb http://l.example.org/flat ./",
         "source=local1 http://l.example.org/flat ./ "},
        {"", "recommends=1 unsigned=0"},
        {"d-i base-installer/install-recommends boolean false\nd-i debian-installer/allow_unauthenticated boolean true",
         "recommends=0 unsigned=1"},
        {"", "packages=~linux-image-cloud-amd64"},
        {"d-i base-installer/kernel/image string linux-image-rt-amd64", "kernel=linux-image-rt-amd64"},
        {"d-i base-installer/kernel/image string linux-image-rt-amd64", "packages=~linux-image-rt-amd64"},
        {"d-i base-installer/initramfs-tools/driver-policy select most", "modules=most"},
        {"d-i debian-installer/add-kernel-opts string nosmt foo=bar", "kernel-options=nosmt foo=bar"},
        {"d-i pkgsel/include string build-essential, git", "packages=~build-essential"},
        {"d-i pkgsel/include string build-essential, git", "packages=~git"},
        {"d-i pkgsel/update-policy select unattended-upgrades", "packages=~unattended-upgrades"},
        {"tasksel tasksel/first multiselect standard, ssh-server", "packages=~?priority(standard)"},
        {"tasksel tasksel/first multiselect standard, ssh-server", "packages=~task-ssh-server"},
        {"", "filesystem=ext4"},
        {"d-i partman/default_filesystem string ext3", "filesystem=ext3"},
        {"", "swap=1073741824"},
        {"d-i partman-auto/expert_recipe string r :: 500 500 -1 ext3 method{ format } filesystem{ ext2 } mountpoint{ / } . "
         "64 512 200 linux-swap method{ swap } .",
         "filesystem=ext2"},
        {"d-i partman-auto/expert_recipe string r :: 500 500 -1 ext3 mountpoint{ / } . 64 512 200 linux-swap method{ swap } .",
         "swap=200000000"},
        {"d-i partman-auto/expert_recipe string r :: 500 500 -1 ext4 mountpoint{ / } . 64 512 300% linux-swap method{ swap } .",
         "swap=64000000"},
        {"d-i partman-auto/expert_recipe string r :: 500 500 -1 ext4 mountpoint{ / } .", "swap=0"},
        {"d-i preseed/early_command string echo a; echo b", "early=echo a; echo b"},
        {"d-i preseed/late_command string in-target touch /x", "late=in-target touch /x"},
        {"mypkg mypkg/question string  two blanks", "mypkg mypkg/question string  two blanks"},
        {"d-i time/zone string Europe/Berlin", "tzdata tzdata/Zones/Europe select Berlin"},
        {"d-i debian-installer/locale string de_DE", "locales locales/locales_to_be_generated multiselect de_DE.UTF-8 UTF-8"},
};

static bool dump_has(const char *text, const char *expected)
{
        const char *tilde = strchr(expected, '~');
        autofree char *line = tilde ? xasprintf("\n%.*s", (int)(tilde - expected), expected) : xasprintf("\n%s\n", expected);
        const char *found = strstr(text, line);
        autofree char *rest = NULL;
        autostrv char **words = NULL;

        if (!tilde || !found)
                return found != NULL;
        rest = xstrndup(found + strlen(line), strcspn(found + strlen(line), "\n"));
        words = strv_split(rest, " ");
        return strv_contains(words, tilde + 1);
}

static void test_honoured(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(honoured); i++) {
                struct error err = ERROR_INIT;
                autoplan struct plan *plan = make(honoured[i].preseed, NULL, &err);
                autofree char *text = plan ? dump(plan) : NULL;

                if (!plan)
                        fail_msg("%s\n%s", honoured[i].preseed, err.message);
                if (!dump_has(text, honoured[i].expected))
                        fail_msg("'%s' does not give '%s' but%s", honoured[i].preseed, honoured[i].expected, text);
                if (plan->warnings)
                        fail_msg("'%s' warns: %s", honoured[i].preseed, plan->warnings[0]);
        }
}

static void test_refused(void **state)
{
        static const struct {
                const char *preseed;
                enum error_code code;
                const char *message;
        } cases[] = {
                {"\nd-i partman-auto/method string lvm", ERR_UNSUPPORTED,
                 "p.cfg:2: 'partman-auto/method' asks for the partitioning method 'lvm'"},
                {"d-i partman-auto/method string crypto", ERR_UNSUPPORTED, "'crypto'"},
                {"d-i partman-auto/method string raid", ERR_UNSUPPORTED, "remove the line, or use the installer"},
                {"d-i partman-auto/choose_recipe select multi", ERR_UNSUPPORTED, "p.cfg:1: "},
                {"d-i partman/default_filesystem string btrfs", ERR_UNSUPPORTED, "the file system 'btrfs'"},
                {"d-i partman-auto/expert_recipe string r :: 5 5 -1 xfs method{ format } filesystem{ xfs } mountpoint{ / } .",
                 ERR_UNSUPPORTED, "the file system 'xfs'"},
                {"d-i partman-auto/expert_recipe string r :: 5 5 9 ext4 mountpoint{ / } . 5 5 -1 ext4 mountpoint{ /home } .",
                 ERR_UNSUPPORTED, "a partition for '/home'"},
                {"d-i partman-auto/expert_recipe string r :: 5 5 9 linux-swap method{ swap } .", ERR_INVALID,
                 "no partition with mountpoint{ / }"},
                {"d-i partman-auto/expert_recipe string whatever", ERR_INVALID, "begins with NAME ::"},
                {"d-i netcfg/get_ipaddress string 10.0.0.2", ERR_UNSUPPORTED, "a static network"},
                {"d-i netcfg/disable_autoconfig boolean true", ERR_UNSUPPORTED, "a static network"},
                {"d-i preseed/include string other.cfg", ERR_UNSUPPORTED, "further preseed files"},
                {"d-i base-installer/kernel/image string none", ERR_UNSUPPORTED, "a machine without kernel"},
                {"d-i mirror/suite string sid", ERR_UNSUPPORTED, "asks for 'sid', but the image 'debian-13-amd64' is trixie"},
                {"d-i mirror/protocol select ftp", ERR_UNSUPPORTED, "a mirror other than http or https"},
                {"d-i netcfg/get_hostname string a b", ERR_INVALID, "' ' is not possible"},
                {"d-i time/zone string $(reboot)", ERR_INVALID, "'$' is not possible"},
                {"d-i passwd/username string Ada", ERR_INVALID, "'Ada' cannot be a user's name"},
                {"d-i passwd/username string root", ERR_INVALID, "'root' cannot be a user's name"},
                {"d-i passwd/make-user boolean true", ERR_INVALID, "a user needs 'passwd/username'"},
                {"d-i passwd/make-user boolean maybe", ERR_INVALID, "p.cfg:1: "},
                {"d-i passwd/root-password-crypted password a:b", ERR_INVALID, "holds no ':'"},
                {"d-i pkgsel/include string ~nfoo", ERR_INVALID, "'~nfoo' is not a package"},
                {"d-i pkgsel/include string foo-", ERR_INVALID, "'foo-' is not a package"},
                {"d-i pkgsel/include string $(x)", ERR_INVALID, "is not possible"},
                {"d-i apt-setup/local0/repository string ftp://x y z", ERR_INVALID, "does not begin with http"},
                {"d-i apt-setup/local0/repository string http://x", ERR_INVALID, "URL SUITE COMPONENT"},
                {"d-i apt-setup/local0/repository string http://x stable", ERR_INVALID, "a component is missing after 'stable'"},
                {"d-i apt-setup/services-select multiselect nightly", ERR_INVALID, "there is no service 'nightly'"},
                {"d-i mirror/http/proxy string proxy", ERR_INVALID, "is not a URL"},
                {"d-i debian-installer/add-kernel-opts string a\"b", ERR_INVALID, "'\"' is not possible"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                struct plan *plan = make(cases[i].preseed, NULL, &err);

                if (plan)
                        fail_msg("'%s' is not refused", cases[i].preseed);
                if (err.code != cases[i].code || !strstr(err.message, cases[i].message) || !strstr(err.message, "p.cfg:"))
                        fail_msg("'%s' says (%d) %s", cases[i].preseed, (int)err.code, err.message);
        }
}

static void test_warnings(void **state)
{
        static const char preseed[] = "# comment\n"
                                      "d-i debian-installer/locale string C\n"
                                      "d-i partman/confirm boolean true\n"
                                      "d-i foo/bar string x\n"
                                      "d-i foo/bar seen true\n"
                                      "d-i netcfg/choose_interface select eth1\n"
                                      "popularity-contest popularity-contest/participate boolean false\n"
                                      "d-i grub-installer/password password x\n"
                                      "d-i finish-install/reboot_in_progress note\n"
                                      "d-i partman-auto-lvm/guided_size string max\n"
                                      "d-i netcfg/disable_autoconfig boolean false\n"
                                      "d-i clock-setup/utc boolean false\n";
        struct error err = ERROR_INIT;
        autoplan struct plan *plan = make(preseed, NULL, &err);

        (void)state;
        assert_non_null(plan);
        assert_int_equal(strv_length(plan->warnings), 4);
        assert_true(str_has_prefix(plan->warnings[0], "p.cfg:12: 'clock-setup/utc' "));
        assert_true(str_has_prefix(plan->warnings[1], "p.cfg:4: 'foo/bar' is not honoured by bootstrap"));
        assert_true(str_has_prefix(plan->warnings[2], "p.cfg:6: 'netcfg/choose_interface' "));
        assert_true(str_has_prefix(plan->warnings[3], "p.cfg:8: 'grub-installer/password' "));
}

static void test_mirror_override(void **state)
{
        struct error err = ERROR_INIT;
        autoplan struct plan *plan = make("d-i mirror/http/hostname string other", "http://localhost:8080/debian/", &err);

        (void)state;
        assert_non_null(plan);
        assert_string_equal(plan->sources[0].uri, "http://localhost:8080/debian");
        assert_string_equal(plan->sources[1].uri, "http://localhost:8080/debian");
        assert_string_equal(plan->sources[2].uri, "http://security.debian.org/debian-security");
        assert_null(make("", "file:///x", &err));
        assert_null(make("", "http://x y", &err));
        assert_int_equal(err.code, ERR_INVALID);
}

static void test_sources_text(void **state)
{
        char *signed_by[] = {(char *)"/k/archive.gpg", (char *)"/k/local0.asc", NULL};
        struct error err = ERROR_INIT;
        autoplan struct plan *plan = make("d-i apt-setup/services-select multiselect\n"
                                          "d-i apt-setup/enable-source-repositories boolean false\n"
                                          "d-i apt-setup/local0/repository string http://l/debian stable main\n"
                                          "d-i apt-setup/local0/comment string ours\n",
                                          NULL, &err);
        autofree char *own = NULL, *local = NULL;

        (void)state;
        assert_non_null(plan);
        assert_int_equal(plan->n_sources, 2);
        own = plan_sources_text(plan, false, signed_by);
        local = plan_sources_text(plan, true, signed_by);
        assert_string_equal(own, "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main\n"
                                 "Signed-By: /k/archive.gpg\n\n");
        assert_string_equal(local, "# ours\nTypes: deb\nURIs: http://l/debian\nSuites: stable\nComponents: main\n"
                                   "Signed-By: /k/local0.asc\n\n");
}

/* What comes with the source is honoured to the last line. */
static void test_default_preseed(void **state)
{
        struct error err = ERROR_INIT;
        size_t n;
        autofree char *text = file_read("preseed/default.cfg", PRESEED_FILE_MAX, &n, &err);
        autoplan struct plan *plan = text ? make(text, NULL, &err) : NULL;

        (void)state;
        if (!plan)
                fail_msg("%s", err.message);
        if (plan->warnings)
                fail_msg("%s", plan->warnings[0]);
        assert_true(strv_contains(plan->packages, "build-essential"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_honoured),     cmocka_unit_test(test_refused),
                cmocka_unit_test(test_warnings),     cmocka_unit_test(test_mirror_override),
                cmocka_unit_test(test_sources_text), cmocka_unit_test(test_default_preseed),
        };

        return cmocka_run_group_tests_name("plan", tests, setup, teardown);
}
