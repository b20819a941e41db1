/* SPDX-License-Identifier: MIT */
#include "cli/copy_operands.h"

#include "archive/name.h"

#include <stdlib.h>
#include <string.h>

static int parse_place(const char *operand, const struct invocation *inv, struct copy_operand *ret, struct error *err)
{
        size_t n = strcspn(operand, ":/");

        *ret = (struct copy_operand){.path = operand, .stream = streq(operand, "-")};
        if (operand[n] != ':')
                return 0;
        ret->path = operand + n + 1;
        ret->vm = n > 0 ? xstrndup(operand, n) : xstrdup(inv->name);
        if (!vm_name_valid(ret->vm))
                return error_set(err, ERR_INVALID, "'%s' cannot be a VM's name; a file on the host is written './%s'", ret->vm,
                                 operand);
        return 0;
}

static void place_done(struct copy_operand *p)
{
        cleanup_free(&p->vm);
}

/* Each source comes from where the first one does. */
static int add_source(struct copy *copy, char ***paths, const struct copy_operand *p, struct error *err)
{
        autofree char *name = name_of_source(p->path);

        if (p->stream != copy->from.stream || !p->vm != !copy->from.vm || (p->vm && !streq(p->vm, copy->from.vm)))
                return error_set(err, ERR_INVALID,
                                 "the sources must all be on the host or all be in one VM; copy them one after the other");
        if (p->stream && *paths)
                return error_set(err, ERR_INVALID, "standard input can only be copied alone");
        for (char **other = *paths; other && *other; other++) {
                autofree char *other_name = name_of_source(*other);

                if (streq(name, other_name) && !streq(name, "."))
                        return error_set(err, ERR_INVALID, "two sources are called '%s': one would replace the other", name);
        }
        strv_add(paths, p->path);
        return 0;
}

static int check(const struct copy *copy, struct error *err)
{
        const struct copy_place *from = &copy->from, *to = &copy->to;

        if (!from->vm && !to->vm)
                return error_set(err, ERR_INVALID, "neither side is in a VM: write a path in it as NAME:PATH or :PATH");
        if (to->stream && from->paths[1])
                return error_set(err, ERR_INVALID, "only one file can be copied to standard output");
        if (to->stream || to->vm || *to->paths[0])
                return 0;
        return error_set(err, ERR_INVALID, "the destination is empty: '.' is this folder");
}

static int read_operands(struct copy_operands *o, struct error *err)
{
        struct copy_operand *to = &o->operands[o->n - 1], *from = &o->operands[0];

        o->target[0] = (char *)to->path;
        o->copy = (struct copy){.from = {.vm = from->vm, .stream = from->stream},
                                .to = {.vm = to->vm, .stream = to->stream, .paths = o->target}};
        for (size_t i = 0; i < o->n - 1; i++)
                if (add_source(&o->copy, &o->sources, &o->operands[i], err) < 0)
                        return -1;
        o->copy.from.paths = o->sources;
        return check(&o->copy, err);
}

int copy_operands_parse(const struct invocation *inv, struct copy_operands *o, struct error *err)
{
        *o = (struct copy_operands){.n = strv_length(inv->operands)};
        o->operands = xcalloc(o->n, sizeof(*o->operands));
        for (size_t i = 0; i < o->n; i++)
                if (parse_place(inv->operands[i], inv, &o->operands[i], err) < 0)
                        return -1;
        return read_operands(o, err);
}

void copy_operands_done(struct copy_operands *o)
{
        for (size_t i = 0; i < o->n; i++)
                place_done(&o->operands[i]);
        free(o->operands);
        strv_free(o->sources);
}
