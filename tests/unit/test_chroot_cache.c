/* SPDX-License-Identifier: MIT */
/* The host's cache of chroots: whole entries only, whoever is killed and whatever is broken. */
#include "base/digest.h"
#include "base/file.h"
#include "base/util.h"
#include "cli/chroot_cache.h"
#include "scratch.h"
#include "tar_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void open_cache(void **state, struct chroot_cache *c)
{
        autofree char *folder = scratch_path(state, "chroots");
        struct error err = ERROR_INIT;

        if (chroot_cache_open(c, folder, &err) < 0)
                fail_msg("%s", err.message);
}

/* {"suite": SUITE, "releases": [RELEASE]}, and its key. */
static struct json_object *inputs_of(const char *suite, const char *release, char **ret_key)
{
        struct json_object *inputs = json_new(), *releases = json_object_new_array();
        const char *line;

        json_object_array_add(releases, json_object_new_string(release));
        json_add_string(inputs, "suite", suite);
        json_add(inputs, "releases", releases);
        line = json_line(inputs);
        *ret_key = digest_bytes(line, strlen(line));
        return inputs;
}

/* Puts one in; returns its key, owned. */
static char *put(const struct chroot_cache *c, const char *suite, const char *release, const char *content)
{
        autoentry struct new_entry n = NEW_ENTRY_INIT;
        struct error err = ERROR_INIT;
        char *key = NULL;
        autojson struct json_object *inputs = inputs_of(suite, release, &key);

        if (chroot_cache_new(c, &n, &err) < 0 || fd_write_all(n.fd, content, strlen(content)) < 0 ||
            chroot_cache_commit(c, &n, key, inputs, &err) < 0)
                fail_msg("%s", err.message);
        return key;
}

/* Its content is that; NULL: it is not there. Returns what was broken, owned. */
static char *assert_content(const struct chroot_cache *c, const char *key, const char *content)
{
        autoclose int fd = -1;
        char *broken = NULL, text[100] = "";
        struct error err = ERROR_INIT;
        int r = chroot_cache_use(c, key, &fd, &broken, &err);

        assert_int_equal(r, content != NULL);
        if (content) {
                assert_true(read(fd, text, sizeof(text) - 1) >= 0);
                assert_string_equal(text, content);
        }
        return broken;
}

static void test_put_and_used(void **state)
{
        autocache struct chroot_cache c = {0};
        autofree char *key = NULL, *other = NULL, *names = NULL, *text = NULL;

        open_cache(state, &c);
        key = put(&c, "trixie", "1", "tree");
        other = put(&c, "sid", "1", "other tree");
        assert_null(assert_content(&c, key, "tree"));
        assert_null(assert_content(&c, key, "tree"));
        assert_null(assert_content(&c, other, "other tree"));
        text = digest_bytes("x", 1);
        assert_null(assert_content(&c, text, NULL));
        names = names_below(c.folder);
        assert_null(strstr(names, ".new-"));
}

static void break_file(const struct chroot_cache *c, const char *key, const char *name, const char *content)
{
        autofree char *path = xasprintf("%s/%s/%s", c->folder, key, name);

        if (content)
                assert_int_equal(file_write_atomic(path, 0600, content, strlen(content), NULL), 0);
        else
                assert_return_code(unlink(path), errno);
}

/* One that is broken is told about once, and gone then; a new one can be put. */
static void test_broken(void **state)
{
        static const struct {
                const char *name, *content;
        } rows[] = {
                {"root.tar.zst", "tre"},   {"root.tar.zst", "trea"}, {"root.tar.zst", ""}, {"root.tar.zst", NULL},
                {"root.tar.zst", "tree+"}, {"entry.json", NULL},     {"entry.json", "{"},  {"entry.json", "{}"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autocache struct chroot_cache c = {0};
                autofree char *key = NULL, *broken = NULL, *again = NULL;

                open_cache(state, &c);
                key = put(&c, "trixie", "1", "tree");
                break_file(&c, key, rows[i].name, rows[i].content);
                broken = assert_content(&c, key, NULL);
                assert_non_null(broken);
                assert_non_null(strstr(broken, key));
                assert_null(assert_content(&c, key, NULL));
                again = put(&c, "trixie", "1", "tree");
                assert_null(assert_content(&c, again, "tree"));
        }
}

/* The first one stays, the second one's work goes, and both are content. */
static void test_two_at_once(void **state)
{
        autocache struct chroot_cache c = {0}, d = {0};
        autoentry struct new_entry one = NEW_ENTRY_INIT, two = NEW_ENTRY_INIT;
        autofree char *key = NULL, *names = NULL;
        autojson struct json_object *inputs = inputs_of("trixie", "1", &key), *all = NULL;
        struct error err = ERROR_INIT;

        open_cache(state, &c);
        assert_int_equal(chroot_cache_new(&c, &one, &err), 0);
        open_cache(state, &d); /* does not take it for left over */
        assert_int_equal(chroot_cache_new(&d, &two, &err), 0);
        assert_int_equal(fd_write_all(one.fd, "one", 3), 0);
        assert_int_equal(fd_write_all(two.fd, "two", 3), 0);
        assert_int_equal(chroot_cache_commit(&c, &one, key, inputs, &err), 0);
        assert_int_equal(chroot_cache_commit(&d, &two, key, inputs, &err), 0);
        new_entry_done(&one);
        new_entry_done(&two);
        assert_null(assert_content(&c, key, "one"));
        all = chroot_cache_list(&c);
        assert_int_equal(json_object_array_length(all), 1);
        names = names_below(c.folder);
        assert_null(strstr(names, ".new-"));
}

/* Who was killed has not cleaned up: its folder goes with the next one that opens the cache. */
static void test_left_over(void **state)
{
        autocache struct chroot_cache c = {0}, again = {0}, third = {0};
        struct new_entry n = NEW_ENTRY_INIT;
        struct error err = ERROR_INIT;

        open_cache(state, &c);
        assert_int_equal(chroot_cache_new(&c, &n, &err), 0);
        open_cache(state, &again);
        assert_return_code(access(n.path, F_OK), errno);
        close(n.lock);
        close(n.fd);
        open_cache(state, &third);
        assert_int_equal(access(n.path, F_OK), -1);
        free(n.path);
}

/* What was made from an older state of the mirror goes when the newer one comes; others stay. */
static void test_older_goes(void **state)
{
        autocache struct chroot_cache c = {0};
        autofree char *old = NULL, *other = NULL, *new = NULL;

        open_cache(state, &c);
        old = put(&c, "trixie", "1", "old");
        other = put(&c, "sid", "1", "other");
        new = put(&c, "trixie", "2", "new");
        assert_null(assert_content(&c, old, NULL));
        assert_null(assert_content(&c, other, "other"));
        assert_null(assert_content(&c, new, "new"));
}

static void set_used(const struct chroot_cache *c, const char *key, time_t when)
{
        const struct timespec times[] = {{.tv_sec = when}, {.tv_sec = when}};
        autofree char *path = xasprintf("%s/%s/root.tar.zst", c->folder, key);

        assert_return_code(utimensat(AT_FDCWD, path, times, 0), errno);
}

static void test_list_and_remove(void **state)
{
        autocache struct chroot_cache c = {0};
        autofree char *one = NULL, *two = NULL;
        autojson struct json_object *all = NULL, *left = NULL;
        struct json_object *first, *second;
        struct error err = ERROR_INIT;

        open_cache(state, &c);
        one = put(&c, "trixie", "1", "tree");
        two = put(&c, "sid", "1", "larger tree");
        set_used(&c, one, 2000);
        set_used(&c, two, 1000);
        break_file(&c, two, "entry.json", NULL);
        all = chroot_cache_list(&c);
        assert_int_equal(json_object_array_length(all), 2);
        first = json_object_array_get_idx(all, 0);
        second = json_object_array_get_idx(all, 1);
        assert_string_equal(json_get_string(first, "key", ""), one);
        assert_int_equal(json_get_u64(first, "used", 0), 2000);
        assert_int_equal(json_get_u64(first, "size", 0), strlen("tree"));
        assert_string_equal(json_get_string(json_get(first, "inputs"), "suite", ""), "trixie");
        assert_string_equal(json_get_string(second, "key", ""), two);
        assert_int_equal(json_get_u64(second, "size", 0), strlen("larger tree"));
        assert_null(json_get(second, "inputs"));
        assert_int_equal(chroot_cache_remove(&c, two, &err), 0);
        assert_int_equal(chroot_cache_remove(&c, two, &err), 0);
        left = chroot_cache_list(&c);
        assert_int_equal(json_object_array_length(left), 1);
        assert_null(assert_content(&c, one, "tree"));
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                SCRATCH(test_put_and_used), SCRATCH(test_broken),     SCRATCH(test_two_at_once),
                SCRATCH(test_left_over),    SCRATCH(test_older_goes), SCRATCH(test_list_and_remove),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
