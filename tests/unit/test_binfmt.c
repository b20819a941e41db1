/* SPDX-License-Identifier: MIT */
#include "binfmt/architecture.h"
#include "binfmt/entry.h"
#include "binfmt/file_kind.h"
#include "binfmt/proof.h"
#include "binfmt/state.h"

#include "base/process.h"
#include "base/util.h"
#include "scratch.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)
#define OWN "amd64"
#elif defined(__aarch64__)
#define OWN "arm64"
#else
#define OWN ""
#endif

/* ---- the table */

static bool matches_itself(const struct architecture *a, const uint8_t *program)
{
        for (size_t i = 0; i < a->size; i++)
                if ((program[i] ^ (uint8_t)a->magic[i]) & (uint8_t)a->mask[i])
                        return false;
        return true;
}

/* Each magic takes its own programs, of either ELF type, and nobody else's; those of ARM's two ABIs share one. */
static void test_magic(void **state)
{
        uint8_t program[PROOF_SIZE_MAX];
        (void)state;

        for (const struct architecture *a = architectures; a->name; a++) {
                size_t n = proof_program(a, program);

                assert_in_range(n, a->size, PROOF_SIZE_MAX);
                for (const struct architecture *b = architectures; b->name; b++)
                        assert_int_equal(matches_itself(b, program), streq(a->qemu, b->qemu));
                program[a->elf_data == ELFDATA2LSB ? 16 : 17] = ET_DYN;
                assert_true(matches_itself(a, program));
                program[a->elf_data == ELFDATA2LSB ? 16 : 17] = ET_REL;
                assert_false(matches_itself(a, program));
        }
}

static void test_find(void **state)
{
        static const struct {
                const char *name, *found;
        } cases[] = {{"armhf", "armhf"},  {"arm", "armhf"},    {"armel", "armel"}, {"aarch64", "arm64"},   {"ppc64le", "ppc64el"},
                     {"x86_64", "amd64"}, {"armv7l", "armhf"}, {"i686", "i386"},   {"loong64", "loong64"}, {"mipsel", "mipsel"},
                     {"ARM", NULL},       {"", NULL},          {"vax", NULL},      {"riscv64", "riscv64"}, {"qemu-arm", NULL}};
        autofree char *names = architecture_names();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct architecture *a = architecture_find(cases[i].name);

                assert_true(cases[i].found ? a && streq(a->name, cases[i].found) : !a);
        }
        assert_null(architecture_find(NULL));
        assert_true(str_has_prefix(names, "amd64, arm64, "));
        assert_true(architecture_maybe_native(architecture_find("i386"), "amd64"));
        assert_true(architecture_maybe_native(architecture_find("armel"), "arm64"));
        assert_true(architecture_maybe_native(architecture_find("arm64"), "arm64"));
        assert_false(architecture_maybe_native(architecture_find("amd64"), "i386"));
        assert_false(architecture_maybe_native(architecture_find("armhf"), "amd64"));
}

/* ---- the proof programs */

/* Exits as it must: through an emulator of QEMU's where one is installed, by itself where the CPU can. Never through what is
 * registered here. */
static void run_proof(const struct architecture *a, const char *path)
{
        autofree char *emulator = xasprintf("qemu-%s-static", a->qemu);
        char *const emulated[] = {emulator, (char *)path, NULL}, *const native[] = {(char *)path, NULL};
        bool own = streq(a->name, OWN);
        struct error err = ERROR_INIT;
        int status = 0;
        pid_t pid;

        if (process_spawn(own ? native : emulated, NULL, &pid, &err) < 0) {
                assert_false(own);
                return; /* not installed; the VM tests prove all of them */
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), PROOF_STATUS);
}

static void test_proof_runs(void **state)
{
        for (const struct architecture *a = architectures; a->name; a++) {
                uint8_t program[PROOF_SIZE_MAX];
                size_t n = proof_program(a, program);
                autofree char *path = scratch_file(state, a->name, program, n, 0755);

                run_proof(a, path);
        }
}

/* ---- what a file is */

static struct file_kind kind_of(const void *head, size_t n)
{
        struct file_kind k;

        file_kind_read(head, n, &k);
        return k;
}

/* At every length: a program from the end of its header on, and before that the beginning of one. */
static void test_truncated(void **state)
{
        (void)state;

        for (const struct architecture *a = architectures; a->name; a++) {
                uint8_t program[PROOF_SIZE_MAX];
                size_t n = proof_program(a, program), header = a->elf_class == ELFCLASS64 ? 64 : 52;

                for (size_t i = 0; i <= n; i++) {
                        /* A copy of that very size: reading behind it would be noticed. */
                        autofree uint8_t *cut = xcalloc(i + 1, 1);
                        uint8_t *exact = xrealloc(take_ptr(cut), MAX(i, (size_t)1), 1);
                        struct file_kind k;

                        memcpy(exact, program, i);
                        k = kind_of(exact, i);
                        assert_int_equal(k.type, i == 0       ? FILE_EMPTY
                                                 : i < 4      ? FILE_OTHER
                                                 : i < header ? FILE_ELF_CUT
                                                              : FILE_PROGRAM);
                        assert_true(k.type != FILE_PROGRAM || k.architecture == a);
                        assert_string_equal(k.interpreter, "");
                        free(exact);
                }
        }
}

static void test_abi(void **state)
{
        const struct architecture *armhf = architecture_find("armhf"), *armel = architecture_find("armel");
        uint8_t program[PROOF_SIZE_MAX];
        struct file_kind k;
        size_t n = proof_program(armhf, program);
        (void)state;

        k = kind_of(program, n);
        assert_true(file_kind_is_for(&k, armhf) && file_kind_is_for(&k, armel));
        assert_false(file_kind_is_for(&k, architecture_find("arm64")));
        program[0x25] = 0; /* e_flags: neither ABI is named, as in old static programs */
        k = kind_of(program, n);
        assert_ptr_equal(k.architecture, armel);
        n = proof_program(architecture_find("mipsel"), program);
        program[0x24] |= 0x20; /* the ABI n32 */
        k = kind_of(program, n);
        assert_null(k.architecture);
        assert_int_equal(k.type, FILE_PROGRAM);
}

static void check_text(const void *head, size_t n, const char *expected)
{
        struct file_kind k = kind_of(head, n);
        autofree char *text = file_kind_text(&k);

        assert_string_equal(text, expected);
}

static void test_texts(void **state)
{
        uint8_t program[PROOF_SIZE_MAX];
        size_t n = proof_program(architecture_find("s390x"), program);
        (void)state;

        check_text(program, n, "a program for s390x (64-bit, big-endian)");
        check_text(program, 63, "the beginning of a program, whose ELF header is cut off or broken");
        program[19] = 43;
        check_text(program, n, "a program for sparc64 (64-bit, big-endian)");
        program[18] = 0x12;
        check_text(program, n, "a program for the unknown ELF machine 4651 (64-bit, big-endian)");
        program[17] = ET_REL;
        check_text(program, n, "an object file or a core for the unknown ELF machine 4651, and no program");
        program[4] = 7;
        check_text(program, n, "the beginning of a program, whose ELF header is cut off or broken");
        check_text("", 0, "an empty file");
        check_text("text\n", 5, "neither a program (ELF) nor a script ('#!')");
        check_text("#!/bin/sh\n", 10, "a script for '/bin/sh'");
}

static void test_scripts(void **state)
{
        static const struct {
                const char *text, *interpreter; /* NULL: no script */
        } cases[] = {{"#!/bin/sh\n", "/bin/sh"},
                     {"#! \t/usr/bin/env python3\n", "/usr/bin/env"},
                     {"#!/bin/sh", "/bin/sh"},
                     {"#!/bin/sh\r\n", "/bin/sh\r"},
                     {"#!", NULL},
                     {"#!\n/bin/sh\n", NULL},
                     {"#!   ", NULL},
                     {" #!/bin/sh\n", NULL},
                     {"#", NULL}};
        char line[2 * SCRIPT_LINE_MAX];
        struct file_kind k;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                k = kind_of(cases[i].text, strlen(cases[i].text));
                assert_int_equal(k.type, cases[i].interpreter ? FILE_SCRIPT : FILE_OTHER);
                assert_string_equal(k.interpreter, cases[i].interpreter ? cases[i].interpreter : "");
        }
        memset(line, 'x', sizeof(line));
        memcpy(line, "#!", 2);
        k = kind_of(line, sizeof(line));
        assert_int_equal(strlen(k.interpreter), SCRIPT_LINE_MAX - 2);
}

/* A second program header that names a loader; and the ways in which it may lie. */
static void test_loader(void **state)
{
        static const char loader[] = "/lib/ld-linux-aarch64.so.1";
        uint8_t file[512] = {0};
        Elf64_Ehdr *header = (Elf64_Ehdr *)file;
        Elf64_Phdr *segments = (Elf64_Phdr *)(file + sizeof(*header));
        struct file_kind k;
        (void)state;

        if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
                return; /* the structs are written as they are in memory */
        proof_program(architecture_find("arm64"), file);
        header->e_phnum = 2;
        segments[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 300, .p_filesz = sizeof(loader)};
        memcpy(file + 300, loader, sizeof(loader));
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, loader);
        for (size_t n = 64; n < 300 + sizeof(loader); n++) { /* its name is cut off, or its header, or the list of them */
                k = kind_of(file, n);
                assert_int_equal(k.type, FILE_PROGRAM);
                assert_string_equal(k.interpreter, "");
        }
        segments[1].p_filesz = sizeof(loader) - 1; /* no end */
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, "");
        segments[1].p_filesz = UINT64_MAX;
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, "");
        segments[1].p_filesz = 0;
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, "");
        header->e_phoff = UINT64_MAX - 8;
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, "");
        header->e_phentsize = 1;
        k = kind_of(file, sizeof(file));
        assert_string_equal(k.interpreter, "");
}

/* ---- entries */

/* As the kernel of Debian 12 shows it. */
static const char arm_text[] = "enabled\n"
                               "interpreter /usr/libexec/qemu-binfmt/arm-binfmt-P\n"
                               "flags: POCF\n"
                               "offset 0\n"
                               "magic 7f454c4601010100000000000000000002002800\n"
                               "mask ffffffffffffff00fffffffffffffffffeffffff\n";

static void test_entry(void **state)
{
        const struct architecture *arm = architecture_find("arm");
        uint8_t program[PROOF_SIZE_MAX];
        size_t n = proof_program(arm, program);
        struct binfmt_entry e;
        struct error err = ERROR_INIT;
        (void)state;

        assert_int_equal(binfmt_entry_parse("qemu-arm", arm_text, &e, &err), 0);
        assert_string_equal(e.name, "qemu-arm");
        assert_string_equal(e.interpreter, "/usr/libexec/qemu-binfmt/arm-binfmt-P");
        assert_string_equal(e.flags, "POCF");
        assert_int_equal(e.size, 20);
        assert_int_equal(arm->size, 20);
        assert_memory_equal(e.magic, arm->magic, 20);
        assert_memory_equal(e.mask, arm->mask, 20);
        assert_true(binfmt_entry_good(&e));
        for (size_t i = 0; i <= n; i++)
                assert_int_equal(binfmt_entry_matches(&e, "x", program, i), i >= 20);
        program[18]++;
        assert_false(binfmt_entry_matches(&e, "x", program, n));
        binfmt_entry_done(&e);
}

static void test_entry_variants(void **state)
{
        static const struct {
                const char *text;
                bool good, takes_mz, takes_jar;
        } cases[] = {
                {"disabled\ninterpreter /x\nflags: POCF\noffset 0\nmagic 4d5a\n", false, false, false},
                {"enabled\ninterpreter /x\nflags: POF\noffset 0\nmagic 4d5a\n", false, true, false},
                {"enabled\ninterpreter /x\nflags: \noffset 0\nmagic 4d5a\n", false, true, false},
                {"enabled\ninterpreter /x\nflags: OCFP\noffset 1\nmagic 5a\nmask ff\nsomething new\n", true, true, false},
                {"enabled\ninterpreter /x\nflags: \nextension .jar\n", false, false, true},
                {"enabled\ninterpreter /x y\nflags: \noffset 2\nmagic 00\n", false, false, false},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct binfmt_entry e;

                assert_int_equal(binfmt_entry_parse("x", cases[i].text, &e, NULL), 0);
                assert_int_equal(binfmt_entry_good(&e), cases[i].good);
                assert_int_equal(binfmt_entry_matches(&e, "a.exe", "MZ", 2), cases[i].takes_mz);
                assert_int_equal(binfmt_entry_matches(&e, "a.jar", "PK", 2), cases[i].takes_jar);
                binfmt_entry_done(&e);
        }
}

static void test_entry_invalid(void **state)
{
        static const char *const texts[] = {
                "",
                "enabled\n",
                "enabled\nflags: F\noffset 0\nmagic 4d5a\n",
                "enabled\ninterpreter /x\nflags: F\n",
                "enabled\ninterpreter /x\nflags: F\nextension .x\noffset 0\nmagic 4d\n",
                "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 4d5\n",
                "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic \n",
                "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 0x\n",
                "enabled\ninterpreter /x\nflags: F\noffset -1\nmagic 4d\n",
                "enabled\ninterpreter /x\nflags: F\noffset 99999\nmagic 4d\n",
                "enabled\ninterpreter /x\nflags: F\noffset 0\nmagic 4d5a\nmask ff\n",
                "enabled\ninterpreter /x\nflags: POCFPOCF\noffset 0\nmagic 4d5a\n",
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct error err = ERROR_INIT;
                struct binfmt_entry e;

                assert_int_equal(binfmt_entry_parse("x", texts[i], &e, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
        }
}

/* ---- what is written for systemd-binfmt */

static void test_config(void **state)
{
        autofree char *line = binfmt_config(architecture_find("armel"), "/usr/libexec/qemu-binfmt/arm-binfmt-P");
        (void)state;

        assert_string_equal(
                line, ":qemu-arm:M::"
                      "\\x7f\\x45\\x4c\\x46\\x01\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x28\\x00:"
                      "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:"
                      "/usr/libexec/qemu-binfmt/arm-binfmt-P:POCF\n");
        for (const struct architecture *a = architectures; a->name; a++) {
                autofree char *l = binfmt_config(a, "/usr/bin/qemu");

                assert_true(strlen(l) < BINFMT_LINE_MAX);
        }
}

/* ---- what the agent has found */

static void test_state(void **state)
{
        static const char text[] = "[{\"architecture\": \"armhf\", \"state\": \"proven\", \"proof\": \"exit status 42\"},"
                                   "{\"architecture\": \"riscv64\", \"state\": \"failed\", \"proof\": \"exit status 1\"},"
                                   "{\"architecture\": \"s390x\", \"state\": \"absent\", \"proof\": \"no emulator\"}, 7]";
        autojson struct json_object *rows = json_parse(text, strlen(text), NULL), *other = json_new();
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(binfmt_state_check(rows, "armhf", &err), 0);
        assert_int_equal(binfmt_state_check(rows, "klingon", &err), 0); /* it does not say */
        assert_int_equal(binfmt_state_check(rows, NULL, &err), 0);
        assert_int_equal(binfmt_state_check(NULL, "riscv64", &err), 0);
        assert_int_equal(binfmt_state_check(other, "riscv64", &err), 0);
        assert_int_equal(binfmt_state_check(rows, "riscv64", &err), -1);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_non_null(
                strstr(err.message, "for riscv64 cannot be executed in this VM: exit status 1; 'initvm binfmt test riscv64'"));
        err = (struct error)ERROR_INIT;
        assert_int_equal(binfmt_state_check(rows, "s390x", &err), -1);
        assert_non_null(strstr(err.message, "no emulator"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_magic),
                cmocka_unit_test(test_find),
                cmocka_unit_test_setup_teardown(test_proof_runs, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_abi),
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_scripts),
                cmocka_unit_test(test_loader),
                cmocka_unit_test(test_entry),
                cmocka_unit_test(test_entry_variants),
                cmocka_unit_test(test_entry_invalid),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
