/* SPDX-License-Identifier: MIT */
/* What a Dockerfile builds on, where its steps are, and what of it is refused; the stream that it comes in. */
#include "archive/build_stream.h"
#include "base/file.h"
#include "base/util.h"
#include "chroot/containerfile.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *bases_of(const struct containerfile *c)
{
        struct buf b = {0};

        for (size_t i = 0; i < c->n_bases; i++)
                buf_printf(&b, "%s%s@%u", i ? " " : "", c->bases[i].name, c->bases[i].line);
        return buf_take_string(&b);
}

static void test_bases(void **state)
{
        static char *const arguments[] = {(char *)"BASE=given", (char *)"EMPTY=", NULL};
        static const struct {
                const char *text, *bases, *rewritten;
        } rows[] = {
                {"FROM Box\nRUN x\n", "Box@1", "FROM localhost/initvm-base-0\nRUN x\n"},
                {"from box", "box@1", "from localhost/initvm-base-0\n"},
                {"# FROM no\n\n  FROM --platform=linux/arm  box  AS one \nFROM one\nFROM ONE\n", "box@3",
                 "# FROM no\n\n  FROM --platform=linux/arm  localhost/initvm-base-0  AS one \nFROM one\nFROM ONE\n"},
                {"FROM scratch\nFROM a\nFROM b\nFROM a\n", "a@2 b@3",
                 "FROM scratch\nFROM localhost/initvm-base-0\nFROM localhost/initvm-base-1\nFROM localhost/initvm-base-0\n"},
                {"FROM a\nRUN x \\\n# FROM c\n\n FROM b\n", "a@1", NULL},
                {"FROM a\nRUN <<END\nFROM b\nEND\nFROM c\n", "a@1 c@5", NULL},
                {"FROM a\nRUN <<-'E' cat <<\"F\"\nFROM b\n\tE\nFROM d\nF\nFROM c\n", "a@1 c@7", NULL},
                {"FROM a\nRUN echo $((1<<2))\nFROM c\n", "a@1 c@3", NULL},
                {"ARG BASE=own\nFROM $BASE\n", "given@2", "ARG BASE=own\nFROM localhost/initvm-base-0\n"},
                {"ARG V='12'\nARG W=\nFROM deb${V}-${W:-x}${EMPTY:-y}$V$\n", "deb12-xy12$@3", NULL},
                {"ARG S=scratch\nFROM ${S}\nARG S=z\n", "", "ARG S=scratch\nFROM scratch\nARG S=z\n"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autocontainerfile struct containerfile c = {0};
                struct error err = ERROR_INIT;
                autofree char *bases = NULL;

                if (containerfile_read(rows[i].text, arguments, &c, &err) < 0)
                        fail_msg("%s: %s", rows[i].text, err.message);
                bases = bases_of(&c);
                assert_string_equal(bases, rows[i].bases);
                if (rows[i].rewritten)
                        assert_string_equal(c.text, rows[i].rewritten);
        }
}

static void test_steps(void **state)
{
        static const struct {
                unsigned stage, step, line;
        } rows[] = {{1, 1, 2}, {1, 2, 3}, {1, 3, 6}, {1, 4, 0}, {2, 1, 7}, {2, 2, 9}, {3, 1, 0}};
        autocontainerfile struct containerfile c = {0};

        (void)state;
        assert_int_equal(
                containerfile_read("ARG A\nFROM x AS y\nRUN a \\\n b \\\n c\nENV k=v\nFROM y\n\nRUN d\n", NULL, &c, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct containerfile_step *step = containerfile_find(&c, rows[i].stage, rows[i].step);

                assert_int_equal(step ? step->line : 0, rows[i].line);
        }
        assert_string_equal(containerfile_find(&c, 1, 2)->text, "RUN a \\");
}

static void test_refused(void **state)
{
        static const char *const rows[][2] = {
                {"", "no FROM"},
                {"# only\n", "no FROM"},
                {"ARG A=b\n", "no FROM"},
                {"RUN x\nFROM y\n", "line 1"},
                {"FROM a\n\nRUNN x\n", "line 3"},
                {"FROM\n", "line 1"},
                {"FROM a\nFROM $NOTHING\n", "line 2"},
                {"FROM a\nRUN x \\\n  y\nz\n", "line 4"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autocontainerfile struct containerfile c = {0};
                struct error err = ERROR_INIT;

                assert_int_equal(containerfile_read(rows[i][0], NULL, &c, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, rows[i][1]))
                        fail_msg("'%s': %s", rows[i][0], err.message);
        }
}

static void test_stream(void **state)
{
        autofree char *context = scratch_path(state, "context"), *path = scratch_path(state, "stream"), *text = NULL;
        struct error err = ERROR_INIT;
        int fd;

        assert_int_equal(dir_make(context, 0755, &err), 0);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(build_stream_write("FROM scratch\n", context, fd, &err), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        text = build_stream_read(fd, &err);
        assert_string_equal(text, "FROM scratch\n");
        close(fd);
}

static void test_stream_refused(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
                enum error_code code;
        } rows[] = {
                {"", 0, ERR_PROTOCOL},
                {"0000000004FRO", 13, ERR_PROTOCOL},
                {"0000000000", 10, ERR_INVALID},
                {"0001048577x", 11, ERR_INVALID},
                {"-000000004FROM", 14, ERR_INVALID},
                {"0000000004F\0OM", 14, ERR_INVALID},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autofree char *path = scratch_file(state, "stream", rows[i].bytes, rows[i].n, 0600);
                struct error err = ERROR_INIT;
                int fd = open(path, O_RDONLY | O_CLOEXEC);

                assert_null(build_stream_read(fd, &err));
                assert_int_equal(err.code, rows[i].code);
                close(fd);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bases), cmocka_unit_test(test_steps), cmocka_unit_test(test_refused), TEST(test_stream),
                TEST(test_stream_refused),
        };

        return cmocka_run_group_tests_name("containerfile", tests, NULL, NULL);
}
