/* SPDX-License-Identifier: MIT */
/*
 * Reading preseed files against golden dumps, what must be refused, limits and look-ups.  With INITVM_UPDATE_GOLDEN set, the
 * dumps are written instead of compared.  Real files and debconf itself: test_preseed_files.c.
 */
#include "provision/preseed.h"

#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DATA INITVM_TESTS "/unit/data/preseed/"

static const char *const goldens[] = {"fields", "continued", "owners", "crlf"};

/* From an exact heap copy, so that ASan sees a read of one byte too many. */
static struct preseed *parse(const char *text, size_t n, struct error *err)
{
        autofree char *copy = xcalloc(n ? n : 1, 1);

        memcpy(copy, text, n);
        return preseed_parse("t.cfg", copy, n, err);
}

static struct preseed *parse_good(const char *text)
{
        struct error err = ERROR_INIT;
        struct preseed *p = parse(text, strlen(text), &err);

        if (!p)
                fail_msg("%s", err.message);
        return p;
}

static struct preseed *load_good(const char *path)
{
        struct error err = ERROR_INIT;
        struct preseed *p = preseed_load(path, &err);

        if (!p)
                fail_msg("%s", err.message);
        return p;
}

static char *read_good(const char *path)
{
        struct error err = ERROR_INIT;
        char *text = file_read(path, PRESEED_FILE_MAX, NULL, &err);

        if (!text)
                fail_msg("%s", err.message);
        return text;
}

static char *dump(const struct preseed *p)
{
        autobuf struct buf b = {0};
        autofree char *selections = preseed_selections(p);

        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];
                buf_printf(&b, "%u: %s %s %s [%s]\n", e->line, e->owner, e->question, preseed_type_name(e->type), e->value);
        }
        buf_printf(&b, "selections:\n%s", selections);
        return buf_take_string(&b);
}

static void test_golden(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
                autofree char *path = xasprintf(DATA "%s.cfg", goldens[i]);
                autofree char *golden = xasprintf(DATA "%s.expected", goldens[i]);
                autopreseed struct preseed *p = load_good(path);
                autofree char *text = dump(p), *expected = NULL;

                if (getenv("INITVM_UPDATE_GOLDEN"))
                        assert_int_equal(file_write_atomic(golden, 0644, text, strlen(text), NULL), 0);
                expected = read_good(golden);
                assert_string_equal(text, expected);
        }
}

/* What is written for debconf comes back as it was. */
static void test_selections_survive(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
                autofree char *path = xasprintf(DATA "%s.cfg", goldens[i]);
                autopreseed struct preseed *p = load_good(path), *again = NULL;
                autofree char *text = preseed_selections(p), *second = NULL;
                size_t k = 0;

                again = parse_good(text);
                for (size_t j = 0; j < p->n_entries; j++) {
                        if (streq(p->entries[j].owner, PRESEED_INSTALLER))
                                continue;
                        assert_string_equal(again->entries[k].owner, p->entries[j].owner);
                        assert_string_equal(again->entries[k].question, p->entries[j].question);
                        assert_string_equal(again->entries[k].value, p->entries[j].value);
                        assert_int_equal(again->entries[k].type, p->entries[j].type);
                        k++;
                }
                assert_int_equal(again->n_entries, k);
                second = preseed_selections(again);
                assert_string_equal(text, second);
        }
}

/* ---- what is refused --------------------------------------------------------------------------------------------------- */

#define TEXT(s) s, sizeof(s) - 1

static const struct {
        const char *text;
        size_t n;
        const char *message; /* its beginning */
} refused[] = {
        {TEXT("d-i\n"), "t.cfg:1: 'd-i' is not an answer: write OWNER QUESTION TYPE VALUE, as in"},
        {TEXT("\n# x\n\td-i a/b \n"), "t.cfg:3: 'd-i a/b' is not an answer"},
        {TEXT("d-i a/b strin x"), "t.cfg:1: unknown type 'strin': after owner and question comes one of string, boolean"},
        {TEXT("d-i a/b String x"), "t.cfg:1: unknown type 'String'"},
        {TEXT("d-i a/b Straßenbahnhaltestellenüberdachungsbeauftragtenvertretungsgehilfe x"),
         "t.cfg:1: unknown type 'Straßenbahnhaltestellenüberdachungsbeauftragtenvertretungs...': after"},
        {TEXT("d-i a/b xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxüy"),
         "t.cfg:1: unknown type 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...': after"}, /* not within a
                                                                                                              character */
        {TEXT("d-i a/b string x \\ \n  in-target y z\n"),
         "t.cfg:2: unknown type 'z': after owner and question comes one of string, boolean, select, multiselect, password, "
         "note, text, title, error or seen (if line 1 was to go on here: remove the blanks after its backslash)"},
        {TEXT("d-i a/b string x \\ \n  y z\n"),
         "t.cfg:2: 'y z' is not an answer: write OWNER QUESTION TYPE VALUE, as in 'd-i time/zone string Etc/UTC' "
         "(if line 1 was to go on here: remove the blanks after its backslash)"},
        {TEXT("d-i a/b string x \\ \n\n  y z\n"),
         "t.cfg:3: 'y z' is not an answer: write OWNER QUESTION TYPE VALUE, as in 'd-i time/zone string Etc/UTC'"},
        /* where the two readers would disagree */
        {TEXT("d-i a/b string x \\"), "t.cfg:1: the file ends in a backslash: remove it, or add what is missing"},
        {TEXT("d-i a/b string x \\\n"), "t.cfg:1: the file ends in a backslash"},
        {TEXT("d-i a/b string x \\\r\n"), "t.cfg:1: the file ends in a backslash"},
        {TEXT("\\"), "t.cfg:1: the file ends in a backslash"},
        {TEXT("d-i a/b string x \\\n  y \\\n\nd-i c/d string z"),
         "t.cfg:3: an empty line after a backslash: remove line 2's backslash, or this line"},
        {TEXT("d-i a/b string x \\\n \t\nd-i c/d string z"), "t.cfg:2: an empty line after a backslash"},
        {TEXT("d-i a/b string x \\\n# y\n  z"), "t.cfg:2: a comment within an answer that goes on: move it above line 1"},
        {TEXT("# x \\\nd-i a/b string x"), "t.cfg:1: this comment ends in a backslash, so that it is unclear"},
        {TEXT("\n  # x \\\n\\\nd-i a/b string x"), "t.cfg:2: this comment ends in a backslash"},
        {TEXT("# x \\\\\n\nd-i a/b string x"), "t.cfg:1: this comment ends in a backslash"},
        {TEXT("d-i a/b str\\\ning x"), "t.cfg:1: the line's end breaks 'string': put a blank before the backslash"},
        {TEXT("d-\\\ni a/b string x"), "t.cfg:1: the line's end breaks 'd-i'"},
        {TEXT("d-i a/\\\nb string x"), "t.cfg:1: the line's end breaks 'a/b'"},
        {TEXT("d-i a/b string\\\nx"), "t.cfg:1: the line's end breaks 'stringx'"},
        {TEXT("\\\n # x y string"), "t.cfg:1: a comment after a lone backslash: remove line 1"},
        {TEXT("\\\n\\\n  \\\n"), "t.cfg:3: the file ends in a backslash"},
        /* what is no text */
        {TEXT("d-i a/b string x\n\0"), "t.cfg:2: a NUL byte: this is not a text file"},
        {TEXT("# \x1b[0m\n"), "t.cfg:1: control character 0x1b: only tabs are allowed"},
        {TEXT("d-i a/b string x\vy"), "t.cfg:1: control character 0x0b"},
        {TEXT("d-i a/b string x\x7f"), "t.cfg:1: control character 0x7f"},
        {TEXT("d-i a/b string x\xc2\x85y"), "t.cfg:1: control character 0x85"},
        {TEXT("d-i a/b string x\ry\n"), "t.cfg:1: control character 0x0d"},
        {TEXT("d-i a/b string x\r\r\n"), "t.cfg:1: control character 0x0d"},
        {TEXT("\xef\xbb\xbf# x\n"), "t.cfg:1: a byte order mark: save the file as UTF-8 without one"},
        {TEXT("# x\n\xef\xbb\xbf"
              "d-i a/b string x\n"),
         "t.cfg:2: a byte order mark"},
        {TEXT("# \n# \xfc\n"), "t.cfg:2: byte 0xfc is not UTF-8: convert the file to UTF-8"},
        {TEXT("# \x80"), "t.cfg:1: byte 0x80 is not UTF-8"},
        {TEXT("# \xc3"), "t.cfg:1: byte 0xc3 is not UTF-8"},
        {TEXT("# \xc0\xaf"), "t.cfg:1: byte 0xc0 is not UTF-8"},         /* '/' in two bytes */
        {TEXT("# \xe0\x80\xaf"), "t.cfg:1: byte 0xe0 is not UTF-8"},     /* and in three */
        {TEXT("# \xed\xa0\x80"), "t.cfg:1: byte 0xed is not UTF-8"},     /* a surrogate */
        {TEXT("# \xf4\x90\x80\x80"), "t.cfg:1: byte 0xf4 is not UTF-8"}, /* above U+10FFFF */
        {TEXT("# \xf8\x88\x80\x80\x80"), "t.cfg:1: byte 0xf8 is not UTF-8"},
        {TEXT("# \xff"), "t.cfg:1: byte 0xff is not UTF-8"},
};

static void test_refused(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct error err = ERROR_INIT;
                struct preseed *p = parse(refused[i].text, refused[i].n, &err);

                if (p)
                        fail_msg("accepted: %s", refused[i].text);
                assert_int_equal(err.code, ERR_INVALID);
                if (!str_has_prefix(err.message, refused[i].message))
                        assert_string_equal(err.message, refused[i].message);
                assert_null(parse(refused[i].text, refused[i].n, NULL));
        }
}

static void test_nothing(void **state)
{
        static const char *const texts[] = {"",    "\n",     "\r\n",     "\r",         "  \t\n",
                                            "# x", "# x \\", "# x \\\n", "# x \\\n\n", "# x \\\n # y\n"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                autopreseed struct preseed *p = parse_good(texts[i]);
                autofree char *selections = preseed_selections(p);

                assert_int_equal(p->n_entries, 0);
                assert_string_equal(selections, "");
                assert_null(preseed_next_unused(p, NULL));
        }
        preseed_free(NULL);
}

static void assert_accepted(const char *text, size_t n)
{
        struct error err = ERROR_INIT;
        struct preseed *p = parse(text, n, &err);

        if (!p)
                fail_msg("%s", err.message);
        preseed_free(p);
}

static void test_limits(void **state)
{
        struct error err = ERROR_INIT;
        autofree char *large = xcalloc(PRESEED_FILE_MAX + 2, 1);
        autobuf struct buf b = {0};
        const char *start = "pkg a/b string ";
        (void)state;

        /* a line, in one piece and continued */
        memset(large, 'x', PRESEED_LINE_MAX + 1);
        memcpy(large, start, strlen(start));
        assert_accepted(large, PRESEED_LINE_MAX);
        assert_null(parse(large, PRESEED_LINE_MAX + 1, &err));
        assert_string_equal(err.message, "t.cfg:1: the line has more than 65536 bytes, its continuations included");
        for (size_t i = 101; i < PRESEED_LINE_MAX; i += 100)
                memcpy(large + i, "\\\n", 2);
        assert_accepted(large, PRESEED_LINE_MAX);
        memset(large + PRESEED_LINE_MAX, 'x', PRESEED_LINE_MAX);
        assert_null(parse(large, 2 * PRESEED_LINE_MAX, &err));
        assert_non_null(strstr(err.message, "t.cfg:1: the line has more than"));

        /* the file */
        memset(large, '\n', PRESEED_FILE_MAX + 1);
        assert_accepted(large, PRESEED_FILE_MAX);
        assert_null(parse(large, PRESEED_FILE_MAX + 1, &err));
        assert_string_equal(err.message, "t.cfg: larger than 1 MiB: this is not a preseed file");

        /* entries */
        for (int i = 0; i < PRESEED_ENTRIES_MAX; i++)
                buf_printf(&b, "d-i a/%d note\n", i);
        assert_accepted((char *)buf_head(&b), buf_size(&b));
        buf_printf(&b, "d-i a/last note");
        assert_null(parse((char *)buf_head(&b), buf_size(&b), &err));
        assert_string_equal(err.message, "t.cfg:10001: more than 10000 answers: no preseed file has so many");
}

static void test_list_limit(void **state)
{
        struct error err = ERROR_INIT;
        autopreseed struct preseed *good = NULL, *bad = NULL;
        autofree char *text = NULL;
        autostrv char **items = NULL;
        autobuf struct buf b = {0};
        (void)state;

        buf_printf(&b, "d-i a/b multiselect ");
        for (int i = 0; i < PRESEED_ITEMS_MAX; i++)
                buf_printf(&b, "x%d,", i);
        text = buf_take_string(&b);
        good = parse_good(text);
        assert_int_equal(preseed_list(good, "a/b", &items, &err), 1);
        assert_int_equal(strv_length(items), PRESEED_ITEMS_MAX);
        buf_printf(&b, "%slast", text);
        bad = parse((char *)buf_head(&b), buf_size(&b), &err);
        assert_int_equal(preseed_list(bad, "a/b", &items, &err), -1);
        assert_string_equal(err.message, "t.cfg:1: 'a/b': more than 4096 items: shorten the list");
        assert_int_equal(strv_length(items), PRESEED_ITEMS_MAX);
}

/* ---- look-ups -------------------------------------------------------------------------------------------------------------- */

static void test_bool(void **state)
{
        static const struct {
                const char *text;
                int status;
                bool value;
                const char *message;
        } cases[] = {
                {"d-i q boolean true", 1, true, NULL},
                {"d-i q boolean   false  ", 1, false, NULL},
                {"pkg q boolean  true ", 1, true, NULL},
                {"d-i q boolean false\nd-i q boolean true", 1, true, NULL},
                {"d-i q boolean true\nd-i q seen false", 1, true, NULL},
                {"d-i other boolean false", 0, true, NULL},
                {"d-i q seen false", 0, true, NULL},
                {"\nd-i q boolean yes", -1, true, "t.cfg:2: 'q': 'yes' is neither 'true' nor 'false'"},
                {"d-i q boolean True", -1, true, "t.cfg:1: 'q': 'True' is neither"},
                {"d-i q boolean", -1, true, "t.cfg:1: 'q': '' is neither"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autopreseed struct preseed *p = parse_good(cases[i].text);
                struct error err = ERROR_INIT;
                bool value = true;

                assert_int_equal(preseed_bool(p, "q", &value, &err), cases[i].status);
                assert_int_equal(value, cases[i].value);
                if (cases[i].message && !str_has_prefix(err.message, cases[i].message))
                        assert_string_equal(err.message, cases[i].message);
        }
}

static void test_u64(void **state)
{
        static const struct {
                const char *text;
                int status;
                uint64_t value;
        } cases[] = {
                {"d-i q string 10", 1, 10},   {"d-i q string  99 ", 1, 99}, {"pkg q string   11\t", 1, 11},
                {"d-i q string 9", -1, 7},    {"d-i q string 100", -1, 7},  {"d-i q string -20", -1, 7},
                {"d-i q string 1x", -1, 7},   {"d-i q string", -1, 7},      {"d-i x string 20", 0, 7},
                {"d-i q string 0x10", -1, 7}, {"d-i q string 1 1", -1, 7},  {"d-i q string 99999999999999999999999", -1, 7},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autopreseed struct preseed *p = parse_good(cases[i].text);
                struct error err = ERROR_INIT;
                uint64_t value = 7;

                assert_int_equal(preseed_u64(p, "q", 10, 99, &value, &err), cases[i].status);
                assert_int_equal(value, cases[i].value);
                if (cases[i].status < 0)
                        assert_non_null(strstr(err.message, "is not a whole number from 10 to 99"));
        }
}

static void test_lists(void **state)
{
        static const struct {
                const char *text;
                const char *list; /* joined by '|' */
                const char *words;
        } cases[] = {
                {"d-i q multiselect", "", ""},
                {"pkg q multiselect  ,, ,", "", ""},
                {"d-i q multiselect one", "one", "one"},
                {"d-i q multiselect security, updates", "security|updates", "security|updates"},
                {"d-i q multiselect a,b ,\tc  d ,", "a|b|c  d", "a|b|c|d"},
                {"d-i q multiselect a\\, b, \\ c\\ , \\d", "a, b| c |\\d", "a\\|b|\\|c\\|\\d"},
                {"d-i q string build-essential \\\n\tdebhelper", "build-essential debhelper", "build-essential|debhelper"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autopreseed struct preseed *p = parse_good(cases[i].text);
                autostrv char **list = NULL, **words = NULL;
                autofree char *list_text = NULL, *words_text = NULL;

                assert_int_equal(preseed_list(p, "q", &list, NULL), 1);
                assert_int_equal(preseed_words(p, "q", &words, NULL), 1);
                list_text = strv_join(list, "|");
                words_text = strv_join(words, "|");
                assert_string_equal(list_text, cases[i].list);
                assert_string_equal(words_text, cases[i].words);
                assert_int_equal(preseed_list(p, "absent", &list, NULL), 0);
        }
}

static void test_find_and_mark(void **state)
{
        autopreseed struct preseed *p = load_good(DATA "owners.cfg");
        const struct preseed_entry *e;
        struct error err = ERROR_INIT;
        autofree char *selections = NULL;
        (void)state;

        /* the last answer counts, and a seen line is none */
        assert_string_equal(preseed_find(p, PRESEED_INSTALLER, "passwd/username")->value, "second");
        assert_int_equal(preseed_find(p, NULL, "passwd/username")->line, 4);
        assert_null(preseed_find(p, "netcfg", "passwd/username"));
        assert_null(preseed_find(p, NULL, "seen"));
        assert_null(preseed_find(p, PRESEED_INSTALLER, "netcfg/get_hostname"));
        assert_string_equal(preseed_find(p, "openssh-server", "openssh-server/permit-root-login")->value, "false");

        /* all lines of a question are marked, superseded and seen ones too; finding marks none */
        e = preseed_next_unused(p, NULL);
        assert_int_equal(e->line, 2);
        assert_string_equal(preseed_string(p, "passwd/username"), "second");
        e = preseed_next_unused(p, NULL);
        assert_string_equal(e->question, "debian-installer/locale");
        assert_int_equal(e->line, 8);
        assert_null(preseed_next_unused(p, e));
        assert_true(preseed_mark(p, "passwd/username", false));
        e = preseed_next_unused(p, preseed_next_unused(p, NULL));
        assert_int_equal(e->line, 4);
        assert_false(preseed_mark(p, "passwd/user-uid", true));
        assert_null(preseed_string(p, "passwd/user-uid"));

        /* the installer does not look at owners */
        assert_string_equal(preseed_string(p, "netcfg/get_hostname"), "of-another-owner");

        assert_int_equal(preseed_invalid(p, preseed_find(p, NULL, "debian-installer/locale"), &err, "no '%s'", "x"), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.message, DATA "owners.cfg:8: 'debian-installer/locale': no 'x'");

        /* marks do not matter to what debconf gets */
        selections = preseed_selections(p);
        assert_non_null(strstr(selections, "netcfg netcfg/get_hostname string of-another-owner\n"));
}

static void test_load_fails(void **state)
{
        struct error err = ERROR_INIT;
        (void)state;

        assert_null(preseed_load(DATA "absent.cfg", &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, "absent.cfg"));
        assert_null(preseed_load("/dev/zero", &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(preseed_load("/", &err));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_golden),     cmocka_unit_test(test_selections_survive),
                cmocka_unit_test(test_refused),    cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_limits),     cmocka_unit_test(test_list_limit),
                cmocka_unit_test(test_bool),       cmocka_unit_test(test_u64),
                cmocka_unit_test(test_lists),      cmocka_unit_test(test_find_and_mark),
                cmocka_unit_test(test_load_fails),
        };

        return cmocka_run_group_tests_name("preseed", tests, NULL, NULL);
}
