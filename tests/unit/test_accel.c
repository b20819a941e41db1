/* SPDX-License-Identifier: MIT */
/* With a shell script in the place of QEMU, which also counts how often it was started, and a plain file as /dev/kvm. */
#include "daemon/accel.h"

#include "base/file.h"
#include "base/json.h"
#include "base/util.h"
#include "scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS  15000 /* a deadline that must not be what ends the test */
#define SHORT_MS 300

struct fixture {
        void *folder; /* as scratch.h has it */
        struct loop *loop;
        struct machine machine;
        struct accel *accel;
        char *device, *kernel, *emulator;
};

struct verdict {
        struct fixture *f;
        int calls;
        bool kvm;
        char *why_not;
        struct error err;
};

static int setup(void **state)
{
        struct fixture *f = xcalloc(1, sizeof(*f));

        *state = f;
        if (scratch_setup(&f->folder) < 0)
                return -1;
        f->loop = loop_new();
        f->device = scratch_file(&f->folder, "kvm", "", 0, 0600);
        f->kernel = scratch_file(&f->folder, "kernel", "the kernel", 10, 0600);
        f->emulator = scratch_path(&f->folder, "qemu");
        f->machine = *machine_find("amd64");
        f->machine.emulator = f->emulator;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        accel_free(f->accel);
        loop_free(f->loop);
        while (waitpid(-1, NULL, 0) > 0) /* a probe that was ended by accel_free() */
                ;
        free(f->device);
        free(f->kernel);
        free(f->emulator);
        int r = scratch_teardown(&f->folder);
        free(f);
        return r;
}

/* Another run of the daemon, with nothing but what is on disk. */
static void start(struct fixture *f, unsigned timeout_ms)
{
        accel_free(f->accel);
        f->accel = accel_new(f->loop, f->folder, &f->machine, NULL);
        accel_set_device(f->accel, f->device, timeout_ms);
}

static void write_emulator(struct fixture *f, const char *script)
{
        autofree char *text = xasprintf("#!/bin/sh\necho run >>%s/runs\nprintf '%%s\\n' \"$@\" >%s/arguments\n%s\n",
                                        (char *)f->folder, (char *)f->folder, script);

        free(scratch_file(&f->folder, "qemu", text, strlen(text), 0755));
}

static size_t runs(struct fixture *f)
{
        autofree char *path = scratch_path(&f->folder, "runs"), *text = file_read(path, 4096, NULL, NULL);

        return text ? strlen(text) / strlen("run\n") : 0;
}

static void on_verdict(void *userdata, bool kvm, const char *why_not, const struct error *err)
{
        struct verdict *v = userdata;

        v->calls++;
        v->kvm = kvm;
        v->why_not = why_not ? xstrdup(why_not) : NULL;
        v->err = err ? *err : (struct error)ERROR_INIT;
        loop_quit(v->f->loop, 0);
}

static struct verdict decide(struct fixture *f, const char *wanted)
{
        struct verdict v = {.f = f};

        accel_decide(f->accel, wanted, f->kernel, on_verdict, &v);
        if (v.calls == 0)
                loop_run(f->loop);
        assert_int_equal(v.calls, 1);
        return v;
}

static void forget(struct verdict *v)
{
        free(v->why_not);
}

static void test_works(void **state)
{
        struct fixture *f = *state;
        struct error err = ERROR_INIT;

        write_emulator(f, "echo '[    0.000000] Linux version 6.12'; exec sleep 60");
        start(f, LONG_MS);
        struct verdict v = decide(f, "auto");
        assert_true(v.kvm);
        assert_null(v.why_not);
        assert_int_equal(v.err.code, ERR_NONE);
        v = decide(f, "kvm");
        assert_true(v.kvm);
        assert_int_equal(accel_rule_out(f->accel, &err), 0);
        start(f, LONG_MS); /* another daemon of this boot */
        v = decide(f, "auto");
        assert_true(v.kvm);
        assert_int_equal(runs(f), 1);
}

/* The kernel itself is started, with KVM, its console where we read it, and so that its panic ends QEMU. */
static void test_arguments(void **state)
{
        struct fixture *f = *state;
        autofree char *path = scratch_path(&f->folder, "arguments"), *text = NULL;
        autofree char *kernel = xasprintf("\n-kernel\n%s\n", f->kernel);

        write_emulator(f, "echo Linux version");
        start(f, LONG_MS);
        decide(f, "auto");
        text = file_read(path, 4096, NULL, NULL);
        assert_non_null(strstr(text, kernel));
        assert_non_null(strstr(text, "\n-accel\nkvm\n"));
        assert_non_null(strstr(text, "\n-serial\nstdio\n"));
        assert_non_null(strstr(text, "\n-no-reboot\n"));
        assert_non_null(strstr(text, "\n-machine\nq35\n"));
        assert_non_null(strstr(text, "\n-append\nconsole=ttyS0 panic=-1\n"));
}

/* The banner counts also in pieces, behind other words, and from a kernel that has ended before it was read. */
static void test_banner(void **state)
{
        static const char *const scripts[] = {
                "printf 'Linux ver'; printf 'sion 6.1\\n'; exec sleep 60",
                "echo 'qemu: warning: something' >&2; echo 'Linux version'; exit 1",
                "head -c 20000 /dev/zero; echo 'Linux version'; exit 0",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
                write_emulator(f, scripts[i]);
                autofree char *verdicts = scratch_path(&f->folder, "kvm-verdicts.json");
                unlink(verdicts);
                start(f, LONG_MS);
                struct verdict v = decide(f, "auto");
                if (!v.kvm)
                        fail_msg("%zu: %s", i, v.why_not);
        }
}

static void test_silent(void **state)
{
        struct fixture *f = *state;
        struct error err = ERROR_INIT;
        uint64_t before = now_ms();

        write_emulator(f, "exec sleep 60");
        start(f, SHORT_MS);
        struct verdict v = decide(f, "auto");
        assert_true(now_ms() - before >= SHORT_MS - 1 && now_ms() - before < LONG_MS);
        assert_false(v.kvm);
        assert_non_null(strstr(v.why_not, "wrote nothing within 0.3 s"));
        assert_non_null(strstr(v.why_not, f->device));
        assert_int_equal(v.err.code, ERR_NONE); /* auto: no error, emulation */
        forget(&v);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* killed and reaped */

        /* Known from now on, at once; who insists on KVM is told why it cannot be. */
        start(f, LONG_MS);
        before = now_ms();
        v = decide(f, "kvm");
        assert_true(now_ms() - before < LONG_MS);
        assert_false(v.kvm);
        assert_int_equal(v.err.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(v.err.message, "wrote nothing within 0.3 s"));
        assert_non_null(strstr(v.err.message, "--accel auto"));
        assert_int_equal(accel_rule_out(f->accel, &err), -1);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "wrote nothing"));
        assert_int_equal(runs(f), 1);
}

static void test_early_exit(void **state)
{
        static const struct {
                const char *script, *says;
        } cases[] = {
                {"echo 'Could not access KVM kernel module: No such device' >&2; echo more; exit 1",
                 "QEMU has ended (exit status 1): Could not access KVM kernel module: No such device"},
                {"exit 3", "QEMU has ended (exit status 3)"},
                {"kill -SEGV $$", "QEMU has ended (killed by signal 11 (Segmentation fault))"},
                {"printf 'caf\\351\\r\\n'; exit 1", "QEMU has ended (exit status 1): caf"},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *verdicts = scratch_path(&f->folder, "kvm-verdicts.json");

                unlink(verdicts);
                write_emulator(f, cases[i].script);
                start(f, LONG_MS);
                struct verdict v = decide(f, "auto");
                assert_false(v.kvm);
                if (i < 3)
                        assert_string_equal(v.why_not, cases[i].says);
                else
                        assert_true(str_has_prefix(v.why_not, cases[i].says));
                forget(&v);
                v = decide(f, "auto"); /* kept, whatever bytes it quotes */
                assert_non_null(v.why_not);
                forget(&v);
                assert_int_equal(runs(f), i + 1);
        }
}

/* Complaints without an end are no kernel. */
static void test_noise(void **state)
{
        struct fixture *f = *state;

        write_emulator(f, "exec yes 'error: kvm run failed'");
        start(f, LONG_MS);
        struct verdict v = decide(f, "auto");
        assert_false(v.kvm);
        assert_non_null(strstr(v.why_not, "error: kvm run failed"));
        forget(&v);
}

/* Another kernel or another QEMU is another question; a verdict of an earlier boot is of no use. */
static void test_key(void **state)
{
        struct fixture *f = *state;
        autofree char *verdicts = scratch_path(&f->folder, "kvm-verdicts.json");
        static const char stale[] = "{\"00000000-old-boot qemu:1.1 kernel:1\":\"KVM was broken\"}";
        struct error err = ERROR_INIT;

        free(scratch_file(&f->folder, "kvm-verdicts.json", stale, strlen(stale), 0600));
        write_emulator(f, "echo Linux version");
        start(f, LONG_MS);
        assert_int_equal(accel_rule_out(f->accel, &err), 0);
        decide(f, "auto");
        decide(f, "auto");
        assert_int_equal(runs(f), 1);
        free(scratch_file(&f->folder, "kernel", "another kernel", 14, 0600));
        decide(f, "auto");
        decide(f, "auto");
        assert_int_equal(runs(f), 2);
        write_emulator(f, "echo Linux version # another size");
        decide(f, "auto");
        assert_int_equal(runs(f), 3);
        autofree char *text = file_read(verdicts, 4096, NULL, NULL);
        assert_null(strstr(text, "old-boot"));

        free(scratch_file(&f->folder, "kvm-verdicts.json", "{broken", 7, 0600)); /* asked again and written anew */
        decide(f, "auto");
        decide(f, "auto");
        assert_int_equal(runs(f), 4);
}

/* Those that ask during a probe wait for the same one. */
static void test_shared(void **state)
{
        struct fixture *f = *state;
        struct verdict a = {.f = f}, b = {.f = f};

        write_emulator(f, "exec sleep 60");
        start(f, SHORT_MS);
        accel_decide(f->accel, "auto", f->kernel, on_verdict, &a);
        accel_decide(f->accel, "kvm", f->kernel, on_verdict, &b);
        loop_run(f->loop);
        loop_dispatch(f->loop);
        assert_int_equal(a.calls, 1);
        assert_int_equal(b.calls, 1);
        assert_non_null(a.why_not);
        assert_int_equal(b.err.code, ERR_UNSUPPORTED);
        assert_int_equal(runs(f), 1);
        forget(&a);
}

/* Freed during a probe: QEMU is ended, nobody is called. */
static void test_freed(void **state)
{
        struct fixture *f = *state;
        struct verdict v = {.f = f};
        int status;

        write_emulator(f, "exec sleep 60");
        start(f, LONG_MS);
        accel_decide(f->accel, "auto", f->kernel, on_verdict, &v);
        accel_free(take_ptr(f->accel));
        assert_true(waitpid(-1, &status, 0) > 0);
        assert_true(WIFSIGNALED(status));
        loop_dispatch(f->loop);
        assert_int_equal(v.calls, 0);
}

/* What needs no probe is not probed. */
static void test_without_probe(void **state)
{
        struct fixture *f = *state;
        struct error err = ERROR_INIT;
        struct verdict v;

        write_emulator(f, "echo Linux version");
        start(f, LONG_MS);
        v = decide(f, "tcg");
        assert_false(v.kvm);
        assert_null(v.why_not);
        assert_int_equal(v.err.code, ERR_NONE);

        unlink(f->device);
        v = decide(f, "auto");
        assert_false(v.kvm);
        assert_non_null(strstr(v.why_not, "this host has no"));
        forget(&v);
        v = decide(f, "kvm");
        assert_int_equal(v.err.code, ERR_UNSUPPORTED);
        assert_int_equal(accel_rule_out(f->accel, &err), -1);

        free(scratch_file(&f->folder, "kvm", "", 0, 0600));
        accel_free(f->accel);
        f->accel = accel_new(f->loop, f->folder, &f->machine, "because we say so");
        accel_set_device(f->accel, f->device, LONG_MS);
        v = decide(f, "auto");
        assert_string_equal(v.why_not, "because we say so");
        forget(&v);
        assert_int_equal(runs(f), 0);
}

/* Without QEMU: said, and asked again when it is there. */
static void test_no_emulator(void **state)
{
        struct fixture *f = *state;

        start(f, LONG_MS);
        struct verdict v = decide(f, "auto");
        assert_false(v.kvm);
        assert_non_null(strstr(v.why_not, f->emulator));
        forget(&v);
        write_emulator(f, "echo Linux version");
        v = decide(f, "auto");
        assert_true(v.kvm);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_works),      TEST(test_arguments),     TEST(test_banner),      TEST(test_silent),
                TEST(test_early_exit), TEST(test_noise),         TEST(test_key),         TEST(test_shared),
                TEST(test_freed),      TEST(test_without_probe), TEST(test_no_emulator),
        };

        return cmocka_run_group_tests_name("accel", tests, NULL, NULL);
}
