/* SPDX-License-Identifier: MIT */
#include "image/qemu_img.h"

#include <stdlib.h>
#include <string.h>

/* The longest that it is silent: a check of a large image on a slow disk; conversions show their progress. */
#define TIMEOUT_S 900

/* What `qemu-img check` exits with when the image has errors, and when only clusters are lost (qemu-img(1)). */
#define EXIT_CORRUPT 2
#define EXIT_LEAKS   3

/* Its answer as JSON, among what else it says. */
struct answer {
        struct buf text;
        bool inside, done;
};

static void answer_line(void *userdata, const char *line)
{
        struct answer *a = userdata;

        if (a->done || (!a->inside && !streq(line, "{")))
                return;
        a->inside = true;
        buf_printf(&a->text, "%s\n", line);
        a->done = streq(line, "}");
}

/* "    (12.50/100%)" */
static void progress_line(void *userdata, const char *line)
{
        double percent;

        if (sscanf(line, " (%lf/100%%)", &percent) == 1 && percent >= 0 && percent <= 100)
                run_update(userdata, NULL, (int)percent);
}

static char **command(const char *const *words)
{
        char **argv = NULL;

        strv_add(&argv, "qemu-img");
        for (; *words; words++)
                strv_add(&argv, *words);
        return argv;
}

static const struct sign {
        const char *text;
        enum error_code code;
        const char *sentence;
} signs[] = {
        {"Is another process using the image", ERR_STATE, QEMU_IMG_IN_USE},
        {"Failed to get", ERR_STATE, QEMU_IMG_IN_USE},
        {"No space left on device", ERR_NO_SPACE, "no space is left for it"},
        {"Disk quota exceeded", ERR_NO_SPACE, "the disk quota is used up"},
        {"Could not open backing file", ERR_NOT_FOUND, "the image needs a backing file that cannot be opened"},
        {"Image is not in", ERR_INVALID, "it is not an image that can be worked with"},
        {"No such file or directory", ERR_NOT_FOUND, "a file is not there"},
        {"Permission denied", ERR_DENIED, "a file cannot be opened"},
        {"Can't find snapshot", ERR_NOT_FOUND, "there is no such snapshot"},
        {"snapshot not found", ERR_NOT_FOUND, "there is no such snapshot"},
};

static int explain(struct run *run, struct error *err)
{
        if (err->code != ERR_FAILED)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
                if (run_tail_find(run, signs[i].text)) {
                        error_set(err, signs[i].code, "%s", signs[i].sentence);
                        break;
                }
        return run_explain(run, err);
}

static struct json_object *ask(struct run *run, const char *const *words, int *ret_exit, struct error *err)
{
        autostrv char **argv = command(words);
        struct answer a = {0};
        const struct run_tool tool = {
                .argv = argv, .timeout = TIMEOUT_S, .line = answer_line, .userdata = &a, .ret_exit = ret_exit};
        struct json_object *o = NULL;

        if (run_tool(run, &tool, err) < 0)
                explain(run, err);
        else if (!a.done && ret_exit && *ret_exit != 0) {
                error_set(err, ERR_FAILED, "'qemu-img' ended with exit status %d", *ret_exit);
                explain(run, err);
        } else
                o = json_parse((const char *)buf_head(&a.text), buf_size(&a.text), err);
        buf_done(&a.text);
        return o;
}

struct json_object *qemu_img_info(struct run *run, const char *image, const char *format, struct error *err)
{
        const char *const known[] = {"info", "--output=json", "-f", format, image, NULL};
        const char *const unknown[] = {"info", "--output=json", image, NULL};

        return ask(run, format ? known : unknown, NULL, err);
}

uint64_t qemu_img_virtual_size(struct json_object *info)
{
        return json_get_u64(info, "virtual-size", 0);
}

int qemu_img_measure(struct run *run, const char *image, const char *format, uint64_t *ret, struct error *err)
{
        const char *const words[] = {"measure", "--output=json", "-f", format, "-O", QEMU_IMG_FORMAT, image, NULL};
        autojson struct json_object *o = ask(run, words, NULL, err);

        if (!o)
                return -1;
        *ret = json_get_u64(o, "required", 0);
        return 0;
}

struct json_object *qemu_img_check(struct run *run, const char *image, bool repair, struct error *err)
{
        const char *const look[] = {"check", "--output=json", "-f", QEMU_IMG_FORMAT, image, NULL};
        const char *const mend[] = {"check", "--output=json", "-r", "all", "-f", QEMU_IMG_FORMAT, image, NULL};
        int status = 0;
        struct json_object *o = ask(run, repair ? mend : look, &status, err);

        if (o && status != 0 && status != EXIT_CORRUPT && status != EXIT_LEAKS) {
                json_object_put(o);
                error_set(err, ERR_FAILED, "'qemu-img check' ended with exit status %d", status);
                run_explain(run, err);
                return NULL;
        }
        return o;
}

int qemu_img(struct run *run, const char *const *words, struct error *err)
{
        autostrv char **argv = command(words);
        const struct run_tool tool = {.argv = argv, .timeout = TIMEOUT_S, .line = progress_line, .userdata = run};

        return run_tool(run, &tool, err) < 0 ? explain(run, err) : 0;
}
