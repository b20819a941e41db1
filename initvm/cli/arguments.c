/* SPDX-License-Identifier: MIT */
#include "cli/arguments.h"

#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

struct parser {
        struct arguments *result;
        char *const *argv;
        size_t at;
        const struct option_spec *tables[2];
        struct error *err;
};

void arguments_done(struct arguments *a)
{
        free(a->given);
        strv_free(a->operands);
        *a = (struct arguments){0};
}

static const struct option_spec *find_option(const struct parser *p, const char *name, size_t n, char letter)
{
        for (size_t t = 0; t < ARRAY_SIZE(p->tables); t++)
                for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
                        if (name ? strlen(o->name) == n && memcmp(o->name, name, n) == 0 : o->letter && o->letter == letter)
                                return o;
        return NULL;
}

static int unknown_option(const struct parser *p, const char *name, size_t n)
{
        autofree char *word = xstrndup(name, n);
        autofree const char **names = NULL;
        const char *nearest;
        size_t count = 0;

        for (size_t t = 0; t < ARRAY_SIZE(p->tables); t++)
                for (const struct option_spec *o = p->tables[t]; o && o->name; o++) {
                        names = xrealloc(names, count + 1, sizeof(*names));
                        names[count++] = o->name;
                }
        nearest = text_nearest(word, names, count);
        if (nearest)
                return error_set(p->err, ERR_INVALID, "'--%s' is not an option here; did you mean '--%s'?", word, nearest);
        return error_set(p->err, ERR_INVALID, "'--%s' is not an option here", word);
}

static bool is_choice(const char *choices, const char *text)
{
        autostrv char **words = strv_split(choices, "|");
        return strv_contains(words, text);
}

static int parse_size_option(const struct parser *p, struct argument *a)
{
        if (parse_size(a->text, &a->number) < 0 || a->number > INT64_MAX)
                return error_set(p->err, ERR_INVALID, "'--%s %s': not a size; write one as in '512M', '64G' or '1T'",
                                 a->option->name, a->text);
        if (a->number < OPTION_SIZE_MIN)
                return error_set(p->err, ERR_INVALID, "'--%s %s' is less than 1 MiB: add a unit, as in '512M' or '64G'",
                                 a->option->name, a->text);
        return 0;
}

static int check_argument(const struct parser *p, struct argument *a)
{
        const struct option_spec *o = a->option;

        switch (o->type) {
        case OPTION_FLAG:
                return 0;
        case OPTION_SWITCH:
                if (a->text && !is_choice("yes|no", a->text))
                        return error_set(p->err, ERR_INVALID, "'--%s=%s': must be yes or no", o->name, a->text);
                return 0;
        case OPTION_STRING:
        case OPTION_FILE:
        case OPTION_VM:
        case OPTION_LIST:
                if (!*a->text)
                        return error_set(p->err, ERR_INVALID, "'--%s' needs a %s that is not empty", o->name, o->argument);
                return 0;
        case OPTION_CHOICE:
                if (!is_choice(o->argument, a->text))
                        return error_set(p->err, ERR_INVALID, "'--%s %s': must be one of %s", o->name, a->text, o->argument);
                return 0;
        case OPTION_NUMBER:
                if (parse_u64(a->text, 1, INT32_MAX, &a->number) < 0)
                        return error_set(p->err, ERR_INVALID, "'--%s %s': must be a whole number of 1 or more", o->name, a->text);
                return 0;
        case OPTION_SIZE:
                return parse_size_option(p, a);
        case OPTION_SECONDS:
                if (parse_u64(a->text, 1, OPTION_SECONDS_MAX, &a->number) < 0)
                        return error_set(p->err, ERR_INVALID, "'--%s %s': must be whole seconds, 1 to %u", o->name, a->text,
                                         OPTION_SECONDS_MAX);
                a->number *= 1000;
                return 0;
        }
        return 0;
}

static bool takes_word(const struct option_spec *o)
{
        return o->type != OPTION_FLAG && o->type != OPTION_SWITCH;
}

/* Adds one option; `text` is what stands in the same word behind it, or NULL: then the next word is its argument. */
static int add_option(struct parser *p, const struct option_spec *o, const char *text)
{
        struct arguments *r = p->result;
        struct argument a = {.option = o, .text = text};

        if (takes_word(o) && !text) {
                if (!p->argv[p->at])
                        return error_set(p->err, ERR_INVALID, "'--%s' needs an argument: %s", o->name, o->argument);
                a.text = p->argv[p->at++];
        }
        if (check_argument(p, &a) < 0)
                return -1;
        r->given = xrealloc(r->given, r->n_given + 1, sizeof(*r->given));
        r->given[r->n_given++] = a;
        return 0;
}

static int parse_long(struct parser *p, const char *word)
{
        size_t n = strcspn(word, "=");
        const struct option_spec *o = find_option(p, word, n, 0);

        if (!o)
                return unknown_option(p, word, n);
        if (word[n] == '=' && o->type == OPTION_FLAG)
                return error_set(p->err, ERR_INVALID, "'--%s' takes no argument", o->name);
        return add_option(p, o, word[n] == '=' ? word + n + 1 : NULL);
}

/* One word of letters: "-y", "-yf", "-n NAME", "-nNAME". */
static int parse_letters(struct parser *p, const char *word)
{
        for (; *word; word++) {
                const struct option_spec *o = find_option(p, NULL, 0, *word);

                if (!o)
                        return error_set(p->err, ERR_INVALID, "'-%c' is not an option here", *word);
                if (takes_word(o))
                        return add_option(p, o, word[1] ? word + 1 : NULL);
                if (add_option(p, o, NULL) < 0)
                        return -1;
        }
        return 0;
}

int arguments_parse(struct arguments *a, char *const *argv, const struct option_spec *common, const struct option_spec *own,
                    enum arguments_end end, size_t *ret_used, struct error *err)
{
        struct parser p = {.result = a, .argv = argv, .tables = {common, own}, .err = err};
        bool options = true;

        while (argv[p.at]) {
                const char *word = argv[p.at];

                if (options && word[0] == '-' && word[1] != '\0') {
                        p.at++;
                        if (streq(word, "--")) {
                                options = false;
                                if (end != ARGUMENTS_ALL)
                                        break;
                        } else if ((word[1] == '-' ? parse_long(&p, word + 2) : parse_letters(&p, word + 1)) < 0) {
                                return -1;
                        }
                        continue;
                }
                if (end == ARGUMENTS_TO_OPERAND)
                        break;
                strv_add(&a->operands, word);
                p.at++;
        }
        if (ret_used)
                *ret_used = p.at;
        return 0;
}

static const struct argument *find_given(const struct arguments *a, const char *name)
{
        for (size_t i = a->n_given; i-- > 0;)
                if (streq(a->given[i].option->name, name))
                        return &a->given[i];
        return NULL;
}

bool arguments_flag(const struct arguments *a, const char *name)
{
        return find_given(a, name) != NULL;
}

bool arguments_switch(const struct arguments *a, const char *name, bool fallback)
{
        const struct argument *g = find_given(a, name);
        return g ? !streq(g->text, "no") : fallback;
}

const char *arguments_text(const struct arguments *a, const char *name, const char *fallback)
{
        const struct argument *g = find_given(a, name);
        return g ? g->text : fallback;
}

uint64_t arguments_number(const struct arguments *a, const char *name, uint64_t fallback)
{
        const struct argument *g = find_given(a, name);
        return g ? g->number : fallback;
}

char **arguments_list(const struct arguments *a, const char *name)
{
        char **v = NULL;

        for (size_t i = 0; i < a->n_given; i++)
                if (streq(a->given[i].option->name, name))
                        strv_add(&v, a->given[i].text);
        return v;
}
