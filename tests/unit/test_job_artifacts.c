/* SPDX-License-Identifier: MIT */
/* What of a workspace goes to the host, and how it arrives. */
#include "archive/pack.h"
#include "archive/unpack.h"
#include "base/file.h"
#include "base/util.h"
#include "job/artifacts.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void make_workspace(void **state)
{
        for (const char *const *f = (const char *const[]){"work", "work/out", "work/out/sub", "work/a", NULL}; *f; f++) {
                autofree char *path = scratch_path(state, *f);
                assert_return_code(mkdir(path, 0755), errno);
        }
        for (const char *const *f = (const char *const[]){"work/x.deb", "work/.hidden", "work/a/1", "work/a.c", "work/out/x.deb",
                                                          "work/out/sub/y.deb", "outside", NULL};
             *f; f++)
                free(scratch_file(state, *f, *f, strlen(*f), 0644));
}

static void make_link(void **state, const char *name, const char *target)
{
        autofree char *path = scratch_path(state, name);

        assert_return_code(symlink(target, path), errno);
}

static char *match(void **state, const char *glob, const char *second, bool allow_empty, struct error *err)
{
        autofree char *work = scratch_path(state, "work");
        char *const globs[] = {(char *)glob, (char *)second, NULL};
        autostrv char **found = artifacts_match(work, globs, allow_empty, err);

        return found ? strv_join(found, " ") : NULL;
}

static void test_match(void **state)
{
        static const struct {
                const char *globs[2], *found;
        } cases[] = {
                {{"*.deb"}, "x.deb"},        {{"*"}, "a a.c out x.deb"},          {{".h*"}, ".hidden"},
                {{"*/*.deb"}, "out/x.deb"},  {{"./out//sub/*"}, "out/sub/y.deb"}, {{"out/[!x]*"}, "out/sub"},
                {{"a/1", "a.c"}, "a/1 a.c"}, {{"out/sub/*", "out"}, "out"},       {{"x.deb", "*.deb"}, "x.deb"},
        };

        make_workspace(state);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                autofree char *found = match(state, cases[i].globs[0], cases[i].globs[1], false, &err);

                if (!found || !streq(found, cases[i].found))
                        fail_msg("%s: %s", cases[i].globs[0], found ? found : err.message);
        }
}

static void test_refused(void **state)
{
        struct error err = ERROR_INIT;

        make_workspace(state);
        make_link(state, "work/link", "..");
        for (const char *const *glob = (const char *const[]){"/etc/*", "../outside", "a/../../outside", "", ".", NULL}; *glob;
             glob++) {
                assert_null(match(state, *glob, NULL, true, &err));
                assert_int_equal(err.code, ERR_INVALID);
        }
        assert_null(match(state, "*.rpm", NULL, false, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_null(match(state, "link/outside", NULL, false, &err)); /* no link is followed */
        autofree char *none = match(state, "*.rpm", NULL, true, &err);
        assert_string_equal(none, "");
}

static void test_order(void **state)
{
        static const char *const sorted[] = {"a", "a/b", "a/b/c", "a/c", "a.c", "a0", "b"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
                for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
                        int order = pack_order(sorted[i], sorted[j]);

                        if ((i < j) != (order < 0) || (i == j) != (order == 0))
                                fail_msg("%s %s: %d", sorted[i], sorted[j], order);
                }
}

#define ARTIFACT(name, size, digest) "{\"artifact\":{\"name\":\"" name "\",\"size\":" size ",\"sha256\":\"" digest "\"}}\n"

/* As a process: what goes to its standard output into the file `tar`, reports into `reports`. Returns its exit status. */
static int send(void **state, const char *glob)
{
        autofree char *tar = scratch_path(state, "tar"), *reports = scratch_path(state, "reports");
        autofree char *work = scratch_path(state, "work");
        char *const globs[] = {(char *)glob, NULL};
        const struct job job = {.work = work};
        struct error err = ERROR_INIT;
        int status = 0, r;
        pid_t pid = fork();

        if (pid == 0) {
                if (dup2(open(tar, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDOUT_FILENO) < 0 ||
                    dup2(open(reports, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO) < 0)
                        _exit(2);
                r = artifacts_send(&job, globs, false, &err);
                if (r < 0)
                        dprintf(STDERR_FILENO, "%s\n", err.message);
                _exit(r < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
}

static void test_sent(void **state)
{
        autofree char *tar = scratch_path(state, "tar"), *to = scratch_path(state, "to"), *path = scratch_path(state, "reports");
        autofree char *reports = NULL, *names = NULL;
        autoclose int fd = -1;
        struct error err = ERROR_INIT;

        make_workspace(state);
        make_link(state, "work/out/link", "../a/1");
        assert_int_equal(send(state, "[ao]*/[!.]*"), 0);
        reports = file_read(path, 4096, NULL, &err);
        assert_string_equal(
                reports,
                ARTIFACT("a/1", "8", "e18bc13c469b823a82e26872f6b60dd6d37a0d5a8ffe87f546b2f5e7fdf8f1ef")
                        ARTIFACT("out/sub/y.deb", "18", "d8bcada8ec5f85ed60ffcba5931da730c0cd16b773ea22cd06050e857d718161")
                                ARTIFACT("out/x.deb", "14", "249ba8aa7fc59b677cd46ac67accce06a780c07776496d34b770bce3edcddfbc"));
        assert_return_code(mkdir(to, 0755), errno);
        fd = open(tar, O_RDONLY | O_CLOEXEC);
        const struct unpack_options options = {.fd = fd, .target = to, .into = true};
        if (unpack(&options, &err) < 0)
                fail_msg("%s", err.message);
        names = names_below(to);
        assert_string_equal(names, "a/ a/1 out/ out/link@ out/sub/ out/sub/y.deb out/x.deb");
}

static void test_links_out(void **state)
{
        static const char *const out[] = {"/etc/passwd", "../outside", "../../x", "a/../../outside", "./a/.."};
        static const char *const in[] = {"a.c", "./a/1", "nothing"};
        autofree char *link = scratch_path(state, "work/link"), *reports = scratch_path(state, "reports");

        make_workspace(state);
        for (size_t i = 0; i < ARRAY_SIZE(out); i++) {
                autofree char *text = NULL;

                make_link(state, "work/link", out[i]);
                assert_int_equal(send(state, "link"), 1);
                text = file_read(reports, 4096, NULL, NULL);
                assert_non_null(strstr(text, "out of the workspace"));
                unlink(link);
        }
        for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
                make_link(state, "work/link", in[i]);
                assert_int_equal(send(state, "link"), 0);
                unlink(link);
        }
        make_link(state, "work/out/sub/link", "../../../outside"); /* also one in a folder */
        assert_int_equal(send(state, "out"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_match), TEST(test_refused), cmocka_unit_test(test_order), TEST(test_sent), TEST(test_links_out),
        };

        umask(0);
        return cmocka_run_group_tests_name("job_artifacts", tests, NULL, NULL);
}
