/* SPDX-License-Identifier: MIT */
#include "provision/image.h"

#include "base/file.h"
#include "base/paths.h"
#include "base/util.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAIN     "\"main\": {\"uri\": \"http://m/debian\", \"suite\": \"trixie\", \"components\": [\"main\"]}"
#define KEYRING  "\"keyring\": {\"file\": \"/k.gpg\", \"package\": \"keys\"}"
#define START    "\"description\": \"D\", \"suite\": \"trixie\", \"kernel\": \"linux\", \"packages\": [\"a\", \"b\"], "
#define VERSION  "\"version\": \"13\", \"architecture\": \"amd64\", "
#define COMPLETE "{" START VERSION KEYRING ", \"mirrors\": {" MAIN "}}"

static struct image *parse(const char *text, struct error *err)
{
        autojson struct json_object *o = json_parse(text, strlen(text), err);

        return o ? image_parse("test", "/x/test.json", o, err) : NULL;
}

static void test_complete(void **state)
{
        struct error err = ERROR_INIT;
        autoimage struct image *image = parse(COMPLETE, &err);

        (void)state;
        assert_non_null(image);
        assert_string_equal(image->suite, "trixie");
        assert_string_equal(image->main.uri, "http://m/debian");
        assert_string_equal(image->main.components[0], "main");
        assert_null(image->security.uri);
        assert_string_equal(image->keyring, "/k.gpg");
        assert_int_equal(image->size, 64ull << 30);
        assert_int_equal(image->swap, 0);
        assert_int_equal(strv_length(image->packages), 2);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                {"{}", "'description'"},
                {"{" START VERSION KEYRING "}", "'mirrors'"},
                {"{" START VERSION KEYRING ", \"mirrors\": {}}", "'mirrors': "},
                {"{" START VERSION KEYRING ", \"mirrors\": {\"main\": {\"uri\": 3}}}", "'main': 'uri'"},
                {"{" START VERSION KEYRING
                 ", \"mirrors\": {\"main\": {\"uri\": \"ftp://m\", \"suite\": \"x\", \"components\": []}}}",
                 "'mirrors': 'main': 'uri' must begin with http://"},
                {"{" START VERSION KEYRING ", \"mirrors\": {" MAIN "}, \"sise\": \"3G\"}", "'sise'"},
                {"{" START VERSION KEYRING ", \"mirrors\": {" MAIN "}, \"size\": \"3X\"}", "'size' must be a size"},
                {"{" START VERSION KEYRING ", \"mirrors\": {" MAIN "}, \"size\": \"1M\"}", "'size' must be a size"},
                {"{" START VERSION KEYRING ", \"mirrors\": {" MAIN "}, \"swap\": \"lots\"}", "'swap' must be a size"},
                {"{" START VERSION "\"mirrors\": {" MAIN "}, \"keyring\": {\"file\": \"k\", \"package\": \"p\"}}",
                 "'keyring': 'file' must be a full path"},
                {"{" START KEYRING ", \"version\": \"1 3\", \"architecture\": \"amd64\", \"mirrors\": {" MAIN "}}",
                 "'version' must be one word"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;

                assert_null(parse(cases[i].text, &err));
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i].message) || !str_has_prefix(err.message, "image '/x/test.json': "))
                        fail_msg("%s\nsays: %s\nnot:  %s", cases[i].text, err.message, cases[i].message);
        }
}

static void put(void **state, const char *name, const char *version, const char *architecture)
{
        autofree char *text =
                xasprintf("{" START KEYRING ", \"version\": \"%s\", \"architecture\": \"%s\", \"mirrors\": {" MAIN "}}", version,
                          architecture);
        autofree char *path = scratch_file(state, name, text, strlen(text), 0644);
}

static void test_list(void **state)
{
        autofree char *config = scratch_path(state, "config"), *shipped = scratch_path(state, "shipped");
        autofree char *own = scratch_path(state, "config/images");
        const char *here = image_host_architecture();
        struct paths paths = {.config = config, .images = shipped};
        struct error err = ERROR_INIT;
        struct image_list list;

        assert_int_equal(dir_make(own, 0755, &err), 0);
        assert_int_equal(dir_make(shipped, 0755, &err), 0);
        put(state, "shipped/debian-12.json", "12", here);
        put(state, "shipped/debian-13.json", "13", here);
        put(state, "shipped/debian-9.json", "9", here);
        put(state, "shipped/foreign.json", "14", "sparc");
        put(state, "shipped/sid.json", "sid", here);
        put(state, "shipped/notes.txt", "15", here);
        put(state, "config/images/mine.json", "13", here);
        put(state, "config/images/debian-12.json", "11", here);
        free(scratch_file(state, "shipped/broken.json", "{", 1, 0644));

        assert_int_equal(image_list_load(&list, &paths, &err), 0);
        assert_int_equal(list.n, 6);
        assert_string_equal(list.images[0]->name, "debian-12");
        assert_string_equal(list.images[0]->version, "11"); /* the user's hides the shipped one */
        assert_string_equal(list.images[1]->name, "mine");
        assert_string_equal(image_list_default(&list)->name, "mine");
        assert_int_equal(strv_length(list.warnings), 1);
        assert_non_null(strstr(list.warnings[0], "broken.json"));
        assert_non_null(image_list_find(&list, "sid", &err));
        assert_null(image_list_find(&list, "windows", &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, "there is no image 'windows'; there are: debian-12, mine, "));
        image_list_done(&list);
}

static void test_no_folders(void **state)
{
        struct paths paths = {.config = (char *)"/nonexistent", .images = (char *)"/nonexistent"};
        struct error err = ERROR_INIT;
        struct image_list list;

        (void)state;
        assert_int_equal(image_list_load(&list, &paths, &err), 0);
        assert_int_equal(list.n, 0);
        assert_null(image_list_default(&list));
        assert_null(image_list_find(&list, "x", &err));
        assert_non_null(strstr(err.message, "there are: none"));
        image_list_done(&list);
}

/* Those that come with the source. */
static void test_shipped(void **state)
{
        static const char *const names[] = {"debian-12-amd64", "debian-12-arm64", "debian-13-amd64", "debian-13-arm64"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                autofree char *path = xasprintf("images/%s.json", names[i]);
                struct error err = ERROR_INIT;
                autoimage struct image *image = image_load(path, &err);

                if (!image)
                        fail_msg("%s", err.message);
                assert_string_equal(image->name, names[i]);
                assert_non_null(strstr(names[i], image->architecture));
                assert_non_null(image->security.uri);
                assert_non_null(image->installer_package);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_complete),
                cmocka_unit_test(test_refused),
                cmocka_unit_test_setup_teardown(test_list, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_no_folders),
                cmocka_unit_test(test_shipped),
        };

        return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
