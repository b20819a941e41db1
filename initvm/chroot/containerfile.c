/* SPDX-License-Identifier: MIT */
#include "chroot/containerfile.h"

#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const instructions[] = {"ADD",    "ARG",   "CMD",         "COPY",  "ENTRYPOINT", "ENV",
                                           "EXPOSE", "FROM",  "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
                                           "RUN",    "SHELL", "STOPSIGNAL",  "USER",  "VOLUME",     "WORKDIR"};

/* Instructions whose content may follow on the next lines, up to a line that is a word of theirs: RUN <<END. */
static const char *const with_documents[] = {"RUN", "COPY", "ADD"};

struct reader {
        struct containerfile *c;
        char **variables; /* "NAME=VALUE": of ARG before the first FROM */
        char *const *arguments;
        char **stages; /* names of stages */
        char **ends;   /* of the documents that follow */
        struct buf out;
        unsigned line;
        bool continued;
        struct error *err;
};

static bool is_one_of(const char *const *words, size_t n, const char *word, size_t length)
{
        for (size_t i = 0; i < n; i++)
                if (strlen(words[i]) == length && strncasecmp(words[i], word, length) == 0)
                        return true;
        return false;
}

static size_t blanks(const char *s)
{
        return strspn(s, " \t\r");
}

static size_t word(const char *s)
{
        return strcspn(s, " \t\r");
}

/* ---- variables */

static const char *find(char *const *assignments, const char *name, size_t n)
{
        const char *value = NULL;

        for (; assignments && *assignments; assignments++)
                if (strncmp(*assignments, name, n) == 0 && (*assignments)[n] == '=')
                        value = *assignments + n + 1;
        return value;
}

/* "NAME" or "NAME=VALUE", whose value may be in quotes: what was given for it comes before its own. */
static void take_argument(struct reader *r, const char *text)
{
        size_t n = strcspn(text, "=");
        const char *given = find(r->arguments, text, n);
        autofree char *own = xstrdup(text[n] ? text + n + 1 : "");
        size_t length = strlen(own);
        char *value = own;

        if (length >= 2 && strchr("\"'", own[0]) && own[length - 1] == own[0]) {
                own[length - 1] = '\0';
                value++;
        }
        strv_addf(&r->variables, "%.*s=%s", (int)n, text, given ? given : value);
}

/* $NAME, ${NAME}, ${NAME:-DEFAULT}. Owned. */
static char *expand(const struct reader *r, const char *text)
{
        struct buf out = {0};

        while (*text) {
                bool braces = text[0] == '$' && text[1] == '{';
                const char *name = text + 1 + braces;
                size_t n = 0;

                while (*text == '$' && (isalnum((unsigned char)name[n]) || name[n] == '_'))
                        n++;
                if (n == 0) {
                        buf_append(&out, text++, 1);
                        continue;
                }
                const char *value = find(r->variables, name, n), *otherwise = name + n;
                size_t length = braces ? strcspn(otherwise, "}") : 0;

                if (value && *value)
                        buf_append(&out, value, strlen(value));
                else if (length > 2 && str_has_prefix(otherwise, ":-"))
                        buf_append(&out, otherwise + 2, length - 2);
                text = otherwise + length + (braces && otherwise[length] == '}');
        }
        return buf_take_string(&out);
}

/* ---- instructions */

/* Returns its index. */
static size_t add_base(struct reader *r, const char *name)
{
        struct containerfile *c = r->c;

        for (size_t i = 0; i < c->n_bases; i++)
                if (streq(c->bases[i].name, name))
                        return i;
        c->bases = xrealloc(c->bases, c->n_bases + 1, sizeof(*c->bases));
        c->bases[c->n_bases] = (struct containerfile_base){.name = xstrdup(name), .line = r->line};
        return c->n_bases++;
}

static bool is_stage(const struct reader *r, const char *name)
{
        for (char **stage = r->stages; stage && *stage; stage++)
                if (strcasecmp(*stage, name) == 0)
                        return true;
        return false;
}

/* FROM [--OPTION...] NAME [AS STAGE]: writes it with the image's name, when NAME is a chroot. */
static int take_from(struct reader *r, const char *line, const char *operands)
{
        const char *at = operands, *as;
        autofree char *raw = NULL, *name = NULL;

        while (str_has_prefix(at, "--"))
                at += word(at), at += blanks(at);
        raw = xstrndup(at, word(at));
        name = expand(r, raw);
        as = at + word(at);
        as += blanks(as);
        if (!*name)
                return error_set(r->err, ERR_INVALID, "line %u of the Dockerfile: FROM names nothing to build on", r->line);
        buf_append(&r->out, line, (size_t)(at - line));
        if (streq(name, "scratch") || is_stage(r, name))
                buf_printf(&r->out, "%s", name);
        else
                buf_printf(&r->out, CONTAINERFILE_IMAGE, add_base(r, name));
        buf_printf(&r->out, "%s\n", at + word(at));
        if (strncasecmp(as, "AS", 2) == 0 && blanks(as + 2)) {
                as += 2 + blanks(as + 2);
                strv_push(&r->stages, xstrndup(as, word(as)));
        }
        return 0;
}

static void add_step(struct reader *r, const char *text, bool from)
{
        struct containerfile *c = r->c;
        unsigned last = c->n_steps > 0 ? c->steps[c->n_steps - 1].step : 0, step = c->n_stages > 0 ? last + 1 : 0;

        c->n_stages += from;
        c->steps = xrealloc(c->steps, c->n_steps + 1, sizeof(*c->steps));
        c->steps[c->n_steps++] = (struct containerfile_step){
                .line = r->line, .stage = c->n_stages, .step = from ? 1 : step, .text = xstrdup(text)};
}

/* The words behind "<<", which end the documents that follow. */
static void take_documents(struct reader *r, const char *operands)
{
        for (const char *at = operands; (at = strstr(at, "<<"));) {
                at += 2;
                at += *at == '-';
                at += *at == '"' || *at == '\'';
                size_t n = 0;
                while (isalnum((unsigned char)at[n]) || at[n] == '_')
                        n++;
                if (n > 0 && !isdigit((unsigned char)at[0]))
                        strv_push(&r->ends, xstrndup(at, n));
                at += n;
        }
}

static int take_instruction(struct reader *r, const char *line)
{
        const char *name = line + blanks(line), *operands = name + word(name);
        size_t n = (size_t)(operands - name);
        bool from = n == 4 && strncasecmp(name, "FROM", n) == 0;

        operands += blanks(operands);
        if (!is_one_of(instructions, ARRAY_SIZE(instructions), name, n))
                return error_set(r->err, ERR_INVALID, "line %u of the Dockerfile: '%.*s' is no instruction of a Dockerfile",
                                 r->line, (int)n, name);
        add_step(r, name, from);
        if (from)
                return take_from(r, line, operands);
        if (r->c->n_stages == 0 && strncasecmp(name, "ARG", n) == 0)
                take_argument(r, operands);
        else if (r->c->n_stages == 0)
                return error_set(r->err, ERR_INVALID, "line %u of the Dockerfile: '%.*s' stands before the first FROM", r->line,
                                 (int)n, name);
        if (is_one_of(with_documents, ARRAY_SIZE(with_documents), name, n))
                take_documents(r, operands);
        buf_printf(&r->out, "%s\n", line);
        return 0;
}

static int take_line(struct reader *r, const char *line)
{
        const char *content = line + blanks(line);
        size_t end = strlen(line);

        if (r->ends && !r->continued) { /* in a document; "<<-" lets its end be indented by tabs */
                if (streq(line + strspn(line, "\t"), r->ends[0])) {
                        free(r->ends[0]);
                        memmove(r->ends, r->ends + 1, strv_length(r->ends) * sizeof(*r->ends));
                        if (!r->ends[0])
                                free(take_ptr(r->ends));
                }
                buf_printf(&r->out, "%s\n", line);
                return 0;
        }
        if (!*content || *content == '#') { /* also between the lines of one instruction */
                buf_printf(&r->out, "%s\n", line);
                return 0;
        }
        if (r->continued)
                buf_printf(&r->out, "%s\n", line);
        else if (take_instruction(r, line) < 0)
                return -1;
        while (end > 0 && strchr(" \t\r", line[end - 1]))
                end--;
        r->continued = end > 0 && line[end - 1] == '\\';
        return 0;
}

int containerfile_read(const char *text, char *const *arguments, struct containerfile *ret, struct error *err)
{
        autocontainerfile struct containerfile c = {0};
        struct reader r = {.c = &c, .arguments = arguments, .err = err};
        int result = 0;

        while (*text && result == 0) {
                size_t n = strcspn(text, "\n");
                autofree char *line = xstrndup(text, n);

                r.line++;
                text += n + (text[n] == '\n');
                result = take_line(&r, line);
        }
        c.text = buf_take_string(&r.out);
        strv_free(r.variables);
        strv_free(r.stages);
        strv_free(r.ends);
        if (result < 0)
                return -1;
        if (c.n_stages == 0)
                return error_set(err, ERR_INVALID, "the Dockerfile has no FROM, which names a chroot to build on, or 'scratch'");
        *ret = c;
        c = (struct containerfile){0};
        return 0;
}

void containerfile_done(struct containerfile *c)
{
        for (size_t i = 0; i < c->n_bases; i++)
                free(c->bases[i].name);
        for (size_t i = 0; i < c->n_steps; i++)
                free(c->steps[i].text);
        free(c->bases);
        free(c->steps);
        free(c->text);
        *c = (struct containerfile){0};
}

const struct containerfile_step *containerfile_find(const struct containerfile *c, unsigned stage, unsigned step)
{
        for (size_t i = 0; i < c->n_steps; i++)
                if (c->steps[i].stage == stage && c->steps[i].step == step)
                        return &c->steps[i];
        return NULL;
}
