/* SPDX-License-Identifier: MIT */
/* The golden files are data/domain/<architecture>-<kvm|tcg>.xml; INITVM_UPDATE_GOLDEN=1 writes them anew, to be read before they
 * are kept. */
#include "daemon/domain_xml.h"

#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct vm_record record = {
        .name = "build-1",
        .uuid = "6d1f3f5e-5b3c-4c53-9a58-0c1a3a3f2b11",
        .command_line = "root=UUID=0c5d7f4e ro quiet",
        .memory = UINT64_C(4) << 30,
        .cpus = 3,
};

static void test_golden(void **state)
{
        static const struct {
                const char *debian;
                bool kvm, unsafe_writes;
        } cases[] = {{"amd64", true, false}, {"amd64", false, true}, {"arm64", true, true}, {"arm64", false, false}};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *path =
                        xasprintf("%s/unit/data/domain/%s-%s.xml", INITVM_TESTS, cases[i].debian, cases[i].kvm ? "kvm" : "tcg");
                const struct domain_options options = {.folder = "/var/lib/initvm/vms/build-1",
                                                       .boot_folder = "/var/lib/initvm/vms/build-1",
                                                       .kvm = cases[i].kvm,
                                                       .tsc_khz = 2500000,
                                                       .unsafe_writes = cases[i].unsafe_writes};
                autofree char *xml = domain_xml(&record, machine_find(cases[i].debian), &options);
                struct error err = ERROR_INIT;

                if (getenv("INITVM_UPDATE_GOLDEN"))
                        assert_int_equal(file_write_atomic(path, 0644, xml, strlen(xml), &err), 0);
                autofree char *golden = file_read(path, 1u << 20, NULL, &err);
                assert_string_equal(err.message, "");
                assert_string_equal(xml, golden);
        }
}

/* Reached by SSH: no port of the agent, but one of the loopback, which the running domain's XML tells again. */
static void test_ssh(void **state)
{
        autofree char *path = xasprintf("%s/unit/data/domain/amd64-ssh.xml", INITVM_TESTS), *golden = NULL;
        const struct domain_options options = {.folder = "/var/lib/initvm/vms/build-1",
                                               .boot_folder = "/var/lib/initvm/vms/build-1",
                                               .kvm = true,
                                               .no_port = true,
                                               .ssh_port = 2222,
                                               .net_port = 40001};
        const struct domain_options ordinary = {.folder = "/f", .boot_folder = "/f", .kvm = true};
        autofree char *xml = domain_xml(&record, machine_find("amd64"), &options);
        autofree char *without = domain_xml(&record, machine_find("amd64"), &ordinary);
        (void)state;

        if (getenv("INITVM_UPDATE_GOLDEN"))
                assert_int_equal(file_write_atomic(path, 0644, xml, strlen(xml), NULL), 0);
        golden = file_read(path, 1u << 20, NULL, NULL);
        assert_non_null(golden);
        assert_string_equal(xml, golden);
        assert_null(strstr(xml, AGENT_PORT_NAME));
        assert_int_equal(domain_xml_ssh_port(xml), 2222);
        assert_int_equal(domain_xml_ssh_port(without), 0);
        assert_int_equal(domain_xml_ssh_port("<initvm:ssh xmlns:initvm=\"u\" port=\"2223\"/>"), 2223);
        assert_int_equal(domain_xml_ssh_port("<initvm:ssh xmlns:initvm='u' port='99999'/>"), 0);
        assert_int_equal(domain_xml_ssh_port("<initvm:ssh xmlns:initvm='u'/>"), 0);
}

/* An installation has a second port and ends with its first reboot; what it has made boots by itself the first time. */
static void test_installation(void **state)
{
        static const char *const names[] = {"amd64-installation", "amd64-from-disk"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                autofree char *path = xasprintf("%s/unit/data/domain/%s.xml", INITVM_TESTS, names[i]), *golden = NULL;
                const struct domain_options options = {.folder = "/var/lib/initvm/creating/build-1",
                                                       .boot_folder = i ? NULL : "/var/lib/initvm/creating/build-1/installer",
                                                       .installer = i ? NULL : "DEBIAN_FRONTEND=text TERM='dumb'",
                                                       .unsafe_writes = true};
                autofree char *xml = domain_xml(&record, machine_find("amd64"), &options);

                if (getenv("INITVM_UPDATE_GOLDEN"))
                        assert_int_equal(file_write_atomic(path, 0644, xml, strlen(xml), NULL), 0);
                golden = file_read(path, 1u << 20, NULL, NULL);
                assert_non_null(golden);
                assert_string_equal(xml, golden);
        }
}

/* Whatever characters a path or a command line has, they stay inside their element and mean themselves. */
static void test_escaping(void **state)
{
        struct vm_record odd = record;
        const struct domain_options options = {
                .folder = "/srv/R&D/it's \"<here>\"", .boot_folder = "/srv/R&D/it's \"<here>\"/boot-1", .kvm = true};
        static const char escaped[] = "/srv/R&amp;D/it&apos;s &quot;&lt;here&gt;&quot;";
        static const char *const formats[] = {
                "<kernel>%s/boot-1/kernel</kernel>",
                "<initrd>%s/boot-1/initrd</initrd>",
                "<source file='%s/buildenv.img'/>",
                "<log file='%s/console.log' append='on'/>",
        };
        (void)state;

        odd.name = (char *)"a<b";
        odd.uuid = (char *)"u&";
        odd.command_line = (char *)"x=\"1\" </cmdline><evil/>";
        autofree char *xml = domain_xml(&odd, machine_find("amd64"), &options);
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                autofree char *expected = xasprintf(formats[i], escaped);
                if (!strstr(xml, expected))
                        fail_msg("%s is not in %s", expected, xml);
        }
        assert_non_null(strstr(xml, "<name>a&lt;b</name>"));
        assert_non_null(strstr(xml, "<uuid>u&amp;</uuid>"));
        assert_non_null(strstr(xml, "<cmdline>x=&quot;1&quot; &lt;/cmdline&gt;&lt;evil/&gt; console="));
        assert_null(strstr(xml, "R&D"));
        assert_null(strstr(xml, "it's"));
        assert_null(strstr(xml, "<evil/>"));
}

/* The address of the network card is the VM's own, the same at each start, and a locally administered unicast one. */
static void test_mac(void **state)
{
        struct vm_record other = record;
        const struct domain_options options = {.folder = "/f", .boot_folder = "/f", .kvm = true},
                                    tcg = {.folder = "/f", .boot_folder = "/f"};
        autofree char *first = domain_xml(&record, machine_find("amd64"), &options);
        autofree char *again = domain_xml(&record, machine_find("amd64"), &tcg);
        (void)state;

        other.uuid = (char *)"6d1f3f5e-5b3c-4c53-9a58-0c1a3a3f2b12";
        autofree char *second = domain_xml(&other, machine_find("amd64"), &options);
        const char *a = strstr(first, "<mac address='52:54:00:"), *b = strstr(again, "<mac address='52:54:00:"),
                   *c = strstr(second, "<mac address='52:54:00:");
        assert_true(a && b && c);
        size_t n = strlen("<mac address='52:54:00:01:02:03'/>");
        assert_int_equal(strncmp(a, b, n), 0);
        assert_int_not_equal(strncmp(a, c, n), 0);
}

static void test_machines(void **state)
{
        struct error err = ERROR_INIT;
        (void)state;

        assert_null(machine_find("riscv64"));
        assert_string_equal(machine_find("amd64")->uname, "x86_64");
        assert_string_equal(machine_find("arm64")->uname, "aarch64");
        assert_true(machine_find("amd64")->emulator[0] == '/' && machine_find("arm64")->emulator[0] == '/');
        if (machine_host(&err))
                assert_ptr_equal(machine_host(&err), machine_find(machine_host(&err)->debian));
        assert_int_equal(machine_default_memory() % (1 << 20), 0);
        assert_true(machine_default_memory() > 0 && machine_default_memory() <= UINT64_C(16) << 30);
        assert_true(machine_default_cpus() >= 1 && machine_default_cpus() <= 16);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_golden),   cmocka_unit_test(test_ssh), cmocka_unit_test(test_installation),
                cmocka_unit_test(test_escaping), cmocka_unit_test(test_mac), cmocka_unit_test(test_machines),
        };

        return cmocka_run_group_tests_name("domain_xml", tests, NULL, NULL);
}
